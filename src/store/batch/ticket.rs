//! The outcome of a submitted batch.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{Committed, Places};
use crate::{
    AppendError, Error, EventStore,
    store::{Inner, Written, append::Outcome},
    sync::thread,
};

/// The pending result of a submitted batch. It can be waited for, polled, or awaited as a
/// [`Future`] on any executor.
///
/// Every ticket gets its answer, even if the store is poisoned or closed: closing the store
/// completes the submitted batches. The answer is kept, and any number of threads may ask for it.
/// Dropping a ticket cancels nothing. A ticket does not keep the store open, but a waiting batch
/// does.
///
/// # Examples
/// ```
/// use annals::{Batch, EventStore, ExpectedVersion, NewEvent};
///
/// let directory = tempfile::tempdir()?;
/// let store = EventStore::open(directory.path().join("meters.annals"))?;
/// let mut tickets = Vec::new();
/// for value in 0..100 {
///     let measured = NewEvent::json("Measured", &value)?;
///     let batch = Batch::new().append("meter-1", ExpectedVersion::Any, [measured]);
///     tickets.push(batch.submit(&store)?);
/// }
/// for (ticket, position) in tickets.iter().zip(1..) {
///     assert_eq!(ticket.wait()?.positions(), position..=position);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the outcome of the batch is in it"]
pub struct Ticket {
    outcome: Arc<Outcome>,
    places: Places,
    store: Weak<Inner>,
}

impl Ticket {
    pub(super) fn new(outcome: Arc<Outcome>, places: Places, store: &EventStore) -> Ticket {
        Ticket { outcome, places, store: Arc::downgrade(&store.inner) }
    }

    /// Waits for the result that [`Batch::commit`](crate::Batch::commit) would return.
    ///
    /// # Errors
    /// Same as for [`Batch::commit`](crate::Batch::commit). [`Error::Busy`] inside a handler,
    /// because the outcome may depend on that handler; the ticket can be asked again later.
    pub fn wait(&self) -> Result<Committed, AppendError> {
        let answer = match self.outcome.get() {
            Some(answer) => Some(answer),
            None => {
                self.check()?;
                self.outcome.wait(None)
            }
        };
        // Without a deadline there is always an answer.
        answer.map_or_else(|| Err(Error::Closed.into()), |answer| self.committed(answer))
    }

    /// Like [`wait`](Self::wait), but returns `None` if the outcome is not known within `timeout`.
    /// A timeout of zero does not wait.
    ///
    /// # Errors
    /// Same as for [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<Committed>, AppendError> {
        let answer = match self.outcome.get() {
            None if !timeout.is_zero() => {
                self.check()?;
                // A deadline that is too late to represent means no deadline.
                self.outcome.wait(Instant::now().checked_add(timeout))
            }
            answer => answer,
        };
        answer.map(|answer| self.committed(answer)).transpose()
    }

    /// Refuses to wait where the wait would never end.
    fn check(&self) -> Result<(), Error> {
        let Some(inner) = self.store.upgrade() else { return Ok(()) };
        if inner.storage.is_forked() {
            return Err(Error::Forked);
        }
        match inner.followers.is_inside(thread::current().id()) {
            true => Err(Error::Busy { what: "waiting for a submitted batch" }),
            false => Ok(()),
        }
    }

    fn committed(&self, answer: Result<Written, AppendError>) -> Result<Committed, AppendError> {
        Ok(self.places.committed(answer?))
    }
}

impl Future for Ticket {
    type Output = Result<Committed, AppendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome.poll(context).map(|answer| self.committed(answer))
    }
}
