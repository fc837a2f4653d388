//! The engine under a model checker: the library's own code runs on the threads and locks of
//! shuttle, which picks at each of them who goes on, and at random repeats that some thousand
//! times.
//!
//! Method: each test is a small program that appends, submits, reads and closes on several threads.
//! The journal, the trees and the files are real, in memory; only a sync of the journal is the
//! model's, so that other threads run before, within and after it, and that a test knows what is
//! durable and can have a sync fail. A thread that nobody wakes is a deadlock, which shuttle finds
//! at once, without a time limit.
//!
//! `cargo test --features model-checking --test model`. Environment: `ANNALS_SEED` sets the seed,
//! `ANNALS_SOAK=1` tries twenty times as many executions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at what it does not expect"
)]

mod appends;
mod conditions;
mod poisoned;
mod tail;
mod tickets;

use std::path::Path;

use annals::{AppendError, Error, EventStore, ExpectedVersion::Any, NewEvent, Options, model};
use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler},
};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs a program in so many executions, half of them with few changes of the running thread at
/// random places, which finds other faults than many changes do.
fn check(executions: usize, program: impl Fn(&Path) + Send + Sync + Clone + 'static) {
    let seed = number("ANNALS_SEED").unwrap_or(1);
    let factor = if number("ANNALS_SOAK") == Some(1) { 20 } else { 1 };
    let half = executions * factor / 2;
    println!("seed {seed}, {} executions", half * 2);
    let mut config = Config::new();
    config.stack_size = 4 << 20;
    // Every atomic counts as sequentially consistent, which it says in each run otherwise.
    config.silence_warnings = true;
    let run = move || {
        let memory = Path::new("/dev/shm");
        let directory = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        model::begin(None);
        program(&directory.path().join("store"));
    };
    let random = RandomScheduler::new_from_seed(seed, half);
    Runner::new(random, config.clone()).run(run.clone());
    Runner::new(PctScheduler::new_from_seed(seed, 4, half), config).run(run);
}

fn open(path: &Path) -> EventStore {
    Options::new().journal_bytes(64 << 10).open(path).unwrap()
}

/// Text that no other event has.
fn text(thread: u64, number: u64) -> String {
    format!("<thread {thread}, event {number}>")
}

fn event(thread: u64, number: u64) -> NewEvent {
    NewEvent::binary("T", text(thread, number).into_bytes()).unwrap()
}

/// Appends one event; what is acknowledged is durable and can be read.
fn append(store: &EventStore, thread: u64, number: u64) -> Result<u64, Error> {
    match store.append(format!("s-{thread}"), Any, [event(thread, number)]) {
        Ok(appended) => {
            let text = text(thread, number);
            assert!(model::is_durable(text.as_bytes()), "{text} is acknowledged, and not durable");
            let position = *appended.positions().end();
            match store.head() {
                Ok(head) => assert!(head >= position),
                Err(error) => assert!(matches!(error, Error::Closed), "{error:?}"),
            }
            Ok(position)
        }
        Err(AppendError::Failed(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

/// Everything that can be seen is durable, without gaps.
fn check_visible(store: &EventStore) -> u64 {
    let mut position = 0;
    for event in store.read_all() {
        let event = event.unwrap();
        position += 1;
        assert_eq!(event.position(), position);
        assert!(model::is_durable(event.data()), "position {position} is shown, and not durable");
    }
    position
}
