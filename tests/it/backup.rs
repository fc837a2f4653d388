//! Copies of a store that is in use.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use annals::{ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, SnapshotKey, Unit};
use uuid::Uuid;

use ExpectedVersion::Any;

use crate::support::files::sealed;

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
    let all = |store: &EventStore| store.read_all().map(Result::unwrap).collect::<Vec<_>>();
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
        is_done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_store_in_memory_is_copied_to_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::in_memory().unwrap();
    let path = directory.path().join("copy");
    store.backup(&path).unwrap();
    assert_eq!(EventStore::open(&path).unwrap().head().unwrap(), 0, "an empty one as well");
    fs::remove_dir_all(&path).unwrap();
    store.append("s", Any, (0..10).map(event)).unwrap();
    fs::create_dir(&path).unwrap();
    store.backup(&path).unwrap();
    assert_eq!(EventStore::open(&path).unwrap().read_stream("s").count(), 10);
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
    for path in [&taken, &file, &directory.path().join("store")] {
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
