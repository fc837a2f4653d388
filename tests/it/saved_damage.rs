//! Damage and losses around what consumers saved: what the trees have is no loss, what they lack
//! is reported, and the journal does not grow with what was replaced.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use annals::{
    Durability, ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, Reader, RepairOptions,
    SnapshotKey, repair,
};

use crate::support::files::{active, copy, copy_moment, flip, frames, journal as files, sealed};

use ExpectedVersion::Any;

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

fn append(store: &EventStore, count: u64) {
    for number in 0..count {
        let event = NewEvent::json("T", &format!("{number:0>200}")).unwrap();
        store.append("s", Any, [event]).unwrap();
    }
}

/// Flips a byte at `offset` of the first frame of that kind in the file.
fn flip_frame(file: &Path, kind: u8, offset: usize) {
    let bytes = fs::read(file).unwrap();
    let (at, _) = frames(&bytes).into_iter().find(|(_, found)| *found == kind).unwrap();
    flip(file, at + offset);
}

/// Saves checkpoints under new names until the journal has this many files that are not sealed.
fn save_until(store: &EventStore, path: &Path, count: usize) {
    let mut number = 0;
    while active(path).len() < count {
        number += 1;
        store.save_checkpoint(format!("{}-{number}", "n".repeat(200)), 1).unwrap();
    }
}

fn codes(store: &EventStore) -> Vec<&'static str> {
    store.verify().unwrap().findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_save_after_damage_that_the_trees_make_good_does_not_lock_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    append(&store, 20);
    store.close().unwrap();
    flip_frame(&files(&path)[0], 1, 100);
    for round in 1..=3 {
        let store = options().open(&path).unwrap();
        assert_eq!((store.head().unwrap(), codes(&store)), (20, vec!["journal-damaged"]));
        store.save_checkpoint("mailer", 17 + round).unwrap();
        store.save_snapshot("x", 17 + round, "x").unwrap();
        store.close().unwrap();
    }
    let store = options().open(&path).unwrap();
    assert_eq!(store.checkpoint("mailer").unwrap(), 20);
}

#[test]
fn files_before_others_with_saves_alone_may_be_damaged_once_the_trees_have_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    append(&store, 800);
    for position in 1..=800 {
        for name in ["one", "two"] {
            store.save_checkpoint(name, position).unwrap();
        }
    }
    store.close().unwrap();
    let all = files(&path);
    let name = |path: &Path| path.file_name().unwrap().to_owned();
    assert!(all.iter().any(|file| name(file).to_string_lossy().contains('-')), "{all:?}");
    for (index, file) in all.iter().enumerate() {
        let damaged = directory.path().join("damaged");
        copy(&path, &damaged);
        let file = damaged.join("journal").join(name(file));
        // In a block of a sealed file, in the header of a frame otherwise.
        let bytes = fs::read(&file).unwrap();
        match frames(&bytes).first() {
            Some((at, _)) => flip(&file, at + 20),
            None => flip(&file, bytes.len() / 4),
        }
        let store = options().open(&damaged).unwrap();
        assert_eq!(store.checkpoint("two").unwrap(), 800);
        let findings = store.verify().unwrap().findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        let place = name(Path::new(&findings[0].place));
        assert_eq!(place, name(&file), "file {index} is named, and no other");
        drop(store);
        fs::remove_dir_all(&damaged).unwrap();
    }
}

#[test]
fn a_rotten_save_in_a_sealed_file_is_a_finding_in_that_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    append(&store, 10);
    // The last frames of a file, before one that starts with an event.
    save_until(&store, &path, 2);
    append(&store, 300);
    store.save_checkpoint("c", 10).unwrap();
    append(&store, 300);
    store.close().unwrap();
    let sealed = sealed(&path);
    assert!(sealed.len() > 1, "{sealed:?}");
    for file in sealed {
        let (name, len) = (file.file_name().unwrap(), fs::metadata(&file).unwrap().len() as usize);
        for at in [100, len / 2, len - 100, len - 1] {
            let damaged = directory.path().join("damaged");
            copy(&path, &damaged);
            flip(&damaged.join("journal").join(name), at);
            let store = options().open(&damaged).unwrap();
            assert_eq!(store.read_all().map(Result::unwrap).count(), 610);
            assert_eq!(store.checkpoint("c").unwrap(), 10);
            let findings = store.verify().unwrap().findings;
            assert_eq!(findings.len(), 1, "{name:?} {at}: {findings:?}");
            assert!(findings[0].place.ends_with(name.to_str().unwrap()), "{findings:?}");
            drop(store);
            fs::remove_dir_all(&damaged).unwrap();
        }
    }
}

#[test]
fn verify_sees_a_rotten_save_in_the_file_that_is_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    append(&store, 3);
    store.save_checkpoint("c", 2).unwrap();
    assert_eq!(codes(&store), Vec::<&str>::new());
    flip_frame(&files(&path)[0], 4, 70);
    assert_eq!(codes(&store), ["journal-damaged"]);
}

#[test]
fn a_new_checkpoint_after_its_events_is_missed_when_its_file_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    append(&store, 10);
    save_until(&store, &path, 2);
    store.save_checkpoint("c", 10).unwrap();
    let killed = directory.path().join("killed");
    copy_moment(&path, &killed);
    fs::remove_file(active(&killed).last().unwrap()).unwrap();
    assert_eq!(options().open(&killed).unwrap_err().code(), ErrorCode::Corrupted);
}

/// A store with one event and two checkpoints in its journal alone, as a crash leaves it that lost
/// the first of them.
fn without_the_first_checkpoint(directory: &Path, durability: Durability) -> PathBuf {
    let path = directory.join("store");
    let store = options().durability(durability).open(&path).unwrap();
    append(&store, 1);
    store.save_checkpoint("one", 1).unwrap();
    store.save_checkpoint("two", 1).unwrap();
    let killed = directory.join("killed");
    copy_moment(&path, &killed);
    let file = &files(&killed)[0];
    let mut bytes = fs::read(file).unwrap();
    let saves: Vec<_> = frames(&bytes).into_iter().filter(|frame| frame.1 == 4).collect();
    bytes[saves[0].0..saves[1].0].fill(0);
    fs::write(file, bytes).unwrap();
    killed
}

#[test]
fn a_save_missing_before_one_that_waited_for_it_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let killed = without_the_first_checkpoint(directory.path(), Durability::Sync);
    assert_eq!(options().open(&killed).unwrap_err().code(), ErrorCode::Corrupted);
}

#[test]
fn a_save_missing_before_one_that_did_not_wait_is_the_end_of_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    // Blocks that nobody synced may reach the disk in any order.
    let durability = Durability::Buffered { max_delay: Duration::from_secs(3_600) };
    let killed = without_the_first_checkpoint(directory.path(), durability);
    let store = options().open(&killed).unwrap();
    assert_eq!((store.head().unwrap(), codes(&store)), (1, vec![]));
    assert_eq!(["one", "two"].map(|name| store.checkpoint(name).unwrap()), [0, 0]);
    store.save_checkpoint("one", 1).unwrap();
    store.close().unwrap();
    assert_eq!(options().open(&killed).unwrap().checkpoint("one").unwrap(), 1);
}

/// A sealed file has all checkpoints as of its end, also those that were saved in a file before it
/// that could not be sealed.
#[test]
fn files_sealed_after_damage_have_the_checkpoints_saved_before_it() {
    for is_closed_first in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let mut store = options().open(&path).unwrap();
        append(&store, 20);
        store.save_checkpoint("early", 10).unwrap();
        store.save_checkpoint("moving", 10).unwrap();
        if is_closed_first {
            store.close().unwrap();
        } else {
            // So that the file is full, and is sealed with those after it.
            append(&store, 300);
        }
        flip_frame(&files(&path)[0], 1, 100);
        if is_closed_first {
            store = options().open(&path).unwrap();
            append(&store, 300);
        }
        store.save_checkpoint("moving", 310).unwrap();
        append(&store, 1_500);
        store.close().unwrap();
        assert_eq!(files(&path)[0], active(&path)[0]);
        assert!(sealed(&path).len() > 1);
        let report = repair(&path, &RepairOptions::new().apply(true)).unwrap();
        assert_eq!((report.steps[0].code, report.lost), ("journal-damaged", Vec::new()));
        let due = [("early".to_owned(), 10), ("moving".to_owned(), 310)];
        assert_eq!(Reader::open(&path).unwrap().checkpoints().unwrap(), due, "{is_closed_first}");
        fs::remove_dir_all(path.join("trees")).unwrap();
        let store = options().open(&path).unwrap();
        assert_eq!(store.checkpoints().unwrap(), due, "{is_closed_first}");
    }
}

#[test]
fn files_after_a_damaged_sealed_one_are_sealed_with_all_checkpoints() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    store.save_checkpoint("early", 0).unwrap();
    append(&store, 300);
    store.save_checkpoint("early", 10).unwrap();
    append(&store, 300);
    store.close().unwrap();
    let last = sealed(&path).pop().unwrap();
    flip(&last, fs::metadata(&last).unwrap().len() as usize - 10);
    let store = options().open(&path).unwrap();
    append(&store, 900);
    store.close().unwrap();
    assert_eq!(active(&path).len(), 1, "{:?}", files(&path));
    let report = repair(&path, &RepairOptions::new().apply(true)).unwrap();
    assert_eq!((report.steps[0].code, report.lost), ("journal-damaged", Vec::new()));
    let due = [("early".to_owned(), 10)];
    assert_eq!(Reader::open(&path).unwrap().checkpoints().unwrap(), due);
}

#[test]
fn a_sealed_file_lost_while_the_store_is_open_does_not_stop_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().tail_bytes(4 << 10).open(&path).unwrap();
    while sealed(&path).is_empty() {
        append(&store, 10);
    }
    fs::remove_file(sealed(&path).pop().unwrap()).unwrap();
    append(&store, 1_000);
    let head = store.head().unwrap();
    assert_eq!(store.read_all().map(Result::unwrap).count() as u64, head);
    store.close().unwrap();
    let report = repair(&path, &RepairOptions::new().apply(true)).unwrap();
    assert_eq!((report.head, report.lost), (head, Vec::new()));
    assert_eq!(Reader::open(&path).unwrap().read_all().map(Result::unwrap).count() as u64, head);
}

#[test]
fn saves_alone_do_not_make_the_journal_grow() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Options::new().journal_bytes(1 << 20).tail_bytes(400_000).open(&path).unwrap();
    append(&store, 150);
    for position in 1..=150 {
        store.save_snapshot("x", position, vec![position as u8; 200_000]).unwrap();
    }
    // 30 MB were written, in one process and without an event; what was replaced is given back.
    let allocated = || -> u64 {
        files(&path)
            .iter()
            .map(|file| fs::metadata(file).map_or(0, |data| data.blocks() * 512))
            .sum()
    };
    let started = Instant::now();
    while allocated() > 6_000_000 {
        assert!(started.elapsed() < Duration::from_secs(60), "{} bytes", allocated());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(store.load_snapshot("x").unwrap().unwrap().position(), 150);
    assert_eq!(codes(&store), Vec::<&str>::new());
}

#[test]
fn the_version_saved_last_is_the_one_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    append(&store, 20);
    let key = |version| SnapshotKey::of_projection("p", version);
    // A program that was rolled back.
    store.save_snapshot(key(1), 10, "one").unwrap();
    store.save_snapshot(key(0), 12, "zero").unwrap();
    store.close().unwrap();
    let store = options().open(&path).unwrap();
    assert_eq!(store.load_snapshot(key(0)).unwrap().unwrap().data(), b"zero");
    assert!(store.load_snapshot(key(1)).unwrap().is_none());
}

#[test]
fn a_snapshot_below_those_that_are_kept_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for positions in [[18, 20], [5, 3]] {
        let store = options().open(&path).unwrap();
        append(&store, 20);
        for position in positions {
            store.save_snapshot("x", position, vec![1; 100_000]).unwrap();
        }
        store.close().unwrap();
    }
    let entries = fs::read_dir(path.join("snapshots")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    for (name, position) in names.iter().zip([18, 20]) {
        assert!(name.ends_with(&format!("-{position}.snapshot")), "{names:?}");
    }
}

#[test]
fn a_snapshot_whose_bytes_are_lost_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    append(&store, 20);
    for (name, position) in [("old and new", 5), ("old and new", 7), ("new", 7)] {
        store.save_snapshot(name, position, vec![1; 100_000]).unwrap();
    }
    store.close().unwrap();
    let entries = fs::read_dir(path.join("snapshots")).unwrap().map(|entry| entry.unwrap().path());
    let of_seven = |path: &PathBuf| path.to_str().unwrap().ends_with("-7.snapshot");
    let newest: Vec<PathBuf> = entries.filter(of_seven).collect();
    assert_eq!(newest.len(), 2);
    for file in newest {
        let bytes = fs::read(&file).unwrap();
        fs::write(file, &bytes[..50_000]).unwrap();
    }
    let store = options().open(&path).unwrap();
    assert!(store.load_snapshot("new").unwrap().is_none());
    let found = store.load_snapshot("old and new").unwrap().unwrap();
    assert_eq!(found.position(), 5);
    let ignored: Vec<u64> = found.ignored().iter().map(|ignored| ignored.position).collect();
    assert_eq!(ignored, [7]);
    assert!(found.ignored()[0].reason.contains("checksum"), "{:?}", found.ignored());
    // The name can be used again.
    store.save_snapshot("new", 9, "x").unwrap();
    assert_eq!(store.load_snapshot("new").unwrap().unwrap().position(), 9);
}
