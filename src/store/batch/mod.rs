//! Batches: several streams, conditions and checkpoints as one atomic unit.

mod committed;
mod ticket;

use std::sync::Arc;

use crate::{
    AppendError, Error, EventStore,
    codec::saved::Checkpoint,
    event::{ExpectedVersion, NewEvent, Query},
    store::append::{Condition, Contents, Unit},
};

pub use committed::Committed;
pub use ticket::Ticket;

/// One atomic unit over any number of streams: readers and crashes see all of it or nothing.
///
/// The entries apply in order, and each check sees the entries before it, so that a stream may come
/// twice. Positions are consecutive over all events. A batch is made of
/// * [`append`](Self::append)s of events to streams that are as expected,
/// * [`require`](Self::require)ments on streams that are not written,
/// * [`require_none`](Self::require_none) conditions on all events so far: a dynamic consistency
///   boundary, as dcb.events specifies it,
/// * [`checkpoint`](Self::checkpoint)s of consumers, so that a process manager never repeats what
///   it has done.
///
/// It needs an event or a checkpoint. [`commit`](Self::commit) writes it and waits;
/// [`submit`](Self::submit) has it written and does not.
///
/// **Retries.** If every event of a batch has an [id](NewEvent::id) and all of them are stored
/// already, as for [`EventStore::append`], it succeeds again and writes no event, whatever its
/// checks. A checkpoint in it is saved if it is ahead of the stored one, and ignored otherwise.
///
/// # Examples
/// ```
/// use annals::{Batch, EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// store.append("limit", ExpectedVersion::NoStream, [NewEvent::json("Set", &100)?])?;
/// let committed = Batch::new()
///     .require("limit", ExpectedVersion::Exact(1))
///     .append("from", ExpectedVersion::Any, [NewEvent::json("Withdrawn", &40)?])
///     .append("into", ExpectedVersion::Any, [NewEvent::json("Deposited", &40)?])
///     .checkpoint("transfers", 1)
///     .commit(&store)?;
/// assert_eq!(committed.positions(), 2..=3);
/// assert_eq!(store.checkpoint("transfers")?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a batch writes nothing until it is committed or submitted"]
pub struct Batch {
    contents: Contents,
    /// The first append without events.
    empty: Option<String>,
}

impl Batch {
    /// A batch without entries.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Appends events, of which there must be one, to a stream if it is as expected.
    pub fn append(
        mut self,
        stream: impl Into<String>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Batch {
        let unit = Unit::to(stream, expected, events);
        if unit.events.is_empty() {
            self.empty.get_or_insert_with(|| unit.stream.clone());
        }
        self.contents.units.push(unit);
        self
    }

    /// Requires that a stream is as expected, and writes nothing to it.
    pub fn require(mut self, stream: impl Into<String>, expected: ExpectedVersion) -> Batch {
        self.contents.units.push(Unit::to(stream, expected, []));
        self
    }

    /// Requires that no event after the position `after` matches a query. `after` is what the
    /// decision rests on: [`Found::head`](crate::Found::head) of the query that was read. 0 means
    /// that no event at all may match; past the head nothing can match yet.
    ///
    /// A batch does not conflict with its own events. It may have up to
    /// [`CONDITIONS_MAX`](crate::limits::CONDITIONS_MAX) conditions. With more,
    /// [`check`](Self::check), [`commit`](Self::commit) and [`submit`](Self::submit) return
    /// [`Error::LimitExceeded`]: what adds to a batch returns no error.
    ///
    /// # Examples
    /// See [`Found`](crate::Found).
    pub fn require_none(mut self, query: &Query, after: u64) -> Batch {
        self.contents.conditions.push(Condition { query: query.clone(), after });
        self
    }

    /// Saves how far a consumer has come, in the same unit. The position may be that of an event of
    /// this batch, which takes the positions after the head. Each name may come once.
    pub fn checkpoint(mut self, name: impl AsRef<str>, position: u64) -> Batch {
        let name = Arc::from(name.as_ref());
        self.contents.checkpoints.push(Checkpoint { name, position });
        self
    }

    /// Adds the entries of another batch after those of this one.
    pub fn and(mut self, other: Batch) -> Batch {
        let Contents { units, conditions, checkpoints } = other.contents;
        self.contents.units.extend(units);
        self.contents.conditions.extend(conditions);
        self.contents.checkpoints.extend(checkpoints);
        self.empty = self.empty.or(other.empty);
        self
    }

    /// Checks the entries so far, for a caller that wants to know before the batch is complete.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::LimitExceeded`] for arguments, as
    /// [`commit`](Self::commit) returns them; none for a batch without events and checkpoints.
    ///
    /// # Examples
    /// ```
    /// use annals::{Batch, ExpectedVersion};
    ///
    /// assert!(Batch::new().check().is_ok());
    /// assert!(Batch::new().require("", ExpectedVersion::Any).check().is_err());
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        self.check_events()?;
        self.contents.check_entries()
    }

    /// Writes the batch, and returns once it is as durable as an append would be.
    ///
    /// # Errors
    /// Nothing is written when the answer is
    /// * [`AppendError::Conflict`]: a stream is not as expected; it also lists every violated
    ///   condition;
    /// * [`AppendError::Condition`]: a condition does not hold;
    /// * [`Error::InvalidArgument`]: neither event nor checkpoint, an append without events, an
    ///   invalid name, tag or query, a checkpoint name that comes twice, a checkpoint that goes
    ///   back or is past the head that the batch makes;
    /// * otherwise as for [`EventStore::append`].
    pub fn commit(self, store: &EventStore) -> Result<Committed, AppendError> {
        self.check_events()?;
        let places = Places::of(&self.contents);
        let written = store.append_contents(self.contents, None)?;
        Ok(places.committed(written))
    }

    /// Queues the batch and returns at once; the [`Ticket`] has the outcome. So one thread has many
    /// batches in flight that share their syncs. What one thread submits, commits and appends takes
    /// its positions in the order of its calls. Each batch is decided on its own: a refused one
    /// stops none after it.
    ///
    /// The queue holds up to 1024 batches or 64 MiB of events; then this waits for room, but never
    /// inside a handler. The first call starts a thread of the store, which also runs the handlers
    /// of live projections for submitted batches: they are brought forward before tickets are
    /// answered. Dropping the ticket cancels nothing. In memory, and while the store has no thread
    /// to spare because it seals a file, the batch is written before this returns.
    ///
    /// # Errors
    /// What does not depend on the order of the queue: [`Error::InvalidArgument`] and
    /// [`Error::LimitExceeded`] for arguments, [`Error::Corrupted`] and [`Error::Io`] when a check
    /// could not read what it depends on, [`Error::Poisoned`], [`Error::Closed`]. Everything else
    /// is in the ticket.
    ///
    /// # Examples
    /// See [`Ticket`].
    pub fn submit(self, store: &EventStore) -> Result<Ticket, Error> {
        self.check_events()?;
        let places = Places::of(&self.contents);
        let outcome = store.submit_contents(self.contents)?;
        Ok(Ticket::new(outcome, places, store))
    }

    /// Every append must have events.
    fn check_events(&self) -> Result<(), Error> {
        match &self.empty {
            Some(stream) => {
                let reason =
                    format!("there are none for the stream {stream:?}; see Batch::require");
                Err(Error::invalid("events", reason))
            }
            None => Ok(()),
        }
    }
}

/// Which entries of a batch have events, for the answer.
#[derive(Clone, Debug)]
struct Places {
    has_events: Vec<bool>,
}

impl Places {
    fn of(contents: &Contents) -> Places {
        let has_events = contents.units.iter().map(|unit| !unit.events.is_empty()).collect();
        Places { has_events }
    }

    fn committed(&self, written: crate::store::Written) -> Committed {
        let mut appended = written.appended.into_iter();
        let entries = self.has_events.iter().map(|has_events| match has_events {
            true => appended.next(),
            false => None,
        });
        Committed::new(entries.collect(), written.is_replay)
    }
}
