//! A projection that catches up on request.

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, EventStore,
    event::RecordedEvent,
    projection::{HandlerError, Handlers, LiveProjection, Restored, engine::Engine},
};

/// State that handlers derive from the events, brought up to date on request.
///
/// The state must have a JSON form that reads back as the same state: its snapshots use this form,
/// and the state is restored from it when a handler fails half-way. (Floats keep every digit; the
/// keys of maps must be texts or numbers.) Only one thread at a time can use a projection; it can
/// move between threads if its state can.
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
    /// Creates a projection with this name that has not seen any event yet; `state` is its initial
    /// state. The name is that of its snapshots: 1 to 255 bytes of UTF-8 without NUL, which is
    /// checked when a snapshot is saved or loaded. Two projections with one name replace each
    /// other's snapshots.
    pub fn new(
        name: impl Into<String>,
        store: &EventStore,
        state: S,
        handlers: Handlers<S>,
    ) -> Projection<S> {
        Projection { engine: Engine::new(name.into(), store, state, handlers) }
    }

    /// Sets the version of the handlers and the state; the default is 0. Raise it when their
    /// meaning changes: snapshots of other versions are ignored.
    #[must_use]
    pub fn version(mut self, version: u32) -> Projection<S> {
        self.engine.version = version;
        self
    }

    /// Saves a snapshot whenever this many events have been processed since the last one. 0, the
    /// default, saves none. The background thread of the store writes the file, so that no append
    /// waits for it; until then the snapshot is kept in memory, at most one for each projection.
    /// [`load_snapshot`](Self::load_snapshot) finds it at once, and
    /// [`close`](EventStore::close) saves it. If it cannot be saved, the projection continues: see
    /// [`snapshot_failure`](Self::snapshot_failure).
    #[must_use]
    pub fn snapshot_every(mut self, events: u64) -> Projection<S> {
        self.engine.snapshots.every = events;
        self
    }

    /// Processes every event up to the current head, and returns how many there were. Events
    /// without a handler count too: they are passed over, and the position moves. Memory use is
    /// bounded.
    ///
    /// Events that a handler appends are processed by the next call.
    ///
    /// # Errors
    /// State and position are as they were before the event that caused the error, so that a
    /// repeated call tries it again:
    /// * [`Error::Handler`] when a handler fails or panics;
    /// * [`Error::InvalidArgument`] when the state has no JSON form;
    /// * [`Error::Corrupted`], [`Error::Io`], [`Error::Closed`] when the events cannot be read.
    ///
    /// If the handlers then fail to get from the kept state to the one before the event, although
    /// they succeeded earlier, state and position are both as they were kept: earlier, but
    /// consistent with each other. If the kept state cannot be read back from its JSON, the
    /// projection is [reset](Self::reset).
    pub fn catch_up(&mut self) -> Result<u64, Error> {
        self.engine.advance(u64::MAX, || false)
    }

    /// Like [`catch_up`](Self::catch_up), for at most this many events.
    ///
    /// # Errors
    /// The errors of [`catch_up`](Self::catch_up).
    pub fn catch_up_at_most(&mut self, events: u64) -> Result<u64, Error> {
        self.engine.advance(events, || false)
    }

    /// Like [`catch_up`](Self::catch_up), but stops early once `is_over` returns true. It is called
    /// before each event.
    ///
    /// # Errors
    /// The errors of [`catch_up`](Self::catch_up).
    pub fn catch_up_until(&mut self, is_over: impl Fn() -> bool) -> Result<u64, Error> {
        self.engine.advance(u64::MAX, is_over)
    }

    /// Runs `handler` for events of this type from now on, replacing any earlier handler for the
    /// type: see [`Handlers::when`].
    pub fn when<H>(&mut self, event_type: impl Into<String>, handler: H)
    where
        H: Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.engine.handle(event_type.into(), handler);
    }

    /// Continues from a state that was kept elsewhere and that includes the events up to
    /// `position`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the position is past the head of the store, in which case
    /// nothing changes; [`Error::Closed`].
    pub fn resume_from(&mut self, state: S, position: u64) -> Result<(), Error> {
        let storage = self.engine.store.storage();
        storage.check_open()?;
        storage.check_reached(position)?;
        self.engine.set(state, position);
        Ok(())
    }

    /// The state that the handlers derived from the events up to [`position`](Self::position).
    pub fn state(&self) -> &S {
        &self.engine.state
    }

    /// Consumes the projection and returns the state.
    pub fn into_state(self) -> S {
        self.engine.state
    }

    /// The name of the projection.
    pub fn name(&self) -> &str {
        &self.engine.name
    }

    /// The position of the last event that was processed or passed over; 0 at first.
    pub fn position(&self) -> u64 {
        self.engine.position
    }

    /// Saves the state with its position, as durably as an append. The newest two snapshots are
    /// kept.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the state has no JSON form; otherwise the errors of
    /// [`EventStore::save_snapshot`].
    pub fn save_snapshot(&mut self) -> Result<(), Error> {
        let (key, position) = (self.engine.key(), self.engine.position);
        let bytes = self.engine.snapshot()?;
        self.engine.store.save_snapshot(key, position, bytes)?;
        self.engine.note_saved(position);
        Ok(())
    }

    /// Continues from the newest usable snapshot of this name and version; if there is none, the
    /// projection does not change. Ignored snapshots are reported, not treated as errors: the
    /// events are replayed instead.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::LimitExceeded`] if the name is invalid;
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

    /// The reason why the last snapshot due under [`snapshot_every`](Self::snapshot_every) was not
    /// saved, if it was not. The next one is attempted when it is due. A snapshot that still waits
    /// is saved first.
    pub fn snapshot_failure(&self) -> Option<Arc<Error>> {
        self.engine.store.storage().save_waiting_snapshots(|| {});
        self.engine.snapshots.outcome.failure()
    }

    /// Returns to the initial state and position 0. Saved snapshots stay.
    pub fn reset(&mut self) {
        self.engine.reset();
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> Projection<S> {
    /// Catches up, and follows every append from then on.
    ///
    /// # Errors
    /// The errors of [`catch_up`](Self::catch_up). The error holds the projection as it was before
    /// the event that caused it; `?` converts it to a plain [`Error`].
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

/// The error of a projection that did not become live, together with the projection.
pub struct LiveError<S> {
    /// What went wrong.
    pub error: Error,
    /// The projection as it was before the event that caused the error.
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
