//! How cost grows: the same few workloads on stores of ten thousand to a million events, or ten
//! million; and reads of streams among a hundred to a million streams.

use std::time::Instant;

use crate::{
    bench::{Bench, Contender},
    clock::micros_each,
    disk,
    feed::{Feed, Order},
    random::Random,
    workloads::{BULK, fill, open::open},
};

const STREAMS: usize = 20_000;

/// About how many events are read where the number of streams varies.
const EVENTS_READ: u64 = 20_000;

/// What is measured at each size: row, name, unit.
const SERIES: [(char, &str, &str); 7] = [
    ('E', "bulk append", "us"),
    ('I', "on the disk", "bytes"),
    ('H', "open, closed", "s"),
    ('A', "one durable append", "us"),
    ('C', "batches of 100", "us"),
    ('F', "read all", "us"),
    ('G', "read streams", "us"),
];

pub(crate) fn run(bench: &mut Bench) {
    let mut sizes = vec![10_000, 30_000, 100_000, 300_000, 1_000_000];
    if bench.args.quick {
        sizes.truncate(3);
    }
    for events in sizes {
        let contenders = bench.durable(false);
        at(bench, events, &contenders);
    }
    if bench.args.large {
        at(bench, 10_000_000, &bench.large_ones());
    }
    let events = bench.args.events(50_000, 1_000_000);
    for streams in [100, 10_000, 1_000_000] {
        among(bench, streams, events);
    }
}

/// Reads of whole streams, where so many events are in so many streams.
fn among(bench: &mut Bench, streams: u64, events: u64) {
    let case = format!("{SCALE}{AMONG}, {streams} streams");
    if !case.contains(&bench.args.case) {
        return;
    }
    let feed = bench.made(streams as usize, Order::Random);
    let mut read = feed.streams(events);
    let mut random = Random::new(11);
    random.shuffle(&mut read);
    read.truncate((EVENTS_READ * streams / events).clamp(10, EVENTS_READ) as usize);
    let rounds = bench.args.rounds.min(3);
    let mut values = Vec::new();
    for contender in bench.durable(false) {
        let directory = bench.directory();
        fill(contender, directory.path(), &mut feed.clone(), events);
        let store = contender.open(directory.path());
        let mut pass = || {
            random.shuffle(&mut read);
            let start = Instant::now();
            let seen = read.iter().map(|(stream, _)| store.read_stream(stream).events).sum();
            micros_each(start.elapsed(), seen)
        };
        pass();
        values.push((contender.label(), (0..rounds).map(|_| pass()).collect()));
        store.close();
    }
    bench.tell('G', &case, "us", values);
}

fn at(bench: &mut Bench, events: u64, contenders: &[Contender]) {
    let case = |name: &str| format!("{SCALE}{name}, {events} events");
    if !SERIES.iter().any(|(_, name, _)| case(name).contains(&bench.args.case)) {
        return;
    }
    let rounds = bench.args.rounds.min(3);
    let mut series = vec![Vec::new(); SERIES.len()];
    for contender in contenders {
        let mut values = vec![Vec::new(); SERIES.len()];
        for _ in 0..rounds {
            let measured = measure(bench, *contender, events);
            values.iter_mut().zip(measured).for_each(|(values, value)| values.push(value));
        }
        for (series, values) in series.iter_mut().zip(values) {
            series.push((contender.label(), values));
        }
    }
    for ((row, name, unit), values) in SERIES.iter().zip(series) {
        bench.tell(*row, &case(name), unit, values);
    }
}

/// The name of the cases where the number of streams varies.
const AMONG: &str = "read streams of a million events";

/// What the cases of this run begin with, for the report.
pub(crate) const SCALE: &str = "scale: ";

/// The values of `SERIES`.
fn measure(bench: &Bench, contender: Contender, events: u64) -> [f64; 7] {
    let directory = bench.directory();
    let path = directory.path();
    let mut feed = bench.made(STREAMS, Order::Random);
    let read = feed.streams(events);
    let bulk = micros_each(fill(contender, path, &mut feed, events).wall, events);
    let bytes = disk::allocated(path) as f64 / events as f64;
    let opening = open(contender, path);

    let store = contender.open(path);
    let mut time = |calls: u64, mut call: Box<dyn FnMut(&mut Feed) -> u64 + '_>| {
        let start = Instant::now();
        let done: u64 = (0..calls).map(|_| call(&mut feed)).sum();
        micros_each(start.elapsed(), done)
    };
    let append = |count: u64, feed: &mut Feed| {
        feed.batch(count, |events| store.append(events)).unwrap();
        count
    };
    store.scan();
    let scan = time(1, Box::new(|_| store.scan().events));
    let mut random = Random::new(10);
    let mut streams = |_: &mut Feed| store.read_stream(&read[random.below(read.len())].0).events;
    time(1_000, Box::new(&mut streams));
    let streams = time(1_000, Box::new(&mut streams));
    time(20, Box::new(|feed| append(1, feed)));
    let one = time(300, Box::new(|feed| append(1, feed)));
    let batches = time(50, Box::new(|feed| append(BULK / 10, feed)));
    store.close();
    [bulk, bytes, opening, one, batches, scan, streams]
}
