//! Time travel: an earlier state of one stream.

use serde::de::DeserializeOwned;

use crate::{
    Error, EventStore,
    event::{RecordedEvent, SnapshotKey, Timestamp, name},
    projection::{Handlers, Loaded, restore::newest_state},
};

/// The point up to which the events of a stream are replayed, inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpTo {
    /// All events.
    #[default]
    Now,
    /// This version of the stream; 0 means before its first event.
    Version(u64),
    /// This position of the store.
    Position(u64),
    /// All events with this time or an earlier one, wherever they are in the stream. Naive times
    /// count as UTC.
    Timestamp(Timestamp),
}

impl UpTo {
    /// Whether an event is included.
    pub fn includes(self, event: &RecordedEvent) -> bool {
        match self {
            UpTo::Now => true,
            UpTo::Version(version) => event.version() <= version,
            UpTo::Position(position) => event.position() <= position,
            UpTo::Timestamp(time) => event.timestamp().micros() <= time.micros(),
        }
    }

    /// Whether the stream may have included events after one that is not included.
    pub(super) fn has_gaps(self) -> bool {
        matches!(self, UpTo::Timestamp(_))
    }
}

impl EventStore {
    /// Derives the state of one stream from its events up to a point. Events without a handler are
    /// passed over.
    ///
    /// # Errors
    /// [`Error::Handler`] when a handler fails or panics; [`Error::InvalidArgument`] and
    /// [`Error::LimitExceeded`] if the stream id is invalid; [`Error::Corrupted`], [`Error::Io`],
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
        let mut loaded = Loaded::initial(state);
        loaded.advance(self, stream.as_ref(), handlers, up_to)?;
        Ok(loaded.state)
    }

    /// Like [`reconstruct_state`](Self::reconstruct_state), but starts from the newest snapshot of
    /// `key` that is not past the point, if there is one. The snapshot must be the JSON of a state
    /// of this stream; a snapshot that cannot be read as such is ignored.
    ///
    /// [`UpTo::Timestamp`] uses no snapshot, because events need not be in the order of their
    /// times.
    ///
    /// # Errors
    /// The errors of [`reconstruct_state`](Self::reconstruct_state); [`Error::InvalidArgument`] and
    /// [`Error::LimitExceeded`] also if the name of the snapshot is invalid.
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
        Ok(self.load_from_snapshot(&key, stream, state, handlers, up_to)?.state)
    }

    pub(super) fn load_from_snapshot<S: DeserializeOwned>(
        &self,
        key: &SnapshotKey,
        stream: &str,
        state: S,
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<Loaded<S>, Error> {
        self.storage().check_open()?;
        key.check()?;
        name::check_stream_id(stream)?;
        let start = match self.last_position(stream, up_to)? {
            Some(last) => self.state_in_snapshot(key, stream, last)?,
            None => None,
        };
        let mut loaded = start.unwrap_or_else(|| Loaded::initial(state));
        loaded.advance(self, stream, handlers, up_to)?;
        Ok(loaded)
    }

    /// The last position to include; `None` if events before it may have to be excluded too.
    fn last_position(&self, stream: &str, up_to: UpTo) -> Result<Option<u64>, Error> {
        let head = self.head()?;
        Ok(match up_to {
            UpTo::Now => Some(u64::MAX),
            UpTo::Position(position) => Some(position),
            // Everything before the event with the next version.
            UpTo::Version(version) => {
                let after = self.read_stream(stream).as_recorded();
                let after = after.from_version(version.saturating_add(1));
                match after.limit(1).next().transpose()? {
                    Some(event) => Some(event.position() - 1),
                    // Events after this head may be past the version.
                    None => Some(head),
                }
            }
            UpTo::Timestamp(_) => None,
        })
    }

    /// The state from the newest usable snapshot.
    fn state_in_snapshot<S: DeserializeOwned>(
        &self,
        key: &SnapshotKey,
        stream: &str,
        last: u64,
    ) -> Result<Option<Loaded<S>>, Error> {
        let (found, _) = newest_state(self, key, last)?;
        let Some((state, position)) = found else { return Ok(None) };
        let version = self.storage().stream_version(stream, position)?;
        // The snapshot may have been saved for a position after the stream's last event.
        let mut last = self.read_stream(stream).as_recorded().from_version(version).limit(1);
        let position = match version {
            0 => 0,
            _ => last.next().transpose()?.map_or(position, |event| event.position()),
        };
        Ok(Some(Loaded { state, version, position }))
    }
}
