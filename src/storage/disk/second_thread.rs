//! Who has the second thread of a store. A store has two at most: one drains, and the second one
//! either seals files while the first drains, or commits what is submitted. Where it commits, the
//! first one seals.

use std::sync::{Condvar, Mutex};

use crate::sync;

/// The second thread.
#[derive(Debug, Default)]
pub(crate) struct SecondThread {
    state: Mutex<Use>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Use {
    #[default]
    Free,
    Sealing,
    Committing,
}

impl SecondThread {
    /// Takes it for commits, once it does not seal.
    pub(crate) fn take_to_commit(&self) {
        let is_sealing = |state: &mut Use| *state == Use::Sealing;
        let mut state = sync::wait_while(&self.changed, sync::lock(&self.state), is_sealing);
        *state = Use::Committing;
    }

    /// Takes it for sealing, if it is free.
    pub(crate) fn try_take_to_seal(&self) -> bool {
        let mut state = sync::lock(&self.state);
        let is_free = *state == Use::Free;
        if is_free {
            *state = Use::Sealing;
        }
        is_free
    }

    pub(crate) fn give_back(&self) {
        *sync::lock(&self.state) = Use::Free;
        self.changed.notify_all();
    }
}
