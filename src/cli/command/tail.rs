//! `tail`: prints the last events, then those that any process appends, until it is interrupted.

use std::{io, time::Duration};

use rustix::event::{PollFd, PollFlags, poll};

use crate::{
    args::TailArgs,
    command::{interrupt::Interrupts, open_reader},
    exit::{Exit, Failure},
    output::Output,
};

/// How long it waits for events before it checks for signals and for a closed output.
const STEP: Duration = Duration::from_millis(100);

pub(super) fn run(args: &TailArgs, output: &mut Output) -> Result<Exit, Failure> {
    let interrupts = Interrupts::watch();
    let store = open_reader(&args.store)?;
    let from = match args.from {
        Some(from) => from,
        None => store.head()?.saturating_sub(args.last) + 1,
    };
    let mut events = store.subscribe(from)?;
    let mut is_flushed = true;
    while !interrupts.have_come() {
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

/// Whether the reader of standard output has closed it: without events to write, no write fails.
fn is_reader_gone() -> bool {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    // Errors and hang-ups are reported even if no event is requested.
    let _ = poll(&mut polled, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }));
    polled.iter().any(|stdout| stdout.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}
