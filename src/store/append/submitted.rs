//! Submitted batches: the store has a thread that commits them. The first submit starts it.
//!
//! They are in the same queue as all other requests. The leader of a group also commits the
//! submitted batches in it; the committer thread leads if no caller does. After a group is durable
//! the committer brings the live projections up to date, and then answers the tickets. Only the
//! committer runs handlers for submitted batches, so a slow handler delays no caller.
//!
//! The thread keeps the queue alive, and the batches in the queue keep the store open. The last
//! handle of a store may therefore be dropped while batches wait; the thread ends after them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    group::GroupCommit,
    outcome::Outcome,
    request::{AppendRequest, Slot},
};
use crate::{
    Error, EventStore,
    store::Inner,
    sync::{self, thread},
};

/// The committing thread of a store, for questions about the current thread.
#[cfg(feature = "capi")]
#[derive(Debug)]
pub(crate) struct OwnThread(Arc<GroupCommit>);

#[cfg(feature = "capi")]
impl OwnThread {
    pub(crate) fn of(commits: &Arc<GroupCommit>) -> OwnThread {
        OwnThread(Arc::clone(commits))
    }

    pub(crate) fn is_current(&self) -> bool {
        self.0.committer.is_current()
    }
}

impl GroupCommit {
    /// Queues a batch, waiting while the queue is full unless `is_inside` reports a handler.
    /// Returns the request if there is no thread to commit it.
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

    /// Starts the thread if it is not running. Returns false if the system cannot create one, or if
    /// the second thread of the store is sealing a file at the moment.
    fn start(self: &Arc<Self>, inner: &Inner) -> bool {
        let mut thread = sync::write(&self.committer.thread);
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
                // This must not be dropped under the lock, nor before its batches are counted as
                // answered.
                drop(last);
                queue = self.lock();
                continue;
            }
            if queue.needs_leader()
                && let Some(store) = queue.first_store()
            {
                queue = self.lead(&store.inner, queue, None);
                // Not under the lock: this may be the last handle of the store.
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

    /// Stops accepting batches, and returns once every submitted batch is answered.
    ///
    /// # Errors
    /// `Busy` inside a handler, because the answers would wait for that handler.
    pub(crate) fn finish(&self, is_inside: bool) -> Result<(), Error> {
        let mut queue = self.lock();
        if (is_inside || self.committer.is_current()) && queue.submitted.unanswered > 0 {
            return Err(Error::Busy { what: "closing a store with submitted batches" });
        }
        queue.submitted.is_closing = true;
        self.committer.work.notify_all();
        self.committer.room.notify_all();
        while queue.submitted.unanswered > 0 {
            queue = sync::wait(&self.committer.done, queue);
        }
        drop(queue);
        let thread = sync::write(&self.committer.thread).take();
        // The thread itself may drop the last handle of the store.
        if let Some(thread) = thread.filter(|one| one.thread().id() != thread::current().id()) {
            // Its panics are caught where they can occur.
            let _ = thread.join();
        }
        Ok(())
    }

    /// Accepts batches again after [`finish`](Self::finish).
    #[cfg(feature = "capi")]
    pub(crate) fn accept(&self) {
        self.lock().submitted.is_closing = false;
    }
}

/// Brings the live projections up to date, and answers tickets whose batches are durable.
///
/// The batches release their handles of the store before any ticket is answered, so that a caller
/// that waits for its tickets and then drops its own handle closes the store. If one of the
/// released handles was the last, the store is returned, to be dropped after its batches are
/// counted as answered.
fn answer(finished: &[Arc<Slot>]) -> Option<Inner> {
    let answers: Vec<_> = finished.iter().filter_map(|slot| slot.ticket()).collect();
    let written = answers.iter().filter_map(|(_, _, answer)| answer.as_ref().ok());
    let last = written.filter_map(|written| written.last_position()).max();
    if let (Some(last), Some((_, store, _))) = (last, answers.first()) {
        // A panic in a handler must not leave tickets unanswered.
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

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use crate::{Batch, ErrorCode, ExpectedVersion, NewEvent, Options};

    use super::*;

    #[test]
    fn a_batch_that_a_close_overtakes_has_no_ticket() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let store: Arc<OnceLock<EventStore>> = Arc::default();
        let closing = Arc::clone(&store);
        // The clock is called after the first check for a closed store.
        let clock = move || i64::from(closing.get().is_some_and(|store| store.close().is_err()));
        let opened = Options::new().clock(clock).open(directory.path().join("store"))?;
        // Without a thread to commit it, the batch is written by its caller.
        assert!(opened.inner.storage.try_take_second_thread());
        store.set(opened.clone()).map_err(|_| "it was empty")?;
        let batch = Batch::new().append("s", ExpectedVersion::Any, [NewEvent::json("T", &1)?]);
        let refused = batch.submit(&opened).map(|ticket| ticket.wait());
        assert_eq!(refused.map_err(|error| error.code()).err(), Some(ErrorCode::Closed));
        Ok(())
    }
}
