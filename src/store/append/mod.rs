//! Appending: what is checked before an append queues for its group, and its answer.
//!
//! Faults are looked for in the order arguments, limits, ids, versions, conditions, checkpoints;
//! all but the first two need the order of the group, and are in `number.rs` and `commit.rs`.

mod commit;
mod conditions;
mod group;
mod number;
mod outcome;
mod request;
mod submitted;
mod versions;

use std::{sync::Arc, time::Instant};

use crate::{
    AppendError, Error, EventStore,
    event::{Appended, ExpectedVersion, NewEvent},
    sync::thread,
    trace::span,
};
use conditions::SeenConditions;
use number::SeenIds;
use request::AppendRequest;

pub(super) use group::GroupCommit;
pub(crate) use outcome::Outcome;
pub(crate) use request::{Condition, Contents, Unit};
pub(super) use versions::Versions;

/// What an append did.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// One for each unit with events.
    pub(crate) appended: Vec<Appended>,
    /// The events were there already: nothing was written.
    pub(crate) is_replay: bool,
}

impl Written {
    /// The position of the last event.
    fn last_position(&self) -> Option<u64> {
        self.appended.last().map(|appended| *appended.positions().end())
    }
}

impl EventStore {
    /// Appends events to a stream: all of them or none, also through a crash. For several streams,
    /// conditions and checkpoints in one unit see [`Batch`](crate::Batch).
    ///
    /// With [`Durability::Sync`](crate::Durability::Sync) it returns once the events survive a
    /// power cut. Concurrent appends share one write and one sync. Readers see the events before it
    /// returns, and see none of them before they are as durable as promised.
    ///
    /// **Retries.** If every event has an [id](NewEvent::id), and all of them are stored already,
    /// at consecutive positions, in this order, in this stream, each with the same type, data,
    /// metadata and tags, then the append succeeds again with the original result and writes
    /// nothing, whatever the expected version; [`Appended::is_replay`] is then true. Timestamps are
    /// not compared.
    ///
    /// # Errors
    /// Nothing is written when the answer is
    /// * [`AppendError::Conflict`]: the stream is not at the expected version;
    /// * [`Error::InvalidArgument`]: no events, or a stream id, event type or tag that is empty or
    ///   has a NUL;
    /// * [`Error::LimitExceeded`]: past one of the [limits](crate::limits);
    /// * [`Error::DuplicateEventId`]: an id is used already, and this is not an exact retry; the
    ///   error names the first event that does not fit;
    /// * [`Error::NoSpace`]: the store stays usable;
    /// * [`Error::Corrupted`], [`Error::Io`]: a check could not read what it depends on;
    /// * [`Error::Closed`], or [`Error::Poisoned`] by an earlier failure.
    ///
    /// [`Error::Poisoned`] by a failure of this very append leaves its outcome unknown until the
    /// store is reopened.
    ///
    /// # Examples
    /// ```
    /// use annals::{AppendError, EventStore, ExpectedVersion, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// let deposit = |amount: u64| NewEvent::json("Deposited", &amount);
    /// store.append("account-1", ExpectedVersion::NoStream, [deposit(100)?])?;
    /// store.append("account-1", ExpectedVersion::Exact(1), [deposit(20)?])?;
    /// let late = store.append("account-1", ExpectedVersion::Exact(1), [deposit(7)?]);
    /// assert!(matches!(late, Err(AppendError::Conflict(conflict)) if conflict.actual == 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append(
        &self,
        stream: impl AsRef<str>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Result<Appended, AppendError> {
        let unit = Unit::to(stream.as_ref(), expected, events);
        let written = self.append_contents(Contents::of_units(vec![unit]), None)?;
        // There is a unit with events, so there is an answer.
        let missing = || Error::invalid("events", "there are none");
        written.appended.first().copied().ok_or_else(|| missing().into())
    }

    /// Writes one atomic unit; refused unless the store's head is `head` where that is given.
    pub(crate) fn append_contents(
        &self,
        contents: Contents,
        head: Option<u64>,
    ) -> Result<Written, AppendError> {
        let started = Instant::now();
        let _span = span!("append", units = contents.units.len());
        #[cfg(feature = "testing")]
        self.injected(&contents.units)?;
        let inner = &self.inner;
        let written = inner.commits.append(inner, self.prepare(contents, head)?)?;
        inner.followers.follow(written.last_position().unwrap_or(0));
        if !written.appended.is_empty() {
            self.storage().meters().append.record_since(started);
        }
        Ok(written)
    }

    /// Queues one atomic unit, and returns where its outcome will be.
    pub(super) fn submit_contents(&self, contents: Contents) -> Result<Arc<Outcome>, Error> {
        #[cfg(feature = "testing")]
        if let Err(error) = self.injected(&contents.units) {
            return Ok(Arc::new(Outcome::known(Err(error))));
        }
        let inner = &self.inner;
        let request = self.prepare(contents, None)?;
        let outcome = Arc::new(Outcome::pending());
        let unqueued = match inner.storage.is_in_memory() {
            true => Some(request),
            false => {
                let caller = thread::current().id();
                let is_inside = || inner.followers.is_inside(caller);
                inner.commits.submit(self, request, &outcome, is_inside)?
            }
        };
        let Some(request) = unqueued else { return Ok(outcome) };
        let answer = inner.commits.append(inner, request);
        if let Ok(written) = &answer {
            inner.followers.follow(written.last_position().unwrap_or(0));
            inner.storage.meters().ticket.record_since(outcome.submitted());
        }
        Ok(Arc::new(Outcome::known(answer)))
    }

    /// Checks what does not depend on the order of the queue, and looks up what the leader of the
    /// group would otherwise have to read, which would hold up everybody.
    fn prepare(&self, contents: Contents, head: Option<u64>) -> Result<AppendRequest, Error> {
        let storage = self.storage();
        storage.check_open()?;
        contents.check()?;
        storage.check_sound()?;
        // The clock is the caller's code: call it here, where it can delay or fail this append
        // alone.
        let now = self.inner.options.now();
        for unit in &contents.units {
            self.inner.versions.prefetch(storage, &unit.stream)?;
        }
        let seen = SeenIds::look(storage, &contents.units)?;
        let seen_conditions = SeenConditions::look(storage, &contents.conditions)?;
        Ok(AppendRequest { contents, head, now, seen, seen_conditions })
    }
}
