//! Wakes readers that wait for new events. It never carries events: they are read from the store,
//! so that a slow reader costs a writer nothing.

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
    /// Threads that wait, and tasks that want to be woken.
    waiting: AtomicUsize,
    /// The tasks, each with the number of whoever waits in it.
    gate: Mutex<HashMap<usize, Waker>>,
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
            let tasks = mem::take(&mut *sync::lock(&self.gate));
            self.waiting.fetch_sub(tasks.len(), Ordering::SeqCst);
            self.changed.notify_all();
            for task in tasks.into_values() {
                // It is code of the caller's executor, and the others are still to be woken.
                let _ = catch_unwind(AssertUnwindSafe(|| task.wake()));
            }
        }
    }

    /// Has the task of a waiter woken by the next announcement, and no longer an earlier one of the
    /// same waiter. It checks what it waits for after this call.
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

    /// Forgets a waiter that is gone.
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
    /// deadline; `None` waits forever. Returns whether it is due.
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
