//! Copies of a store that is in use.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::support::units::{AppendUnits, Unit};
use annals::{
    BackupOptions, ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, Reader,
    RepairOptions, SnapshotKey, VerifyOptions, backup, compact, repair, verify,
};
use uuid::Uuid;

use ExpectedVersion::Any;

use crate::support::files::{active, copy, flip, sealed};

fn event(number: u64) -> NewEvent {
    NewEvent::json("T", &format!("{number:0>100}")).unwrap()
}

fn filled(path: &Path) -> EventStore {
    let store = Options::new().tail_bytes(20_000).journal_bytes(64 << 10).open(path).unwrap();
    for number in 0..300 {
        let stream = format!("s-{}", number % 7);
        let with_id = event(number).id(Uuid::from_u128(u128::from(number) + 1));
        store.append(stream, Any, [with_id]).unwrap();
    }
    store.append("large", Any, [NewEvent::binary("B", vec![7; 100_000]).unwrap()]).unwrap();
    store.save_checkpoint("mailer", 200).unwrap();
    store.save_snapshot("x", 150, vec![1; 50_000]).unwrap();
    store.save_snapshot("x", 100, "older").unwrap();
    store.save_snapshot(SnapshotKey::of_projection("p", 2), 301, "{}").unwrap();
    store
}

#[test]
fn a_copy_is_the_same_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory.path().join("store"));
    let copy = directory.path().join("copy");
    store.backup(&copy).unwrap();
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap()).collect();
    assert_eq!(names.len(), 2, "nothing is left beside it: {names:?}");
    let copy = EventStore::open(&copy).unwrap();
    assert_eq!(all(&copy), all(&store));
    assert_eq!(copy.stats().unwrap().store_id, store.stats().unwrap().store_id);
    assert_eq!(copy.checkpoint("mailer").unwrap(), 200);
    let listed = |store: &EventStore| store.snapshots().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(listed(&copy), listed(&store));
    assert_eq!(copy.load_snapshot("x").unwrap().unwrap().data(), vec![1; 50_000]);
    assert_eq!(copy.verify().unwrap().findings, []);
    // It goes on as the original would: retries by id are known, versions follow.
    let again = event(0).id(Uuid::from_u128(1));
    assert_eq!(*copy.append("s-0", Any, [again]).unwrap().positions().start(), 1);
    let next = copy.append("s-0", ExpectedVersion::Exact(43), [event(1)]).unwrap();
    assert_eq!(next.positions(), 302..=302);
}

#[test]
fn a_copy_is_whole_where_the_trees_serve_events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = filled(&path);
    let events: Vec<_> = store.read_all().map(Result::unwrap).collect();
    store.close().unwrap();
    drop(store);
    fs::remove_file(&sealed(&path)[0]).unwrap();
    let store = EventStore::open(&path).unwrap();
    let copy = directory.path().join("copy");
    store.backup(&copy).unwrap();
    let copy = EventStore::open(&copy).unwrap();
    assert_eq!(copy.read_all().map(Result::unwrap).collect::<Vec<_>>(), events);
    assert_eq!(copy.verify().unwrap().findings, []);
}

#[test]
fn a_copy_amid_appends_ends_between_two_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory.path().join("store"));
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    // Two streams that must stay at the same version.
                    let units =
                        ["one", "other"].map(|stream| Unit::to(stream, Any, (0..40).map(event)));
                    store.append_multi(units).unwrap();
                    let head = store.head().unwrap();
                    store.save_checkpoint("moving", head).unwrap_or_default();
                }
            });
        }
        // Also when an assertion fails: the scope waits for the others.
        let _stop = Stop(&is_done);
        for round in 0..5 {
            let path = directory.path().join(format!("copy-{round}"));
            let before = store.head().unwrap();
            store.backup(&path).unwrap();
            let copy = EventStore::open(&path).unwrap();
            let head = copy.head().unwrap();
            assert!(head >= before && (head - 301).is_multiple_of(80), "{head}");
            let version = |stream: &str| copy.stream_version(stream).unwrap();
            assert_eq!(version("one"), version("other"));
            assert!(copy.checkpoint("moving").unwrap() <= head);
            assert_eq!(copy.verify().unwrap().findings, []);
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
fn a_store_in_memory_has_no_files_to_copy() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::in_memory().unwrap();
    let error = store.backup(directory.path().join("copy")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument, "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

fn all(store: &EventStore) -> Vec<annals::RecordedEvent> {
    store.read_all().map(Result::unwrap).collect()
}

/// A copy of a backup, opened: an open makes a store of its own of it.
#[track_caller]
fn opened(backup: &Path) -> EventStore {
    let path = backup.with_extension("opened");
    let _ = fs::remove_dir_all(&path);
    copy(backup, &path);
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.verify().unwrap().findings, []);
    store
}

#[test]
fn a_backup_is_continued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = filled(&path);
    let target = directory.path().join("copy");
    let first = store.backup_with(&target, &BackupOptions::new()).unwrap();
    assert_eq!(first.events, 301);
    assert!(!target.join("trees").exists());
    for round in 0..6 {
        for number in 0..150 {
            store.append(format!("more-{}", number % 5), Any, [event(number)]).unwrap();
        }
        store.save_checkpoint("mailer", 201 + round).unwrap();
        store.save_snapshot("x", 151 + round, vec![2; 1_000]).unwrap();
        // As a service that restarts, which seals its files.
        if round % 2 == 1 {
            store.flush().unwrap();
        }
        let report = store.backup_with(&target, &BackupOptions::new()).unwrap();
        assert_eq!(report.events, store.head().unwrap());
        let copy = opened(&target);
        assert_eq!(all(&copy), all(&store), "round {round}");
        assert_eq!(copy.checkpoint("mailer").unwrap(), 201 + round);
        let newest = copy.load_snapshot("x").unwrap().unwrap();
        assert_eq!(newest.position(), 151 + round);
    }
    // With nothing new, no file is copied but what is not sealed.
    store.close().unwrap();
    let again = backup(&path, &target, &BackupOptions::new()).unwrap();
    let once_more = backup(&path, &target, &BackupOptions::new()).unwrap();
    assert!(once_more.bytes <= again.bytes && once_more.bytes < 70_000, "{once_more:?}");
    assert_eq!(all(&opened(&target)).len() as u64, again.events);
}

#[test]
fn a_backup_of_files_is_that_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = filled(&path);
    for (name, options) in
        [("copied", BackupOptions::new()), ("linked", BackupOptions::new().link(true))]
    {
        let target = directory.path().join(name);
        backup(&path, &target, &options).unwrap();
        assert_eq!(all(&opened(&target)), all(&store), "{name}");
    }
    store.close().unwrap();
    let target = directory.path().join("closed");
    backup(&path, &target, &BackupOptions::new()).unwrap();
    assert_eq!(all(&opened(&target)).len(), 301);
}

#[test]
fn what_a_backup_does_not_continue_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = filled(&path);
    let target = directory.path().join("copy");
    store.backup(&target).unwrap();
    // The backup goes on by itself.
    let fork = EventStore::open(&target).unwrap();
    fork.append("fork", Any, [event(1)]).unwrap();
    assert_eq!(store.backup(&target).unwrap_err().code(), ErrorCode::Locked);
    fork.close().unwrap();
    for number in 0..3 {
        let error = store.backup(&target).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{error}");
        assert!(error.to_string().contains("another history"), "{error}");
        store.append("original", Any, [event(number)]).unwrap();
    }
    assert_eq!(EventStore::open(&target).unwrap().stream_version("fork").unwrap(), 1);
    // One that was opened, and has nothing of its own, is continued.
    let target = directory.path().join("opened");
    store.backup(&target).unwrap();
    EventStore::open(&target).unwrap().close().unwrap();
    store.append("original", Any, [event(9)]).unwrap();
    store.backup(&target).unwrap();
    assert_eq!(all(&opened(&target)), all(&store));
    // Not into itself.
    for inside in ["", "backup", "journal/backup"] {
        let error = store.backup(path.join(inside)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{error}");
    }
}

/// The rewrite of the copy would follow a link to a damaged file into the store.
#[test]
fn a_damaged_file_stays_as_it_is_when_files_are_linked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path).close().unwrap();
    let damaged = sealed(&path).remove(0);
    flip(&damaged, 100);
    let before = fs::read(&damaged).unwrap();
    let store = EventStore::open(&path).unwrap();
    let target = directory.path().join("copy");
    store.backup_with(&target, &BackupOptions::new().link(true)).unwrap();
    assert!(fs::read(&damaged).unwrap() == before);
    assert_eq!(store.verify().unwrap().findings[0].code, "journal-damaged");
    assert_eq!(all(&opened(&target)), all(&store));
}

/// Closing an opened backup seals its last file where the backup ends. In the store, the file goes
/// on.
#[test]
fn a_backup_whose_last_file_was_sealed_is_continued() {
    let directory = tempfile::tempdir().unwrap();
    let (path, target) = (directory.path().join("store"), directory.path().join("copy"));
    let store = EventStore::open(&path).unwrap();
    let append = |count: u64| {
        for number in 0..count {
            let event = NewEvent::binary("T", vec![number as u8; 1_000]).unwrap();
            store.append("s", Any, [event]).unwrap();
        }
    };
    append(1_100);
    for more in [0, 1, 5, 2_000] {
        store.backup(&target).unwrap();
        EventStore::open(&target).unwrap().close().unwrap();
        assert_eq!(active(&target), Vec::<std::path::PathBuf>::new(), "its files are sealed");
        append(more);
        let report = store.backup_with(&target, &BackupOptions::new()).unwrap();
        assert_eq!(report.events, store.head().unwrap());
        let reader = Reader::open(&target).unwrap();
        assert_eq!(reader.read_all().map(Result::unwrap).count() as u64, report.events);
        let continued = opened(&target);
        assert_eq!(all(&continued), all(&store), "{more} more");
        assert_eq!(continued.stats().unwrap().set_aside, Vec::<String>::new(), "{more} more");
    }
}

#[test]
fn a_damaged_file_is_not_copied() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path).close().unwrap();
    flip(&sealed(&path)[0], 100);
    let target = directory.path().join("copy");
    // The journal alone is not enough, and the trees are.
    let error = backup(&path, &target, &BackupOptions::new()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupted);
    assert!(error.to_string().contains("annals repair"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left");
    let store = EventStore::open(&path).unwrap();
    store.backup(&target).unwrap();
    assert_eq!(all(&opened(&target)), all(&store));
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory.path().join("store"));
    let taken = directory.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine"), "mine").unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    for path in [&taken, &file] {
        let error = store.backup(path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Io, "{}", error.chain());
        assert!(error.chain().contains("nothing is overwritten"), "{}", error.chain());
    }
    let error = store.backup(directory.path().join("no/such/place")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Io);
    assert_eq!(store.backup("/").unwrap_err().code(), ErrorCode::Io);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    store.close().unwrap();
    let late = store.backup(directory.path().join("late")).unwrap_err();
    assert_eq!(late.code(), ErrorCode::Closed);
}

/// A backup whose files the store has sealed and merged since stays as it is.
#[test]
fn a_backup_with_unsealed_files_is_not_continued_after_a_compaction() {
    let directory = tempfile::tempdir().unwrap();
    let (path, target) = (directory.path().join("store"), directory.path().join("copy"));
    let options = Options::new().journal_bytes(64 << 10);
    let store = options.open(&path).unwrap();
    let append = |store: &EventStore, count: u64| {
        for number in 0..count {
            store.append("s", Any, [event(number)]).unwrap();
        }
    };
    append(&store, 1_000);
    store.backup(&target).unwrap();
    assert!(active(&target).len() > 2 && sealed(&target).is_empty());
    store.close().unwrap();
    compact(&path).unwrap();
    let store = options.open(&path).unwrap();
    append(&store, 1_000);
    let error = store.backup(&target).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument, "{error}");
    assert_eq!(Reader::open(&target).unwrap().read_all().map(Result::unwrap).count(), 1_000);
    assert_eq!(EventStore::open(&target).unwrap().head().unwrap(), 1_000);
}

#[test]
fn a_backup_lacks_no_trees_until_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory.path().join("store"));
    let path = directory.path().join("copy");
    for _ in 0..2 {
        store.backup(&path).unwrap();
        let report = verify(&path, &VerifyOptions::new()).unwrap();
        assert_eq!((report.findings, report.events), (Vec::new(), 301));
        let plan = repair(&path, &RepairOptions::new()).unwrap();
        assert_eq!((plan.steps, plan.lost), (Vec::new(), Vec::new()));
    }
    EventStore::open(&path).unwrap().close().unwrap();
    fs::remove_dir_all(path.join("trees")).unwrap();
    let report = verify(&path, &VerifyOptions::new()).unwrap();
    let words =
        format!("trees-damaged: {}: the directory is missing", path.join("trees").display());
    assert_eq!(report.findings[0].to_string(), words);
}

/// The trees of an opened backup end before the files that an increment adds.
#[test]
fn a_backup_that_was_opened_and_continued_is_not_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let (path, target) = (directory.path().join("store"), directory.path().join("copy"));
    filled(&path).close().unwrap();
    for round in 0..3 {
        let store = EventStore::open(&path).unwrap();
        for number in 0..500 * round {
            store.append("s", Any, [event(number)]).unwrap();
        }
        store.close().unwrap();
        let report = backup(&path, &target, &BackupOptions::new()).unwrap();
        let checked = verify(&target, &VerifyOptions::new()).unwrap();
        assert_eq!((checked.findings, checked.events), (Vec::new(), report.events), "{round}");
        assert_eq!(repair(&target, &RepairOptions::new()).unwrap().steps, Vec::new(), "{round}");
        let opened = EventStore::open(&target).unwrap();
        assert_eq!(opened.head().unwrap(), report.events);
        assert_eq!(opened.stats().unwrap().set_aside, Vec::<String>::new(), "{round}");
    }
}

#[test]
fn what_killed_backups_have_left_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory.path().join("store"));
    let left = |id: &str, name: &str| directory.path().join(format!(".{name}.{id}.unfinished"));
    let id = "67e5504410b1426f9247bb680e5fe0c8";
    let (killed, running) = (left(id, "copy"), left(&id.replace('6', "7"), "copy"));
    let (other, foreign) = (left(id, "other"), left("mine", "copy"));
    for path in [&killed, &running, &other, &foreign] {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "x").unwrap();
    }
    let lock = fs::File::open(&running).unwrap();
    lock.try_lock().unwrap();
    store.backup(directory.path().join("copy")).unwrap();
    assert!(!killed.exists(), "nobody writes it any more");
    assert!(running.exists() && other.exists() && foreign.exists());
    EventStore::open(directory.path().join("copy")).unwrap();
}
