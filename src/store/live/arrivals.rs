//! Wakes those who wait for new events. It never carries events: they are read from the store, so
//! that a slow reader costs a writer nothing.

use std::{
    sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::sync;

/// Where readers wait for the head to move.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    waiting: AtomicUsize,
    gate: Mutex<()>,
    changed: Condvar,
}

impl Arrivals {
    /// Wakes all who wait. Called behind every change that may concern them; it costs next to
    /// nothing when nobody waits.
    pub(crate) fn announce(&self) {
        // In the one order of such operations either the change comes before the look that a
        // waiter takes behind its own mark, or that mark is seen here.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // A waiter that has looked in vain holds the gate until it sleeps.
            drop(sync::lock(&self.gate));
            self.changed.notify_all();
        }
    }

    /// Waits until `is_due`, which is asked behind every announcement, or the deadline; `None`
    /// waits for ever. Returns whether it is due.
    pub(crate) fn wait(&self, deadline: Option<Instant>, is_due: impl Fn() -> bool) -> bool {
        let gate = sync::lock(&self.gate);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let is_early = |(): &mut ()| !is_due();
        let (gate, is_late) = match deadline {
            None => (sync::wait_while(&self.changed, gate, is_early), false),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                sync::wait_timeout_while(&self.changed, gate, left, is_early)
            }
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(gate);
        !is_late
    }
}
