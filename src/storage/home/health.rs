//! Whether the store still accepts writes.

use std::sync::{Arc, OnceLock};

use crate::{
    Error,
    sync::atomic::{AtomicBool, Ordering},
};

/// Set once, by the first failure that leaves an outcome unknown, and never cleared: only a reopen
/// can determine the state on the disk.
#[derive(Debug)]
pub(crate) struct Health {
    /// The process that opened the store. A forked child has no background thread, and its writes
    /// would overwrite the parent's.
    process: u32,
    failure: OnceLock<Arc<Error>>,
    is_closed: AtomicBool,
}

impl Health {
    pub(crate) fn new() -> Health {
        Health {
            process: std::process::id(),
            failure: OnceLock::new(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Whether this is a forked child of the process that opened the store.
    pub(crate) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    /// Refuses further writes because of `cause`; later errors also report this first cause.
    pub(crate) fn poison(&self, cause: Error) -> Error {
        let cause = match cause {
            Error::Poisoned { cause } => cause,
            cause => Arc::new(cause),
        };
        let first = self.failure.get_or_init(|| cause);
        Error::Poisoned { cause: Arc::clone(first) }
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.failure.get().is_some()
    }

    /// Makes every later call fail; returns true for the first close.
    pub(crate) fn close(&self) -> bool {
        !self.is_closed.swap(true, Ordering::AcqRel)
    }

    /// The check before a read: [`Error::Closed`] after a close, [`Error::Forked`] in a forked
    /// child.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        self.check_not_closed()?;
        if self.is_forked() { Err(Error::Forked) } else { Ok(()) }
    }

    /// Like [`check_open`](Self::check_open), without a system call.
    pub(crate) fn check_not_closed(&self) -> Result<(), Error> {
        if self.is_closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// The check before a write: also [`Error::Poisoned`] after a failure.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        self.check_open()?;
        self.check_sound()
    }

    /// The check during a close: [`Error::Poisoned`] after a failure.
    pub(crate) fn check_sound(&self) -> Result<(), Error> {
        match self.failure.get() {
            Some(cause) if matches!(**cause, Error::ReadOnly) => Err(Error::ReadOnly),
            Some(cause) => Err(Error::Poisoned { cause: Arc::clone(cause) }),
            None => Ok(()),
        }
    }
}
