//! Batches: conditions, queries by tag, tickets.

use std::{
    cell::RefCell,
    fs::{self, File},
    path::Path,
    time::{Duration, Instant},
};

use annals::{
    Batch, Durability, EventStore, ExpectedVersion::Any, NewEvent, Query, QueryItem, Ticket,
};
use rustix::fs::{Advice, fadvise};

use crate::{
    bare::BareFile,
    rounds::{Rounds, timed},
    workloads::{data, directory, store},
};

const TAGS: u64 = 20_000;

fn tag(number: u64) -> String {
    format!("customer:{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % TAGS)
}

fn tagged(data: &str, number: u64) -> NewEvent {
    NewEvent::raw_json("OrderPlaced", data).unwrap().tag(tag(number))
}

fn by_tag(tag: String) -> Query {
    Query::new().item(QueryItem::new().tags([tag]))
}

/// Fills a store with events that have one of many tags.
fn fill(store: &EventStore, data: &str, events: u64) {
    for start in (0..events).step_by(1_000) {
        let batch = (start..events.min(start + 1_000)).fold(Batch::new(), |batch, number| {
            batch.append(format!("account-{}", number % TAGS), Any, [tagged(data, number)])
        });
        batch.commit(store).unwrap();
    }
}

/// A durable append with a condition that holds, beside one without, on stores of two sizes and
/// with one thread and sixteen. The condition asks for a tag after the head of a query.
pub(crate) fn guarded(run: &Rounds) {
    if !run.wants("guarded") {
        return;
    }
    let data = data();
    let mut cases = vec![(10_000, 1), (1_000_000, 1), (10_000, 16), (1_000_000, 16)];
    if run.is_large {
        cases.extend([(10_000_000, 1), (10_000_000, 16)]);
    }
    for (events, threads) in cases {
        let directory = directory();
        let filled = store(&directory, Durability::Sync);
        fill(&filled, &data, events);
        // Nothing is drained while the appends are timed.
        filled.close().unwrap();
        let store = store(&directory, Durability::Sync);
        let count = if threads == 1 { 500 } else { 4_000 };
        let next = RefCell::new(0_u64);
        let appends = |is_guarded: bool| {
            let start = next.replace_with(|next| *next + count) + 1_000_000_000;
            timed(count, || {
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        let (store, data) = (&store, &data);
                        scope.spawn(move || {
                            for number in (start + thread..start + count).step_by(threads as usize)
                            {
                                let stream = format!("new-{number}");
                                // Nobody else appends with this tag.
                                let own = format!("own:{number}");
                                let event = tagged(data, number).tag(own.clone());
                                let batch = Batch::new().append(stream, Any, [event]);
                                let batch = match is_guarded {
                                    false => batch,
                                    true => batch.require_none(
                                        &by_tag(own),
                                        store.head().unwrap().saturating_sub(100),
                                    ),
                                };
                                batch.commit(store).unwrap();
                            }
                        });
                    }
                });
            })
        };
        let name = |guard: &str| format!("{guard}, {threads} threads, {events} events");
        let (without, with) = (name("unguarded"), name("guarded"));
        run.compare(
            "guarded",
            vec![
                (without.as_str(), Box::new(|| appends(false))),
                (with.as_str(), Box::new(|| appends(true))),
            ],
        );
        store.close().unwrap();
    }
}

/// A query by one tag that matches ten events of a million, beside a read of a stream of ten.
pub(crate) fn query(run: &Rounds) {
    if !run.wants("query") {
        return;
    }
    const EVENTS: u64 = 1_000_000;
    let data = data();
    let directory = directory();
    let filled = store(&directory, Durability::Sync);
    for start in (0..EVENTS).step_by(1_000) {
        let batch = (start..start + 1_000).fold(Batch::new(), |batch, number| {
            // Ten events for each of 100 000 streams and tags, far apart.
            let event = NewEvent::raw_json("OrderPlaced", &data).unwrap();
            let event = event.tag(format!("show:{}", number % 100_000));
            batch.append(format!("account-{}", number % 100_000), Any, [event])
        });
        batch.commit(&filled).unwrap();
    }
    filled.close().unwrap();
    let next = RefCell::new(7_u64);
    let pick = || {
        next.replace_with(|next| next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        (*next.borrow() >> 33) % 100_000
    };
    let streams = |store: &EventStore, count: u64| {
        timed(count, || {
            for _ in 0..count {
                assert_eq!(store.read_stream(format!("account-{}", pick())).count(), 10);
            }
        })
    };
    let queries = |store: &EventStore, count: u64| {
        timed(count, || {
            for _ in 0..count {
                assert_eq!(store.query(&by_tag(format!("show:{}", pick()))).count(), 10);
            }
        })
    };
    let (stream, query) = ("a stream of 10 events", "a query that matches 10 events");
    let opened = store(&directory, Durability::Sync);
    run.compare(
        "query",
        vec![
            (stream, Box::new(|| streams(&opened, 1_000))),
            (query, Box::new(|| queries(&opened, 1_000))),
        ],
    );
    opened.close().unwrap();
    let cold = |read: &dyn Fn(&EventStore, u64) -> (u64, Duration)| {
        forget(directory.path());
        let opened = store(&directory, Durability::Sync);
        let measured = read(&opened, 300);
        opened.close().unwrap();
        measured
    };
    run.compare(
        "query, cold",
        vec![(stream, Box::new(|| cold(&streams))), (query, Box::new(|| cold(&queries)))],
    );
}

/// Drops the pages of the files below a directory from memory.
fn forget(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            forget(&path);
            continue;
        }
        let file = File::open(path).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    }
}

/// Durable events from one thread: each waited for, and with up to 1024 tickets in flight.
pub(crate) fn tickets(run: &Rounds) {
    if !run.wants("tickets") {
        return;
    }
    let data = data();
    let directory = directory();
    let store = store(&directory, Durability::Sync);
    let event = || NewEvent::raw_json("OrderPlaced", &data).unwrap();
    let one_at_a_time = || {
        timed(500, || {
            for _ in 0..500 {
                store.append("account-1", Any, [event()]).unwrap();
            }
        })
    };
    let in_flight = |count: u64| {
        let start = Instant::now();
        let mut tickets = std::collections::VecDeque::<Ticket>::new();
        for _ in 0..count {
            if tickets.len() == 1_024 {
                tickets.pop_front().unwrap().wait().unwrap();
            }
            let batch = Batch::new().append("account-1", Any, [event()]);
            tickets.push_back(batch.submit(&store).unwrap());
        }
        tickets.iter().for_each(|ticket| drop(ticket.wait().unwrap()));
        (count, start.elapsed())
    };
    let mut bare = BareFile::create(&directory.path().join("bare"));
    let bytes = vec![b'x'; data.len() + 70];
    let bare = || timed(500, || (0..500).for_each(|_| bare.append_and_sync(&bytes)));
    run.compare(
        "tickets",
        vec![
            ("a bare append and fdatasync", Box::new(bare)),
            ("one append at a time", Box::new(one_at_a_time)),
            ("1024 tickets in flight", Box::new(|| in_flight(100_000))),
        ],
    );
    store.close().unwrap();
}

/// Bytes on the disk that an event and a tag take.
pub(crate) fn tag_bytes(run: &Rounds) {
    if !run.wants("tag_bytes") {
        return;
    }
    const EVENTS: u64 = 200_000;
    let data = data();
    let size = |tags: u64| {
        let directory = directory();
        let filled = store(&directory, Durability::Sync);
        for start in (0..EVENTS).step_by(1_000) {
            let batch = (start..start + 1_000).fold(Batch::new(), |batch, number| {
                let event = NewEvent::raw_json("OrderPlaced", &data).unwrap();
                let event = event.tags((0..tags).map(|kind| format!("{kind}:{}", tag(number))));
                batch.append(format!("account-{}", number % TAGS), Any, [event])
            });
            batch.commit(&filled).unwrap();
        }
        filled.close().unwrap();
        let stats = store(&directory, Durability::Sync).stats().unwrap();
        (stats.journal_bytes + stats.trees_bytes) as f64 / EVENTS as f64
    };
    let plain = size(0);
    run.report("tag_bytes", "an event without tags", plain, "bytes");
    run.report("tag_bytes", "one of 20 000 tags", size(1) - plain, "bytes");
    run.report("tag_bytes", "two of them", size(2) - plain, "bytes");
}
