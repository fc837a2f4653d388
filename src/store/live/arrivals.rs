//! Wakes readers that wait for new events. It never carries events: they are read from the store,
//! so that a slow reader costs a writer nothing.

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
    /// Wakes all waiters. Called after every change that may concern them; it costs next to nothing
    /// when nobody waits.
    pub(crate) fn announce(&self) {
        // SeqCst orders the two: either the waiter's check sees our change, or we see its
        // increment.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // A waiter whose check failed holds the gate until it sleeps.
            drop(sync::lock(&self.gate));
            self.changed.notify_all();
        }
    }

    /// Waits until `is_due` holds, which is checked after every announcement, or until the
    /// deadline; `None` waits forever. Returns whether it is due.
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
