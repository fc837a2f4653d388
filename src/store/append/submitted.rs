//! Submitted batches: a thread of the store commits them, which the first one starts.
//!
//! They are queued with everything else. Whoever leads a group commits the submitted ones in it as
//! well; the committer leads where no caller does. After a group is durable the committer brings
//! the live projections forward, and then answers the tickets: only it runs handlers for them, so
//! that a slow handler delays no caller.
//!
//! The thread keeps the queue alive, and the batches in it keep the store open. So the last handle
//! of a store may go while batches wait, and the thread ends after them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    group::{GroupCommit, Slot},
    outcome::Outcome,
    request::AppendRequest,
};
use crate::{
    Error, EventStore,
    store::Inner,
    sync::{
        self, Condvar, Mutex,
        thread::{self, JoinHandle},
    },
};

/// Batches, and bytes of them, that wait in the queue.
const QUEUE_BATCHES: usize = 1_024;
const QUEUE_BYTES: usize = 64 << 20;

/// The queue is full as well when so many times as many are not answered: others may lead while the
/// committer runs handlers, and what they commit waits for it.
const UNANSWERED: usize = 2;

/// The part of the queue that is about submitted batches.
#[derive(Debug, Default)]
pub(super) struct Submitted {
    /// How many wait, and their bytes.
    batches: usize,
    bytes: usize,
    /// How many wait or are being committed or answered, and their bytes.
    unanswered: usize,
    unanswered_bytes: usize,
    /// Committed, and not answered yet.
    pub(super) finished: Vec<Arc<Slot>>,
    /// Nothing more is taken.
    is_closing: bool,
    /// The committer waits for work.
    is_idle: bool,
    /// How many threads wait for room.
    waiting: usize,
}

impl Submitted {
    pub(super) fn entered(&mut self, bytes: usize) {
        self.batches += 1;
        self.bytes += bytes;
        self.unanswered += 1;
        self.unanswered_bytes += bytes;
    }

    fn answered(&mut self, slots: &[Arc<Slot>]) {
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

    fn is_full_for(&self, bytes: usize) -> bool {
        let is_past = |batches: usize, own: usize, times: usize| {
            batches >= QUEUE_BATCHES * times || (batches > 0 && own + bytes > QUEUE_BYTES * times)
        };
        is_past(self.batches, self.bytes, 1)
            || is_past(self.unanswered, self.unanswered_bytes, UNANSWERED)
    }
}

/// The thread that commits, and where it and others wait.
#[derive(Debug, Default)]
pub(super) struct Committer {
    /// Where the thread waits.
    work: Condvar,
    /// Where those wait who submit.
    room: Condvar,
    /// Where those wait who close.
    done: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    pub(super) fn wake(&self) {
        self.work.notify_one();
    }

    pub(super) fn make_room(&self) {
        self.room.notify_all();
    }
}

impl GroupCommit {
    /// Queues a batch, and waits while the queue is full, unless `is_inside` a handler. The request
    /// comes back where there is no thread to commit it.
    pub(crate) fn submit(
        self: &Arc<Self>,
        store: &EventStore,
        request: AppendRequest,
        outcome: &Arc<Outcome>,
        is_inside: impl Fn() -> bool,
    ) -> Result<Option<AppendRequest>, Error> {
        if !self.start(&store.inner) {
            return Ok(Some(request));
        }
        let bytes = request.contents.weight();
        let mut queue = self.lock();
        while queue.submitted.is_full_for(bytes) && !queue.submitted.is_closing && !is_inside() {
            queue.submitted.waiting += 1;
            queue = sync::wait(&self.committer.room, queue);
            queue.submitted.waiting -= 1;
        }
        if queue.submitted.is_closing {
            return Err(Error::Closed);
        }
        queue.submit(request, bytes, outcome, store);
        if queue.submitted.is_idle && queue.needs_leader() {
            self.committer.wake();
        }
        Ok(None)
    }

    /// Starts the thread, unless it runs. False when the system has none, or when the second thread
    /// of the store seals a file just now.
    fn start(self: &Arc<Self>, inner: &Inner) -> bool {
        let mut thread = sync::lock(&self.committer.thread);
        if thread.is_none() {
            if !inner.storage.try_take_second_thread() {
                return false;
            }
            let commits = Arc::clone(self);
            let builder = thread::Builder::new().name("annals-commit".to_owned());
            *thread = builder.spawn(move || commits.run()).ok();
            if thread.is_none() {
                inner.storage.return_second_thread();
            }
        }
        thread.is_some()
    }

    fn run(&self) {
        let mut queue = self.lock();
        loop {
            if !queue.submitted.finished.is_empty() {
                let finished = std::mem::take(&mut queue.submitted.finished);
                drop(queue);
                let last = answer(&finished);
                queue = self.lock();
                queue.submitted.answered(&finished);
                if queue.submitted.unanswered == 0 {
                    self.committer.done.notify_all();
                }
                if queue.submitted.is_awaited() {
                    self.committer.make_room();
                }
                drop(queue);
                // Not under the lock, and not before its batches are counted as answered.
                drop(last);
                queue = self.lock();
                continue;
            }
            if queue.needs_leader()
                && let Some(store) = queue.first_store()
            {
                queue = self.lead(&store.inner, queue, None);
                // Not under the lock: it may be the last handle of the store.
                drop(queue);
                drop(store);
                queue = self.lock();
                continue;
            }
            if queue.submitted.is_closing && queue.submitted.unanswered == 0 {
                return;
            }
            queue.submitted.is_idle = true;
            queue = sync::wait(&self.committer.work, queue);
            queue.submitted.is_idle = false;
        }
    }

    /// Takes nothing more, and returns once everything that was submitted is answered.
    ///
    /// # Errors
    /// `Busy` inside a handler, which the answers would wait for.
    pub(crate) fn finish(&self, is_inside: bool) -> Result<(), Error> {
        let mut queue = self.lock();
        let is_committer = sync::lock(&self.committer.thread)
            .as_ref()
            .is_some_and(|thread| thread.thread().id() == thread::current().id());
        if (is_inside || is_committer) && queue.submitted.unanswered > 0 {
            return Err(Error::Busy {
                what: "the end of a store with batches that were submitted",
            });
        }
        queue.submitted.is_closing = true;
        self.committer.work.notify_all();
        self.committer.room.notify_all();
        while queue.submitted.unanswered > 0 {
            queue = sync::wait(&self.committer.done, queue);
        }
        drop(queue);
        let thread = sync::lock(&self.committer.thread).take();
        // The thread itself may hold the last handle of the store.
        if let Some(thread) = thread.filter(|one| one.thread().id() != thread::current().id()) {
            // Its panics are caught where they can happen.
            let _ = thread.join();
        }
        Ok(())
    }
}

/// Brings the live projections forward, and answers tickets whose batches are durable.
///
/// The batches release their handles of the store before any ticket is answered: a caller that
/// waits for its tickets and then drops its own handle closes the store. If one of the released
/// handles was the last, the store is returned, to be dropped once its batches count as answered.
fn answer(finished: &[Arc<Slot>]) -> Option<Inner> {
    let answers: Vec<_> = finished.iter().filter_map(|slot| slot.ticket()).collect();
    let written = answers.iter().filter_map(|(_, _, answer)| answer.as_ref().ok());
    let last = written.filter_map(|written| written.last_position()).max();
    if let (Some(last), Some((_, store, _))) = (last, answers.first()) {
        // What a handler does must not leave tickets without an answer.
        let _ = catch_unwind(AssertUnwindSafe(|| store.followers().follow(last)));
    }
    let mut closing = None;
    let mut outcomes = Vec::with_capacity(answers.len());
    for (outcome, store, answer) in answers {
        if answer.is_ok() {
            store.storage().meters().ticket.record_since(outcome.submitted());
        }
        closing = closing.or(Arc::into_inner(store.inner));
        outcomes.push((outcome, answer));
    }
    for (outcome, answer) in outcomes {
        outcome.set(answer);
    }
    closing
}
