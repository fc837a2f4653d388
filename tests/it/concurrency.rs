//! Several threads at once: no gap, no hole, no lost event, conflicts only where they are due.

use std::{
    collections::HashSet,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::units::{AppendUnits, Unit};
use annals::{AppendError, Durability, Error, EventStore, ExpectedVersion, NewEvent, Options};

use ExpectedVersion::{Any, Exact};

/// A store whose events move into the trees all the time.
fn busy(directory: &tempfile::TempDir) -> EventStore {
    let options = Options::new().tail_bytes(16 << 10).journal_bytes(64 << 10);
    options.open(directory.path().join("store")).unwrap()
}

fn event(number: u64) -> NewEvent {
    NewEvent::json("Counted", &number).unwrap()
}

/// A group takes 4 MiB: what does not fit stays in the queue, together with what came later.
#[test]
fn appends_that_a_full_group_leaves_over_are_answered() {
    const MIB: usize = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    let buffered = Durability::Buffered { max_delay: Duration::from_secs(1) };
    let options = Options::new().durability(buffered).journal_bytes(64 << 20);
    let store = options.open(directory.path().join("store")).unwrap();
    let barrier = Barrier::new(7);
    thread::scope(|scope| {
        // While the first is written, the others queue.
        for (thread, size) in [8 * MIB, 3 * MIB, 3 * MIB, 3 * MIB, 10, 10, 10].iter().enumerate() {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                for round in 0..12 {
                    let event = NewEvent::binary("Sized", vec![round; *size]).unwrap();
                    barrier.wait();
                    store.append(format!("s-{thread}"), Any, [event]).unwrap();
                }
            });
        }
    });
    assert_eq!(store.head().unwrap(), 7 * 12);
}

#[test]
fn appends_of_many_threads_are_all_there_in_one_order() {
    const THREADS: u64 = 8;
    const APPENDS: u64 = 150;
    let directory = tempfile::tempdir().unwrap();
    let buffered = Durability::Buffered { max_delay: Duration::from_millis(2) };
    let options = Options::new().durability(buffered).tail_bytes(16 << 10);
    let stores = [busy(&directory), options.open(directory.path().join("buffered")).unwrap()];
    for store in stores {
        let places = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (store, places) = (&store, &places);
                scope.spawn(move || {
                    for number in 0..APPENDS {
                        let events = (0..=number % 4).map(event);
                        let stream = format!("s-{}", (thread + number) % 5);
                        let appended = store.append(&stream, Any, events).unwrap();
                        let seen = store.head().unwrap();
                        assert!(seen >= *appended.positions().end(), "visible when it returns");
                        places.lock().unwrap().push((stream, appended));
                    }
                });
            }
        });
        let places = places.into_inner().unwrap();
        let mut positions = HashSet::new();
        for (stream, appended) in places {
            for (position, version) in appended.positions().zip(appended.versions()) {
                assert!(positions.insert(position), "a position is given once");
                let found = store.read_all().from_position(position).next().unwrap().unwrap();
                assert_eq!((found.stream_id(), found.version()), (stream.as_str(), version));
            }
        }
        assert_eq!(positions.len() as u64, store.head().unwrap());
        assert_eq!(store.verify().unwrap().findings, []);
    }
}

#[test]
fn of_appends_that_expect_one_version_exactly_one_wins() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 60;
    let directory = tempfile::tempdir().unwrap();
    let store = busy(&directory);
    let (wins, conflicts) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for version in 0..ROUNDS {
                    match store.append("contended", Exact(version), [event(version)]) {
                        Ok(appended) => {
                            assert_eq!(*appended.versions().start(), version + 1);
                            wins.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(AppendError::Conflict(conflict)) => {
                            assert!(conflict.actual > version, "no reported version is too low");
                            conflicts.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    assert_eq!(wins.into_inner(), ROUNDS);
    assert_eq!(conflicts.into_inner(), (THREADS - 1) * ROUNDS);
    assert_eq!(store.stream_version("contended").unwrap(), ROUNDS);
}

#[test]
fn concurrent_retries_of_one_append_write_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = busy(&directory);
    for round in 0..50_u128 {
        let answers = Mutex::new(HashSet::new());
        let written = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let ids = [3 * round, 3 * round + 1].map(uuid::Uuid::from_u128);
                    let events = ids.map(|id| event(1).id(id));
                    let appended = store.append("s", Any, events).unwrap();
                    written.fetch_add(u64::from(!appended.is_replay()), Ordering::Relaxed);
                    answers.lock().unwrap().insert(appended);
                });
            }
        });
        assert_eq!(answers.into_inner().unwrap().len(), 1, "all get the same answer");
        assert_eq!(written.into_inner(), 1, "and all but one are replays");
    }
    assert_eq!(store.head().unwrap(), 100);
}

#[test]
fn of_concurrent_appends_with_one_id_and_other_contents_one_is_written() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 100;
    let directory = tempfile::tempdir().unwrap();
    let store = busy(&directory);
    for round in 1..=ROUNDS {
        let id = uuid::Uuid::from_u128(u128::from(round));
        let written = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (store, written) = (&store, &written);
                scope.spawn(move || match store.append("s", Any, [event(thread).id(id)]) {
                    Ok(appended) => {
                        assert!(!appended.is_replay());
                        written.lock().unwrap().push(thread);
                    }
                    Err(AppendError::Failed(Error::DuplicateEventId { position, .. })) => {
                        assert_eq!(position, Some(round));
                    }
                    Err(other) => panic!("{other}"),
                });
            }
        });
        let stored = store.read_all().from_position(round).next().unwrap().unwrap();
        assert_eq!(written.into_inner().unwrap(), [stored.json::<u64>().unwrap()]);
    }
    assert_eq!(store.head().unwrap(), ROUNDS);
}

#[test]
fn readers_see_whole_units_in_order_while_others_write() {
    const UNITS: u64 = 400;
    let directory = tempfile::tempdir().unwrap();
    let store = busy(&directory);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Acquire) {
                    check_view(&store);
                }
                check_view(&store);
            });
        }
        for number in 0..UNITS {
            let units = ["left", "right"].map(|stream| Unit::to(stream, Any, [event(number)]));
            store.append_multi(units).unwrap();
        }
        is_done.store(true, Ordering::Release);
    });
    assert_eq!(store.head().unwrap(), 2 * UNITS);
    assert_eq!(store.verify().unwrap().findings, []);
}

/// Every unit has one event for each of two streams, with its own number.
#[track_caller]
fn check_view(store: &EventStore) {
    let numbers: Vec<(u64, u64)> = store
        .read_all()
        .map(|event| event.unwrap())
        .map(|event| (event.position(), event.json().unwrap()))
        .collect();
    assert_eq!(numbers.len() % 2, 0, "a unit is seen whole");
    for (index, &(position, number)) in numbers.iter().enumerate() {
        assert_eq!((position, number), (index as u64 + 1, index as u64 / 2));
    }
    let versions: Vec<u64> =
        store.read_stream("right").map(|event| event.unwrap().version()).collect();
    assert!(versions.iter().zip(1..).all(|(&version, due)| version == due));
    let back: Vec<u64> =
        store.read_stream("left").backward().map(|event| event.unwrap().version()).collect();
    assert!(back.iter().rev().zip(1..).all(|(&version, due)| version == due));
    let streams: Vec<u64> = store.streams().map(|stream| stream.unwrap().version()).collect();
    assert!(streams.windows(2).all(|pair| pair[0] == pair[1]), "{streams:?} at one head");
}

#[test]
fn a_close_amid_appends_loses_none_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let buffered = Durability::Buffered { max_delay: Duration::from_secs(60) };
    for durability in [Durability::Sync, buffered] {
        let options = Options::new().durability(durability).tail_bytes(16 << 10);
        let store = options.open(&path).unwrap();
        let before = store.head().unwrap();
        let acknowledged = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        match store.append("s", Any, [event(1)]) {
                            Ok(_) => acknowledged.fetch_add(1, Ordering::AcqRel),
                            Err(AppendError::Failed(Error::Closed)) => break,
                            Err(other) => panic!("{other}"),
                        };
                    }
                });
            }
            while acknowledged.load(Ordering::Acquire) < 200 {
                thread::yield_now();
            }
            store.close().unwrap();
        });
        let store = options.open(&path).unwrap();
        assert_eq!(store.head().unwrap(), before + acknowledged.into_inner());
        assert_eq!(store.verify().unwrap().findings, []);
    }
}
