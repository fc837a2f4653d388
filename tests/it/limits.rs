//! Every limit: at it an append is stored, one past it nothing is.

use crate::support::units::{AppendUnits, Unit};
use annals::{
    AppendError, Error, ErrorCode, EventStore, ExpectedVersion, NewEvent,
    limits::{
        APPEND_BYTES_MAX, APPEND_EVENTS_MAX, EVENT_BYTES_MAX, JSON_DEPTH_MAX, NAME_BYTES_MAX,
    },
};

use ExpectedVersion::Any;

fn store_in(directory: &tempfile::TempDir) -> EventStore {
    EventStore::open(directory.path().join("store")).unwrap()
}

fn bytes(len: usize) -> NewEvent {
    NewEvent::binary("T", vec![7; len]).unwrap()
}

#[track_caller]
fn check_limit(store: &EventStore, units: Vec<Unit>, limit: usize, actual: usize) {
    let head = store.head().unwrap();
    match store.append_multi(units) {
        Err(AppendError::Failed(Error::LimitExceeded { limit: stated, actual: found, .. })) => {
            assert_eq!((stated, found), (limit as u64, actual as u64));
        }
        other => panic!("a limit of {limit} was due, not {other:?}"),
    }
    assert_eq!(store.head().unwrap(), head);
}

#[test]
fn names_are_1_to_255_bytes_of_utf8_without_nul() {
    let store = EventStore::in_memory().unwrap();
    // 127 letters of two bytes and one of one.
    let longest = "\u{e9}".repeat(NAME_BYTES_MAX / 2) + "x";
    assert_eq!(longest.len(), NAME_BYTES_MAX);
    let event = |event_type: &str| NewEvent::json(event_type, &1).unwrap();
    store.append(&longest, Any, [event(&longest)]).unwrap();
    store.append("x", Any, [event("x")]).unwrap();
    assert_eq!(store.read_stream(&longest).count(), 1);
    let stored = store.read_all().next().unwrap().unwrap();
    assert_eq!((stored.stream_id(), stored.event_type()), (&*longest, &*longest));

    let past = longest + "y";
    let to = |stream: &str, event_type: &str| vec![Unit::to(stream, Any, [event(event_type)])];
    check_limit(&store, to(&past, "x"), NAME_BYTES_MAX, NAME_BYTES_MAX + 1);
    check_limit(&store, to("x", &past), NAME_BYTES_MAX, NAME_BYTES_MAX + 1);
    for (stream, event_type) in [("", "x"), ("x", ""), ("a\0b", "x"), ("x", "a\0b")] {
        let error = store.append_multi(to(stream, event_type)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{stream:?} {event_type:?}");
    }
    assert_eq!(store.stream_version(&past).unwrap_err().code(), ErrorCode::LimitExceeded);
    assert_eq!(store.stream_version("a\0").unwrap_err().code(), ErrorCode::InvalidArgument);
    let read = |stream: &str| store.read_stream(stream).next().unwrap().unwrap_err().code();
    assert_eq!(read(&past), ErrorCode::LimitExceeded);
    assert_eq!(read(""), ErrorCode::InvalidArgument);
}

#[test]
fn an_event_is_16_mib_with_all_its_parts() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    let metadata = "{\"k\":1}";
    let with = |data: usize| bytes(data).raw_metadata(metadata).unwrap();
    let rest = "stream".len() + "T".len() + metadata.len();
    let largest = EVENT_BYTES_MAX - rest;
    store.append("stream", Any, [with(largest)]).unwrap();
    let past = vec![Unit::to("stream", Any, [with(largest + 1)])];
    check_limit(&store, past, EVENT_BYTES_MAX, EVENT_BYTES_MAX + 1);
    store.close().unwrap();
    let store = store_in(&directory);
    let event = store.read_stream("stream").next().unwrap().unwrap();
    assert_eq!((event.data().len(), event.metadata()), (largest, Some(metadata)));
    assert!(event.data().iter().all(|&byte| byte == 7));
    assert_eq!(store.verify().unwrap().findings, []);
    let blobs = directory.path().join("store/trees/blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0, "no file beside the log");
}

#[test]
fn an_append_is_64_mib_over_all_its_events() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    let part = EVENT_BYTES_MAX - 2;
    let quarter = |stream: &str, len: usize| Unit::to(stream, Any, [bytes(len)]);
    let units = |last: usize| {
        vec![quarter("a", part), quarter("b", part), quarter("c", part - 1), quarter("d", last)]
    };
    // One byte short in the third leaves room for one more in a fifth.
    let mut past = units(part);
    past.push(Unit::to("e", Any, [NewEvent::binary("T", []).unwrap()]));
    check_limit(&store, past, APPEND_BYTES_MAX, APPEND_BYTES_MAX + 1);
    store.append_multi(units(part)).unwrap();
    let exact =
        vec![quarter("a", part), quarter("b", part), quarter("c", part), quarter("d", part)];
    assert_eq!(store.append_multi(exact).unwrap().len(), 4);
    store.close().unwrap();
    let store = store_in(&directory);
    let sizes: Vec<usize> = store.read_all().map(|event| event.unwrap().data().len()).collect();
    let exact = [part; 4];
    assert_eq!(sizes, [[part, part, part - 1, part], exact].concat());
}

#[test]
fn an_append_is_100_000_events() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    let events = |count: usize| (0..count).map(|n| NewEvent::json("N", &n).unwrap());
    let halves = |first: usize, second: usize| {
        vec![Unit::to("a", Any, events(first)), Unit::to("b", Any, events(second))]
    };
    let half = APPEND_EVENTS_MAX / 2;
    check_limit(&store, halves(half, half + 1), APPEND_EVENTS_MAX, APPEND_EVENTS_MAX + 1);
    store.append_multi(halves(half, half)).unwrap();
    store.close().unwrap();
    let store = store_in(&directory);
    assert_eq!(store.head().unwrap(), APPEND_EVENTS_MAX as u64);
    for (number, event) in store.read_stream("b").enumerate() {
        assert_eq!(event.unwrap().json::<usize>().unwrap(), number);
    }
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn json_nests_128_deep() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let store = EventStore::in_memory().unwrap();
    let deepest = NewEvent::raw_json("T", &nested(JSON_DEPTH_MAX)).unwrap();
    store.append("s", Any, [deepest]).unwrap();
    let event = store.read_all().next().unwrap().unwrap();
    assert!(event.json::<serde_json::Value>().unwrap().is_array(), "what is stored can be read");
    let object = |depth: usize| "{\"k\":".repeat(depth) + "1" + &"}".repeat(depth);
    assert!(NewEvent::raw_json("T", &nested(JSON_DEPTH_MAX)).is_ok());
    assert!(NewEvent::raw_json("T", &nested(JSON_DEPTH_MAX + 1)).is_err());
    let event = || NewEvent::raw_json("T", "1").unwrap();
    assert!(event().raw_metadata(&object(JSON_DEPTH_MAX)).is_ok());
    assert!(event().raw_metadata(&object(JSON_DEPTH_MAX + 1)).is_err());
    // Brackets in strings nest nothing, and depth is not a count.
    let text = format!("[\"{}\", {}]", "[".repeat(500), "[],".repeat(500) + "1");
    assert!(NewEvent::raw_json("T", &text).is_ok());
}
