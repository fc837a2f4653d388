//! What is derived from events: projections, live projections, subscriptions, what they save.

use std::{
    cell::RefCell,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use annals::{Durability, EventStore, Handlers, LiveProjection, Projection};

use crate::{
    rounds::{Rounds, median, timed},
    workloads::{append_bulk, append_each, data, directory, store},
};

/// Counts events and adds up their bytes: as trivial as a handler with a state can be.
fn count() -> Handlers<(u64, u64)> {
    Handlers::new().when("Happened", |(events, bytes): &mut (u64, u64), event| {
        *events += 1;
        *bytes += event.data().len() as u64;
        Ok(())
    })
}

fn projection(store: &EventStore) -> Projection<(u64, u64)> {
    Projection::new("count", store, (0, 0), count())
}

/// A projection from zero over a million events, beside a bare read of them.
pub(crate) fn catch_up(run: &Rounds) {
    const EVENTS: u64 = 1_000_000;
    if !run.wants("catch_up") {
        return;
    }
    let (directory, data) = (directory(), data());
    let store = store(&directory, Durability::Sync);
    append_bulk(&store, &data, EVENTS, 20_000);
    let due = (EVENTS, EVENTS * data.len() as u64);
    run.compare(
        "catch_up",
        vec![
            (
                "annals, read_all",
                Box::new(|| {
                    timed(EVENTS, || {
                        let read = store.read_all().map(|event| event.unwrap().data().len() as u64);
                        assert_eq!(read.sum::<u64>(), due.1);
                    })
                }),
            ),
            (
                "annals, catch_up, a handler for each",
                Box::new(|| {
                    let mut projection = projection(&store);
                    let timed =
                        timed(EVENTS, || assert_eq!(projection.catch_up().unwrap(), EVENTS));
                    assert_eq!(*projection.state(), due);
                    timed
                }),
            ),
            (
                "annals, subscription",
                Box::new(|| {
                    let mut events = store.subscribe(1).unwrap();
                    timed(EVENTS, || {
                        (0..EVENTS).for_each(|_| assert!(events.next().unwrap().is_ok()));
                    })
                }),
            ),
        ],
    );
}

/// What following every append costs it.
pub(crate) fn live(run: &Rounds) {
    const APPENDS: u64 = 1_000;
    if !run.wants("live") {
        return;
    }
    let data = data();
    let follow = |store: &EventStore, count: usize| -> Vec<LiveProjection<(u64, u64)>> {
        (0..count).map(|_| projection(store).live().unwrap()).collect()
    };
    for place in ["on disk", "in memory"] {
        let directory = directory();
        let append = |projections: usize| {
            let store = match place {
                "on disk" => EventStore::open(directory.path().join(projections.to_string())),
                _ => EventStore::in_memory(),
            };
            let store = store.unwrap();
            let followers = follow(&store, projections);
            let head = store.head().unwrap();
            let appends = if place == "on disk" { APPENDS } else { APPENDS * 50 };
            let timed = timed(appends, || append_each(&store, &data, appends, 0));
            let is_done = |live: &LiveProjection<_>| live.position() == head + appends;
            assert!(followers.iter().all(is_done));
            timed
        };
        run.compare(
            &format!("live, {place}"),
            vec![
                ("append, no projection", Box::new(|| append(0))),
                ("append, 1 live projection", Box::new(|| append(1))),
                ("append, 10 live projections", Box::new(|| append(10))),
            ],
        );
    }
}

/// Durable appends beside a live projection, without snapshots and with one after every 100 events:
/// the average, and the slowest hundredth.
pub(crate) fn snapshots(run: &Rounds) {
    const APPENDS: u64 = 2_000;
    if !run.wants("snapshots") {
        return;
    }
    let (directory, data) = (directory(), data());
    let slow = [RefCell::new(Vec::new()), RefCell::new(Vec::new())];
    let append = |every: u64, slow: &RefCell<Vec<f64>>| {
        let store = EventStore::open(directory.path().join(every.to_string())).unwrap();
        let head = store.head().unwrap();
        let live = projection(&store).snapshot_every(every).live().unwrap();
        let mut times = Vec::new();
        let timed = timed(APPENDS, || {
            for number in 0..APPENDS {
                let start = Instant::now();
                append_each(&store, &data, 1, number);
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
        });
        assert_eq!(live.position(), head + APPENDS);
        slow.borrow_mut().push(quantile(times, 0.99));
        store.close().unwrap();
        timed
    };
    run.compare(
        "snapshots",
        vec![
            ("append, no snapshots", Box::new(|| append(0, &slow[0]))),
            ("append, one every 100 events", Box::new(|| append(100, &slow[1]))),
        ],
    );
    for (name, times) in ["no snapshots, p99", "one every 100 events, p99"].iter().zip(&slow) {
        run.tell("snapshots", name, median(&times.borrow()));
    }
}

/// The time from the return of an append to the event in a subscriber's hands, and from its start.
pub(crate) fn delivery(run: &Rounds) {
    const APPENDS: usize = 2_000;
    if !run.wants("delivery") {
        return;
    }
    let data = data();
    for durability in [Durability::Sync, Durability::buffered()] {
        let mut quantiles = vec![Vec::new(); 4];
        for _ in 0..run.count {
            let directory = directory();
            let store = store(&directory, durability);
            let (seen, sees) = mpsc::channel();
            let mut events = store.subscribe(1).unwrap();
            let reader = thread::spawn(move || {
                for _ in 0..APPENDS {
                    assert!(events.next().unwrap().is_ok());
                    seen.send(Instant::now()).unwrap();
                }
            });
            let (mut from_start, mut from_return) = (Vec::new(), Vec::new());
            for number in 0..APPENDS as u64 {
                let start = Instant::now();
                append_each(&store, &data, 1, number);
                let end = Instant::now();
                let at = sees.recv().unwrap();
                from_start.push((at - start).as_secs_f64() * 1e6);
                // Often it is there before the append has returned.
                let late = at.checked_duration_since(end).unwrap_or(Duration::ZERO);
                from_return.push(late.as_secs_f64() * 1e6);
                // A subscriber that waits, not one that is just about to.
                thread::sleep(Duration::from_micros(200));
            }
            reader.join().unwrap();
            for (index, times) in [from_start, from_return].into_iter().enumerate() {
                for (offset, part) in [0.5, 0.99].into_iter().enumerate() {
                    quantiles[index * 2 + offset].push(quantile(times.clone(), part));
                }
            }
        }
        let names = ["start, p50", "start, p99", "return, p50", "return, p99"];
        for (name, values) in names.iter().zip(&quantiles) {
            let name = format!("{durability:?}: from the append's {name}");
            run.tell("delivery", &name, median(values));
        }
    }
}

fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}

/// What saving costs beside an append.
pub(crate) fn saving(run: &Rounds) {
    const TIMES: u64 = 500;
    if !run.wants("saving") {
        return;
    }
    let (directory, data) = (directory(), data());
    let store = store(&directory, Durability::Sync);
    append_bulk(&store, &data, 100_000, 1_000);
    let state = vec![b'x'; 1_000];
    let mut position = 0;
    let mut checkpoint = || {
        timed(TIMES, || {
            for _ in 0..TIMES {
                position += 1;
                store.save_checkpoint("consumer", position).unwrap();
            }
        })
    };
    let mut at = 0;
    let mut snapshot = || {
        timed(TIMES, || {
            for _ in 0..TIMES {
                at += 1;
                store.save_snapshot("state", at, &state).unwrap();
            }
        })
    };
    run.compare(
        "saving",
        vec![
            ("append", Box::new(|| timed(TIMES, || append_each(&store, &data, TIMES, 0)))),
            ("save_checkpoint", Box::new(&mut checkpoint)),
            ("save_snapshot, 1000 bytes", Box::new(&mut snapshot)),
        ],
    );
}
