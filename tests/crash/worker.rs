//! The child that writes: appends the plan's units and marks every step.
//!
//! Method: it opens the store, compares what it finds with the plan, and goes on from there in one
//! or more threads, with flushes and reopenings between. Any append may be its last act. When a
//! call answers an error it checks the contract of failure instead of dying: reads go on, what was
//! refused has left nothing behind, and after `Poisoned` every write answers `Poisoned`. What it
//! finds wrong it marks as "bad"; the parent reads the marks.

use std::{path::Path, time::Duration};

use annals::{AppendError, Durability, Error, ErrorCode, EventStore, ExpectedVersion, Options};

use crate::{
    marks::{Args, Marker, Setup},
    oracle,
    plan::{CLOCK_MICROS, Plan, Shape},
    saves, units,
};

/// How often a unit that was refused is tried again.
const RETRIES: u32 = 3;

impl Setup {
    pub fn open(&self, path: &Path) -> Result<EventStore, Error> {
        let durability = match self.is_sync {
            true => Durability::Sync,
            false => Durability::Buffered { max_delay: Duration::from_millis(self.delay_ms) },
        };
        Options::new()
            .durability(durability)
            .tail_bytes(self.tail_bytes)
            .journal_bytes(self.journal_bytes)
            .clock(|| CLOCK_MICROS)
            .open(path)
    }

    pub fn plan(&self) -> Plan {
        let shape = if self.is_mixed { Shape::Mixed } else { Shape::Small };
        Plan { seed: self.seed, shape }
    }
}

struct Worker {
    setup: Setup,
    plan: Plan,
    marker: Marker,
    /// Units of each thread in one round, between two openings of the store.
    units: u64,
    /// Flush after so many units, if not 0.
    flush_every: u64,
    /// After this unit wait until a buffered append must have become durable, if not 0.
    settle_after: u64,
    /// Reads are made to fail too, so they are not expected to go on.
    reads_fail: bool,
    /// In the last round, end the process without closing the store.
    is_left: bool,
}

/// Why a thread stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Done,
    Refused,
    Poisoned,
}

/// Runs in the child. Arguments: `dir`, `marks`, those of [`Setup`], `rounds`, `units`, `flush`,
/// `settle`, `reads_fail`, `leave`.
pub fn run(args: &Args) {
    let setup = Setup::from_args(args);
    let worker = Worker {
        plan: setup.plan(),
        marker: Marker::open(&args.path("marks")).expect("the marks can be opened"),
        units: args.number("units", 10),
        flush_every: args.number("flush", 0),
        settle_after: args.number("settle", 0),
        reads_fail: args.number("reads_fail", 0) == 1,
        is_left: args.number("leave", 0) == 1,
        setup,
    };
    // Of the units, of which each has one.
    worker.marker.mark("checkpoints");
    let dir = args.path("dir");
    let rounds = args.number("rounds", 1);
    for round in 1..=rounds {
        if let Err(text) = worker.round(&dir, round == rounds) {
            worker.marker.mark(&format!("end {text}"));
            return;
        }
    }
    worker.marker.mark("end done");
}

impl Worker {
    /// Opens, appends, closes. An `Err` is the reason to go no further, which may be a right one.
    fn round(&self, dir: &Path, is_last: bool) -> Result<(), String> {
        let store = self.setup.open(dir).map_err(|error| self.refused("open", &error))?;
        let found = match oracle::walk(&store, &self.plan, self.setup.threads) {
            Ok(found) => found,
            Err(fault) => return Err(self.reads_failed(&fault)),
        };
        for (thread, units) in found.units.iter().enumerate() {
            self.marker.mark(&format!("seen {thread} {units}"));
        }
        saves::mark_seen(&store, &self.marker, self.setup.threads)
            .map_err(|error| self.refused("read", &error))?;
        let stops: Vec<Stop> = std::thread::scope(|scope| {
            let work = |(thread, &done)| {
                let store = &store;
                scope.spawn(move || self.append_all(store, thread, done + 1))
            };
            let threads: Vec<_> = found.units.iter().enumerate().map(work).collect();
            let join = |thread: std::thread::ScopedJoinHandle<_>| {
                thread.join().unwrap_or_else(|_| {
                    self.marker.mark("bad an append panicked");
                    Stop::Poisoned
                })
            };
            threads.into_iter().map(join).collect()
        });
        if stops.iter().any(|stop| *stop != Stop::Done) {
            self.check_after_error(&store, stops.contains(&Stop::Poisoned));
        }
        if self.is_left && is_last {
            std::process::exit(0);
        }
        // Everything is over after this, one way or the other; an error of close is an error
        // answered.
        self.marker.mark("closing");
        match store.close() {
            Ok(()) => self.marker.mark("closed"),
            Err(error) => return Err(self.refused("close", &error)),
        }
        match stops.iter().find(|stop| **stop != Stop::Done) {
            Some(stop) => Err(format!("{stop:?}")),
            None => Ok(()),
        }
    }

    fn append_all(&self, store: &EventStore, thread: usize, first: u64) -> Stop {
        for number in first..first + self.units {
            let stop = self.append(store, thread, number);
            if stop != Stop::Done {
                return stop;
            }
            if self.flush_every > 0 && number.is_multiple_of(self.flush_every) {
                self.marker.mark(&format!("flushing {thread}"));
                match store.flush() {
                    Ok(()) => self.marker.mark(&format!("flushed {thread}")),
                    Err(error) => {
                        self.refused("flush", &error);
                        return self.stop_of(&error);
                    }
                }
            }
            if number == self.settle_after {
                // The contract of Buffered is about time, so time has to pass: a hundred times its
                // bound, for slow machines.
                std::thread::sleep(Duration::from_millis(self.setup.delay_ms) * 100);
                self.marker.mark("settled");
            }
        }
        Stop::Done
    }

    /// Appends one unit, again if it was refused.
    fn append(&self, store: &EventStore, thread: usize, number: u64) -> Stop {
        for _ in 0..=RETRIES {
            let unit = self.plan.unit(thread, number);
            let expected = match unit.is_exact {
                true => store.stream_version(&unit.events[0].stream).map(ExpectedVersion::Exact),
                false => Ok(ExpectedVersion::Any),
            };
            let entries = expected.and_then(|expected| unit.entries(expected));
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) => {
                    self.refused("read", &error);
                    return Stop::Refused;
                }
            };
            self.marker.mark(&format!("try {thread} {number}"));
            let batch = saves::with_unit(units::batch_of(entries), thread, number);
            match batch.commit(store) {
                Ok(committed) => {
                    let (first, last) = committed.positions().into_inner();
                    self.marker.mark(&format!("ack {thread} {number} {first}"));
                    return self.save(store, (thread, number, last));
                }
                Err(AppendError::Failed(error)) => {
                    self.refused("append", &error);
                    if matches!(error, Error::Poisoned { .. }) {
                        return Stop::Poisoned;
                    }
                    self.marker.mark(&format!("refused {thread} {number}"));
                }
                Err(error) => {
                    self.marker.mark(&format!("bad append answers {error}"));
                    return Stop::Refused;
                }
            }
        }
        Stop::Refused
    }

    /// What is refused leaves everything as it was, and need not be tried again.
    fn save(&self, store: &EventStore, place: (usize, u64, u64)) -> Stop {
        match saves::save(store, &self.marker, self.setup.seed, place) {
            Ok(()) => Stop::Done,
            Err(error) => {
                self.refused("save", &error);
                if matches!(error, Error::Poisoned { .. }) { Stop::Poisoned } else { Stop::Done }
            }
        }
    }

    fn stop_of(&self, error: &Error) -> Stop {
        if matches!(error, Error::Poisoned { .. }) { Stop::Poisoned } else { Stop::Refused }
    }

    /// Notes an error, and complains about those that an I/O fault must not lead to.
    fn refused(&self, action: &str, error: &Error) -> String {
        use ErrorCode::{Corrupted, Io, NoSpace, Poisoned};
        let code = error.code();
        let text = format!("{action} answers {code:?}: {}", error.chain());
        let may_be_corrupted = code == Corrupted && self.reads_fail;
        // sled may hang when it cannot write, and is given up then.
        let is_hung = error.chain().contains("makes no progress");
        if matches!(code, Io | NoSpace | Poisoned) || may_be_corrupted || is_hung {
            self.marker.mark(&format!("error {text}"));
        } else {
            self.marker.mark(&format!("bad {text}"));
        }
        text
    }

    fn reads_failed(&self, fault: &oracle::Fault) -> String {
        if !self.reads_fail || matches!(fault, oracle::Fault::Wrong(text) if !text.contains("Io")) {
            self.marker.mark(&format!("bad reading after open: {fault:?}"));
        }
        format!("reading after open: {fault:?}")
    }

    /// Reads go on after an error, and a poisoned store takes nothing more.
    fn check_after_error(&self, store: &EventStore, is_poisoned: bool) {
        if !self.reads_fail {
            let found = oracle::walk(store, &self.plan, self.setup.threads);
            let checked = found.and_then(|found| {
                oracle::check_reads(store, &found, self.setup.seed).map(|()| found)
            });
            match checked {
                Ok(found) => {
                    for (thread, units) in found.units.iter().enumerate() {
                        self.marker.mark(&format!("visible {thread} {units}"));
                    }
                }
                Err(fault) => self.marker.mark(&format!("bad reads after an error: {fault:?}")),
            }
        }
        if is_poisoned {
            let event = annals::NewEvent::binary("Late", [1]).expect("binary data is always valid");
            match store.append("late", ExpectedVersion::Any, [event]) {
                Err(AppendError::Failed(Error::Poisoned { .. })) => {}
                other => self.marker.mark(&format!("bad a poisoned store answers {other:?}")),
            }
        }
    }
}
