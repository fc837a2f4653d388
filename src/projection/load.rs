//! The state of one stream, with what an append based on it needs.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, EventStore,
    event::{SnapshotKey, name},
    projection::{Handlers, UpTo, restore::newest_state},
};

/// The state of a stream, and the place in the stream that it corresponds to.
///
/// # Examples
/// See [`EventStore::load`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Loaded<S> {
    /// What the handlers derived from the events of the stream.
    pub state: S,
    /// The version of the last event of the stream, with or without a handler: an append that is
    /// based on this state [expects](crate::ExpectedVersion::Exact) this version. 0 if there is no
    /// event.
    pub version: u64,
    /// The position of that event: pass it when you [save](EventStore::save_snapshot) a snapshot of
    /// this state. 0 if there is no event.
    pub position: u64,
}

impl<S> Loaded<S> {
    /// A state that has not been changed by any event yet.
    pub(super) fn initial(state: S) -> Loaded<S> {
        Loaded { state, version: 0, position: 0 }
    }

    /// Applies the following events of the stream, up to a point.
    pub(super) fn advance(
        &mut self,
        store: &EventStore,
        stream: &str,
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<(), Error> {
        for event in store.read_stream(stream).as_recorded().from_version(self.version + 1) {
            let event = event?;
            if up_to.includes(&event) {
                let (version, position) = (event.version(), event.position());
                handlers.run(&mut self.state, event, store.upcasters())?;
                self.version = version;
                self.position = position;
            } else if !up_to.has_gaps() {
                break;
            }
        }
        Ok(())
    }
}

impl<S: Serialize> Loaded<S> {
    /// Saves the state as JSON for [`EventStore::load_from`], as durably as an append. A state
    /// without events is not saved, because loading it would save no work.
    ///
    /// How often to save is up to the caller: loading a thousand events takes about as long as
    /// saving one snapshot.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the state has no JSON form, or the name of the snapshot is
    /// invalid; otherwise the errors of [`EventStore::save_snapshot`].
    ///
    /// # Examples
    /// See [`EventStore::load_from`].
    pub fn save(&self, store: &EventStore, key: impl Into<SnapshotKey>) -> Result<(), Error> {
        let key = key.into();
        if self.position == 0 {
            return key.check();
        }
        let json = serde_json::to_vec(&self.state).map_err(|error| {
            Error::invalid("state", format!("it cannot be written as JSON: {error}"))
        })?;
        store.save_snapshot(key, self.position, json)
    }
}

impl EventStore {
    /// Returns the current state of a stream, which the handlers derive from `initial` and the
    /// events of the stream, and the version that an append based on it should expect. A stream
    /// without events is at version 0. Events without a handler are skipped, but they count towards
    /// the version.
    ///
    /// [`update`](Self::update) does this and the append, and repeats both after a conflict.
    ///
    /// # Errors
    /// [`Error::Handler`] when a handler fails or panics; [`Error::InvalidArgument`] and
    /// [`Error::LimitExceeded`] if the stream id is invalid; [`Error::Corrupted`], [`Error::Io`],
    /// [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, Handlers, Loaded, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// store.append("account-1", ExpectedVersion::Any, [NewEvent::json("Deposited", &100)?])?;
    /// let handlers = Handlers::new().when("Deposited", |balance: &mut i64, event| {
    ///     *balance += event.json::<i64>()?;
    ///     Ok(())
    /// });
    ///
    /// let account = store.load("account-1", 0, &handlers)?;
    /// assert_eq!(account, Loaded { state: 100, version: 1, position: 1 });
    /// let expected = ExpectedVersion::Exact(account.version);
    /// store.append("account-1", expected, [NewEvent::json("Closed", &account.state)?])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load<S>(
        &self,
        stream: impl AsRef<str>,
        initial: S,
        handlers: &Handlers<S>,
    ) -> Result<Loaded<S>, Error> {
        let mut loaded = Loaded::initial(initial);
        loaded.advance(self, stream.as_ref(), handlers, UpTo::Now)?;
        Ok(loaded)
    }

    /// Like [`load`](Self::load), but starts from the newest usable snapshot of `key` if there is
    /// one, and reads only the events after it. The snapshot must be the JSON of a state of this
    /// stream, as [`Loaded::save`] writes it; a snapshot that cannot be read as such is ignored.
    ///
    /// If the meaning of the state changes, use another key: snapshots under the old key are then
    /// not used.
    ///
    /// # Errors
    /// The errors of [`load`](Self::load), and [`Error::InvalidArgument`] and
    /// [`Error::LimitExceeded`] if the name of the snapshot is invalid.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, Handlers, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// let handlers = Handlers::new().when("Deposited", |balance: &mut i64, event| {
    ///     *balance += event.json::<i64>()?;
    ///     Ok(())
    /// });
    /// for amount in 1..=100 {
    ///     let deposited = NewEvent::json("Deposited", &amount)?;
    ///     store.append("account-1", ExpectedVersion::Any, [deposited])?;
    /// }
    /// store.load("account-1", 0, &handlers)?.save(&store, "balance-1")?;
    ///
    /// store.append("account-1", ExpectedVersion::Any, [NewEvent::json("Deposited", &7)?])?;
    /// // Reads one event.
    /// let account = store.load_from("balance-1", "account-1", 0, &handlers)?;
    /// assert_eq!((account.state, account.version), (5_057, 101));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load_from<S: DeserializeOwned>(
        &self,
        key: impl Into<SnapshotKey>,
        stream: impl AsRef<str>,
        initial: S,
        handlers: &Handlers<S>,
    ) -> Result<Loaded<S>, Error> {
        self.load_from_snapshot(&key.into(), stream.as_ref(), initial, handlers, UpTo::Now)
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
