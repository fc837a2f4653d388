//! The thread that commits submitted batches, and how many of them there are.

use std::sync::Arc;

use super::request::Slot;
use crate::sync::{
    self, Condvar, RwLock,
    thread::{self, JoinHandle},
};

/// The largest number of batches in the queue, and the largest number of their bytes.
const QUEUE_BATCHES: usize = 1_024;
const QUEUE_BYTES: usize = 64 << 20;

/// The queue also counts as full when the unanswered batches reach this multiple of its limits:
/// others may lead while the committer runs handlers, and the batches that they commit wait for it.
const UNANSWERED: usize = 2;

/// The part of the queue that concerns submitted batches.
#[derive(Debug, Default)]
pub(super) struct Submitted {
    /// The number of waiting batches, and their bytes.
    batches: usize,
    bytes: usize,
    /// The number of batches that wait or are being committed or answered, and their bytes.
    pub(super) unanswered: usize,
    pub(super) unanswered_bytes: usize,
    /// Batches that are committed but not answered yet.
    pub(super) finished: Vec<Arc<Slot>>,
    /// No more batches are accepted.
    pub(super) is_closing: bool,
    /// The committer is waiting for work.
    pub(super) is_idle: bool,
    /// The number of threads that wait for room.
    pub(super) waiting: usize,
}

impl Submitted {
    pub(super) fn entered(&mut self, bytes: usize) {
        self.batches += 1;
        self.bytes += bytes;
        self.unanswered += 1;
        self.unanswered_bytes += bytes;
    }

    pub(super) fn answered(&mut self, slots: &[Arc<Slot>]) {
        self.unanswered -= slots.len();
        self.unanswered_bytes -= slots.iter().map(|slot| slot.bytes).sum::<usize>();
    }

    pub(super) fn left(&mut self, bytes: usize) {
        self.batches -= 1;
        self.bytes -= bytes;
    }

    /// Whether a thread waits for room.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting > 0
    }

    pub(super) fn is_full_for(&self, bytes: usize) -> bool {
        let is_past = |batches: usize, own: usize, times: usize| {
            batches >= QUEUE_BATCHES * times || (batches > 0 && own + bytes > QUEUE_BYTES * times)
        };
        is_past(self.batches, self.bytes, 1)
            || is_past(self.unanswered, self.unanswered_bytes, UNANSWERED)
    }
}

/// The committing thread, and the condition variables at which it and others wait.
#[derive(Debug, Default)]
pub(super) struct Committer {
    /// Where the thread waits.
    pub(super) work: Condvar,
    /// Where submitters wait for room.
    pub(super) room: Condvar,
    /// Where closers wait for the last answer.
    pub(super) done: Condvar,
    /// Read by each callback of the C ABI.
    pub(super) thread: RwLock<Option<JoinHandle<()>>>,
}

impl Committer {
    pub(super) fn wake(&self) {
        self.work.notify_one();
    }

    pub(super) fn make_room(&self) {
        self.room.notify_all();
    }

    /// Whether the current thread is the committing one.
    pub(super) fn is_current(&self) -> bool {
        let thread = sync::read(&self.thread);
        thread.as_ref().is_some_and(|thread| thread.thread().id() == thread::current().id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_full_at_each_limit_and_not_before() {
        let mut queue = Submitted::default();
        assert!(!queue.is_full_for(2 * QUEUE_BYTES), "one batch always has room");
        (1..QUEUE_BATCHES).for_each(|_| queue.entered(1));
        assert!(!queue.is_full_for(1));
        queue.entered(1);
        assert!(queue.is_full_for(1), "by the number of batches");
        queue.left(1);
        assert!(!queue.is_full_for(1));

        let mut queue = Submitted::default();
        queue.entered(1);
        assert!(!queue.is_full_for(QUEUE_BYTES - 1));
        assert!(queue.is_full_for(QUEUE_BYTES), "by their bytes");
    }

    #[test]
    fn committed_batches_count_until_they_are_answered() {
        // These limits are documented.
        let (batches, bytes) = (2 * 1_024, 2 * (64 << 20));
        let mut queue = Submitted::default();
        for _ in 1..batches {
            queue.entered(1);
            queue.left(1);
        }
        assert!(!queue.is_full_for(1));
        queue.entered(1);
        queue.left(1);
        assert!(queue.is_full_for(1));

        let mut queue = Submitted::default();
        queue.entered(bytes);
        queue.left(bytes);
        assert!(!queue.is_full_for(0));
        assert!(queue.is_full_for(1));
    }
}
