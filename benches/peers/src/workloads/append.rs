//! Rows A to D: appends by one thread, by many, in batches, and without waiting for the disk.

use std::{sync::Arc, thread, time::Instant};

use crate::{
    bench::{Bench, Contender},
    clock::micros_each,
    feed::{Feed, Order},
    payload::Payloads,
    store::{Kind, Mode},
};

const STREAMS: usize = 1_000;
const THREADS: u64 = 16;
const BATCH: u64 = 100;

/// Appends that are not measured: a new store makes its files with the first ones.
const WARM: u64 = 50;

/// Microseconds an event of `appends` appends of `batch` events each.
fn each(bench: &Bench, contender: Contender, mut feed: Feed, appends: u64, batch: u64) -> f64 {
    let directory = bench.directory();
    let store = contender.open(directory.path());
    for _ in 0..WARM {
        feed.batch(batch, |events| store.append(events)).unwrap();
    }
    let start = Instant::now();
    for _ in 0..appends {
        feed.batch(batch, |events| store.append(events)).unwrap();
    }
    let elapsed = start.elapsed();
    store.close();
    micros_each(elapsed, appends * batch)
}

fn payloads(bench: &Bench) -> [(&'static str, Arc<Payloads>); 2] {
    [("260 bytes", Arc::clone(&bench.small)), ("2 KiB", Arc::clone(&bench.large))]
}

pub(crate) fn one(bench: &mut Bench) {
    if !bench.wants('A') {
        return;
    }
    let appends = bench.args.size(300, 1_000);
    for (case, payloads) in payloads(bench) {
        let feed = Feed::made(&payloads, STREAMS, Order::Random);
        bench.compare('A', case, "us", &bench.durable(true), |bench, contender| {
            each(bench, contender, feed.clone(), appends, 1)
        });
    }
}

pub(crate) fn threads(bench: &mut Bench) {
    if !bench.wants('B') {
        return;
    }
    let appends = bench.args.size(50, 200);
    let feed = bench.made(STREAMS, Order::Random);
    let case = "16 threads, 260 bytes";
    bench.compare('B', case, "us", &bench.durable(true), |bench, contender| {
        // What sharing gains shows in the time of one write with one sync.
        if contender.kind == Kind::Bare {
            return each(bench, contender, feed.clone(), appends, 1);
        }
        let directory = bench.directory();
        let store = contender.open(directory.path());
        let append = |feed: &mut Feed| feed.batch(1, |events| store.append(events)).unwrap();
        (0..WARM).fold(feed.clone(), |mut feed, _| {
            append(&mut feed);
            feed
        });
        let feeds: Vec<Feed> = (0..THREADS).map(|n| feed.clone().for_thread(n)).collect();
        let start = Instant::now();
        thread::scope(|scope| {
            for mut feed in feeds {
                scope.spawn(move || (0..appends).for_each(|_| append(&mut feed)));
            }
        });
        let elapsed = start.elapsed();
        store.close();
        micros_each(elapsed, appends * THREADS)
    });
}

pub(crate) fn batches(bench: &mut Bench) {
    if !bench.wants('C') {
        return;
    }
    let appends = bench.args.size(100, 300);
    for (case, payloads) in payloads(bench) {
        let feed = Feed::made(&payloads, STREAMS, Order::Runs(BATCH));
        bench.compare('C', case, "us", &bench.durable(true), |bench, contender| {
            each(bench, contender, feed.clone(), appends, BATCH)
        });
    }
}

pub(crate) fn buffered(bench: &mut Bench) {
    if !bench.wants('D') {
        return;
    }
    let feed = bench.made(20_000, Order::Random);
    let few = bench.args.size(20_000, 200_000);
    let contenders = bench.buffered(true);
    bench.compare('D', &format!("{few} events"), "us", &contenders, |bench, contender| {
        each(bench, contender, feed.clone(), few, 1)
    });
    let many = bench.args.size(100_000, 2_000_000);
    // The pages of the others take more than ten times as long.
    let contenders: Vec<Contender> = [Kind::Bare, Kind::Annals, Kind::Sqlite, Kind::Fjall]
        .into_iter()
        .filter(|kind| bench.args.stores.contains(kind))
        .map(|kind| Contender { kind, mode: Mode::Buffered })
        .collect();
    let case = format!("{many} events until drained");
    bench.compare('D', &case, "us", &contenders, |bench, contender| {
        let (directory, mut feed) = (bench.directory(), feed.clone());
        let store = contender.open(directory.path());
        let start = Instant::now();
        for _ in 0..many {
            feed.batch(1, |events| store.append(events)).unwrap();
        }
        store.close();
        micros_each(start.elapsed(), many)
    });
}
