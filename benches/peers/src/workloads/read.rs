//! Rows F, G and I: reading everything, reading streams, and what all of it takes on the disk. The
//! stores are filled once and opened anew in each round.

use std::{collections::HashMap, path::Path, time::Instant};

use tempfile::TempDir;

use crate::{
    bench::{Bench, CACHE_BYTES, Contender, SMALL_CACHE_BYTES},
    clock::micros_each,
    disk,
    feed::{Feed, Order},
    random::Random,
    store::{Kind, Mode, Seen, Store},
    workloads::fill,
};

/// How many streams a round reads.
const STREAMS_READ: usize = 2_000;
const STREAMS_READ_COLD: usize = 300;

type Filled = HashMap<Kind, TempDir>;

pub(crate) fn run(bench: &mut Bench) {
    if !['F', 'G', 'I'].into_iter().any(|row| bench.wants(row)) {
        return;
    }
    let events = bench.args.events(50_000, 1_000_000);
    if let Some(logs) = bench.logs.clone() {
        let whole = logs.period().unwrap_or(events);
        if bench.wants('I') && !bench.args.quick {
            let feed = logs.clone().prepared(whole);
            let stores = filled(bench, &feed, whole / 1_000 * 1_000);
            size(bench, "real logs, once", &stores, whole / 1_000 * 1_000);
        }
        let feed = logs.prepared(events);
        let stores = filled(bench, &feed, events);
        size(bench, "real logs, repeated", &stores, events);
        scan(bench, "real logs", &stores, events);
        let read = short_streams(&feed, events);
        streams(bench, "real logs", &stores, &read, CACHE_BYTES);
        streams(bench, "real logs, cache of 64 MiB", &stores, &read, SMALL_CACHE_BYTES);
        cold(bench, "real logs, cold", &stores, &read);
    }
    let feed = bench.made(20_000, Order::Random);
    let stores = filled(bench, &feed, events);
    size(bench, "20 000 random streams", &stores, events);
    scan(bench, "20 000 random streams", &stores, events);
    let read = feed.streams(events);
    streams(bench, "20 000 random streams", &stores, &read, CACHE_BYTES);
    drop(stores);
    if bench.wants('G') {
        let feed = bench.made(events as usize / 10, Order::InTurn);
        let stores = filled(bench, &feed, events);
        let case = format!("{} streams in turn", events / 10);
        streams(bench, &case, &stores, &feed.streams(events), CACHE_BYTES);
    }
}

fn filled(bench: &Bench, feed: &Feed, events: u64) -> Filled {
    let kinds = bench.args.stores.iter().copied().filter(|kind| kind.is_store());
    kinds
        .map(|kind| {
            let directory = bench.directory();
            let contender = Contender { kind, mode: Mode::Durable };
            fill(contender, directory.path(), &mut feed.clone(), events);
            (kind, directory)
        })
        .collect()
}

fn size(bench: &mut Bench, case: &str, stores: &Filled, events: u64) {
    if !bench.wants('I') {
        return;
    }
    let values = bench.durable(false).into_iter().map(|contender| {
        let bytes = disk::allocated(stores[&contender.kind].path());
        (contender.label(), vec![bytes as f64 / events as f64])
    });
    let values = values.collect();
    bench.tell('I', case, "bytes", values);
}

fn scan(bench: &mut Bench, case: &str, stores: &Filled, events: u64) {
    if !bench.wants('F') {
        return;
    }
    bench.compare('F', case, "us", &bench.durable(false), |_, contender| {
        let store = contender.open(stores[&contender.kind].path());
        let warm = store.scan();
        let start = Instant::now();
        assert_eq!(store.scan(), warm);
        let elapsed = start.elapsed();
        assert_eq!(warm.events, events);
        store.close();
        micros_each(elapsed, events)
    });
}

fn short_streams(feed: &Feed, events: u64) -> Vec<(String, u64)> {
    let mut streams = feed.streams(events);
    streams.retain(|(_, version)| (8..=12).contains(version));
    streams
}

/// Reads some of the streams in another order in each round, once to warm up and once measured.
fn streams(
    bench: &mut Bench,
    case: &str,
    stores: &Filled,
    streams: &[(String, u64)],
    cache_bytes: u64,
) {
    if !bench.wants('G') {
        return;
    }
    let mut chosen = streams.to_vec();
    let mut random = Random::new(7);
    random.shuffle(&mut chosen);
    chosen.truncate(STREAMS_READ);
    bench.compare('G', case, "us", &bench.durable(false), |_, contender| {
        let path = stores[&contender.kind].path();
        let store = contender.kind.open(path, contender.mode, cache_bytes);
        read(&*store, &chosen);
        random.shuffle(&mut chosen);
        let start = Instant::now();
        let seen = read(&*store, &chosen);
        let elapsed = start.elapsed();
        store.close();
        micros_each(elapsed, seen.events)
    });
}

/// Reads streams whose pages are not in memory, each once; opening is not measured.
fn cold(bench: &mut Bench, case: &str, stores: &Filled, streams: &[(String, u64)]) {
    if !bench.wants('G') {
        return;
    }
    let mut chosen = streams.to_vec();
    let mut random = Random::new(8);
    bench.compare('G', case, "us", &bench.durable(false), |_, contender| {
        let path: &Path = stores[&contender.kind].path();
        random.shuffle(&mut chosen);
        disk::forget(path);
        let store = contender.open(path);
        let start = Instant::now();
        let seen = read(&*store, &chosen[..STREAMS_READ_COLD.min(chosen.len())]);
        let elapsed = start.elapsed();
        store.close();
        micros_each(elapsed, seen.events)
    });
}

fn read(store: &dyn Store, streams: &[(String, u64)]) -> Seen {
    let mut all = Seen::default();
    for (stream, version) in streams {
        let seen = store.read_stream(stream);
        assert_eq!(seen.events, *version, "{stream}");
        all.events += seen.events;
        all.bytes += seen.bytes;
    }
    all
}
