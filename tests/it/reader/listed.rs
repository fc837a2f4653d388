//! Lists of the streams that a reader makes from sealed files.

use std::collections::BTreeMap;

use annals::{Batch, EventStore, ExpectedVersion::Any, NewEvent, Reader};

use super::options;
use crate::support::files::sealed;

/// One event for each of these streams, in one unit.
fn append(store: &EventStore, streams: &[String]) {
    let event = || NewEvent::binary("T", [1]).unwrap();
    let batch =
        streams.iter().fold(Batch::new(), |batch, stream| batch.append(stream, Any, [event()]));
    batch.commit(store).unwrap();
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number:05}")).collect()
}

/// More streams start past the head than a file lists at a time, and all of them sort before the
/// only one that the list has.
#[test]
fn streams_that_start_past_the_head_do_not_end_a_list() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = options().journal_bytes(512 << 10).open(&path).unwrap();
    append(&store, &["z".to_owned()]);
    let reader = Reader::open_with(&path, &options()).unwrap();
    let early = reader.streams();
    for _ in 0..6 {
        append(&store, &names("a", 3_000));
        reader.head().unwrap();
    }
    store.close().unwrap();
    assert_eq!(reader.head().unwrap(), 18_001);
    assert!(!sealed(&path).is_empty(), "the first events are sealed");

    let found: Result<Vec<_>, _> = early.collect();
    let found: Vec<_> = found.unwrap().iter().map(|one| one.stream_id().to_owned()).collect();
    assert_eq!(found, ["z"]);
    assert_eq!(reader.streams().count(), 3_001);
}

/// Streams that share some files and not others, so that no file reaches as far as another one.
#[test]
fn lists_of_many_files_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = options().open(&path).unwrap();
    let mut due: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..40 {
        let of_round = match round % 4 {
            0 => names("a", 600),
            1 => names("b", 300),
            2 => names("c", 700),
            _ => names("a", 900).split_off(500),
        };
        append(&store, &of_round);
        for name in of_round {
            *due.entry(name).or_default() += 1;
        }
    }
    store.close().unwrap();
    assert!(sealed(&path).len() > 4, "several files");

    let reader = Reader::open(&path).unwrap();
    let listed = |prefix: &str| -> BTreeMap<String, u64> {
        let all = reader.streams().prefix(prefix).map(|one| one.unwrap());
        all.map(|one| (one.stream_id().to_owned(), one.version())).collect()
    };
    assert_eq!(listed(""), due);
    for prefix in ["b-", "a-0059", "c-00699", "d"] {
        let due = due.iter().filter(|(name, _)| name.starts_with(prefix));
        let due: BTreeMap<_, _> = due.map(|(name, version)| (name.clone(), *version)).collect();
        assert_eq!(listed(prefix), due, "{prefix}");
    }
    let store = options().open(&path).unwrap();
    let all = store.streams().map(|one| one.unwrap());
    let all: BTreeMap<_, _> = all.map(|one| (one.stream_id().to_owned(), one.version())).collect();
    assert_eq!(all, due);
}
