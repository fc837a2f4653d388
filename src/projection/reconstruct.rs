//! Time travel: the state of one stream as it was.

use serde::de::DeserializeOwned;

use crate::{
    Error, EventStore,
    event::{RecordedEvent, SnapshotKey, Timestamp, name},
    projection::{Handlers, restore::newest_state},
};

/// Up to where the events of a stream are replayed, inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpTo {
    /// All of them.
    #[default]
    Now,
    /// This version of the stream; 0 is before its first event.
    Version(u64),
    /// This position of the store.
    Position(u64),
    /// The events with this time or an earlier one, wherever they stand. Naive times count as UTC.
    Timestamp(Timestamp),
}

impl UpTo {
    /// Whether an event counts.
    pub fn includes(self, event: &RecordedEvent) -> bool {
        match self {
            UpTo::Now => true,
            UpTo::Version(version) => event.version() <= version,
            UpTo::Position(position) => event.position() <= position,
            UpTo::Timestamp(time) => event.timestamp().micros() <= time.micros(),
        }
    }

    /// Whether events of the stream may count that stand behind one that does not.
    fn has_gaps(self) -> bool {
        matches!(self, UpTo::Timestamp(_))
    }
}

impl EventStore {
    /// What the handlers make of the events of one stream up to a point. Events without a handler
    /// are passed over.
    ///
    /// # Errors
    /// [`Error::Handler`] when a handler fails or panics; [`Error::InvalidArgument`] and
    /// [`Error::LimitExceeded`] for what is no stream id; [`Error::Corrupted`], [`Error::Io`],
    /// [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, Handlers, NewEvent, UpTo};
    ///
    /// let store = EventStore::in_memory()?;
    /// for amount in [100, 20, 3] {
    ///     let deposited = NewEvent::json("Deposited", &amount)?;
    ///     store.append("account-1", ExpectedVersion::Any, [deposited])?;
    /// }
    /// let handlers = Handlers::new().when("Deposited", |balance: &mut i64, event| {
    ///     *balance += event.json::<i64>()?;
    ///     Ok(())
    /// });
    /// let past = store.reconstruct_state("account-1", 0, &handlers, UpTo::Version(2))?;
    /// assert_eq!(past, 120);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconstruct_state<S>(
        &self,
        stream: impl AsRef<str>,
        state: S,
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<S, Error> {
        self.replay_stream(stream.as_ref(), (state, 1), handlers, up_to)
    }

    /// As [`reconstruct_state`](Self::reconstruct_state), from the newest snapshot of `key` that is
    /// not past the point, if there is one. The snapshot must be the JSON of a state of this
    /// stream; one that does not read as such is left aside.
    ///
    /// For [`UpTo::Timestamp`] no snapshot is used: events need not be in the order of their times.
    ///
    /// # Errors
    /// As [`reconstruct_state`](Self::reconstruct_state), and for what is no name of a snapshot.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, Handlers, NewEvent, UpTo};
    ///
    /// let store = EventStore::in_memory()?;
    /// let handlers = Handlers::new().when("Counted", |sum: &mut u64, event| {
    ///     *sum += event.json::<u64>()?;
    ///     Ok(())
    /// });
    /// for number in 1..=9_u64 {
    ///     store.append("sum", ExpectedVersion::Any, [NewEvent::json("Counted", &number)?])?;
    ///     if number == 5 {
    ///         let sum = store.reconstruct_state("sum", 0, &handlers, UpTo::Now)?;
    ///         store.save_snapshot("sum", number, sum.to_string())?;
    ///     }
    /// }
    /// let up_to = UpTo::Version(7);
    /// assert_eq!(store.reconstruct_state_from("sum", "sum", 0, &handlers, up_to)?, 28);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconstruct_state_from<S: DeserializeOwned>(
        &self,
        key: impl Into<SnapshotKey>,
        stream: impl AsRef<str>,
        state: S,
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<S, Error> {
        let (key, stream) = (key.into(), stream.as_ref());
        self.storage().check_open()?;
        key.check()?;
        name::check_stream_id(stream)?;
        let start = match self.last_position(stream, up_to)? {
            Some(last) => self.state_in_snapshot(&key, stream, last)?,
            None => None,
        };
        self.replay_stream(stream, start.unwrap_or((state, 1)), handlers, up_to)
    }

    /// The last position that counts; `None` when that says nothing about the events before it.
    fn last_position(&self, stream: &str, up_to: UpTo) -> Result<Option<u64>, Error> {
        let head = self.head()?;
        Ok(match up_to {
            UpTo::Now => Some(u64::MAX),
            UpTo::Position(position) => Some(position),
            // Everything before the event behind it.
            UpTo::Version(version) => {
                let behind = self.read_stream(stream).from_version(version.saturating_add(1));
                match behind.limit(1).next().transpose()? {
                    Some(event) => Some(event.position() - 1),
                    // What comes behind this head may be past the version.
                    None => Some(head),
                }
            }
            UpTo::Timestamp(_) => None,
        })
    }

    /// The state in the newest usable snapshot, and the version that comes next.
    fn state_in_snapshot<S: DeserializeOwned>(
        &self,
        key: &SnapshotKey,
        stream: &str,
        last: u64,
    ) -> Result<Option<(S, u64)>, Error> {
        let (found, _) = newest_state(self, key, last)?;
        let Some((state, position)) = found else { return Ok(None) };
        let version = self.storage().stream_version(stream, position)?;
        Ok(Some((state, version + 1)))
    }

    fn replay_stream<S>(
        &self,
        stream: &str,
        (mut state, version): (S, u64),
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<S, Error> {
        for event in self.read_stream(stream).from_version(version) {
            let event = event?;
            if up_to.includes(&event) {
                handlers.run(&mut state, &event)?;
            } else if !up_to.has_gaps() {
                break;
            }
        }
        Ok(state)
    }
}
