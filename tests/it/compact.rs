//! `annals::compact`: the same events in less space, or the old store.

use std::{fs, path::Path};

use annals::{
    BackupOptions, ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, backup, compact,
};

use crate::support::{
    files::{active, flip, sealed},
    numbered::{self, EVENTS},
};

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

/// A closed store of many small files, with everything that a consumer saves.
fn filled(path: &Path) {
    let store = options().open(path).unwrap();
    for part in 1..=10 {
        numbered::append(&store, (part - 1) * EVENTS / 10 + 1..=part * EVENTS / 10);
        store.save_checkpoint("mailer", part * EVENTS / 10).unwrap();
        store.save_checkpoint(format!("once-{part}"), part).unwrap();
        store.save_snapshot("x", part * 10, format!("state {part}")).unwrap();
        store.flush().unwrap();
    }
    store.close().unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn everything_is_there_in_fewer_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path);
    let (files, id) = (sealed(&path).len(), fs::read(path.join("ANNALS")).unwrap());
    assert!(files > 3);
    for _ in 0..2 {
        compact(&path).unwrap();
        assert_eq!(names(directory.path()), ["store"]);
        assert!(sealed(&path).len() <= 2, "{:?}", sealed(&path));
        assert_eq!(fs::read(path.join("ANNALS")).unwrap(), id);
        let store = options().open(&path).unwrap();
        assert!(store.recovery().reason().is_none());
        numbered::check_everything(&store, "compacted");
        assert_eq!(store.verify().unwrap().findings, []);
        assert_eq!(store.checkpoint("mailer").unwrap(), EVENTS);
        (1..=10).for_each(|part| {
            assert_eq!(store.checkpoint(format!("once-{part}")).unwrap(), part);
        });
        assert_eq!(store.load_snapshot("x").unwrap().unwrap().data(), b"state 10");
        store.close().unwrap();
    }
    // The journal alone has it all, too.
    fs::remove_dir_all(path.join("trees")).unwrap();
    let store = options().open(&path).unwrap();
    numbered::check_everything(&store, "rebuilt");
    assert_eq!(store.checkpoint("mailer").unwrap(), EVENTS);
    numbered::append(&store, EVENTS + 1..=EVENTS + 10);
    store.close().unwrap();
    assert_eq!(options().open(&path).unwrap().head().unwrap(), EVENTS + 10);
}

#[test]
fn small_and_empty_stores_stay_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for number in 0..4 {
        let store = EventStore::open(&path).unwrap();
        assert_eq!(store.head().unwrap(), number);
        store.close().unwrap();
        compact(&path).unwrap();
        let store = EventStore::open(&path).unwrap();
        let event = NewEvent::json("T", &number).unwrap();
        store.append("s", ExpectedVersion::Exact(number), [event]).unwrap();
        store.close().unwrap();
    }
    assert!(sealed(&path).is_empty() && active(&path).len() == 1);
}

#[test]
fn a_rebuilt_file_is_taken_along() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path);
    flip(&sealed(&path)[2], 100);
    let error = compact(&path).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupted);
    assert!(error.to_string().contains("annals repair"), "{error}");
    assert_eq!(names(directory.path()), ["store"]);
    annals::repair(&path, &annals::RepairOptions::new().apply(true)).unwrap();
    compact(&path).unwrap();
    // Its frames do not continue those of its neighbours.
    assert_eq!(sealed(&path).len(), 3);
    let store = options().open(&path).unwrap();
    numbered::check_everything(&store, "compacted");
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn foreign_files_and_evidence_are_taken_along() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path);
    flip(&sealed(&path)[2], 100);
    annals::repair(&path, &annals::RepairOptions::new().apply(true)).unwrap();
    fs::write(path.join("trees/conf"), "damage").unwrap();
    EventStore::open(&path).unwrap().close().unwrap();
    let foreign =
        ["notes.txt", "mine/deep/photo", "journal/2024-01.md", "snapshots/s.txt", "trees/oak.txt"];
    for name in foreign {
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("precious {name}")).unwrap();
    }
    std::os::unix::fs::symlink("../notes.txt", path.join("mine/link")).unwrap();
    let set_aside = EventStore::open(&path).unwrap().stats().unwrap().set_aside;
    assert_eq!(set_aside.len(), 2, "{set_aside:?}");
    let evidence = fs::read(path.join("trees.damaged-1/conf")).unwrap();
    for _ in 0..2 {
        compact(&path).unwrap();
        assert_eq!(names(directory.path()), ["store"]);
        for name in foreign {
            assert_eq!(fs::read_to_string(path.join(name)).unwrap(), format!("precious {name}"));
        }
        assert!(path.join("mine/link").is_symlink());
        assert_eq!(fs::read(path.join("trees.damaged-1/conf")).unwrap(), evidence);
        let store = options().open(&path).unwrap();
        assert_eq!(store.stats().unwrap().set_aside, set_aside);
        numbered::check_everything(&store, "compacted");
        assert_eq!(store.verify().unwrap().findings, []);
        store.close().unwrap();
    }
}

#[test]
fn what_an_earlier_call_has_left_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path);
    let id = "67e5504410b1426f9247bb680e5fe0c8";
    let (left, other) = (format!(".store.{id}.compacted"), format!(".other.{id}.compacted"));
    for name in [&left, &other, &".store.mine.compacted".to_owned()] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    compact(&path).unwrap();
    assert_eq!(names(directory.path()), [other.as_str(), ".store.mine.compacted", "store"]);
}

#[test]
fn a_store_in_use_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    assert_eq!(compact(&path).unwrap_err().code(), ErrorCode::Locked);
    drop(store);
    let error = compact(directory.path().join("nothing")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Io, "{error}");
    assert_eq!(names(directory.path()), ["store"]);
}

#[test]
fn a_backup_of_before_is_not_continued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    filled(&path);
    let target = directory.path().join("copy");
    backup(&path, &target, &BackupOptions::new()).unwrap();
    compact(&path).unwrap();
    let error = backup(&path, &target, &BackupOptions::new()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument, "{error}");
    assert!(error.to_string().contains("make a new backup"), "{error}");
    let store = EventStore::open(&target).unwrap();
    numbered::check_everything(&store, "the backup");
}
