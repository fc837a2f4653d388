//! `tail`: the last events, then what any process appends, until it is interrupted.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use annals::Reader;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::{
    args::TailArgs,
    exit::{Exit, Failure},
    output::Output,
};

/// How long it waits between two looks at signals and at its reader.
const STEP: Duration = Duration::from_millis(100);

pub(super) fn run(args: &TailArgs, output: &mut Output) -> Result<Exit, Failure> {
    let is_interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&is_interrupted)).map_err(|error| {
            Failure::new(Exit::System, format!("cannot wait for signals: {error}"))
        })?;
    }
    let store = Reader::open(&args.store)?;
    let from = match args.from {
        Some(from) => from,
        None => store.head()?.saturating_sub(args.last) + 1,
    };
    let mut events = store.subscribe(from)?;
    let mut is_flushed = true;
    while !is_interrupted.load(Ordering::Relaxed) {
        let wait = if is_flushed { STEP } else { Duration::ZERO };
        match events.next_timeout(wait)? {
            Some(event) => {
                output.event(&event)?;
                is_flushed = false;
            }
            None if !is_flushed => {
                output.finish()?;
                is_flushed = true;
            }
            None if is_reader_gone() => return Ok(Exit::Done),
            None => {}
        }
    }
    Ok(Exit::Done)
}

/// Whether nobody reads standard output any more: without events to write, nothing else tells.
fn is_reader_gone() -> bool {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    // Asking for nothing still tells errors and hang-ups, without waiting.
    let _ = poll(&mut polled, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }));
    polled.iter().any(|stdout| stdout.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}
