//! The rows of the table, each a workload that knows nothing of any one store.

mod append; //   A to D
mod bulk; //     E
mod memory; //   J
mod open; //     H
mod read; //     F, G, I
mod scale; //    how cost grows
mod stalls; //   K

use std::path::Path;

use crate::{
    bench::{Bench, Contender},
    clock::{Cost, Watch},
    feed::Feed,
};

pub(crate) use memory::child as memory_child;
pub(crate) use open::child as open_child;
pub(crate) use scale::SCALE;

pub(crate) const BULK: u64 = 1_000;

pub(crate) fn run(bench: &mut Bench) {
    append::one(bench);
    append::threads(bench);
    append::batches(bench);
    append::buffered(bench);
    bulk::run(bench);
    read::run(bench);
    open::run(bench);
    memory::run(bench);
    stalls::run(bench);
    if bench.args.scale {
        scale::run(bench);
    }
}

/// Appends `events` events, 1000 at a time, closes the store, and tells what both took.
fn fill(contender: Contender, path: &Path, feed: &mut Feed, events: u64) -> Cost {
    let store = contender.open(path);
    let watch = Watch::start();
    for _ in 0..events / BULK {
        feed.batch(BULK, |batch| store.append(batch)).unwrap();
    }
    store.close();
    watch.stop()
}
