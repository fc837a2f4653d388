//! Who uses the second thread of a store. A store has at most two threads: the first one drains,
//! and the second one either seals files during a drain, or commits submitted batches. While it
//! commits, the first thread does the sealing. No thread waits for it.

use crate::sync::{self, Mutex};

/// The second thread.
#[derive(Debug, Default)]
pub(crate) struct SecondThread(Mutex<Option<Use>>);

/// What it is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Sealing,
    Committing,
}

impl SecondThread {
    /// Takes the second thread, if it is free.
    pub(crate) fn try_take(&self, what: Use) -> bool {
        let mut taken = sync::lock(&self.0);
        let is_free = taken.is_none();
        if is_free {
            *taken = Some(what);
        }
        is_free
    }

    pub(crate) fn give_back(&self) {
        *sync::lock(&self.0) = None;
    }
}
