//! The wait graph of the threads that are inside the followers of a store, so that a cycle is
//! detected before it closes.

use crate::sync::{self, Mutex, MutexGuard, thread::ThreadId};

/// A thread waits for at most one other, so the wait graph has out-degree one.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// The waiting threads, each with the thread that it waits for.
    edges: Mutex<Vec<(ThreadId, ThreadId)>>,
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, Vec<(ThreadId, ThreadId)>> {
        sync::lock(&self.edges)
    }

    /// Notes that a thread starts to wait for another. If the other already waits for it, perhaps
    /// through more threads, nothing is noted and the result is `false`.
    pub(crate) fn begin(&self, waiter: ThreadId, other: ThreadId) -> bool {
        let mut edges = self.lock();
        let mut end = other;
        while let Some((_, next)) = edges.iter().find(|(from, _)| *from == end) {
            end = *next;
        }
        let is_free = end != waiter;
        if is_free {
            edges.push((waiter, other));
        }
        is_free
    }

    /// Notes that a thread no longer waits.
    pub(crate) fn end(&self, waiter: ThreadId) {
        self.lock().retain(|(from, _)| *from != waiter);
    }

    /// Removes every wait for this thread, even of waiters that have not woken yet.
    pub(crate) fn release(&self, other: ThreadId) {
        self.lock().retain(|(_, to)| *to != other);
    }
}
