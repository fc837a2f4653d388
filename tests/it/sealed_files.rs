//! Sealed journal files that are damaged, lost, or there in both forms; and damaged trees. What
//! one copy has lost comes from the other, and a check says what it was.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use annals::{Durability, ErrorCode, EventStore, ExpectedVersion, NewEvent, Options};
use uuid::Uuid;

use crate::support::{
    files::{active, copy, first_position, flip, sealed},
    numbered::{self, EVENTS, STREAMS, append, check_everything, data, id, stream},
    trees::open_trees,
};

use ExpectedVersion::Any;

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

/// A closed store whose last file alone is not sealed.
fn closed(path: &Path) {
    numbered::closed(path, &options());
}

/// A closed store that has lost a sealed file; gives the positions that it held.
fn closed_without_a_file(path: &Path) -> Range<u64> {
    closed(path);
    let files = sealed(path);
    fs::remove_file(&files[1]).unwrap();
    first_position(&files[1])..first_position(&files[2])
}

/// The codes of the findings, and where they are.
fn findings(store: &EventStore) -> Vec<(&'static str, PathBuf, Option<u64>)> {
    let findings = store.verify().unwrap().findings.into_iter();
    findings.map(|found| (found.code, PathBuf::from(found.place), found.position)).collect()
}

#[test]
fn a_damaged_or_lost_sealed_file_is_made_good_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    closed(&original);
    let files = sealed(&original);
    for (index, file) in files.iter().enumerate() {
        let name = file.file_name().unwrap();
        let next =
            files.get(index + 1).or(active(&original).first()).map(|file| first_position(file));
        let positions = first_position(file)..next.unwrap();
        let bytes = fs::read(file).unwrap();
        // A block, the directory of blocks and the footer; none of it; and nothing at all.
        let damages = [bytes.len() / 4, bytes.len() - 80, bytes.len() - 1, 20, 0];
        for (number, at) in damages.into_iter().enumerate() {
            let what = format!("{name:?}, damage {number}");
            let path = directory.path().join("damaged");
            copy(&original, &path);
            let damaged = path.join("journal").join(name);
            if number == 4 {
                fs::remove_file(&damaged).unwrap()
            } else {
                flip(&damaged, at)
            }
            for round in 0..2 {
                let store = options().open(&path).unwrap();
                check_everything(&store, &what);
                let found = findings(&store);
                assert_eq!(found.len(), 1, "{what}, round {round}: {found:?}");
                let (code, place, position) = &found[0];
                assert_eq!(*code, "journal-damaged", "{what}");
                assert!(position.is_some_and(|at| positions.contains(&at)), "{what}: {found:?}");
                assert!(number == 4 || place == &damaged, "{what}: {found:?}");
                store.close().unwrap();
            }
            fs::remove_dir_all(&path).unwrap();
        }
    }
}

/// Changes the trees of a closed store.
fn change_trees<T>(path: &Path, change: impl FnOnce(&sled::Db) -> T) -> T {
    let trees = open_trees(path);
    let changed = change(&trees);
    trees.flush().unwrap();
    changed
}

/// Changes a bit in a value of a tree.
fn damage_tree(path: &Path, tree: &str, number: usize) {
    change_trees(path, |trees| {
        let tree = trees.open_tree(tree).unwrap();
        let (key, value) = tree.iter().nth(number).unwrap().unwrap();
        let mut value = value.to_vec();
        let middle = value.len() / 2;
        value[middle] ^= 1;
        tree.insert(key, value).unwrap();
    });
}

fn entries(path: &Path, tree: &str) -> usize {
    change_trees(path, |trees| trees.open_tree(tree).unwrap().len())
}

#[test]
fn damaged_trees_are_answered_from_the_journal_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    closed(&original);
    for (tree, code) in [("streams", "event-damaged"), ("events", "place-index")] {
        let count = entries(&original, tree);
        assert!(count > 0, "{tree}");
        for number in 0..count {
            let what = format!("entry {number} of {tree}");
            let path = directory.path().join("damaged");
            copy(&original, &path);
            damage_tree(&path, tree, number);
            for _ in 0..2 {
                let store = options().open(&path).unwrap();
                check_everything(&store, &what);
                let codes: Vec<_> = findings(&store).into_iter().map(|found| found.0).collect();
                assert_eq!(codes, [code], "{what}");
                store.close().unwrap();
            }
            fs::remove_dir_all(&path).unwrap();
        }
    }
}

#[test]
fn damage_in_both_copies_is_an_error_there_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let lost = closed_without_a_file(&path);
    for number in 0..entries(&path, "streams") {
        damage_tree(&path, "streams", number);
    }
    let store = options().open(&path).unwrap();
    for position in 1..=EVENTS {
        let mut read = store.read_all().from_position(position);
        match read.next().unwrap() {
            Ok(event) => {
                assert_eq!(event.position(), position);
                assert_eq!(event.data(), format!("\"{}\"", data(position)).as_bytes());
                assert!(!lost.contains(&position), "{position}");
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Corrupted, "{position}");
                assert!(lost.contains(&position), "{position}: {error}");
            }
        }
    }
    // By stream and by id the answer is right, or an error: never a shorter one.
    for number in 0..STREAMS {
        let name = format!("s-{number}");
        let due = (1..=EVENTS).filter(|position| position % STREAMS == number).count() as u64;
        match store.stream_version(&name) {
            Ok(version) => assert_eq!(version, due),
            Err(error) => assert_eq!(error.code(), ErrorCode::Corrupted),
        }
        for read in [store.read_stream(&name), store.read_stream(&name).backward()] {
            let read: Result<Vec<_>, _> = read.collect();
            assert_eq!(read.unwrap_err().code(), ErrorCode::Corrupted);
        }
    }
    let codes: Vec<_> = findings(&store).into_iter().map(|found| found.0).collect();
    assert!(codes.contains(&"journal-damaged") && codes.contains(&"event-damaged"), "{codes:?}");
}

#[test]
fn what_a_lost_file_may_hold_is_not_taken_for_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let lost = closed_without_a_file(&path);
    change_trees(&path, |trees| {
        let ids = trees.open_tree("ids").unwrap();
        for key in ids.iter().keys().map(Result::unwrap) {
            ids.insert(key, b"odd").unwrap();
        }
    });
    let store = options().open(&path).unwrap();
    let retry = |position: u64, id: Uuid| {
        let event = NewEvent::json("T", &data(position)).unwrap().id(id);
        store.append(stream(position), Any, [event]).map_err(|error| error.code())
    };
    for position in (1..=EVENTS).filter(|position| id(*position).is_some()) {
        match retry(position, id(position).unwrap()) {
            Ok(again) => assert_eq!(again.positions(), position..=position),
            Err(code) => assert_eq!(code, ErrorCode::Corrupted, "{position}"),
        }
    }
    let missed = lost.clone().find(|position| id(*position).is_some()).unwrap();
    assert_eq!(retry(missed, id(missed).unwrap()).unwrap_err(), ErrorCode::Corrupted);
    assert_eq!(store.head().unwrap(), EVENTS);
}

/// A closed store, and its last sealed file as it was before: what a crash leaves between sealing
/// and removing.
fn in_both_forms(directory: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let path = directory.join("store");
    let store = options().open(&path).unwrap();
    append(&store, 1..=EVENTS);
    let killed = directory.join("killed");
    copy(&path, &killed);
    store.close().unwrap();
    let sealed = sealed(&path).pop().unwrap();
    let name = sealed.with_extension("journal");
    fs::copy(killed.join("journal").join(name.file_name().unwrap()), &name).unwrap();
    assert_eq!(active(&path).len(), 2);
    (path, sealed, name)
}

#[test]
fn of_a_file_in_both_forms_the_sealed_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let (path, sealed, unsealed) = in_both_forms(directory.path());
    let before = fs::read(&sealed).unwrap();
    // Even when the other one is damaged by now.
    flip(&unsealed, 1_000);
    let store = options().open(&path).unwrap();
    assert!(!unsealed.exists(), "it is removed");
    check_everything(&store, "both are there");
    assert_eq!(findings(&store), []);
    store.close().unwrap();
    assert_eq!(fs::read(&sealed).unwrap(), before);
}

#[test]
fn of_a_file_in_both_forms_a_damaged_sealed_one_is_set_aside() {
    for (number, part) in [3, 2, 1].into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let (path, sealed, unsealed) = in_both_forms(directory.path());
        let len = fs::metadata(&sealed).unwrap().len() as usize;
        // In a block, in the index, and in the footer.
        flip(&sealed, [len / 4, len * 3 / 4, len - part][number]);
        let damaged = fs::read(&sealed).unwrap();
        let aside = sealed.with_extension("sealed.damaged-1");
        let store = options().open(&path).unwrap();
        assert_eq!(fs::read(&aside).unwrap(), damaged, "what it was is kept");
        assert!(unsealed.exists() || sealed.exists());
        check_everything(&store, "the sealed one is damaged");
        assert_eq!(findings(&store), []);
        store.close().unwrap();
        // The close seals it again.
        assert!(sealed.exists() && !unsealed.exists());
        assert_eq!(fs::read(&aside).unwrap(), damaged);
        let store = options().open(&path).unwrap();
        check_everything(&store, "it is sealed again");
        assert_eq!(findings(&store), []);
    }
}

#[test]
fn files_with_checkpoints_alone_are_not_mixed_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let max_delay = std::time::Duration::from_secs(1);
    let options = Options::new().durability(Durability::Buffered { max_delay });
    // Each close seals a file that starts at the same position as the one before.
    for round in 1..=4_u64 {
        let store = options.open(&path).unwrap();
        if round == 1 {
            append(&store, 1..=10);
        }
        let name = "n".repeat(200);
        for number in 0..1_200 {
            store.save_checkpoint(format!("{name}-{number}"), round).unwrap();
        }
        store.close().unwrap();
        let store = EventStore::open(&path).unwrap();
        for number in 0..1_200 {
            assert_eq!(store.checkpoint(format!("{name}-{number}")).unwrap(), round);
        }
        assert_eq!(findings(&store), [], "round {round}");
        store.close().unwrap();
    }
    let files = sealed(&path);
    assert!(files.len() > 3, "{files:?}");
    let store = EventStore::open(&path).unwrap();
    append(&store, 11..=20);
    store.close().unwrap();
    assert_eq!(EventStore::open(&path).unwrap().head().unwrap(), 20);
}
