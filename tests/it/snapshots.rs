//! Snapshots: kept, replaced, found again, and ignored when they cannot be trusted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use annals::{
    ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, SnapshotInfo, SnapshotKey,
    limits::{NAME_BYTES_MAX, SNAPSHOT_BYTES_MAX},
};

use crate::support::files::{copy, copy_moment, disk_usage, flip};

use ExpectedVersion::Any;

fn append(store: &EventStore, count: u64) {
    for number in 0..count {
        store.append("s", Any, [NewEvent::json("T", &number).unwrap()]).unwrap();
    }
}

fn busy() -> Options {
    Options::new().tail_bytes(2_000).journal_bytes(64 << 10)
}

fn loaded(store: &EventStore, key: impl Into<SnapshotKey>) -> Option<(u64, Vec<u8>)> {
    let found = store.load_snapshot(key).unwrap();
    found.map(|found| (found.position(), found.data().to_vec()))
}

fn listed(store: &EventStore) -> Vec<SnapshotInfo> {
    store.snapshots().collect::<Result<_, _>>().unwrap()
}

fn positions(store: &EventStore, name: &str) -> Vec<u64> {
    let all = listed(store).into_iter().filter(|info| info.key.name() == name);
    all.map(|info| info.position).collect()
}

/// Bytes that differ everywhere.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut word = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn the_newest_and_one_older_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let in_memory = EventStore::in_memory().unwrap();
    let on_disk = busy().open(&path).unwrap();
    for store in [&in_memory, &on_disk] {
        append(store, 50);
        assert_eq!(loaded(store, "x"), None);
        for position in [0, 10, 30, 20, 40, 5] {
            store.save_snapshot("x", position, position.to_string()).unwrap();
        }
        assert_eq!(loaded(store, "x"), Some((40, b"40".to_vec())), "the highest position counts");
        assert_eq!(positions(store, "x"), [40, 30]);
        store.save_snapshot("x", 40, "again").unwrap();
        assert_eq!(loaded(store, "x"), Some((40, b"again".to_vec())), "it is replaced");
    }
    on_disk.close().unwrap();
    let store = busy().open(&path).unwrap();
    assert_eq!(positions(&store, "x"), [40, 30]);
    assert_eq!(loaded(&store, "x"), Some((40, b"again".to_vec())));
    store.save_snapshot("x", 50, "new").unwrap();
    store.close().unwrap();
    let store = busy().open(&path).unwrap();
    assert_eq!(positions(&store, "x"), [50, 40]);
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn arguments_are_checked() {
    let store = EventStore::in_memory().unwrap();
    append(&store, 3);
    let code = |result: Result<(), annals::Error>| result.map_err(|error| error.code());
    assert_eq!(code(store.save_snapshot("x", 4, "")), Err(ErrorCode::InvalidArgument));
    assert_eq!(code(store.save_snapshot("x", u64::MAX, "")), Err(ErrorCode::InvalidArgument));
    assert_eq!(code(store.save_snapshot("x", 3, "")), Ok(()));
    for name in ["", "a\0b"] {
        assert_eq!(code(store.save_snapshot(name, 1, "")), Err(ErrorCode::InvalidArgument));
        let loaded = store.load_snapshot(SnapshotKey::of_projection(name, 1)).map(drop);
        assert_eq!(code(loaded), Err(ErrorCode::InvalidArgument));
    }
    let longest = "n".repeat(NAME_BYTES_MAX);
    assert_eq!(code(store.save_snapshot(&longest, 1, "")), Ok(()));
    assert_eq!(loaded(&store, &longest), Some((1, Vec::new())));
    let past = longest + "n";
    assert_eq!(code(store.save_snapshot(&past, 1, "")), Err(ErrorCode::LimitExceeded));
    assert_eq!(code(store.load_snapshot(&past).map(drop)), Err(ErrorCode::LimitExceeded));
    store.close().unwrap();
    assert_eq!(code(store.save_snapshot("x", 1, "")), Err(ErrorCode::Closed));
    assert_eq!(code(store.load_snapshot("x").map(drop)), Err(ErrorCode::Closed));
    assert_eq!(store.snapshots().next().unwrap().unwrap_err().code(), ErrorCode::Closed);
}

#[test]
fn a_snapshot_is_at_most_64_mib() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, 1);
    let mut data = vec![7; SNAPSHOT_BYTES_MAX + 1];
    let error = store.save_snapshot("x", 1, &data).unwrap_err();
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    assert_eq!(loaded(&store, "x"), None);
    data.pop();
    store.save_snapshot("x", 1, &data).unwrap();
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    assert!(loaded(&store, "x") == Some((1, data)), "all of it is back");
}

#[test]
fn namespaces_and_versions_are_apart() {
    let store = EventStore::in_memory().unwrap();
    append(&store, 9);
    store.save_snapshot("x", 9, "caller").unwrap();
    store.save_snapshot(SnapshotKey::of_projection("x", 0), 8, "zero").unwrap();
    store.save_snapshot(SnapshotKey::of_projection("x", 1), 7, "one").unwrap();
    store.save_checkpoint("x", 6).unwrap();
    assert_eq!(loaded(&store, "x"), Some((9, b"caller".to_vec())));
    let key = |version| SnapshotKey::of_projection("x", version);
    assert_eq!(loaded(&store, key(1)), Some((7, b"one".to_vec())));
    assert_eq!(loaded(&store, key(2)), None);
    assert_eq!(store.checkpoint("x").unwrap(), 6);
    // Names that begin alike are apart as well.
    store.save_snapshot("xy", 5, "longer").unwrap();
    assert_eq!(loaded(&store, "x"), Some((9, b"caller".to_vec())));
}

#[test]
fn a_new_version_of_a_projection_drops_the_snapshots_of_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, 9);
    let key = |version| SnapshotKey::of_projection("x", version);
    store.save_snapshot(key(1), 9, "one").unwrap();
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    store.save_snapshot(key(2), 4, "two").unwrap();
    assert_eq!(loaded(&store, key(2)), Some((4, b"two".to_vec())));
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    assert_eq!(loaded(&store, key(1)), None);
    assert_eq!(loaded(&store, key(2)), Some((4, b"two".to_vec())));
}

#[test]
fn large_snapshots_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = busy().open(&path).unwrap();
    append(&store, 20);
    // Around the sizes of buffers, and well past a journal file.
    let sizes = [0, 1, 32_000, 32_768, 33_000, 65_536, 65_600, 1 << 20];
    for (number, &size) in sizes.iter().enumerate() {
        store.save_snapshot(format!("s{number}"), 20, noise(size, number as u64)).unwrap();
    }
    let killed = directory.path().join("killed");
    copy_moment(&path, &killed);
    append(&store, 10);
    store.close().unwrap();
    for path in [&path, &killed] {
        let store = busy().open(path).unwrap();
        for (number, &size) in sizes.iter().enumerate() {
            let due = noise(size, number as u64);
            assert!(loaded(&store, format!("s{number}")) == Some((20, due)), "{size} bytes");
        }
        assert_eq!(listed(&store).len(), sizes.len());
        assert_eq!(store.verify().unwrap().findings, []);
    }
}

#[test]
fn a_replaced_snapshot_leaves_no_part_of_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for size in [300_000, 10, 100_000, 40_000, 0] {
        let store = busy().open(&path).unwrap();
        append(&store, 1);
        store.save_snapshot("x", 1, noise(size, 1)).unwrap();
        store.close().unwrap();
        let store = busy().open(&path).unwrap();
        assert_eq!(loaded(&store, "x"), Some((1, noise(size, 1))));
        assert_eq!(store.verify().unwrap().findings, []);
    }
}

/// The files of snapshots, those of one key in the order of their positions.
fn snapshot_files(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.join("snapshots")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn old_snapshots_take_no_space() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = busy().open(&path).unwrap();
    for round in 1..=60 {
        append(&store, 1);
        store.save_snapshot("x", round, noise(100_000, round)).unwrap();
        assert!(snapshot_files(&path).len() <= 2, "{:?}", snapshot_files(&path));
    }
    // 60 snapshots of 100 KB were written, and none of them into the journal or the trees.
    assert!(disk_usage(&path.join("snapshots")) < 300_000);
    store.close().unwrap();
    assert!(disk_usage(&path) < 2_300_000, "{} bytes", disk_usage(&path));
    let store = busy().open(&path).unwrap();
    assert_eq!(loaded(&store, "x"), Some((60, noise(100_000, 60))));
    assert_eq!(store.verify().unwrap().findings, []);
    assert_eq!(store.read_all().count(), 60);
}

#[test]
fn a_damaged_snapshot_is_ignored_and_everything_else_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, 3);
    store.save_snapshot("x", 2, "two").unwrap();
    store.save_snapshot("x", 3, noise(3_000, 3)).unwrap();
    append(&store, 2);
    store.save_checkpoint("c", 5).unwrap();
    let killed = directory.path().join("killed");
    copy_moment(&path, &killed);
    let files = snapshot_files(&killed);
    assert_eq!(files.len(), 2);
    let name = files[1].file_name().unwrap();
    let original = fs::read(&files[1]).unwrap();
    let last = original.len() - 1;
    for offset in [0, 1, 16, 17, 20, 21, 22, 25, 100, 2_000, last] {
        let damaged = directory.path().join("damaged");
        copy(&killed, &damaged);
        flip(&damaged.join("snapshots").join(name), offset);
        let store = EventStore::open(&damaged).unwrap();
        assert_eq!(loaded(&store, "x"), Some((2, b"two".to_vec())), "{offset}");
        assert_eq!((store.head().unwrap(), store.checkpoint("c").unwrap()), (5, 5));
        let codes: Vec<_> = store.verify().unwrap().findings.iter().map(|f| f.code).collect();
        assert_eq!(codes, ["snapshot-damaged"], "{offset}");
        store.close().unwrap();
        assert_eq!(EventStore::open(&damaged).unwrap().read_all().count(), 5);
        fs::remove_dir_all(&damaged).unwrap();
    }
    // Cut, longer, empty, and lost: the last is no damage.
    let longer = [original.as_slice(), &[0]].concat();
    for bytes in [&original[..last], &longer, &[], &original[..10]] {
        let damaged = directory.path().join("damaged");
        copy(&killed, &damaged);
        fs::write(damaged.join("snapshots").join(name), bytes).unwrap();
        let store = EventStore::open(&damaged).unwrap();
        assert_eq!(loaded(&store, "x"), Some((2, b"two".to_vec())), "{} bytes", bytes.len());
        let codes: Vec<_> = store.verify().unwrap().findings.iter().map(|f| f.code).collect();
        assert_eq!(codes, ["snapshot-damaged"], "{} bytes", bytes.len());
        drop(store);
        fs::remove_dir_all(&damaged).unwrap();
    }
    fs::remove_dir_all(killed.join("snapshots")).unwrap();
    let store = EventStore::open(&killed).unwrap();
    assert_eq!((loaded(&store, "x"), store.verify().unwrap().findings), (None, vec![]));
    store.save_snapshot("x", 5, "five").unwrap();
    assert_eq!(loaded(&store, "x"), Some((5, b"five".to_vec())));
}

#[test]
fn a_listing_goes_on_while_newer_ones_replace_what_it_was_to_list() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    (1..=9).for_each(|number| append(&store, number));
    let save = |name: &str, position| store.save_snapshot(name, position, b"x").unwrap();
    ["a", "b", "c"].into_iter().for_each(|name| save(name, 1));
    let reader = annals::Reader::open(&path).unwrap();
    for mut listed in [store.snapshots(), reader.snapshots()] {
        let mut next = || listed.next().map(|one| one.unwrap()).map(|one| one.position);
        assert_eq!(next(), Some(1));
        let newest = store.load_snapshot("b").unwrap().unwrap().position();
        save("b", newest + 1);
        save("b", newest + 2);
        assert_eq!(
            [next(), next(), next(), next()],
            [Some(newest + 2), Some(newest + 1), Some(1), None]
        );
    }
}
