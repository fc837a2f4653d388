//! Journals in a state that no crash leaves: files of another store among them, files without
//! events lost, damage in several places.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use annals::{
    BackupOptions, Error, ErrorCode, EventStore, ExpectedVersion::Any, NewEvent, Options, Reader,
    RepairOptions, SalvageReport, VerifyOptions, backup, repair, salvage, verify,
};

use crate::support::{
    files::{active, copy, copy_moment, first_position, flip, frames, journal, sealed},
    numbered::{self, EVENTS},
    program::Place,
};

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

/// The name of a sealed file.
fn sealed_name(first_position: u64) -> String {
    format!("{first_position:020}.sealed")
}

#[track_caller]
fn repaired(path: &Path) {
    let done = repair(path, &RepairOptions::new().apply(true)).unwrap();
    assert_eq!(done.lost, [], "{:?}", done.steps);
    assert_eq!(repair(path, &RepairOptions::new()).unwrap().steps, [], "{:?}", done.steps);
}

/// The store is whole, and so is its journal alone.
#[track_caller]
fn check_both_copies(path: &Path) {
    for copy in ["both", "the journal"] {
        let store = options().create(false).open(path).unwrap();
        numbered::check_everything(&store, copy);
        assert_eq!(store.verify().unwrap().findings, [], "{copy}");
        store.close().unwrap();
        fs::remove_dir_all(path.join("trees")).unwrap();
    }
}

/// The positions in what a salvage has written.
fn salvaged(path: &Path) -> (Vec<u64>, SalvageReport) {
    let mut saved = Vec::new();
    let report = salvage(path, &mut saved).unwrap();
    let lines = String::from_utf8(saved).unwrap();
    let values = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    (values.map(|event| event["event_id"].as_u64().unwrap()).collect(), report)
}

#[test]
fn a_file_of_another_store_is_set_aside_and_costs_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let (original, other) = (directory.path().join("original"), directory.path().join("other"));
    numbered::closed(&original, &options());
    numbered::closed(&other, &options());
    let own = sealed(&original);
    let active = first_position(&active(&original)[0]);
    // In the middle, before the active file, and after everything.
    let firsts = [first_position(&own[1]) + 5, active - 1, active + 5, EVENTS + 100];
    for first in firsts {
        let path = directory.path().join("store");
        copy(&original, &path);
        let foreign = path.join("journal").join(sealed_name(first));
        fs::copy(&sealed(&other)[1], &foreign).unwrap();
        let before: Vec<_> =
            journal(&original).iter().map(|file| fs::read(file).unwrap()).collect();
        repaired(&path);
        assert!(foreign.with_extension("sealed.damaged-1").exists(), "{first}");
        for (file, bytes) in journal(&original).iter().zip(before) {
            let file = path.join("journal").join(file.file_name().unwrap());
            if first_position(&file) != active {
                assert!(fs::read(&file).unwrap() == bytes, "{first}: {}", file.display());
            }
        }
        check_both_copies(&path);
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_file_of_another_store_hides_no_event_that_is_not_drained() {
    let directory = tempfile::tempdir().unwrap();
    let running = directory.path().join("running");
    let other = directory.path().join("other");
    numbered::closed(&other, &options());
    // Undrained are some files, or a few frames of the file that `HEAD` names.
    for closed in [EVENTS / 2, EVENTS - 3] {
        let store = options().open(&running).unwrap();
        numbered::append(&store, 1..=closed);
        store.close().unwrap();
        let store = options().open(&running).unwrap();
        numbered::append(&store, closed + 1..=EVENTS);
        let killed = directory.path().join("killed");
        copy_moment(&running, &killed);
        store.close().unwrap();
        for first in [EVENTS + 1, EVENTS + 100].into_iter().skip(usize::from(closed > EVENTS / 2)) {
            let path = directory.path().join("store");
            let restart = || {
                let _ = fs::remove_dir_all(&path);
                copy(&killed, &path);
                let foreign = path.join("journal").join(sealed_name(first));
                fs::copy(&sealed(&other)[1], foreign).unwrap();
            };
            restart();
            let store = options().open(&path).unwrap();
            numbered::check_everything(&store, "with a foreign file");
            numbered::append(&store, EVENTS + 1..=EVENTS + 300);
            store.close().unwrap();
            let store = options().open(&path).unwrap();
            assert_eq!(store.read_all().map(Result::unwrap).count() as u64, EVENTS + 300);
            drop(store);
            restart();
            assert_eq!(salvaged(&path).0.len() as u64, EVENTS);
            repaired(&path);
            check_both_copies(&path);
        }
        fs::remove_dir_all(&killed).unwrap();
        fs::remove_dir_all(&running).unwrap();
    }
}

/// A closed store with files of the same first position, all but the last without events.
fn with_checkpoints_alone(path: &Path) {
    let store = options().open(path).unwrap();
    numbered::append(&store, 1..=EVENTS / 2);
    for number in 0..1_500 {
        store.save_checkpoint(format!("consumer-{number}"), 1 + number % 100).unwrap();
    }
    numbered::append(&store, EVENTS / 2 + 1..=EVENTS);
    store.close().unwrap();
}

#[test]
fn files_without_events_are_rewritten_beside_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    with_checkpoints_alone(&original);
    let files = sealed(&original);
    let is_numbered = |file: &Path| file.file_stem().unwrap().to_str().unwrap().contains('-');
    assert!(files.iter().filter(|file| is_numbered(file)).count() > 1, "{files:?}");
    let first = EVENTS / 2 + 1;
    let alike = files.iter().filter(|file| first_position(file) == first);
    for (index, file) in alike.enumerate() {
        for is_lost in [false, true] {
            let path = directory.path().join("store");
            copy(&original, &path);
            let name = file.file_name().unwrap();
            let damaged = path.join("journal").join(name);
            match is_lost {
                true => fs::remove_file(&damaged).unwrap(),
                false => flip(&damaged, 100),
            }
            repaired(&path);
            for other in files.iter().filter(|other| *other != file) {
                let here = path.join("journal").join(other.file_name().unwrap());
                let is_same = fs::read(&here).unwrap() == fs::read(other).unwrap();
                assert!(is_same, "{index}, {is_lost}: {name:?} cost {}", here.display());
            }
            fs::remove_dir_all(path.join("trees")).unwrap();
            let store = options().open(&path).unwrap();
            numbered::check_everything(&store, &format!("{index}, {is_lost}"));
            for number in 0..1_500 {
                let found = store.checkpoint(format!("consumer-{number}")).unwrap();
                assert_eq!(found, 1 + number % 100, "{index}, {is_lost}");
            }
            store.close().unwrap();
            fs::remove_dir_all(&path).unwrap();
        }
    }
}

#[test]
fn a_large_group_is_rewritten_in_fewer_or_more_frames() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    let store = options().open(&original).unwrap();
    let large = |number: u8| NewEvent::binary("B", vec![number; 1_500_000]).unwrap();
    store.append("small", Any, [NewEvent::json("T", &1).unwrap()]).unwrap();
    store.append("large", Any, (1..=4).map(large)).unwrap();
    for number in 0..300 {
        let event = NewEvent::json("T", &format!("{number:0>300}")).unwrap();
        store.append("small", Any, [event]).unwrap();
    }
    store.close().unwrap();
    let size = |file: &Path| fs::metadata(file).unwrap().len();
    let files = sealed(&original);
    let largest = files.iter().max_by_key(|file| size(file)).unwrap();
    let path = directory.path().join("store");
    copy(&original, &path);
    flip(&path.join("journal").join(largest.file_name().unwrap()), 100);
    repaired(&path);
    let target = directory.path().join("copy");
    backup(&path, &target, &BackupOptions::new()).unwrap();
    fs::remove_dir_all(path.join("trees")).unwrap();
    for path in [&path, &target] {
        let store = options().open(path).unwrap();
        assert_eq!(store.verify().unwrap().findings, []);
        assert_eq!(store.head().unwrap(), 305);
        for (number, event) in (1..=4).zip(store.read_stream("large")) {
            assert!(event.unwrap().data() == vec![number; 1_500_000]);
        }
        store.append("small", Any, [NewEvent::json("T", &1).unwrap()]).unwrap();
        store.close().unwrap();
    }
}

#[test]
fn a_full_file_that_could_not_be_sealed_is_salvaged() {
    let directory = tempfile::tempdir().unwrap();
    let running = directory.path().join("running");
    let wide = Options::new().journal_bytes(64 << 10).tail_bytes(10 << 20);
    let store = wide.open(&running).unwrap();
    numbered::append(&store, 1..=EVENTS);
    let path = directory.path().join("store");
    copy_moment(&running, &path);
    store.close().unwrap();
    // Sealed, but for the first file, which was damaged while the store was in use.
    let first = active(&path).remove(0);
    let next = first_position(&active(&path)[1]);
    let bytes = fs::read(&first).unwrap();
    let damaged = frames(&bytes)[10].0;
    fs::remove_dir_all(&path).unwrap();
    copy(&running, &path);
    let kept = path.join("journal").join(first.file_name().unwrap());
    fs::write(&kept, bytes).unwrap();
    flip(&kept, damaged + 100);
    fs::remove_file(kept.with_extension("sealed")).unwrap();
    let store = options().open(&path).unwrap();
    numbered::check_everything(&store, "from the trees");
    store.close().unwrap();
    fs::remove_dir_all(path.join("trees")).unwrap();
    let (positions, report) = salvaged(&path);
    let lost: Vec<u64> = (1..=EVENTS).filter(|position| !positions.contains(position)).collect();
    assert_eq!(lost.len(), 1, "{} of the file up to {next}: {:?}", lost.len(), report.missing);
}

#[test]
fn trees_are_rebuilt_from_more_files_than_may_be_open() {
    let place = Place::new();
    let path = place.path("store");
    let store = options().open(&path).unwrap();
    for number in 0..100_u8 {
        store.append("s", Any, [NewEvent::binary("B", vec![number; 70_000]).unwrap()]).unwrap();
    }
    store.close().unwrap();
    assert!(sealed(&path).len() > 90);
    fs::remove_dir_all(path.join("trees")).unwrap();
    let line = format!("ulimit -n 80; exec {} append store s T 1", env!("CARGO_BIN_EXE_annals"));
    let mut command = std::process::Command::new("sh");
    let output = command.arg("-c").arg(line).current_dir(path.parent().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_snapshot_that_was_replaced_is_replaced_in_a_backup() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::open(directory.path().join("store")).unwrap();
    store.append("s", Any, [NewEvent::json("T", &1).unwrap()]).unwrap();
    let target = directory.path().join("copy");
    for bytes in ["one", "other"] {
        store.save_snapshot("x", 1, bytes).unwrap();
        store.backup(&target).unwrap();
    }
    let copy = EventStore::open(&target).unwrap();
    assert_eq!(copy.load_snapshot("x").unwrap().unwrap().data(), b"other");
}

#[test]
fn a_backup_of_links_that_was_killed_costs_no_evidence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let target = directory.path().join("copy");
    let store = options().open(&path).unwrap();
    store.backup(&target).unwrap();
    // As a kill leaves it, right after a file got its second name.
    let file = sealed(&path)[1].clone();
    let there = target.join("journal").join(file.file_name().unwrap());
    fs::remove_file(&there).unwrap();
    fs::hard_link(&file, there.with_extension("tmp")).unwrap();
    store.close().unwrap();
    flip(&file, 100);
    let damaged = fs::read(&file).unwrap();
    let store = options().open(&path).unwrap();
    store.backup(&target).unwrap();
    assert!(fs::read(&file).unwrap() == damaged, "the damaged file was overwritten");
    numbered::check_everything(&EventStore::open(&target).unwrap(), "the backup");
}

#[test]
fn a_salvage_of_a_file_that_is_mostly_a_hole_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let name = format!("{:020}.journal", EVENTS + 100);
    let file = fs::File::create(path.join("journal").join(name)).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(salvaged(&path).0.len() as u64, EVENTS);
}

#[test]
fn directories_in_the_place_of_files_are_damage() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    numbered::closed(&original, &options());
    let files = [sealed(&original)[1].clone(), active(&original)[0].clone()];
    for file in files {
        let path = directory.path().join("store");
        copy(&original, &path);
        let file = path.join("journal").join(file.file_name().unwrap());
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        if let Err(error) = options().open(&path) {
            assert_eq!(error.code(), ErrorCode::Corrupted, "{error}");
        }
        assert_eq!(salvaged(&path).0.len() as u64, EVENTS);
        repaired(&path);
        check_both_copies(&path);
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_backup_that_was_killed_between_two_files_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let wide = Options::new().journal_bytes(64 << 10).tail_bytes(10 << 20);
    let store = wide.open(&path).unwrap();
    numbered::append(&store, 1..=20);
    let target = directory.path().join("copy");
    store.backup(&target).unwrap();
    let head = fs::read(target.join("HEAD")).unwrap();
    numbered::append(&store, 21..=EVENTS);
    store.backup(&target).unwrap();
    // The files come one after the other, and `HEAD` last.
    fs::write(target.join("HEAD"), head).unwrap();
    let files = active(&target);
    assert!(files.len() > 3, "{files:?}");
    for last in (1..files.len()).rev() {
        fs::remove_file(&files[last]).unwrap();
        let copied = directory.path().join("copied");
        copy(&target, &copied);
        let store = options().open(&copied).unwrap();
        assert_eq!(store.head().unwrap(), first_position(&files[last]) - 1);
        assert_eq!(store.verify().unwrap().findings, []);
        drop(store);
        fs::remove_dir_all(&copied).unwrap();
    }
}

#[test]
fn a_store_in_use_is_checked_copied_and_salvaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let busy = Options::new().journal_bytes(128 << 10).tail_bytes(50_000);
    let store = busy.open(&path).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let event = NewEvent::binary("B", vec![7; 3_000]).unwrap();
            while !is_done.load(Ordering::Relaxed) {
                store.append("s", Any, vec![event.clone(); 3]).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        });
        // Also when an assertion fails: the scope waits for the other.
        let _stop = Stop(&is_done);
        for round in 0..12 {
            let head = store.head().unwrap();
            let report = verify(&path, &VerifyOptions::new()).unwrap();
            assert_eq!(report.findings, [], "round {round}");
            assert!(report.events >= head);
            let target = directory.path().join(format!("copy-{}", round % 3));
            assert!(backup(&path, &target, &BackupOptions::new()).unwrap().events >= head);
            let head = store.head().unwrap();
            let report = salvage(&path, std::io::sink()).unwrap();
            assert_eq!(report.missing, [], "round {round}");
            assert!(report.events >= head, "{} of {head}", report.events);
        }
    });
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_sealed_file_of_another_history_replaces_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let (path, fork) = (directory.path().join("store"), directory.path().join("fork"));
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS - 3);
    store.close().unwrap();
    copy(&path, &fork);
    let store = options().open(&path).unwrap();
    numbered::append(&store, EVENTS - 2..=EVENTS);
    store.close().unwrap();
    let store = options().open(&fork).unwrap();
    for number in 0..300 {
        let event = NewEvent::json("F", &format!("{number:0>200}")).unwrap();
        store.append("fork", Any, [event]).unwrap();
    }
    store.close().unwrap();
    let own = active(&path).remove(0);
    let name = own.with_extension("sealed").file_name().unwrap().to_owned();
    fs::copy(fork.join("journal").join(&name), path.join("journal").join(&name)).unwrap();
    let store = options().open(&path).unwrap();
    numbered::check_everything(&store, "of two histories");
    assert!(own.exists() && own.with_extension("sealed.damaged-1").exists());
}

/// A copy of a store goes on with other events. One of its frames, whole and at the same place, is
/// put among those of the original: only what the frames say of each other gives it away.
#[test]
fn a_frame_of_another_history_does_not_pass() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let options = options().clock(|| 1_700_000_000_000_000);
    let append = |store: &EventStore, letter: &str| {
        (0..6).for_each(|_| {
            store.append("s", Any, [NewEvent::json("T", letter).unwrap()]).unwrap();
        });
    };
    let store = options.open(place("start")).unwrap();
    append(&store, "-");
    store.close().unwrap();
    for letter in ["a", "b"] {
        copy(&place("start"), &place("running"));
        let store = options.open(place("running")).unwrap();
        append(&store, letter);
        copy_moment(&place("running"), &place(letter));
        store.close().unwrap();
        fs::remove_dir_all(place("running")).unwrap();
    }
    let file = |name: &str| active(&place(name)).remove(0);
    let (mut own, other) = (fs::read(file("a")).unwrap(), fs::read(file("b")).unwrap());
    let starts = frames(&own);
    assert_eq!(starts, frames(&other), "both have frames of the same sizes");
    let (start, end) = (starts[8].0, starts[9].0);
    own[start..end].copy_from_slice(&other[start..end]);
    fs::write(file("a"), own).unwrap();

    let error = options.open(place("a")).unwrap_err();
    assert!(matches!(error, Error::Corrupted { position: Some(9), .. }), "{error:?}");
    let reader = Reader::open(place("a")).unwrap();
    let read: Vec<_> = reader.read_all().collect();
    assert_eq!(read.len(), 9);
    let error = read[8].as_ref().unwrap_err();
    assert!(matches!(error, Error::Corrupted { position: Some(9), .. }), "{error:?}");
}

#[test]
fn a_lost_file_before_the_active_one_costs_only_its_own_events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let last = sealed(&path).pop().unwrap();
    let lost = first_position(&last)..first_position(&active(&path)[0]);
    fs::remove_file(&last).unwrap();
    fs::remove_dir_all(path.join("trees")).unwrap();
    let due: Vec<u64> = (1..=EVENTS).filter(|position| !lost.contains(position)).collect();
    assert!(due.contains(&EVENTS));
    assert_eq!(salvaged(&path).0, due);
    for round in ["first", "second"] {
        let done = repair(&path, &RepairOptions::new().apply(true)).unwrap();
        assert_eq!(done.head, EVENTS, "{round}: {:?}", done.steps);
        let store = options().open(&path).unwrap();
        let is_read = |position: &u64| {
            store.read_all().from_position(*position).limit(1).next().unwrap().is_ok()
        };
        let read: Vec<u64> = (1..=EVENTS).filter(is_read).collect();
        assert_eq!(read, due, "{round}");
        store.close().unwrap();
    }
}
