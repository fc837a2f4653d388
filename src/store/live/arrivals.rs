//! Wakes readers that wait for new events. It never passes events on: readers read them from the
//! store, so a slow reader costs a writer nothing.

use std::{
    collections::HashMap,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
    time::Instant,
};

use crate::sync::{
    self, Condvar, Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Where readers wait for the head to move.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// The number of waiting threads and of tasks that want to be woken.
    waiting: AtomicUsize,
    /// The tasks, each with the number of the waiter in it.
    gate: Mutex<HashMap<usize, Waker>>,
    changed: Condvar,
}

impl Arrivals {
    /// Wakes all waiters. Called after every change that may concern them; the cost is negligible
    /// when nobody waits.
    pub(crate) fn announce(&self) {
        // SeqCst orders the two: either the waiter's check sees our change, or we see its
        // increment.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // A waiter whose check failed holds the gate until it sleeps.
            let tasks = mem::take(&mut *sync::lock(&self.gate));
            self.waiting.fetch_sub(tasks.len(), Ordering::SeqCst);
            self.changed.notify_all();
            for task in tasks.into_values() {
                // This is code of the caller's executor, and the other tasks must still be woken.
                let _ = catch_unwind(AssertUnwindSafe(|| task.wake()));
            }
        }
    }

    /// Registers the task of a waiter to be woken by the next announcement, replacing an earlier
    /// task of the same waiter. The waiter must check its condition after this call.
    #[cfg(feature = "async")]
    pub(crate) fn wake_at_next(&self, waiter: usize, task: &Waker) {
        // Wakers are cloned and dropped without the lock: that is code of the caller's executor,
        // and may drop a task that waits here too.
        let task = task.clone();
        let earlier = {
            let mut tasks = sync::lock(&self.gate);
            let earlier = tasks.insert(waiter, task);
            if earlier.is_none() {
                self.waiting.fetch_add(1, Ordering::SeqCst);
            }
            earlier
        };
        drop(earlier);
    }

    /// Removes a waiter that is gone.
    #[cfg(feature = "async")]
    pub(crate) fn forget(&self, waiter: usize) {
        let task = {
            let mut tasks = sync::lock(&self.gate);
            let task = tasks.remove(&waiter);
            if task.is_some() {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
            }
            task
        };
        drop(task);
    }

    /// Waits until `is_due` holds, which is checked after every announcement, or until the
    /// deadline; `None` waits forever. Returns whether `is_due` holds.
    pub(crate) fn wait(&self, deadline: Option<Instant>, is_due: impl Fn() -> bool) -> bool {
        let gate = sync::lock(&self.gate);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let is_early = |_: &mut HashMap<usize, Waker>| !is_due();
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
