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

/// One atomic unit over any number of streams: readers see all of it or nothing, even after a
/// crash.
///
/// The entries apply in order, and each check sees the entries before it, so a stream may occur
/// more than once. Positions are consecutive over all events. A batch consists of
/// * [`append`](Self::append)s of events to streams, each with an expected version,
/// * [`require`](Self::require)ments on streams that are not written,
/// * [`require_none`](Self::require_none) conditions on all events so far: a dynamic consistency
///   boundary, as dcb.events specifies it,
/// * [`checkpoint`](Self::checkpoint)s of consumers, so that a process manager never repeats work
///   that is already done.
///
/// A batch needs at least one event or checkpoint. [`commit`](Self::commit) writes it and waits;
/// [`submit`](Self::submit) queues it to be written and does not wait.
///
/// **Retries.** If every event of a batch has an [id](NewEvent::id) and all of them are already
/// stored, as for [`EventStore::append`], the batch succeeds again and writes no event, whatever
/// its checks. A checkpoint in it is saved if it is ahead of the stored one, and ignored otherwise.
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
    /// The stream of the first append that has no events.
    empty: Option<String>,
}

impl Batch {
    /// Creates a batch without entries.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Appends events, at least one, to a stream if it is at the expected version.
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

    /// Requires that a stream is at the expected version, and writes nothing to it. A batch may
    /// have up to [`REQUIREMENTS_MAX`](crate::limits::REQUIREMENTS_MAX) requirements.
    pub fn require(mut self, stream: impl Into<String>, expected: ExpectedVersion) -> Batch {
        self.contents.units.push(Unit::to(stream, expected, []));
        self
    }

    /// Requires that no event after the position `after` matches a query. `after` is the position
    /// up to which the decision has taken events into account: [`Found::head`](crate::Found::head)
    /// of the query that was read. With 0 no event at all may match; if `after` is past the head,
    /// no event can match yet.
    ///
    /// A batch does not conflict with its own events. It may have up to
    /// [`CONDITIONS_MAX`](crate::limits::CONDITIONS_MAX) conditions. If it has more,
    /// [`check`](Self::check), [`commit`](Self::commit) and [`submit`](Self::submit) return
    /// [`Error::LimitExceeded`]; the methods that add to a batch return no errors.
    ///
    /// # Examples
    /// See [`Found`](crate::Found).
    pub fn require_none(mut self, query: &Query, after: u64) -> Batch {
        self.contents.conditions.push(Condition { query: query.clone(), after });
        self
    }

    /// Saves the position of a consumer in the same unit. It may be the position of an event of
    /// this batch; the events of a batch take the positions after the head. Each name may occur
    /// once, and a batch may have up to [`CHECKPOINTS_MAX`](crate::limits::CHECKPOINTS_MAX)
    /// checkpoints.
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

    /// Checks the entries so far, for a caller that wants to find mistakes before the batch is
    /// complete.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::LimitExceeded`] for invalid arguments, as
    /// [`commit`](Self::commit) returns them. A batch without events and checkpoints is not an
    /// error here.
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
    /// Nothing is written when the error is one of these:
    /// * [`AppendError::Conflict`]: a stream is not at the expected version; the error also lists
    ///   every violated condition;
    /// * [`AppendError::Condition`]: a condition does not hold;
    /// * [`Error::InvalidArgument`]: the batch has neither events nor checkpoints, an append has no
    ///   events, a name, tag or query is invalid, a checkpoint name occurs twice, or a checkpoint
    ///   goes back or is past the head that the batch would produce;
    /// * otherwise as for [`EventStore::append`].
    pub fn commit(self, store: &EventStore) -> Result<Committed, AppendError> {
        self.check_events()?;
        let places = Places::of(&self.contents);
        let written = store.append_contents(self.contents, None)?;
        Ok(places.committed(written))
    }

    /// Queues the batch and returns at once; the [`Ticket`] delivers the outcome. One thread can
    /// thus have many batches in flight that share their syncs. The batches that one thread
    /// submits, commits and appends take their positions in the order of its calls. Each batch is
    /// decided separately: a refused batch does not stop later ones.
    ///
    /// The queue holds up to 1024 batches or 64 MiB of events. When it is full, this call waits for
    /// room, but never inside a handler. The first call starts a thread of the store, which also
    /// runs the handlers of live projections for submitted batches: the projections are brought up
    /// to date before tickets are answered. Dropping the ticket cancels nothing. If the store is in
    /// memory, or has no thread to spare because it is sealing a file, the batch is written before
    /// this call returns.
    ///
    /// # Errors
    /// Only errors that do not depend on the order of the queue: [`Error::InvalidArgument`] and
    /// [`Error::LimitExceeded`] for invalid arguments, [`Error::Corrupted`] and [`Error::Io`] if a
    /// check could not read the data that it depends on, [`Error::Poisoned`], [`Error::Closed`].
    /// The ticket returns all others.
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
                let reason = format!(
                    "there are no events for the stream {stream:?}; to check only its version, \
                     require it"
                );
                Err(Error::invalid("events", reason))
            }
            None => Ok(()),
        }
    }
}

/// Which entries of a batch have events, for the result.
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
