//! Checkpoints and snapshots under the same faults as the events they stand beside.
//!
//! Method: after some of its units each thread saves a checkpoint and a snapshot at the last
//! position of the unit, whose bytes are a function of seed, thread and position, and marks both.
//! Afterwards the checkpoint must lie between the last one that had to survive and the last one
//! that was tried; the snapshot as well, and its bytes must be those of its position. Where files
//! have rotted an honest refusal is as good, and a snapshot may be ignored.

use annals::{Batch, Error, EventStore, Query, QueryItem, Snapshot, SnapshotKey};

use crate::{
    marks::{Expected, Marker, Setup},
    oracle::{Fault, Found, refused, wrong},
    plan::Random,
};

/// Which of the two a mark is about.
pub const KINDS: [&str; 2] = ["checkpoint", "snapshot"];

pub fn name(thread: usize) -> String {
    format!("consumer-{thread}")
}

/// The checkpoint that each unit of a thread carries: the number of the unit.
fn unit_name(thread: usize) -> String {
    format!("units-of-{thread}")
}

/// Adds to the batch of a unit what must become durable with it, and a condition that holds.
pub fn with_unit(batch: Batch, thread: usize, unit: u64) -> Batch {
    let never = Query::new().item(QueryItem::new().tags(["never"]));
    batch.checkpoint(unit_name(thread), unit).require_none(&never, 0)
}

fn key(thread: usize) -> SnapshotKey {
    SnapshotKey::of_projection(name(thread), 1)
}

/// The bytes of a snapshot: mostly few, sometimes more than one value of a tree takes.
fn data(seed: u64, thread: usize, position: u64) -> Vec<u8> {
    let mut random = Random::new(&[seed, thread as u64, position, 0x5A7E]);
    let len = match random.below(8) {
        0 => random.between(30_000, 70_000),
        1 => 0,
        _ => random.below(400),
    };
    random.bytes(len as usize)
}

/// Saves what is due after a unit that ends at `position`.
pub fn save(
    store: &EventStore,
    marker: &Marker,
    seed: u64,
    (thread, unit, position): (usize, u64, u64),
) -> Result<(), Error> {
    let mark = |word: &str, kind: &str| marker.mark(&format!("{word} {kind} {thread} {position}"));
    if unit.is_multiple_of(2) {
        mark("save", KINDS[0]);
        store.save_checkpoint(name(thread), position)?;
        mark("saved", KINDS[0]);
    }
    if unit.is_multiple_of(5) {
        mark("save", KINDS[1]);
        store.save_snapshot(key(thread), position, data(seed, thread, position))?;
        mark("saved", KINDS[1]);
    }
    Ok(())
}

/// Marks what a store shows when it is opened, from which it goes on.
pub fn mark_seen(store: &EventStore, marker: &Marker, threads: usize) -> Result<(), Error> {
    for thread in 0..threads {
        let found = [checkpoint(store, thread)?, position(&snapshot(store, thread)?)];
        for (kind, position) in KINDS.iter().zip(found) {
            marker.mark(&format!("found {kind} {thread} {position}"));
        }
    }
    Ok(())
}

fn checkpoint(store: &EventStore, thread: usize) -> Result<u64, Error> {
    store.checkpoint(name(thread))
}

fn snapshot(store: &EventStore, thread: usize) -> Result<Option<Snapshot>, Error> {
    store.load_snapshot(key(thread))
}

fn position(found: &Option<Snapshot>) -> u64 {
    found.as_ref().map_or(0, Snapshot::position)
}

/// After a crash, with files that are what was written.
pub fn check(
    store: &EventStore,
    setup: &Setup,
    (expected, found): (&Expected, &Found),
) -> Result<(), Fault> {
    check_units(store, setup, (expected, found))?;
    for thread in 0..setup.threads {
        let found = snapshot(store, thread).map_err(|error| refused(&error))?;
        check_bytes(&found, setup.seed, thread)?;
        if found.as_ref().is_some_and(|found| !found.ignored().is_empty()) {
            return wrong(format!("snapshots are ignored: {found:?}"));
        }
        let shown = [checkpoint(store, thread).map_err(|error| refused(&error))?, position(&found)];
        for (kind, position) in shown.into_iter().enumerate() {
            let progress = expected.saves[thread][kind];
            let most = progress.tried.max(progress.acked);
            if !(progress.durable..=most).contains(&position) {
                let kind = KINDS[kind];
                return wrong(format!(
                    "the {kind} of thread {thread} is at {position}, where {} must and {most} may \
                     be there",
                    progress.durable
                ));
            }
        }
    }
    Ok(())
}

/// The checkpoint that came with the units of a thread is that of the last one: a unit is there
/// with its checkpoint or not at all.
pub fn check_units(
    store: &EventStore,
    setup: &Setup,
    (expected, found): (&Expected, &Found),
) -> Result<(), Fault> {
    for thread in 0..setup.threads {
        let shown = store.checkpoint(unit_name(thread)).map_err(|error| refused(&error))?;
        let due = if expected.has_unit_checkpoints { found.units[thread] } else { 0 };
        if shown != due {
            return wrong(format!("thread {thread} has {due} units and the checkpoint of {shown}"));
        }
    }
    Ok(())
}

fn check_bytes(found: &Option<Snapshot>, seed: u64, thread: usize) -> Result<(), Fault> {
    match found {
        Some(found) if found.data() != data(seed, thread, found.position()) => {
            wrong(format!("a snapshot of thread {thread} has the wrong bytes: {found:?}"))
        }
        _ => Ok(()),
    }
}

/// What a store shows of checkpoints when its files have rotted.
#[derive(Debug, Default)]
pub struct Rotten {
    pub refusals: Vec<String>,
    /// One is older than the last one.
    pub is_short: bool,
}

/// Where files have rotted: what is served is right, or older.
pub fn check_rotten(
    store: &EventStore,
    setup: &Setup,
    expected: &Expected,
) -> Result<Rotten, Fault> {
    let mut rotten = Rotten::default();
    for thread in 0..setup.threads {
        let due = expected.saves[thread][0].acked;
        match checkpoint(store, thread) {
            Ok(found) if found <= due => rotten.is_short |= found < due,
            Ok(found) => return wrong(format!("a checkpoint is at {found}, past {due}")),
            Err(error) => match refused(&error) {
                Fault::Refused(text) => rotten.refusals.push(format!("checkpoint: {text}")),
                wrong => return Err(wrong),
            },
        }
        let found = snapshot(store, thread).map_err(|error| refused(&error))?;
        check_bytes(&found, setup.seed, thread)?;
    }
    Ok(rotten)
}
