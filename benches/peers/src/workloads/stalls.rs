//! Row K: how long single appends and reads take while a store also moves what it has into place.
//! One thread appends at a steady pace, one reads streams. The bare file tells what the disk does.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    bench::Bench,
    feed::{Feed, Order},
    random::Random,
    store::{Kind, Store},
};

const STREAMS: usize = 20_000;
/// Every so often an append of so many events: 30 000 events a second.
const EVERY: Duration = Duration::from_millis(4);
const BATCH: u64 = 120;

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants('K') {
        return;
    }
    let seconds = bench.args.size(3, 15);
    let contenders = bench.durable(true);
    let feed = bench.made(STREAMS, Order::Random);
    let mut tables: Vec<Vec<(String, Vec<f64>)>> = vec![Vec::new(); 2 * QUANTILES.len()];
    for contender in contenders {
        let mut values = vec![Vec::new(); 2 * QUANTILES.len()];
        for _ in 0..bench.args.rounds.min(3) {
            let directory = bench.directory();
            let store = contender.open(directory.path());
            let (appends, reads) = load(&*store, feed.clone(), seconds);
            store.close();
            let both = quantiles(appends).into_iter().chain(quantiles(reads));
            both.enumerate().for_each(|(index, value)| values[index].push(value));
        }
        for (table, values) in tables.iter_mut().zip(values) {
            table.push((contender.label(), values));
        }
    }
    let mut tables = tables.into_iter();
    for what in ["append", "read"] {
        for (name, _) in QUANTILES {
            let mut table = tables.next().unwrap_or_default();
            table.retain(|(label, _)| what == "append" || label != Kind::Bare.name());
            bench.tell('K', &format!("{what} {name}"), "ms", table);
        }
    }
}

/// The times of appends and reads, in milliseconds.
fn load(store: &dyn Store, mut feed: Feed, seconds: u64) -> (Vec<f64>, Vec<f64>) {
    let end = Instant::now() + Duration::from_secs(seconds);
    thread::scope(|scope| {
        let appends = scope.spawn(move || {
            paced(end, || {
                feed.batch(BATCH, |events| store.append(events)).unwrap();
            })
        });
        let mut random = Random::new(9);
        let reads = scope.spawn(move || {
            paced(end, || {
                store.read_stream(&format!("order-{:06}", random.below(STREAMS)));
            })
        });
        (appends.join().unwrap(), reads.join().unwrap())
    })
}

/// How long each call took; the next one is due a while after the last one was.
fn paced(end: Instant, mut call: impl FnMut()) -> Vec<f64> {
    let mut times = Vec::new();
    let mut due = Instant::now();
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        call();
        times.push(start.elapsed().as_secs_f64() * 1e3);
        due = (due + EVERY).max(Instant::now());
    }
    times
}

fn quantiles(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    let last = times.len() - 1;
    QUANTILES.iter().map(|(_, part)| times[(last as f64 * part).round() as usize]).collect()
}
