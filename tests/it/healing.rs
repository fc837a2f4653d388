//! Damaged, lost and exchanged trees: the open rebuilds them from the journal and keeps the old
//! ones.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use annals::{ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, Reader};

use crate::support::{
    files::{active, copy, copy_moment, flip, frames, replace_directory, sealed},
    numbered::{self, EVENTS},
};

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

fn rebuilt(path: &Path) -> EventStore {
    let store = options().create(false).open(path).unwrap();
    let recovery = store.recovery();
    assert!(recovery.reason().is_some(), "{recovery:?}");
    numbered::check_everything(&store, &format!("{recovery:?}"));
    assert_eq!(store.verify().unwrap().findings, []);
    store
}

fn is_sound(path: &Path) {
    let store = options().create(false).open(path).unwrap();
    assert_eq!(store.recovery(), annals::Recovery::default());
    numbered::check_everything(&store, "sound");
}

#[test]
fn trees_that_are_missing_are_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    fs::remove_dir_all(path.join("trees")).unwrap();
    let store = rebuilt(&path);
    let recovery = store.recovery();
    // The last file is not sealed: its events are drained as usual.
    assert!((EVENTS / 2..EVENTS).contains(&recovery.rebuilt_events()), "{recovery:?}");
    assert!(!recovery.duration().is_zero());
    assert_eq!(recovery.set_aside(), None);
    store.close().unwrap();
    is_sound(&path);
}

#[test]
fn trees_that_are_damaged_are_kept_aside() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    numbered::closed(&original, &options());
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 6] = [
        ("conf", |trees| flip(&trees.join("conf"), 3)),
        ("no conf", |trees| fs::remove_file(trees.join("conf")).unwrap()),
        ("no db", |trees| fs::remove_file(trees.join("db")).unwrap()),
        ("an empty db", |trees| fs::write(trees.join("db"), "").unwrap()),
        ("noise", |trees| fs::write(trees.join("db"), [7; 100_000]).unwrap()),
        ("a file", |trees| {
            fs::remove_dir_all(trees).unwrap();
            fs::write(trees, "a file").unwrap();
        }),
    ];
    for (what, damage) in cases {
        let path = directory.path().join("store");
        copy(&original, &path);
        damage(&path.join("trees"));
        let store = rebuilt(&path);
        let aside = path.canonicalize().unwrap().join("trees.damaged-1");
        assert_eq!(store.recovery().set_aside(), Some(&*aside), "{what}");
        assert_eq!(store.stats().unwrap().set_aside, ["trees.damaged-1"], "{what}");
        store.close().unwrap();
        is_sound(&path);
        // A second time the first evidence stays.
        fs::remove_file(path.join("trees/conf")).unwrap();
        let store = rebuilt(&path);
        assert_eq!(store.stats().unwrap().set_aside, ["trees.damaged-1", "trees.damaged-2"]);
        drop(store);
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn trees_of_an_earlier_time_are_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS / 4);
    store.close().unwrap();
    let older = directory.path().join("older");
    copy(&path, &older);
    let store = options().open(&path).unwrap();
    numbered::append(&store, EVENTS / 4 + 1..=EVENTS);
    store.close().unwrap();
    replace_directory(&older, &path, "trees");
    rebuilt(&path);
}

#[test]
fn trees_of_another_store_are_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let other = directory.path().join("other");
    numbered::closed(&other, &options());
    replace_directory(&other, &path, "trees");
    rebuilt(&path);
}

#[test]
fn a_store_left_by_a_kill_is_rebuilt_with_what_is_not_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let running = directory.path().join("running");
    let store = options().open(&running).unwrap();
    numbered::append(&store, 1..=EVENTS / 2);
    store.save_checkpoint("before", 7).unwrap();
    store.close().unwrap();
    let store = options().open(&running).unwrap();
    numbered::append(&store, EVENTS / 2 + 1..=EVENTS);
    store.save_checkpoint("after", EVENTS).unwrap();
    let path = directory.path().join("store");
    copy_moment(&running, &path);
    fs::write(path.join("trees/db"), [1; 5_000]).unwrap();
    let store = rebuilt(&path);
    assert_eq!(store.checkpoint("before").unwrap(), 7);
    assert_eq!(store.checkpoint("after").unwrap(), EVENTS);
    numbered::append(&store, EVENTS + 1..=EVENTS + 10);
    store.close().unwrap();
    let store = options().open(&path).unwrap();
    assert_eq!(store.head().unwrap(), EVENTS + 10);
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn nothing_is_rebuilt_unless_it_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    flip(&path.join("trees/conf"), 3);
    let error = options().rebuild(false).open(&path).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupted, "{error}");
    assert!(!path.join("trees.damaged-1").exists());
    rebuilt(&path);
}

#[test]
fn progress_is_reported_up_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    fs::remove_dir_all(path.join("trees")).unwrap();
    let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let seen = (Arc::clone(&done), Arc::clone(&total));
    let options = options().on_rebuild(move |done, total| {
        seen.0.store(done, Ordering::Relaxed);
        seen.1.store(total, Ordering::Relaxed);
    });
    let store = options.open(&path).unwrap();
    let rebuilt = store.recovery().rebuilt_events();
    assert!(rebuilt > 0);
    assert_eq!((done.load(Ordering::Relaxed), total.load(Ordering::Relaxed)), (rebuilt, rebuilt));
}

#[test]
fn damage_of_both_copies_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let second = &sealed(&path)[1];
    flip(second, 100);
    let conf = path.join("trees/conf");
    flip(&conf, 3);
    let before = fs::read(&conf).unwrap();
    let error = options().open(&path).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupted, "{error}");
    let text = error.to_string();
    assert!(text.contains("trees") && text.contains("annals repair"), "{text}");
    assert_eq!(fs::read(&conf).unwrap(), before);
    assert!(!path.join("trees.tmp").exists() && !path.join("trees.damaged-1").exists());
    // With one of them whole again, the store is.
    flip(second, 100);
    rebuilt(&path);
}

#[test]
fn what_a_killed_rebuild_left_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    // Before the exchange of the directories, and in the middle of it.
    copy(&path.join("trees"), &path.join("trees.tmp"));
    is_sound(&path);
    assert!(!path.join("trees.tmp").exists());
    fs::rename(path.join("trees"), path.join("trees.tmp")).unwrap();
    rebuilt(&path);
    assert!(!path.join("trees.tmp").exists());
}

#[test]
fn a_small_store_needs_no_sealed_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let event = NewEvent::json("T", &1).unwrap();
    store.append("s", ExpectedVersion::Any, [event]).unwrap();
    store.close().unwrap();
    fs::remove_dir_all(path.join("trees")).unwrap();
    let store = EventStore::open(&path).unwrap();
    assert!(store.recovery().reason().is_some());
    assert_eq!(store.read_stream("s").map(Result::unwrap).count(), 1);
}

#[test]
fn trees_that_failed_while_they_were_open_are_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    // As a drain leaves it that met a damaged page.
    fs::write(path.join("trees/damaged"), "a page is damaged").unwrap();
    let store = rebuilt(&path);
    let reason = store.recovery().reason().unwrap().to_owned();
    assert!(reason.contains("a page is damaged"), "{reason}");
    store.close().unwrap();
    is_sound(&path);
}

/// A file that is damaged when it is full is not sealed, and those after it are. Once somebody has
/// restored it, nothing is wrong with the store.
#[test]
fn a_file_that_is_intact_again_is_sealed_like_those_after_it() {
    for has_trees in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let store = options().open(&path).unwrap();
        numbered::append(&store, 1..=20);
        store.save_checkpoint("mailer", 7).unwrap();
        store.close().unwrap();
        let first = active(&path).remove(0);
        let intact = fs::read(&first).unwrap();
        flip(&first, 2_000);
        let store = options().open(&path).unwrap();
        numbered::append(&store, 21..=EVENTS);
        store.close().unwrap();
        assert!(first.exists() && sealed(&path).len() > 1);
        fs::write(&first, intact).unwrap();
        if has_trees {
            is_sound(&path);
        } else {
            fs::remove_dir_all(path.join("trees")).unwrap();
            rebuilt(&path).close().unwrap();
        }
        assert!(!first.exists());
        let reader = Reader::open(&path).unwrap();
        assert_eq!(reader.read_all().map(Result::unwrap).count() as u64, EVENTS);
        assert_eq!(reader.checkpoint("mailer").unwrap(), 7);
        let copy = directory.path().join("copy");
        reader.backup(&copy).unwrap();
        rebuilt(&copy);
    }
}

/// What the journal has lost of its last file while the store is open comes from the trees, as far
/// as they have it.
#[test]
fn a_record_damaged_in_an_unsealed_file_is_read_from_the_trees() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Options::new().tail_bytes(4 << 10).open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS);
    let file = active(&path).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    // A frame that is drained by now, or soon will be.
    flip(&file, frames(&bytes)[9].0 + 100);
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.read_all().any(|event| event.is_err()) {
        assert!(Instant::now() < deadline, "{:?}", store.read_all().find(Result::is_err));
        thread::sleep(Duration::from_millis(10));
    }
    numbered::check_everything(&store, "damaged");
    let report = store.verify().unwrap();
    assert_eq!((report.findings[0].code, report.unreadable), ("journal-damaged", 0));
    assert_eq!(report.findings.len(), 1);
}
