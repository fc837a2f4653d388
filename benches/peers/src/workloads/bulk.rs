//! Row E: an import, 1000 events at a time, until everything is durable and where it stays.

use crate::{
    bench::{Bench, Contender},
    clock::micros_each,
    feed::{Feed, Order},
    store::{Kind, Mode},
    workloads::fill,
};

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants('E') {
        return;
    }
    let events = bench.args.events(30_000, 400_000);
    let (one, many) = (bench.made(1, Order::Random), bench.made(20_000, Order::Random));
    compare(bench, "one stream", &one, events);
    compare(bench, "20 000 random streams", &many, events);
    if let Some(logs) = bench.logs.clone() {
        compare(bench, "real logs", &logs.prepared(events), events);
    }
}

fn compare(bench: &mut Bench, case: &str, feed: &Feed, events: u64) {
    let mut contenders = bench.durable(true);
    if bench.args.stores.contains(&Kind::Sqlite) {
        contenders.push(Contender { kind: Kind::Sqlite, mode: Mode::Buffered });
    }
    let mut processor: Vec<(String, Vec<f64>)> =
        contenders.iter().map(|contender| (contender.label(), Vec::new())).collect();
    bench.compare('E', case, "us", &contenders, |bench, contender| {
        let directory = bench.directory();
        let cost = fill(contender, directory.path(), &mut feed.clone(), events);
        let label = contender.label();
        let own = processor.iter_mut().find(|(name, _)| *name == label);
        own.unwrap().1.push(micros_each(cost.processor, events));
        micros_each(cost.wall, events)
    });
    bench.tell('E', &format!("processor time, {case}"), "us", processor);
}
