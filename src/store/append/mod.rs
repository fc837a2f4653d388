//! Appending: what is checked before an append queues for its group, and its answer.
//!
//! Faults are looked for in the order arguments, limits, ids, versions; the latter two need the
//! order of the group, and are in `number.rs`.

mod commit;
mod group;
mod number;
mod versions;

use crate::{
    AppendError, Error, EventStore,
    event::{
        Appended, ExpectedVersion, NewEvent, Timestamp, Unit,
        limits::{self, APPEND_BYTES_MAX, APPEND_EVENTS_MAX, EVENT_BYTES_MAX},
        name,
    },
};
use number::SeenIds;

pub(super) use group::GroupCommit;
pub(super) use versions::Versions;

/// What an append asks for.
#[derive(Debug)]
pub(crate) struct AppendRequest {
    pub(crate) units: Vec<Unit>,
    /// The head that the store must have, for an import that continues it.
    pub(crate) head: Option<u64>,
    /// The timestamp of events that bring none.
    pub(crate) now: Timestamp,
    /// What was looked up before the append queued.
    pub(crate) seen: SeenIds,
}

/// What an append did.
#[derive(Debug)]
pub(crate) struct Written {
    /// One for each unit with events.
    pub(crate) appended: Vec<Appended>,
    /// The events were there already: nothing was written.
    pub(crate) is_replay: bool,
}

impl EventStore {
    /// Appends events to a stream: all of them or none, also through a crash.
    ///
    /// With [`Durability::Sync`](crate::Durability::Sync) it returns once the events survive a
    /// power cut. Concurrent appends share one write and one sync. Readers see the events before it
    /// returns, and see none of them before they are as durable as promised.
    ///
    /// **Retries.** If every event has an [id](NewEvent::id), and all of them are stored already,
    /// at consecutive positions, in this order, in this stream, each with the same type, data and
    /// metadata, then the append succeeds again with the original result and writes nothing,
    /// whatever the expected version; [`Appended::is_replay`] is then true. Timestamps are not
    /// compared.
    ///
    /// # Errors
    /// Nothing is written when the answer is
    /// * [`AppendError::Conflict`]: the stream is not at the expected version;
    /// * [`Error::InvalidArgument`]: no events, or a stream id or event type that is empty or has a
    ///   NUL;
    /// * [`Error::LimitExceeded`]: past one of the [limits];
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
        let written = self.append_units(vec![Unit::to(stream.as_ref(), expected, events)], None)?;
        // There is a unit with events, so there is an answer.
        written.appended.first().copied().ok_or_else(|| no_events().into())
    }

    /// Appends to several streams as one atomic unit: readers and crashes see all of it or nothing.
    ///
    /// The units apply in order, and each check sees the units before it, so that a stream may come
    /// twice. A unit without events is a pure check. The answer has one [`Appended`] for each unit
    /// with events; positions are consecutive over all of them.
    ///
    /// # Errors
    /// As [`append`](Self::append); a conflict lists every violated check. Without any event the
    /// answer is [`Error::InvalidArgument`].
    ///
    /// # Examples
    /// See [`Unit`].
    pub fn append_multi(
        &self,
        units: impl IntoIterator<Item = Unit>,
    ) -> Result<Vec<Appended>, AppendError> {
        Ok(self.append_units(units.into_iter().collect(), None)?.appended)
    }

    /// As [`append_multi`](Self::append_multi), and refused unless the store's head is `head` where
    /// that is given.
    pub(crate) fn append_units(
        &self,
        units: Vec<Unit>,
        head: Option<u64>,
    ) -> Result<Written, AppendError> {
        self.storage().check_open()?;
        check_arguments(&units)?;
        check_limits(&units)?;
        self.storage().check_sound()?;
        let inner = &self.inner;
        // The clock is the caller's code: call it here, where it can delay or fail this append
        // alone.
        let now = inner.options.now();
        for unit in &units {
            inner.versions.prefetch(&inner.storage, &unit.stream)?;
        }
        let seen = SeenIds::look(self.storage(), &units)?;
        let request = AppendRequest { units, head, now, seen };
        let written = inner.commits.append(inner, request)?;
        let last = written.appended.last().map_or(0, |appended| *appended.positions().end());
        inner.followers.follow(last);
        Ok(written)
    }
}

fn no_events() -> Error {
    Error::invalid("events", "there are none")
}

fn check_arguments(units: &[Unit]) -> Result<(), Error> {
    if units.iter().all(|unit| unit.events.is_empty()) {
        return Err(no_events());
    }
    for unit in units {
        name::check_form("stream id", &unit.stream)?;
        for event in &unit.events {
            name::check_form("event type", &event.event_type)?;
        }
    }
    Ok(())
}

fn check_limits(units: &[Unit]) -> Result<(), Error> {
    let (mut count, mut total) = (0, 0);
    for unit in units {
        name::check_length("stream id (bytes)", &unit.stream)?;
        count += unit.events.len();
        for event in &unit.events {
            name::check_length("event type (bytes)", &event.event_type)?;
            let bytes = event.counted_bytes(&unit.stream);
            limits::check("event (bytes)", bytes, EVENT_BYTES_MAX)?;
            total += bytes;
        }
    }
    limits::check("append (events)", count, APPEND_EVENTS_MAX)?;
    limits::check("append (bytes)", total, APPEND_BYTES_MAX)
}
