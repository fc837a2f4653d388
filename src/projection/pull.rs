//! A projection that is pulled.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, EventStore,
    event::RecordedEvent,
    projection::{HandlerError, Handlers, LiveProjection, Restored, engine::Engine},
};

/// State that handlers derive from the events, brought up to date when it is asked to.
///
/// The state must have a JSON form that reads back as the same state: that is what its snapshots
/// are, and what it is restored from when a handler fails half-way. (Floats keep every digit;
/// the keys of maps must be texts or numbers.) One thread works with it; it may move between
/// threads if its state may.
///
/// # Examples
/// ```
/// use std::collections::BTreeMap;
/// use annals::{EventStore, ExpectedVersion, HandlerError, Handlers, NewEvent, Projection};
///
/// type Balances = BTreeMap<String, i64>;
///
/// let store = EventStore::in_memory()?;
/// store.append("account-1", ExpectedVersion::Any, [NewEvent::json("Deposited", &100)?])?;
/// store.append("account-1", ExpectedVersion::Any, [NewEvent::json("Renamed", &"savings")?])?;
///
/// let handlers = Handlers::new().when("Deposited", |balances: &mut Balances, event| {
///     *balances.entry(event.stream_id().to_owned()).or_default() += event.json::<i64>()?;
///     Ok(())
/// });
/// let mut balances = Projection::new("balances", &store, Balances::new(), handlers);
/// balances.load_snapshot()?;
/// assert_eq!(balances.catch_up()?, 2);
/// assert_eq!(balances.state()["account-1"], 100);
/// assert_eq!(balances.position(), 2);
/// balances.save_snapshot()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Projection<S> {
    pub(super) engine: Engine<S>,
}

impl<S: Serialize + DeserializeOwned> Projection<S> {
    /// A projection of this name that has seen no event yet; `state` is what it starts from.
    pub fn new(
        name: impl Into<String>,
        store: &EventStore,
        state: S,
        handlers: Handlers<S>,
    ) -> Projection<S> {
        Projection { engine: Engine::new(name.into(), store, state, handlers) }
    }

    /// The version of handlers and state, 0 unless it is set. Raise it when they change their
    /// meaning: snapshots of another version are left aside.
    #[must_use]
    pub fn version(mut self, version: u32) -> Projection<S> {
        self.engine.version = version;
        self
    }

    /// Saves a snapshot whenever this many events have been taken account of since the last one; 0,
    /// as at first, saves none. Each costs a durable write. One that cannot be saved holds nothing
    /// up: see [`snapshot_failure`](Self::snapshot_failure).
    #[must_use]
    pub fn snapshot_every(mut self, events: u64) -> Projection<S> {
        self.engine.snapshots.every = events;
        self
    }

    /// Takes account of every event up to the head of this moment, and returns how many those were,
    /// events without a handler included: they are passed over, and the position moves. It reads in
    /// bounded memory.
    ///
    /// What a handler appends is taken account of by the next call.
    ///
    /// # Errors
    /// State and position are as before the event that it happened at, so that a repeated call
    /// tries it again:
    /// * [`Error::Handler`] when a handler fails or panics;
    /// * [`Error::InvalidArgument`] when the state has no JSON form;
    /// * [`Error::Corrupted`], [`Error::Io`], [`Error::Closed`] when the events cannot be read.
    ///
    /// Should the handlers fail to get from the state that was kept to the one before the event,
    /// though they succeeded before, both are as they were kept: earlier, but fitting each other.
    pub fn catch_up(&mut self) -> Result<u64, Error> {
        self.engine.advance(u64::MAX, || false)
    }

    /// As [`catch_up`](Self::catch_up), for at most this many events.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up).
    pub fn catch_up_at_most(&mut self, events: u64) -> Result<u64, Error> {
        self.engine.advance(events, || false)
    }

    /// As [`catch_up`](Self::catch_up), but it stops early once `is_over`, which is asked before
    /// each event.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up).
    pub fn catch_up_until(&mut self, is_over: impl Fn() -> bool) -> Result<u64, Error> {
        self.engine.advance(u64::MAX, is_over)
    }

    /// Runs `handler` for events of this type from now on, in place of the one before: see
    /// [`Handlers::when`].
    pub fn when<H>(&mut self, event_type: impl Into<String>, handler: H)
    where
        H: Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.engine.handle(event_type.into(), handler);
    }

    /// Goes on from a state that was kept elsewhere and takes account of the events up to
    /// `position`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the position is past the head of the store, and then
    /// everything is as before; [`Error::Closed`].
    pub fn resume_from(&mut self, state: S, position: u64) -> Result<(), Error> {
        let storage = self.engine.store.storage();
        storage.check_open()?;
        storage.check_reached(position)?;
        self.engine.set(state, position);
        Ok(())
    }

    /// What the handlers have made of the events up to [`position`](Self::position).
    pub fn state(&self) -> &S {
        &self.engine.state
    }

    /// The state by value.
    pub fn into_state(self) -> S {
        self.engine.state
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.engine.name
    }

    /// The position of the last event that was taken account of, or passed over; 0 at first.
    pub fn position(&self) -> u64 {
        self.engine.position
    }

    /// Saves the state with its position, as durably as an append. The newest and one older are
    /// kept.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the state has no JSON form; otherwise as
    /// [`EventStore::save_snapshot`].
    pub fn save_snapshot(&mut self) -> Result<(), Error> {
        let (key, position) = (self.engine.key(), self.engine.position);
        let bytes = self.engine.snapshot()?;
        self.engine.store.save_snapshot(key, position, bytes)?;
        self.engine.note_saved(position, None);
        Ok(())
    }

    /// Goes on from the newest usable snapshot of this name and version; without one the projection
    /// stays as it is. What is ignored is reported, and is no error: the events are replayed.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::LimitExceeded`] for a name that is none;
    /// [`Error::Io`], [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, Handlers, Projection};
    ///
    /// let store = EventStore::in_memory()?;
    /// let mut old = Projection::new("count", &store, 0_u64, Handlers::new());
    /// old.save_snapshot()?;
    /// let mut new = Projection::new("count", &store, 0_u64, Handlers::new()).version(2);
    /// let restored = new.load_snapshot()?;
    /// assert!(!restored.is_restored());
    /// assert_eq!(restored.ignored[0].reason, "it is of version 0, not 2");
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn load_snapshot(&mut self) -> Result<Restored, Error> {
        self.engine.load_snapshot()
    }

    /// Why the last snapshot that [`snapshot_every`](Self::snapshot_every) was due to save is not
    /// there, if so. The next one is tried when it is due.
    pub fn snapshot_failure(&self) -> Option<&Error> {
        self.engine.snapshots.failure.as_deref()
    }

    /// Goes back to the first state and position 0. Snapshots stay.
    pub fn reset(&mut self) {
        self.engine.reset();
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> Projection<S> {
    /// Catches up, and from then on follows every append.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up); the error holds the projection, as it is before the event
    /// that it happened at, and becomes a plain [`Error`] by way of `?`.
    ///
    /// # Examples
    /// See [`LiveProjection`].
    pub fn live(mut self) -> Result<LiveProjection<S>, LiveError<S>> {
        match self.catch_up() {
            Ok(_) => Ok(LiveProjection::start(self.engine)),
            Err(error) => Err(LiveError { error, projection: Box::new(self) }),
        }
    }
}

/// Why a projection did not become live, and the projection.
pub struct LiveError<S> {
    /// What went wrong.
    pub error: Error,
    /// The projection, as it is before the event that it happened at.
    pub projection: Box<Projection<S>>,
}

impl<S> From<LiveError<S>> for Error {
    fn from(failure: LiveError<S>) -> Error {
        failure.error
    }
}

impl<S> fmt::Debug for LiveError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S> fmt::Display for LiveError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<S> std::error::Error for LiveError<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}
