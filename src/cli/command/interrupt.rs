//! Input that a signal ends, so that what is in stays in and can be reported.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// How long a wait for input lasts between two looks at the signals, in nanoseconds.
const STEP_NANOS: i64 = 100_000_000;

/// The exit code of a program that a signal has ended, as a shell would report it.
const EXIT_CODE: i32 = 130;

/// Whether a signal has come. A second one ends the program at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    /// Watches for signals from here on. Where that is impossible, they end the program as always.
    pub(super) fn watch() -> Interrupts {
        let interrupts = Interrupts::default();
        for signal in [SIGINT, SIGTERM] {
            let _ =
                flag::register_conditional_shutdown(signal, EXIT_CODE, Arc::clone(&interrupts.0));
            let _ = flag::register(signal, Arc::clone(&interrupts.0));
        }
        interrupts
    }

    pub(super) fn have_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An input that ends with an error once a signal has come, also while it waits.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    interrupts: Interrupts,
}

impl Input {
    pub(super) fn new(file: File, interrupts: &Interrupts) -> Input {
        Input { file, interrupts: interrupts.clone() }
    }

    /// Standard input.
    pub(super) fn of_stdin(interrupts: &Interrupts) -> io::Result<Input> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Input::new(File::from(stdin), interrupts))
    }

    /// Waits until there is something to read; false when a signal came first.
    fn wait(&self) -> bool {
        while !self.interrupts.have_come() {
            let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
            let step = Timespec { tv_sec: 0, tv_nsec: STEP_NANOS };
            match poll(&mut polled, Some(&step)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // The read says what is wrong, if anything is.
                Ok(_) | Err(_) => return true,
            }
        }
        false
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.wait() {
            true => self.file.read(buffer),
            false => Err(io::Error::other("interrupted")),
        }
    }
}
