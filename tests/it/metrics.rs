//! What a store counts and measures.

use std::thread;

use annals::{
    Batch, Error, EventStore,
    ExpectedVersion::{Any, Exact},
    NewEvent, Options, Reader,
};
use uuid::Uuid;

fn event(number: u64) -> NewEvent {
    NewEvent::json("T", &format!("{number:0>300}")).unwrap()
}

#[test]
fn appends_are_counted_by_their_outcome() {
    let store = EventStore::in_memory().unwrap();
    store.append("s", Any, [event(1), event(2)]).unwrap();
    store.append("s", Exact(2), [event(3).id(Uuid::nil())]).unwrap();
    store.append("s", Exact(2), [event(3).id(Uuid::nil())]).unwrap();
    store.append("s", Exact(9), [event(4)]).unwrap_err();
    store.append("", Any, [event(5)]).unwrap_err();
    store.save_checkpoint("c", 1).unwrap();
    let metrics = store.metrics();
    assert_eq!(metrics.append_nanos.count(), 3);
    assert_eq!((metrics.append_conflicts, metrics.append_replays), (1, 1));
    assert_eq!(metrics.events_written, 3);
    // Alone, each request is a group, one that is refused there as well.
    assert_eq!((metrics.group_requests.count(), metrics.group_requests.max()), (5, 1));
    assert_eq!((metrics.sync_nanos.count(), metrics.drain_nanos.count()), (0, 0));
    assert_eq!((metrics.version_cache_hits, metrics.version_cache_misses), (3, 1));
    let nanos = &metrics.append_nanos;
    assert!(nanos.sum() >= nanos.max() && nanos.max() >= nanos.mean() && nanos.mean() > 0);
}

#[test]
fn tickets_are_timed_from_their_submission_to_their_answer() {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = EventStore::open(directory.path().join("store")).unwrap();
    for store in [on_disk, EventStore::in_memory().unwrap()] {
        let submit = |expected| Batch::new().append("s", expected, [event(1)]).submit(&store);
        submit(Any).unwrap().wait().unwrap();
        submit(Exact(1)).unwrap().wait().unwrap();
        submit(Exact(9)).unwrap().wait().unwrap_err();
        let metrics = store.metrics();
        assert_eq!((metrics.ticket_nanos.count(), metrics.append_nanos.count()), (2, 0));
        assert!(metrics.ticket_nanos.sum() >= metrics.sync_nanos.sum());
        assert_eq!((metrics.append_conflicts, metrics.events_written), (1, 2));
    }
}

#[test]
fn groups_say_how_many_appends_shared_a_sync() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::open(directory.path().join("store")).unwrap();
    thread::scope(|scope| {
        for stream in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..50 {
                    store.append(format!("s-{stream}"), Any, [event(number)]).unwrap();
                }
            });
        }
    });
    let metrics = store.metrics();
    assert_eq!((metrics.append_nanos.count(), metrics.group_requests.sum()), (400, 400));
    assert_eq!(metrics.sync_nanos.count(), metrics.group_requests.count(), "one for each group");
    assert!(metrics.append_nanos.sum() >= metrics.sync_nanos.sum());
}

#[test]
fn drains_and_reads_are_measured_where_they_happen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options::new().tail_bytes(4_000).journal_bytes(64 << 10);
    let store = options.open(&path).unwrap();
    for number in 0..500 {
        store.append(format!("s-{}", number % 3), Any, [event(number)]).unwrap();
    }
    store.close().unwrap();
    let metrics = store.metrics();
    assert!(metrics.drain_nanos.count() > 0, "{metrics:?}");
    assert_eq!(metrics.events_drained, 500);

    let store = options.open(&path).unwrap();
    assert_eq!(store.metrics().events_drained, 0, "they count from the open");
    assert_eq!(store.read_all().count(), 500);
    let of_all = store.metrics().page_nanos.count();
    assert!(of_all > 0);
    assert_eq!(store.read_stream("s-1").count(), 167);
    assert!(store.metrics().page_nanos.count() > of_all);
    store.append("s-1", Any, [event(1)]).unwrap();
    let before = store.metrics().tail_pages;
    assert!(store.read_stream("s-1").backward().next().is_some());
    assert_eq!(store.metrics().tail_pages, before + 1);

    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.read_all().count(), 501);
    assert!(reader.metrics().page_nanos.count() > 0);
    assert_eq!(reader.metrics().append_nanos.count(), 0);
}

#[test]
fn they_are_one_json_object() -> Result<(), Box<dyn std::error::Error>> {
    let store = EventStore::in_memory()?;
    store.append("s", Any, [event(1)])?;
    let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&store.metrics())?)?;
    let append = &json["append_nanos"];
    assert_eq!(append["count"], 1);
    for field in ["sum", "max", "p50", "p90", "p99", "p999"] {
        assert_eq!(append[field], append["max"], "of one value");
    }
    assert_eq!((&json["events_written"], &json["append_conflicts"]), (&1.into(), &0.into()));
    store.close()?;
    assert_eq!(store.metrics().events_written, 1, "also after the close");
    assert!(matches!(store.head(), Err(Error::Closed)));
    Ok(())
}
