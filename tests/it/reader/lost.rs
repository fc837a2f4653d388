//! Readers of a journal that has lost a file: every question misses it, wherever the answer would
//! come from.

use std::{fs, path::Path};

use annals::{EventStore, ExpectedVersion::Any, NewEvent, Options, Query, QueryItem, Reader};
use uuid::Uuid;

use super::options;
use crate::support::files::{active, copy, copy_moment, first_position, journal, sealed};

/// Streams with one event early and one late, so that a lost file is the only one that knows of
/// the second event of some.
const TWICE: u64 = 40;

fn stream(number: u64) -> String {
    format!("s-{number}")
}

fn append(store: &EventStore, stream: &str, tag: &str, number: u64) {
    let id = Uuid::from_u128(u128::from(number) + if tag == "late" { 1_000 } else { 1 });
    let event = NewEvent::binary("T", vec![7; 300]).unwrap().tag(tag);
    let event = if tag == "other" { event } else { event.id(id) };
    store.append(stream, Any, [event]).unwrap();
}

fn append_early(store: &EventStore) {
    (0..TWICE).for_each(|number| append(store, &stream(number), "early", number));
}

fn append_late(store: &EventStore) {
    for number in 0..TWICE {
        (0..20).for_each(|_| append(store, "other", "other", number));
        append(store, &stream(number), "late", number);
        store.save_checkpoint("mailer", store.head().unwrap()).unwrap();
    }
}

/// Each answer is whole, or an error; some are errors. What was true of the whole store is passed.
#[track_caller]
fn check(reader: &Reader, (head, saved): (u64, u64), what: &str) {
    let mut refused = 0;
    for number in 0..TWICE {
        match reader.stream_version(stream(number)) {
            Ok(version) => assert_eq!(version, 2, "{what}: s-{number}"),
            Err(_) => refused += 1,
        }
        let read: Result<Vec<_>, _> = reader.read_stream(stream(number)).collect();
        assert!(read.is_err() || read.unwrap().len() == 2, "{what}: s-{number}");
        let late = reader.event_by_id(Uuid::from_u128(u128::from(number) + 1_000));
        assert!(late.is_err() || late.unwrap().is_some(), "{what}: the id of s-{number}");
    }
    assert!(refused > 0, "{what}");
    let listed: Result<Vec<_>, _> = reader.streams().collect();
    assert!(listed.is_err() || listed.unwrap().len() as u64 == TWICE + 1, "{what}: streams");
    let late = Query::new().item(QueryItem::new().tags(["late"]));
    let found: Result<Vec<_>, _> = reader.query(&late).collect();
    assert!(found.is_err() || found.unwrap().len() as u64 == TWICE, "{what}: a query");
    let all: Result<Vec<_>, _> = reader.read_all().collect();
    assert!(all.is_err(), "{what}: a scan");
    let found = reader.checkpoint("mailer");
    assert!(found.is_err() || found.unwrap() == saved, "{what}: a checkpoint");
    let listed = reader.checkpoints();
    assert!(listed.is_err() || listed.unwrap().len() == 1, "{what}: checkpoints");
    let reached = reader.head();
    assert!(reached.is_err() || reached.unwrap() <= head, "{what}: the head");
}

/// What a whole store says about itself.
fn facts(store: &EventStore) -> (u64, u64) {
    (store.head().unwrap(), store.checkpoint("mailer").unwrap())
}

fn without(original: &Path, path: &Path, file: &Path) {
    copy(original, path);
    fs::remove_file(path.join("journal").join(file.file_name().unwrap())).unwrap();
}

#[test]
fn a_lost_file_is_missed_by_every_question() {
    let directory = tempfile::tempdir().unwrap();
    let (path, original) = (directory.path().join("store"), directory.path().join("original"));
    let store = options().open(&original).unwrap();
    append_early(&store);
    append_late(&store);
    let facts = facts(&store);
    store.close().unwrap();
    assert!(sealed(&original).len() > 5);
    for file in journal(&original) {
        without(&original, &path, &file);
        check(&Reader::open(&path).unwrap(), facts, &format!("{file:?}"));
        fs::remove_dir_all(&path).unwrap();
    }
}

/// What the reader has in memory knows of the files before the lost one, and is asked first.
#[test]
fn a_lost_file_between_files_in_memory_is_missed_by_every_question() {
    let directory = tempfile::tempdir().unwrap();
    let (path, original) = (directory.path().join("store"), directory.path().join("original"));
    // Nothing is drained, so that nothing is sealed.
    let options = Options::new().journal_bytes(64 << 10);
    let scratch = directory.path().join("scratch");
    let store = options.open(&scratch).unwrap();
    append_early(&store);
    append_late(&store);
    let facts = facts(&store);
    copy_moment(&scratch, &original);
    let files = active(&original);
    assert!(files.len() > 3 && sealed(&original).is_empty());
    for lost in files.iter().skip(1) {
        without(&original, &path, lost);
        check(&Reader::open(&path).unwrap(), facts, &format!("{lost:?}"));
        fs::remove_dir_all(&path).unwrap();
    }
}

/// The reader is there while the file is lost, and has not come to it yet.
#[test]
fn a_file_that_is_lost_ahead_of_a_reader_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Options::new().journal_bytes(64 << 10).open(&path).unwrap();
    append_early(&store);
    let reader = Reader::open(&path).unwrap();
    let seen = reader.head().unwrap();
    append_late(&store);
    let files = active(&path);
    let ahead = files.iter().filter(|file| first_position(file) > seen);
    let lost = ahead.min_by_key(|file| first_position(file)).unwrap();
    assert!(files.last() != Some(lost));
    fs::remove_file(lost).unwrap();
    check(&reader, facts(&store), &format!("{lost:?}"));
}

#[test]
fn a_store_without_its_superblock_is_damaged_and_a_directory_without_a_store_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = EventStore::open(&path).unwrap();
    store.append("s", Any, [NewEvent::binary("T", [1]).unwrap()]).unwrap();
    store.close().unwrap();
    fs::remove_file(path.join("ANNALS")).unwrap();

    let error = Reader::open(&path).unwrap_err();
    assert!(matches!(error, annals::Error::Corrupted { .. }), "{error}");
    assert!(error.to_string().contains("ANNALS"), "{error}");

    let error = Reader::open(dir.path()).unwrap_err();
    let annals::Error::Io { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound, "{error}");
}
