//! Wakes those who wait for new events. It never carries events: they are read from the store, so
//! that a slow reader costs a writer nothing.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

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
            drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_all();
        }
    }

    /// Waits until `is_due`, which is asked behind every announcement, or the deadline; `None`
    /// waits for ever. Returns whether it is due.
    pub(crate) fn wait(&self, deadline: Option<Instant>, is_due: impl Fn() -> bool) -> bool {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let is_in_time = loop {
            if is_due() {
                break true;
            }
            gate = match deadline {
                None => self.changed.wait(gate).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break false;
                    }
                    let waited = self.changed.wait_timeout(gate, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        is_in_time
    }
}
