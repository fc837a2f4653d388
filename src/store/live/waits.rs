//! Which thread waits for which, among those that follow the appends of a store and look at each
//! other: so that a circle of them is found before it closes.

use std::{
    sync::{Mutex, MutexGuard},
    thread::ThreadId,
};

use crate::sync;

/// A thread waits for one other at most, so this is a list of ways without a fork.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// Who waits, and for whom.
    edges: Mutex<Vec<(ThreadId, ThreadId)>>,
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, Vec<(ThreadId, ThreadId)>> {
        sync::lock(&self.edges)
    }

    /// Notes that a thread waits for another one from now on; unless that one waits for it already,
    /// perhaps by way of others: then nothing is noted, and the answer is `false`.
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

    /// Notes that a thread does not wait any more.
    pub(crate) fn end(&self, waiter: ThreadId) {
        self.lock().retain(|(from, _)| *from != waiter);
    }

    /// Notes that nobody has to wait for this thread any more, whether they know it by now or not.
    pub(crate) fn release(&self, other: ThreadId) {
        self.lock().retain(|(_, to)| *to != other);
    }
}
