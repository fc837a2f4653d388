//! Checkpoints of consumers: durable, monotonic, exact.

use std::{fs, path::Path, thread, time::Duration};

use annals::{
    Batch, Durability, ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, RepairOptions,
    VerifyOptions, limits::NAME_BYTES_MAX, repair, verify,
};

use crate::support::{
    files::{copy, frames},
    trees::open_trees,
};

use ExpectedVersion::Any;

fn append(store: &EventStore, count: u64) {
    for number in 0..count {
        store.append("s", Any, [NewEvent::json("T", &number).unwrap()]).unwrap();
    }
}

fn busy() -> Options {
    Options::new().tail_bytes(2_000).journal_bytes(64 << 10)
}

#[track_caller]
fn check_code<T: std::fmt::Debug>(result: Result<T, annals::Error>, code: ErrorCode) {
    assert_eq!(result.unwrap_err().code(), code);
}

#[test]
fn a_checkpoint_only_advances_and_never_past_the_head() {
    let store = EventStore::in_memory().unwrap();
    append(&store, 5);
    assert_eq!(store.checkpoint("mailer").unwrap(), 0, "an unknown one is 0");
    store.save_checkpoint("mailer", 0).unwrap();
    store.save_checkpoint("mailer", 3).unwrap();
    store.save_checkpoint("mailer", 3).unwrap();
    check_code(store.save_checkpoint("mailer", 2), ErrorCode::InvalidArgument);
    check_code(store.save_checkpoint("mailer", 6), ErrorCode::InvalidArgument);
    check_code(store.save_checkpoint("mailer", u64::MAX), ErrorCode::InvalidArgument);
    assert_eq!(store.checkpoint("mailer").unwrap(), 3);
    store.save_checkpoint("mailer", 5).unwrap();
    assert_eq!(store.checkpoint("mailer").unwrap(), 5);
    assert_eq!(store.checkpoint("other").unwrap(), 0);
    assert_eq!(store.head().unwrap(), 5, "a checkpoint is no event");
}

#[test]
fn the_error_says_where_the_checkpoint_is() {
    let store = EventStore::in_memory().unwrap();
    append(&store, 2);
    store.save_checkpoint("mailer", 2).unwrap();
    let text = store.save_checkpoint("mailer", 1).unwrap_err().to_string();
    assert!(text.contains("\"mailer\" is at 2"), "{text}");
    let batch = Batch::new().checkpoint("other", 2).checkpoint("mailer", 3);
    let text = batch.commit(&store).unwrap_err().to_string();
    assert!(text.contains("\"mailer\" cannot move to 3, past the head"), "{text}");
    assert!(text.contains("past the head of the store, which is 2"), "{text}");
}

#[test]
fn names_of_checkpoints_have_the_limits_of_names() {
    let store = EventStore::in_memory().unwrap();
    append(&store, 1);
    let longest = "n".repeat(NAME_BYTES_MAX);
    store.save_checkpoint(&longest, 1).unwrap();
    assert_eq!(store.checkpoint(&longest).unwrap(), 1);
    let past = longest + "n";
    check_code(store.save_checkpoint(&past, 1), ErrorCode::LimitExceeded);
    check_code(store.checkpoint(&past), ErrorCode::LimitExceeded);
    for name in ["", "a\0b"] {
        check_code(store.save_checkpoint(name, 1), ErrorCode::InvalidArgument);
        check_code(store.checkpoint(name), ErrorCode::InvalidArgument);
    }
}

#[test]
fn checkpoints_survive_closing_dropping_and_being_copied_as_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, 10);
    store.save_checkpoint("one", 4).unwrap();
    store.save_checkpoint("two", 10).unwrap();
    let killed = directory.path().join("killed");
    copy(&path, &killed);
    store.close().unwrap();
    check_code(store.checkpoint("one"), ErrorCode::Closed);
    check_code(store.save_checkpoint("one", 5), ErrorCode::Closed);
    for path in [&path, &killed] {
        for _ in 0..2 {
            let store = EventStore::open(path).unwrap();
            assert_eq!(
                (store.checkpoint("one").unwrap(), store.checkpoint("two").unwrap()),
                (4, 10)
            );
            check_code(store.save_checkpoint("two", 9), ErrorCode::InvalidArgument);
            assert_eq!(store.verify().unwrap().findings, []);
        }
    }
}

#[test]
fn checkpoints_without_any_events_between_fill_journal_files_and_are_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = busy().open(&path).unwrap();
    append(&store, 600);
    // Many times the size of a journal file, all of it between two events.
    for position in 1..=600 {
        for name in ["one", "two", "three"] {
            store.save_checkpoint(name, position).unwrap();
        }
    }
    let killed = directory.path().join("killed");
    copy(&path, &killed);
    let journal = |path: &std::path::Path| fs::read_dir(path.join("journal")).unwrap().count();
    assert!(journal(&killed) >= 3, "the journal has moved on without events");
    let store_of_killed = busy().open(&killed).unwrap();
    for name in ["one", "two", "three"] {
        assert_eq!(store_of_killed.checkpoint(name).unwrap(), 600);
    }
    append(&store_of_killed, 300);
    assert_eq!(store_of_killed.verify().unwrap().findings, []);
    drop(store_of_killed);
    let again = busy().open(&killed).unwrap();
    assert_eq!((again.head().unwrap(), again.checkpoint("two").unwrap()), (900, 600));
}

#[test]
fn racing_saves_leave_the_highest_and_refuse_only_what_goes_back() {
    const THREADS: u64 = 6;
    let directory = tempfile::tempdir().unwrap();
    let store = busy().open(directory.path().join("store")).unwrap();
    append(&store, 200);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let mut seen = 0;
                for position in (1 + thread..=200).step_by(3) {
                    match store.save_checkpoint("shared", position) {
                        Ok(()) => {}
                        Err(error) => assert_eq!(error.code(), ErrorCode::InvalidArgument),
                    }
                    let now = store.checkpoint("shared").unwrap();
                    assert!(now >= seen && now >= position, "{seen}, then {now} of {position}");
                    seen = now;
                    store.append("more", Any, [NewEvent::json("T", &1).unwrap()]).unwrap();
                }
            });
        }
    });
    assert_eq!(store.checkpoint("shared").unwrap(), 200);
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn a_buffered_store_keeps_its_checkpoints_in_order_with_its_events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let durability = Durability::Buffered { max_delay: Duration::from_millis(1) };
    let store = busy().durability(durability).open(&path).unwrap();
    for position in 1..=500 {
        append(&store, 1);
        store.save_checkpoint("one", position).unwrap();
    }
    store.flush().unwrap();
    let killed = directory.path().join("killed");
    copy(&path, &killed);
    let store = busy().open(&killed).unwrap();
    assert_eq!((store.head().unwrap(), store.checkpoint("one").unwrap()), (500, 500));
}

#[test]
fn a_damaged_checkpoint_in_the_journal_is_reported_and_not_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, 3);
    store.save_checkpoint("one", 2).unwrap();
    append(&store, 1);
    store.save_checkpoint("one", 3).unwrap();
    let killed = directory.path().join("killed");
    copy(&path, &killed);
    let file = killed.join("journal/00000000000000000001.journal");
    let bytes = fs::read(&file).unwrap();
    let saved: Vec<usize> =
        frames(&bytes).into_iter().filter(|(_, kind)| *kind == 4).map(|(at, _)| at).collect();
    assert_eq!(saved.len(), 2);
    for at in saved {
        for offset in [0, 20, 66, 75] {
            let mut damaged = bytes.clone();
            damaged[at + offset] ^= 1;
            fs::write(&file, damaged).unwrap();
            let code = EventStore::open(&killed).err().map(|error| error.code());
            assert_eq!(code, Some(ErrorCode::Corrupted), "{at} + {offset}");
        }
    }
    // A whole frame that reads as if it had never been written, before one that was.
    let (first, _) = frames(&bytes).into_iter().find(|(_, kind)| *kind == 4).unwrap();
    let mut lost = bytes.clone();
    lost[first..first + 128].fill(0);
    fs::write(&file, lost).unwrap();
    check_code(EventStore::open(&killed), ErrorCode::Corrupted);
    fs::write(&file, bytes).unwrap();
    assert_eq!(EventStore::open(&killed).unwrap().checkpoint("one").unwrap(), 3);
}

/// What the trees hold for a checkpoint, as bytes.
fn in_trees(path: &Path, name: &str) -> sled::IVec {
    let trees = open_trees(path);
    let tree = trees.open_tree("checkpoints").unwrap();
    tree.get(name).unwrap().unwrap()
}

/// Makes the trees hold something else, or nothing.
fn put_in_trees(path: &Path, name: &str, value: Option<&[u8]>) {
    let trees = open_trees(path);
    let tree = trees.open_tree("checkpoints").unwrap();
    match value {
        Some(value) => tree.insert(name, value).unwrap(),
        None => tree.remove(name).unwrap(),
    };
    trees.flush().unwrap();
}

fn save_and_close(path: &Path, name: &str, position: u64) {
    let store = busy().open(path).unwrap();
    store.save_checkpoint(name, position).unwrap();
    store.close().unwrap();
}

/// A check compares what both copies say about a checkpoint, and a repair makes the trees agree
/// with the journal, whether its newest checkpoints are in a sealed file or not.
#[test]
fn checkpoints_that_differ_between_the_copies_are_found_and_repaired() {
    for count in [20, 2_000] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let store = busy().open(&path).unwrap();
        append(&store, 20);
        store.save_checkpoint("other", 1).unwrap();
        store.save_checkpoint("mailer", 3).unwrap();
        store.close().unwrap();
        let older = in_trees(&path, "mailer");
        save_and_close(&path, "mailer", 5);
        let later_store = directory.path().join("later");
        copy(&path, &later_store);
        save_and_close(&later_store, "mailer", 7);
        let later = in_trees(&later_store, "mailer");
        // With 2 000 of them, the file with the checkpoints is sealed.
        let store = busy().open(&path).unwrap();
        append(&store, count);
        store.close().unwrap();
        assert!(verify(&path, &VerifyOptions::new()).unwrap().findings.is_empty());

        let in_place = [(None, 0), (Some(&*older), 3), (Some(&*later), 7)];
        for (value, position) in in_place {
            let damaged = directory.path().join("damaged");
            copy(&path, &damaged);
            put_in_trees(&damaged, "mailer", value);
            let report = verify(&damaged, &VerifyOptions::new()).unwrap();
            let found: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
            let at = position.max(5);
            let expected = format!(
                "checkpoint-damaged: mailer at position {at}: the trees have it at {position}, the \
                 journal at 5"
            );
            assert_eq!(found, [expected], "{count} events");
            let done = repair(&damaged, &RepairOptions::new().apply(true)).unwrap();
            assert!(done.lost.is_empty(), "{done:?}");
            let store = busy().open(&damaged).unwrap();
            assert_eq!(store.checkpoint("mailer").unwrap(), 5, "{position}");
            assert_eq!(store.checkpoint("other").unwrap(), 1);
            assert!(store.verify().unwrap().findings.is_empty());
            store.close().unwrap();
            fs::remove_dir_all(&damaged).unwrap();
        }
    }
}
