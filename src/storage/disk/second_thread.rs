//! Who has the second thread of a store. A store has two at most: one drains, and the second one
//! either seals files while the first drains, or commits what is submitted. Where it commits, the
//! first one seals. Nobody waits for it.

use crate::sync::{self, Mutex};

/// The second thread.
#[derive(Debug, Default)]
pub(crate) struct SecondThread(Mutex<Option<Use>>);

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Sealing,
    Committing,
}

impl SecondThread {
    /// Takes it, if it is free.
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
