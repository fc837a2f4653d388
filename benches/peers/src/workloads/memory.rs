//! Row J: the memory of a process that appends and then reads everything, with a cache of 64 MiB.
//! The pages of a file that a store maps count as its memory.

use std::{path::Path, process::Command, sync::Arc};

use crate::{
    bench::{Bench, Contender, SMALL_CACHE_BYTES},
    feed::{Feed, Order},
    payload::Payloads,
    store::Mode,
    workloads::BULK,
};

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants('J') {
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
    let values = contenders.iter().map(|contender| {
        let directory = bench.directory();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--child", "memory", contender.kind.name()])
            .arg(directory.path())
            .args([events.to_string(), "0".to_owned()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let kib: f64 =
            text.lines().next_back().unwrap_or_default().parse().expect("a number from the child");
        (contender.label(), vec![kib / 1024.0])
    });
    let values = values.collect();
    bench.tell('J', &format!("append and scan {events} events"), "MiB", values);
}

/// Appends and reads, and tells the most memory that it had, in KiB.
pub(crate) fn child(contender: Contender, path: &Path, events: u64) {
    let payloads = Arc::new(Payloads::new(260));
    let mut feed = Feed::made(&payloads, 20_000, Order::Random);
    let store = contender.kind.open(path, Mode::Durable, SMALL_CACHE_BYTES);
    for _ in 0..events / BULK {
        feed.batch(BULK, |batch| store.append(batch)).unwrap();
    }
    assert_eq!(store.scan().events, events);
    store.close();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{}", peak.trim().trim_end_matches(" kB"));
}
