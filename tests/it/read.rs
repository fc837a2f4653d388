//! Reading: both directions, every start, limits and filters, on events in the tail and in the
//! trees.

use annals::{ErrorCode, EventStore, Events, ExpectedVersion, NewEvent, Options};

use ExpectedVersion::Any;

const TYPES: [&str; 3] = ["Opened", "Changed", "Closed"];

/// Position p is in stream s-(p % 4) with type p % 3; the last of them are still in the tail.
fn fill(store: &EventStore, count: u64) {
    for position in 1..=count {
        let event_type = TYPES[(position % 3) as usize];
        let event = NewEvent::json(event_type, &position).unwrap();
        store.append(format!("s-{}", position % 4), Any, [event]).unwrap();
    }
}

fn positions(events: Events) -> Vec<u64> {
    events.map(|event| event.unwrap().position()).collect()
}

fn versions(events: Events) -> Vec<u64> {
    events.map(|event| event.unwrap().version()).collect()
}

/// Runs a check on a store in memory, on one with most events in its trees, and on one after a
/// reopen.
fn with_stores(count: u64, check: impl Fn(&EventStore)) {
    let memory = EventStore::in_memory().unwrap();
    fill(&memory, count);
    check(&memory);
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().tail_bytes(4_000);
    let store = options.open(directory.path().join("store")).unwrap();
    fill(&store, count);
    check(&store);
    store.close().unwrap();
    check(&options.open(directory.path().join("store")).unwrap());
}

#[test]
fn all_events_in_both_directions_from_anywhere() {
    with_stores(300, |store| {
        let all: Vec<u64> = (1..=300).collect();
        assert_eq!(positions(store.read_all()), all);
        let back: Vec<u64> = (1..=300).rev().collect();
        assert_eq!(positions(store.read_all().backward()), back);
        for start in [0, 1, 2, 150, 299, 300, 301, u64::MAX] {
            let due: Vec<u64> = (start.max(1)..=300).collect();
            assert_eq!(positions(store.read_all().from_position(start)), due, "{start}");
            let due: Vec<u64> = (1..=start.min(300)).rev().collect();
            let back = store.read_all().from_position(start).backward();
            assert_eq!(positions(back), due, "{start} backward");
        }
    });
}

#[test]
fn one_stream_in_both_directions_from_anywhere() {
    with_stores(300, |store| {
        // Stream s-1 holds positions 1, 5, 9 .. 297 as versions 1 .. 75.
        let read = || store.read_stream("s-1");
        assert_eq!(versions(read()), (1..=75).collect::<Vec<_>>());
        assert_eq!(
            positions(read().backward()),
            (0..75).rev().map(|n| 4 * n + 1).collect::<Vec<_>>()
        );
        for start in [0, 1, 2, 40, 75, 76, u64::MAX] {
            let due: Vec<u64> = (start.max(1)..=75).collect();
            assert_eq!(versions(read().from_version(start)), due, "{start}");
            let due: Vec<u64> = (1..=start.min(75)).rev().collect();
            assert_eq!(versions(read().from_version(start).backward()), due, "{start} backward");
        }
        for start in [0, 1, 2, 5, 6, 200, 297, 298, u64::MAX] {
            let due: Vec<u64> = (0..75).map(|n| 4 * n + 1).filter(|&p| p >= start).collect();
            assert_eq!(positions(read().from_position(start)), due, "{start}");
            let mut due: Vec<u64> = (0..75).map(|n| 4 * n + 1).filter(|&p| p <= start).collect();
            due.reverse();
            let back = read().from_position(start).backward();
            assert_eq!(positions(back), due, "{start} backward");
        }
        // Both starts: the one further on in the direction of reading holds.
        assert_eq!(versions(read().from_version(10).from_position(277)), [70, 71, 72, 73, 74, 75]);
        assert_eq!(versions(read().from_version(3).from_position(277).backward()), [3, 2, 1]);
        assert!(positions(store.read_stream("nobody")).is_empty());
    });
}

#[test]
fn limits_count_what_passes_the_filters() {
    with_stores(60, |store| {
        assert!(positions(store.read_all().limit(0)).is_empty());
        assert_eq!(positions(store.read_all().limit(2)), [1, 2]);
        assert_eq!(positions(store.read_all().limit(u64::MAX)).len(), 60);
        let closed = store.read_all().event_types(["Closed"]).limit(3);
        assert_eq!(positions(closed), [2, 5, 8]);
        let closed = store.read_all().event_types(["Closed"]).limit(2).backward();
        assert_eq!(positions(closed), [59, 56]);
        let in_stream = store.read_stream("s-1").event_types(["Closed", "Opened"]).limit(3);
        assert_eq!(positions(in_stream), [5, 9, 17]);
        assert!(positions(store.read_all().event_types(["Unknown"])).is_empty());
        assert_eq!(positions(store.read_all().event_types(Vec::<String>::new())).len(), 60);
    });
}

#[test]
fn prefixes_filter_reads_of_all() {
    let store = EventStore::in_memory().unwrap();
    for stream in ["order-1", "order", "orders", "customer-1"] {
        store.append(stream, Any, [NewEvent::json("T", &1).unwrap()]).unwrap();
    }
    assert_eq!(positions(store.read_all().stream_prefix("order-")), [1]);
    assert_eq!(positions(store.read_all().stream_prefix("order")), [1, 2, 3]);
    assert_eq!(positions(store.read_all().stream_prefix("")), [1, 2, 3, 4]);
    assert!(positions(store.read_all().stream_prefix("z")).is_empty());
}

#[test]
fn what_fits_the_other_kind_of_read_is_an_invalid_argument() {
    let store = EventStore::in_memory().unwrap();
    fill(&store, 3);
    let code = |mut events: Events| {
        let code = events.next().unwrap().unwrap_err().code();
        assert!(events.next().is_none(), "an iterator ends after an error");
        code
    };
    let wrong = [
        store.read_all().from_version(1),
        store.read_stream("s-1").stream_prefix("s"),
        store.read_stream(""),
        store.read_all().event_types([""]),
        store.read_all().event_types(["a\0"]),
    ];
    for events in wrong {
        assert_eq!(code(events), ErrorCode::InvalidArgument);
    }
    assert_eq!(code(store.read_stream("x".repeat(256))), ErrorCode::LimitExceeded);
}

#[test]
fn an_iterator_sees_the_head_of_its_creation() {
    with_stores(30, |store| {
        let head = store.head().unwrap();
        let all = store.read_all();
        let of_stream = store.read_stream("s-1");
        let streams = store.streams();
        for _ in 0..100 {
            let event = || NewEvent::json("Late", &"x".repeat(100)).unwrap();
            store.append("s-1", Any, [event(), event()]).unwrap();
            store.append("late", Any, [event()]).unwrap();
        }
        assert_eq!(positions(all).last(), Some(&head));
        assert!(positions(of_stream).iter().all(|&position| position <= head));
        let seen: Vec<_> = streams.map(|stream| stream.unwrap()).collect();
        let total: u64 = seen.iter().map(annals::StreamInfo::version).sum();
        assert_eq!(total, head, "versions as of the head");
    });
}

#[test]
fn events_share_their_record() {
    let store = EventStore::in_memory().unwrap();
    let events = (0..10).map(|n| NewEvent::json("T", &n).unwrap());
    store.append("s", Any, events).unwrap();
    let events: Vec<_> = store.read_all().map(Result::unwrap).collect();
    let spread = events[0].data().as_ptr().addr().abs_diff(events[9].data().as_ptr().addr());
    assert!(spread < 4_096, "ten small events lie in one record");
    drop(store);
    assert_eq!(events[9].json::<u32>().unwrap(), 9, "an event outlives its store");
}

#[test]
fn large_and_small_events_interleave() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().tail_bytes(100_000).journal_bytes(300_000);
    let store = options.open(directory.path().join("store")).unwrap();
    let sizes = [0, 1, 4_000, 4_096, 5_000, 32_000, 32_768, 33_000, 65_536, 100_000, 400_000];
    let data = |n: usize| vec![(n % 251) as u8; sizes[n % sizes.len()] + n / sizes.len()];
    for n in 0..88 {
        store.append("s", Any, [NewEvent::binary("T", data(n)).unwrap()]).unwrap();
    }
    let check = |store: &EventStore| {
        for (n, event) in store.read_stream("s").enumerate() {
            assert_eq!(event.unwrap().data(), data(n));
        }
        for (n, event) in store.read_all().backward().enumerate() {
            assert_eq!(event.unwrap().data(), data(87 - n));
        }
        assert_eq!(store.verify().unwrap().findings, []);
    };
    check(&store);
    store.close().unwrap();
    check(&options.open(directory.path().join("store")).unwrap());
}
