//! Time travel: an earlier state of one stream.

use serde::de::DeserializeOwned;

use crate::{
    Error, EventStore,
    event::SnapshotKey,
    projection::{Handlers, Loaded, UpTo},
};

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
}
