//! Appending: the checks before an append queues for its group, and its result.
//!
//! Checks run in the order arguments, limits, ids, versions, conditions, checkpoints. All but the
//! first two need the order of the group, and are in `number.rs` and `commit.rs`.

mod commit;
mod committer;
mod contents;
mod gather;
mod group;
mod number;
mod outcome;
mod request;
mod seen;
mod submitted;
mod versions;

use std::{sync::Arc, time::Instant};

use crate::{
    AppendError, Error, EventStore,
    event::{Appended, ExpectedVersion, NewEvent},
    sync::thread,
    trace::span,
};
use request::AppendRequest;
use seen::{SeenConditions, SeenIds};

pub(crate) use contents::{Condition, Contents, Unit};
pub(super) use group::GroupCommit;
pub(crate) use outcome::Outcome;
#[cfg(feature = "capi")]
pub(crate) use submitted::OwnThread;
pub(super) use versions::Versions;

/// The result of an append.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// One for each unit that has events.
    pub(crate) appended: Vec<Appended>,
    /// The events were already stored: nothing was written.
    pub(crate) is_replay: bool,
}

impl Written {
    /// The position of the last event.
    fn last_position(&self) -> Option<u64> {
        self.appended.last().map(|appended| *appended.positions().end())
    }
}

/// The answer to a request.
type Answer = Result<Written, AppendError>;

impl EventStore {
    /// Appends events to a stream: all of them or none, even if there is a crash. To write several
    /// streams, conditions and checkpoints as one unit, see [`Batch`](crate::Batch).
    ///
    /// With [`Durability::Sync`](crate::Durability::Sync) the call returns once the events survive
    /// a power cut. Concurrent appends share one write and one sync. Readers see the events before
    /// the call returns, but not before they are as durable as promised.
    ///
    /// **Retries.** An append is an exact retry if every event has an [id](NewEvent::id) and all
    /// the events are already stored at consecutive positions of this stream, in this order, each
    /// with the same type, data, metadata and tags. An exact retry succeeds with the original
    /// result and writes nothing, whatever the expected version; [`Appended::is_replay`] is then
    /// true. Timestamps are not compared.
    ///
    /// # Errors
    /// Nothing is written when the error is one of these:
    /// * [`AppendError::Conflict`]: the stream is not at the expected version;
    /// * [`Error::InvalidArgument`]: there are no events, or a stream id, event type or tag is
    ///   empty or has a NUL;
    /// * [`Error::LimitExceeded`]: one of the [limits](crate::limits) is exceeded;
    /// * [`Error::DuplicateEventId`]: an id is already in use, and this is not an exact retry; the
    ///   error names the first event that does not match;
    /// * [`Error::NoSpace`]: the disk is full; the store stays usable;
    /// * [`Error::Corrupted`], [`Error::Io`]: a check could not read the data that it depends on;
    /// * [`Error::Closed`], or [`Error::Poisoned`] because of an earlier failure.
    ///
    /// If this append itself fails with [`Error::Poisoned`], its outcome is unknown until the store
    /// is reopened.
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
        // There is a unit with events, so there is a result.
        let missing = || Error::invalid("events", "there are no events");
        written.appended.first().copied().ok_or_else(|| missing().into())
    }

    /// Writes one atomic unit. If `head` is given, refuses to write unless the store's head equals
    /// it.
    pub(crate) fn append_contents(
        &self,
        contents: Contents,
        head: Option<u64>,
    ) -> Result<Written, AppendError> {
        let started = Instant::now();
        let _span = span!(
            "append",
            units = contents.units.len(),
            streams = contents.streams(),
            events = contents.events(),
            bytes = contents.bytes()
        );
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

    /// Queues one atomic unit, and returns the place where its outcome will appear.
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
        if let Err(AppendError::Failed(Error::Closed)) = answer {
            // A close completes what was submitted, so no ticket may say this.
            return Err(Error::Closed);
        }
        if let Ok(written) = &answer {
            inner.followers.follow(written.last_position().unwrap_or(0));
            inner.storage.meters().ticket.record_since(outcome.submitted());
        }
        Ok(Arc::new(Outcome::known(answer)))
    }

    /// Runs the checks that do not depend on the order of the queue, and looks up what the leader
    /// of the group would otherwise have to read while the whole group waits.
    fn prepare(&self, contents: Contents, head: Option<u64>) -> Result<AppendRequest, Error> {
        let storage = self.storage();
        storage.check_open()?;
        contents.check()?;
        storage.check_sound()?;
        // The clock is the caller's code: it is called here, where it can delay or fail only this
        // append.
        let now = self.inner.options.now();
        for unit in &contents.units {
            self.inner.versions.prefetch(storage, &unit.stream)?;
        }
        let seen = SeenIds::look(storage, &contents.units)?;
        let seen_conditions = SeenConditions::look(storage, &contents.conditions)?;
        Ok(AppendRequest { contents, head, now, seen, seen_conditions })
    }
}
