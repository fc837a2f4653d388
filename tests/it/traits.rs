//! What the types of the API can be used for: shared by threads, moved to one, printed.

use std::{fmt::Debug, panic::UnwindSafe};

use annals::{
    AppendError, Appended, Error, EventStore, Events, ExpectedVersion, Handlers, LiveProjection,
    Loaded, Metrics, NewEvent, Options, Projection, Reader, RecordedEvent, Report, Snapshot,
    Streams, Subscription, Timestamp, Upcasters, UpdateError,
};

fn shared<T: Send + Sync + Debug + 'static>() {}

fn moved<T: Send + Debug + 'static>() {}

/// A type that loses one of these is another API.
#[test]
fn threads_may_share_and_take_what_they_need() {
    shared::<EventStore>();
    shared::<Reader>();
    shared::<Options>();
    shared::<Upcasters>();
    shared::<NewEvent>();
    shared::<RecordedEvent>();
    shared::<Appended>();
    shared::<ExpectedVersion>();
    shared::<Timestamp>();
    shared::<Snapshot>();
    shared::<Report>();
    shared::<Metrics>();
    shared::<Loaded<u64>>();
    shared::<Error>();
    shared::<AppendError>();
    shared::<UpdateError<String>>();
    shared::<Handlers<u64>>();
    shared::<LiveProjection<u64>>();
    moved::<Events>();
    moved::<Streams>();
    moved::<Subscription>();
    moved::<Projection<u64>>();
}

#[test]
fn values_may_cross_a_caught_panic() {
    fn crosses<T: UnwindSafe>() {}
    crosses::<NewEvent>();
    crosses::<RecordedEvent>();
    crosses::<Timestamp>();
}

#[test]
fn printing_a_store_shows_none_of_its_events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let event = NewEvent::json("T", "a secret")
        .unwrap()
        .metadata(&serde_json::json!({"why": "another secret"}))
        .unwrap();
    store.append("s", ExpectedVersion::Any, [event]).unwrap();
    let mut events = store.read_all();
    assert!(events.next().is_some());
    let reader = Reader::open(&path).unwrap();
    let subscription = reader.subscribe(1).unwrap();
    for printed in [
        format!("{store:?}"),
        format!("{reader:?}"),
        format!("{events:?}"),
        format!("{subscription:?}"),
    ] {
        assert!(!printed.contains("secret"), "{printed}");
        // As numbers, which is how bytes are printed.
        assert!(!printed.contains("115, 101, 99, 114"), "{printed}");
        assert!(printed.len() < 1_000, "{printed}");
    }
    assert_eq!(format!("{store:?}"), format!("EventStore {{ path: Some({path:?}), head: 1, .. }}"));
}
