//! Listing streams: byte order, prefixes, and versions, over the tail and the trees at once.

use annals::{Error, EventStore, ExpectedVersion, NewEvent, Options};

fn append(store: &EventStore, stream: &str) {
    let event = NewEvent::json("T", &1).unwrap();
    store.append(stream, ExpectedVersion::Any, [event]).unwrap();
}

fn listed(store: &EventStore, prefix: &str) -> Vec<(String, u64)> {
    let info = |stream: annals::StreamInfo| (stream.stream_id().to_owned(), stream.version());
    store.streams().prefix(prefix).map(|stream| info(stream.unwrap())).collect()
}

#[test]
fn streams_come_in_byte_order_of_their_ids() {
    let ids = ["b", "a", "a-1", "a\u{1}", "B", "\u{e9}", "z", "a-", "a-10", "\u{10FFFF}"];
    let mut due: Vec<String> = ids.map(str::to_owned).into();
    due.sort();
    let names = |store: &EventStore| listed(store, "").into_iter().map(|s| s.0).collect::<Vec<_>>();
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::open(directory.path().join("store")).unwrap();
    // Half of them end up in the trees, the others in the tail, and two in both.
    for id in &ids[..6] {
        append(&store, id);
    }
    assert_eq!(names(&store).len(), 6);
    store.close().unwrap();
    let store = EventStore::open(directory.path().join("store")).unwrap();
    for id in &ids[4..] {
        append(&store, id);
    }
    assert_eq!(names(&store), due);
    let expected = [("a-", 1), ("a-1", 1), ("a-10", 1)].map(|(id, n)| (id.to_owned(), n));
    assert_eq!(listed(&store, "a-"), expected);
    assert_eq!(listed(&store, "B"), [("B".to_owned(), 2)]);
    assert_eq!(listed(&store, "a-2"), []);
    assert_eq!(listed(&EventStore::in_memory().unwrap(), ""), []);
}

#[test]
fn thousands_of_streams_are_listed_in_parts() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().tail_bytes(20_000);
    let store = options.open(directory.path().join("store")).unwrap();
    for round in 1..=2 {
        for number in 0..1_000 {
            append(&store, &format!("s-{number:04}"));
        }
        let due: Vec<_> = (0..1_000).map(|number| (format!("s-{number:04}"), round)).collect();
        assert_eq!(listed(&store, ""), due);
        let tens = listed(&store, "s-09");
        assert_eq!((tens.len(), tens[0].0.as_str()), (100, "s-0900"));
    }
    assert_eq!(store.stats().unwrap().streams, 1_000);
}

#[test]
fn a_list_that_a_close_cuts_short_says_so() {
    let store = EventStore::in_memory().unwrap();
    for id in ["one", "three", "two"] {
        append(&store, id);
    }
    let (mut cut, mut ended) = (store.streams(), store.streams());
    assert_eq!(cut.next().unwrap().unwrap().stream_id(), "one");
    assert_eq!(ended.by_ref().take(3).filter(Result::is_ok).count(), 3);
    store.close().unwrap();
    assert!(matches!(cut.next(), Some(Err(Error::Closed))));
    assert!(cut.next().is_none());
    assert!(ended.next().is_none());
}

/// The tail lists fewer streams than the trees between two names, so that its part of a list goes
/// further than theirs.
#[test]
fn a_list_over_the_tail_and_the_trees_leaves_no_stream_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let mut due: Vec<String> = (0..900).map(|number| format!("s-{number:04}")).collect();
    due.iter().for_each(|id| append(&store, id));
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    let in_tail: Vec<String> = (0..300).map(|number| format!("s-{:04}-t", number * 3)).collect();
    in_tail.iter().for_each(|id| append(&store, id));
    due.extend(in_tail);
    due.sort();
    let names: Vec<String> = listed(&store, "").into_iter().map(|(id, _)| id).collect();
    assert_eq!(names, due);
}
