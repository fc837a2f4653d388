//! Subscriptions: history and then what comes, without a gap or a repeat.

use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use annals::{ErrorCode, EventStore, ExpectedVersion, NewEvent, Options};

use ExpectedVersion::Any;

const NOW: Duration = Duration::ZERO;
/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(60);

fn append(store: &EventStore, stream: &str, event_type: &str) -> u64 {
    let event = NewEvent::json(event_type, &1).unwrap();
    *store.append(stream, Any, [event]).unwrap().positions().end()
}

fn positions(subscription: &mut annals::Subscription) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(event) = subscription.next_timeout(NOW).unwrap() {
        found.push(event.position());
    }
    found
}

#[test]
fn history_comes_first_and_then_what_is_appended() {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = EventStore::open(directory.path().join("store")).unwrap();
    for store in [EventStore::in_memory().unwrap(), on_disk] {
        (0..3).for_each(|_| assert!(append(&store, "s", "T") > 0));
        let mut all = store.subscribe(0).unwrap();
        let mut from_one = store.subscribe(1).unwrap();
        let mut from_three = store.subscribe(3).unwrap();
        let mut ahead = store.subscribe(5).unwrap();
        let mut never = store.subscribe(u64::MAX).unwrap();
        assert_eq!(positions(&mut all), [1, 2, 3]);
        assert_eq!(positions(&mut from_one), [1, 2, 3]);
        assert_eq!(positions(&mut from_three), [3]);
        assert!(positions(&mut ahead).is_empty());
        (0..3).for_each(|_| assert!(append(&store, "s", "T") > 0));
        assert_eq!(positions(&mut all), [4, 5, 6]);
        assert_eq!(positions(&mut from_three), [4, 5, 6]);
        assert_eq!(positions(&mut ahead), [5, 6], "a position past the head is waited for");
        assert!(positions(&mut never).is_empty());
        assert_eq!(all.position(), 6);
    }
}

/// Rejects a prefix in the place of a stream, and one that loses its place among other streams.
#[test]
fn one_stream_is_that_stream_alone() {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = Options::new().tail_bytes(4_000).open(directory.path().join("store")).unwrap();
    for store in [EventStore::in_memory().unwrap(), on_disk] {
        let mut one = store.subscribe(2).unwrap().stream("order-1");
        assert!(positions(&mut one).is_empty());
        for number in 0..300 {
            append(&store, ["order-1", "order-10", "other"][number % 3], "T");
        }
        let due: Vec<u64> = (4..=300).step_by(3).collect();
        assert_eq!(positions(&mut one), due);
        assert_eq!(one.position(), 300, "nothing up to the head is left");
        append(&store, "order-10", "T");
        assert!(positions(&mut one).is_empty());
        append(&store, "order-1", "T");
        assert_eq!(positions(&mut one), [302]);
        let mut some = store.subscribe(298).unwrap().stream("order-1").event_types(["U"]);
        append(&store, "order-1", "U");
        assert_eq!(positions(&mut some), [303]);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| one.next_timeout(LONG).unwrap().unwrap().position());
            append(&store, "other", "T");
            let due = append(&store, "order-1", "T");
            // The one before it was appended first.
            assert!([303, due].contains(&waiting.join().unwrap()));
        });
        let mut refused = store.subscribe(1).unwrap().stream("");
        assert_eq!(refused.next_timeout(NOW).unwrap_err().code(), ErrorCode::InvalidArgument);
        let mut refused = store.subscribe(1).unwrap().stream("order-1").stream_prefix("order");
        assert_eq!(refused.next_timeout(NOW).unwrap_err().code(), ErrorCode::InvalidArgument);
        let mut long = store.subscribe(1).unwrap().stream("s".repeat(256));
        assert_eq!(long.next_timeout(NOW).unwrap_err().code(), ErrorCode::LimitExceeded);
    }
}

#[test]
fn it_waits_for_the_next_event() {
    let store = EventStore::in_memory().unwrap();
    let mut events = store.subscribe(1).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let first = events.next().unwrap().unwrap().position();
            let second = events.next_timeout(LONG).unwrap().unwrap().position();
            (first, second)
        });
        append(&store, "s", "T");
        append(&store, "s", "T");
        assert_eq!(reader.join().unwrap(), (1, 2));
    });
}

#[test]
fn every_append_wakes_a_reader_that_waits() {
    let store = EventStore::in_memory().unwrap();
    let (seen, sees) = mpsc::channel();
    let mut events = store.subscribe(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..500 {
                seen.send(events.next().unwrap().unwrap().position()).unwrap();
            }
        });
        for number in 1..=500 {
            append(&store, "s", "T");
            assert_eq!(sees.recv_timeout(LONG), Ok(number), "it sleeps on");
        }
    });
}

#[test]
fn a_timeout_passes_without_an_event() {
    let store = EventStore::in_memory().unwrap();
    let mut events = store.subscribe(1).unwrap();
    let started = Instant::now();
    assert!(events.next_timeout(Duration::from_millis(30)).unwrap().is_none());
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert!(!events.is_cancelled());
    append(&store, "s", "T");
    assert_eq!(events.next_timeout(Duration::MAX).unwrap().unwrap().position(), 1);
}

#[test]
fn filters_are_those_of_reads_and_the_position_moves_past_what_they_leave_out() {
    let store = EventStore::in_memory().unwrap();
    for (stream, event_type) in
        [("order-1", "A"), ("order-1", "B"), ("user-1", "A"), ("order-2", "A"), ("user-1", "B")]
    {
        append(&store, stream, event_type);
    }
    let mut orders = store.subscribe(1).unwrap().event_types(["A"]).stream_prefix("order-");
    assert_eq!(orders.next_timeout(NOW).unwrap().unwrap().position(), 1);
    assert_eq!(orders.position(), 1);
    assert_eq!(positions(&mut orders), [4]);
    assert_eq!(orders.position(), 5);
    store.save_checkpoint("orders", orders.position()).unwrap();
    append(&store, "user-1", "A");
    append(&store, "order-3", "A");
    let after = store.checkpoint("orders").unwrap() + 1;
    let mut later = store.subscribe(after).unwrap().event_types(["A"]).stream_prefix("order-");
    assert_eq!(positions(&mut later), [7]);
    let mut all = store.subscribe(1).unwrap().event_types(Vec::<String>::new());
    assert_eq!(positions(&mut all).len(), 7, "no types filter nothing");

    for bad in ["", "a\0"] {
        let mut refused = store.subscribe(1).unwrap().event_types([bad]);
        let code = refused.next_timeout(NOW).unwrap_err().code();
        assert_eq!(code, ErrorCode::InvalidArgument);
    }
    let mut refused = store.subscribe(1).unwrap().event_types(["x".repeat(256)]);
    assert_eq!(refused.next().unwrap().unwrap_err().code(), ErrorCode::LimitExceeded);
    assert!(refused.next().is_none(), "it ends after an error");
}

#[test]
fn it_can_be_cancelled_from_another_thread_while_it_waits() {
    let store = EventStore::in_memory().unwrap();
    let mut waiting = store.subscribe(1).unwrap();
    let mut timed = store.subscribe(1).unwrap();
    let handles = [waiting.cancel_handle(), timed.cancel_handle()];
    thread::scope(|scope| {
        let one = scope.spawn(move || waiting.next().is_none() && waiting.next().is_none());
        let other = scope.spawn(move || {
            let next = timed.next_timeout(LONG).unwrap();
            next.is_none() && timed.is_cancelled()
        });
        handles.iter().for_each(annals::CancelHandle::cancel);
        handles[0].clone().cancel();
        assert!(one.join().unwrap() && other.join().unwrap());
    });
    let mut cancelled = store.subscribe(1).unwrap();
    append(&store, "s", "T");
    cancelled.cancel_handle().cancel();
    assert!(cancelled.next().is_none(), "what is there is not delivered either");
}

#[test]
fn a_timeout_of_zero_finds_what_is_there_after_any_number_that_does_not_pass() {
    let store = EventStore::in_memory().unwrap();
    for _ in 0..3 {
        let events = (0..1_000).map(|n| NewEvent::json("Other", &n).unwrap());
        store.append("s", Any, events).unwrap();
        append(&store, "s", "T");
    }
    let mut few = store.subscribe(1).unwrap().event_types(["T"]);
    assert_eq!(positions(&mut few), [1_001, 2_002, 3_003]);
    assert_eq!(few.position(), 3_003);
}

#[test]
fn closing_the_store_ends_the_wait() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "s", "T");
    let mut waiting = store.subscribe(2).unwrap();
    let mut timed = store.subscribe(1).unwrap();
    assert_eq!(positions(&mut timed), [1]);
    thread::scope(|scope| {
        let one = scope.spawn(move || waiting.next().unwrap().unwrap_err().code());
        let other = scope.spawn(move || timed.next_timeout(LONG).unwrap_err().code());
        store.close().unwrap();
        assert_eq!(one.join().unwrap(), ErrorCode::Closed);
        assert_eq!(other.join().unwrap(), ErrorCode::Closed);
    });
    assert_eq!(store.subscribe(1).unwrap_err().code(), ErrorCode::Closed);
}

#[test]
fn readers_amid_writers_get_every_event_once_and_in_order() {
    const WRITERS: u64 = 4;
    const APPENDS: u64 = 150;
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().tail_bytes(16 << 10).journal_bytes(64 << 10);
    let store = options.open(directory.path().join("store")).unwrap();
    let last = AtomicU64::new(0);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|number| {
                let (store, last, is_done) = (&store, &last, &is_done);
                scope.spawn(move || {
                    let mut events = store.subscribe(1).unwrap();
                    let mut due = 1;
                    loop {
                        match events.next_timeout(Duration::from_millis(number)).unwrap() {
                            Some(event) => {
                                assert_eq!(event.position(), due);
                                due += 1;
                            }
                            None => {
                                let is_over = is_done.load(Ordering::Acquire);
                                if is_over && due > last.load(Ordering::Acquire) {
                                    return due - 1;
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                scope.spawn(|| {
                    for number in 0..APPENDS {
                        let events = (0..=number % 3).map(|n| NewEvent::json("T", &n).unwrap());
                        let appended = store.append("s", Any, events).unwrap();
                        last.fetch_max(*appended.positions().end(), Ordering::AcqRel);
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_done.store(true, Ordering::Release);
        let head = store.head().unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), head);
        }
    });
}

#[test]
fn one_that_lags_goes_on_through_the_trees() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options::new().tail_bytes(4_000);
    let store = options.open(&path).unwrap();
    let mut slow = store.subscribe(1).unwrap();
    append(&store, "s", "T");
    assert_eq!(slow.next().unwrap().unwrap().position(), 1);
    for _ in 0..500 {
        append(&store, "s", "T");
    }
    assert_eq!(positions(&mut slow), (2..=501).collect::<Vec<_>>());
    drop((slow, store));
    let store = options.open(&path).unwrap();
    assert_eq!(positions(&mut store.subscribe(400).unwrap()).len(), 102);
}
