//! Row H: opening a store that was closed, and one whose process was killed.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use crate::{
    bench::{Bench, CACHE_BYTES, Contender},
    feed::{Feed, Order},
    payload::Payloads,
    store::Mode,
    workloads::{BULK, fill},
};

const STREAMS: usize = 20_000;

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants('H') {
        return;
    }
    let contenders = bench.durable(false);
    let events = bench.args.events(50_000, 1_000_000);
    compare(bench, &contenders, events);
    if bench.args.large {
        compare(bench, &bench.large_ones(), 10_000_000);
    }
}

fn compare(bench: &mut Bench, contenders: &[Contender], events: u64) {
    let feed = bench.made(STREAMS, Order::Random);
    let mut closed = Vec::new();
    let mut killed = Vec::new();
    for contender in contenders {
        let directory = bench.directory();
        fill(*contender, directory.path(), &mut feed.clone(), events);
        let times = (0..bench.args.rounds).map(|_| open(*contender, directory.path()));
        closed.push((contender.label(), times.collect()));
        drop(directory);

        let directory = bench.directory();
        let times = (0..bench.args.rounds).map(|round| {
            let path = directory.path().join("store");
            // The second round and those after it append to what the one before has left.
            fill_and_kill(*contender, &path, if round == 0 { events } else { events / 10 }, round);
            open(*contender, &path)
        });
        killed.push((contender.label(), times.collect()));
    }
    bench.tell('H', &format!("closed, {events} events"), "s", closed);
    bench.tell('H', &format!("killed, {events} events"), "s", killed);
}

/// Seconds until the store is open and has answered a read.
pub(crate) fn open(contender: Contender, path: &Path) -> f64 {
    let start = Instant::now();
    let store = contender.open(path);
    store.read_stream("order-000001");
    let elapsed = start.elapsed();
    store.close();
    elapsed.as_secs_f64()
}

/// Lets a process of its own append and kills it when it says that it has done so.
fn fill_and_kill(contender: Contender, path: &Path, events: u64, round: usize) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--child", "open", contender.kind.name()])
        .arg(path)
        .args([events.to_string(), round.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A store may have printed something before.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready = lines.any(|line| line.unwrap() == "ready");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_ready);
}

/// What the process does that is killed. Each round has streams of its own.
pub(crate) fn child(contender: Contender, path: &Path, events: u64, round: u64) {
    let store = contender.kind.open(path, Mode::Durable, CACHE_BYTES);
    let payloads = Arc::new(Payloads::new(260));
    let mut feed = Feed::made(&payloads, STREAMS, Order::Random);
    if round > 0 {
        feed = feed.for_thread(round);
    }
    for _ in 0..events / BULK {
        feed.batch(BULK, |batch| store.append(batch)).unwrap();
    }
    println!("ready");
    loop {
        std::thread::park();
    }
}
