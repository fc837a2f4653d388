//! A projection that is brought up to date inside every append.

use std::{
    fmt,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, EventStore,
    projection::{
        engine::Engine,
        gate::{Advance, Gate, Turn},
    },
    store::Follower,
    sync::{
        self, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
        thread::{self, ThreadId},
    },
};

/// A projection that every append brings up to date before it returns, whichever thread appends.
/// Its handlers see the events in position order, one at a time, on a thread that appends.
///
/// **A handler that fails** or panics stops this projection before that event and changes nothing
/// else: the append stands, and other projections go on. From then on
/// [`try_state`](Self::try_state) returns the failure, while [`last_state`](Self::last_state) still
/// has the state before the event. [`resume`](Self::resume) tries the event again, and
/// [`resume_after`](Self::resume_after) leaves it out.
///
/// **A handler may read and append** to the same store. What it appends comes to its own projection
/// after the event that it handles, and to the others when the handler has returned; the append
/// that started it all waits for that too. Handlers that answer every event with another one never
/// come to an end.
///
/// **A handler may read the state of another live projection**, and waits while that one's handler
/// runs. When handlers look at each other's states, the one that would close the circle is refused:
/// see [`try_state`](Self::try_state). It may append to another store too, unless live projections
/// there append to this one: those would wait for each other forever.
///
/// Dropping it ends it: the drop waits for a handler that runs, unless it is dropped by that
/// handler or by one that it waits for, and afterwards none begins. It keeps the store open as
/// every clone of the handle does.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, Handlers, NewEvent, Projection};
///
/// let store = EventStore::in_memory()?;
/// let handlers = Handlers::new().when("Deposited", |balance: &mut i64, event| {
///     *balance += event.json::<i64>()?;
///     Ok(())
/// });
/// let balance = Projection::new("balance", &store, 0, handlers).live()?;
/// store.append("account-1", ExpectedVersion::Any, [NewEvent::json("Deposited", &100)?])?;
/// assert_eq!(*balance.state(), 100);
/// assert!(balance.failure().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LiveProjection<S: Serialize + DeserializeOwned + Send + Sync + 'static> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    store: EventStore,
    name: String,
    gate: Gate,
    /// Set when the projection is dropped: no handler runs from then on.
    is_over: AtomicBool,
    /// The position of the event that [`LiveProjection::resume_after`] has left out last.
    left_out: AtomicU64,
    engine: RwLock<Engine<S>>,
}

/// The state of a [`LiveProjection`], which stands still while this is held: appends of other
/// threads wait for it, so hold it briefly. The thread that holds it may append; the projections of
/// the store take account of that when it holds no state any more.
pub struct LiveState<'a, S: Serialize + DeserializeOwned + Send + Sync + 'static> {
    // Dropped in this order: whoever leaves may have to drive, and then writes.
    engine: RwLockReadGuard<'a, Engine<S>>,
    _presence: Presence<'a, S>,
}

/// A reader's presence inside the gate.
struct Presence<'a, S: Serialize + DeserializeOwned + Send + Sync + 'static> {
    shared: &'a Shared<S>,
    reader: ThreadId,
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> LiveProjection<S> {
    pub(super) fn start(engine: Engine<S>) -> LiveProjection<S> {
        let shared = Arc::new(Shared {
            store: engine.store.clone(),
            name: engine.name.clone(),
            gate: Gate::at(engine.position),
            is_over: AtomicBool::new(false),
            left_out: AtomicU64::new(0),
            engine: RwLock::new(engine),
        });
        let follower: Arc<dyn Follower> = Arc::<Shared<S>>::clone(&shared);
        shared.store.followers().add(follower);
        // What was appended before it was known as a follower.
        shared.store.followers().follow(shared.store.storage().head());
        LiveProjection { shared }
    }

    /// The current state. It waits for a handler that runs. If the projection has stopped, this is
    /// the state before the event at which it did: [`try_state`](Self::try_state) says so.
    ///
    /// # Panics
    /// In a handler of this same projection, which has the state in its hands already, and in one
    /// for which a handler of this projection waits. That panic is one of the handler, as any
    /// other.
    pub fn state(&self) -> LiveState<'_, S> {
        match self.shared.read() {
            Ok(state) => state,
            Err(_) => in_awaited_handler(),
        }
    }

    /// The current state, if it is current: every event up to the head is in it or has been
    /// skipped.
    ///
    /// # Errors
    /// Why the projection has stopped, if it has: [`Error::Handler`] names the event and has the
    /// cause. [`Error::Busy`] in a handler of this same projection, and in one for which a handler
    /// of this projection waits, because it asks for the state of the other.
    ///
    /// # Examples
    /// ```
    /// use annals::{Error, EventStore, ExpectedVersion, Handlers, NewEvent, Projection};
    ///
    /// let store = EventStore::in_memory()?;
    /// let handlers = Handlers::new().when("Deposited", |balance: &mut u64, event| {
    ///     *balance += event.json::<u64>()?;
    ///     Ok(())
    /// });
    /// let balance = Projection::new("balance", &store, 0, handlers).live()?;
    /// let deposit = |json| NewEvent::raw_json("Deposited", json);
    /// store.append("account-1", ExpectedVersion::Any, [deposit("100")?, deposit("\"much\"")?])?;
    /// assert!(matches!(balance.try_state(), Err(Error::Handler { position: 2, .. })));
    /// assert_eq!(*balance.last_state(), 100);
    ///
    /// store.append("account-1", ExpectedVersion::Any, [deposit("7")?])?;
    /// balance.resume_after()?;
    /// assert_eq!(*balance.try_state()?, 107);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_state(&self) -> Result<LiveState<'_, S>, Error> {
        let state = self.shared.read()?;
        // Nobody drives while a reader is in, so the failure belongs to this state.
        self.failure().map_or(Ok(state), |failure| Err((*failure).clone()))
    }

    /// The state that the projection has, whether it has stopped or not. It waits for a handler
    /// that runs.
    ///
    /// # Panics
    /// As [`state`](Self::state).
    ///
    /// # Examples
    /// See [`try_state`](Self::try_state).
    pub fn last_state(&self) -> LiveState<'_, S> {
        self.state()
    }

    /// As [`last_state`](Self::last_state), with [`Error::Busy`] where that panics.
    #[cfg(feature = "capi")]
    pub(crate) fn try_last_state(&self) -> Result<LiveState<'_, S>, Error> {
        self.shared.read()
    }

    /// The position of the last event that was applied or skipped.
    pub fn position(&self) -> u64 {
        self.shared.gate.position()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Why the projection has stopped, if it has: [`Error::Handler`] names the event and has the
    /// cause.
    pub fn failure(&self) -> Option<Arc<Error>> {
        self.shared.gate.failure()
    }

    /// Goes on at the event at which the projection has stopped, and returns the position that it
    /// comes to. Where it has not stopped it does what every append does.
    ///
    /// # Errors
    /// Why it has stopped again, or [`Error::Closed`]; [`Error::Busy`] in a handler of a live
    /// projection of the store, and while this thread holds the state of one.
    pub fn resume(&self) -> Result<u64, Arc<Error>> {
        self.resume_leaving_out(0)
    }

    /// As [`resume`](Self::resume), but the event at which the projection has stopped is left out:
    /// its handler does not run, and the position moves past it. Every other event is handled as
    /// always. Where the projection has not stopped nothing is left out.
    ///
    /// The event is left out of this state and of the snapshots made of it. A projection that
    /// starts again from an earlier snapshot, or from the beginning, meets it again.
    ///
    /// # Errors
    /// As [`resume`](Self::resume), about another event; and why it has stopped, if that was not a
    /// handler.
    ///
    /// # Examples
    /// See [`try_state`](Self::try_state).
    pub fn resume_after(&self) -> Result<u64, Arc<Error>> {
        match self.failure() {
            None => self.resume(),
            Some(failure) => match *failure {
                Error::Handler { position, .. } => self.resume_leaving_out(position),
                _ => Err(failure),
            },
        }
    }

    fn resume_leaving_out(&self, position: u64) -> Result<u64, Arc<Error>> {
        let store = &self.shared.store;
        let head = store.head().map_err(Arc::new)?;
        if store.followers().is_inside(thread::current().id()) {
            return Err(Arc::new(Error::Busy { what: "the resumption of a live projection" }));
        }
        if position > 0 {
            self.shared.left_out.store(position, Ordering::Release);
        }
        self.shared.gate.clear_failure();
        store.followers().follow(head);
        match self.failure() {
            Some(failure) => Err(failure),
            None => Ok(self.position()),
        }
    }

    /// Ends it, as the drop does: it waits for a handler that runs, unless it is called by that
    /// handler or by one that it waits for, and afterwards none begins. State and position can
    /// still be looked at.
    pub fn stop(&self) {
        if self.shared.store.storage().is_forked() {
            // Whoever drives it is not in this process, and may hold its locks forever.
            return;
        }
        self.shared.is_over.store(true, Ordering::Release);
        let (followers, caller) = (self.shared.store.followers(), thread::current().id());
        let is_inside = followers.is_inside(caller);
        // Whoever drives it is known to be inside until its handler has returned.
        if !self.shared.gate.detach(caller, is_inside, followers.waits()) {
            followers.remove(&*self.shared);
        }
    }

    /// Saves the state with its position, as durably as an append. The newest and one older are
    /// kept.
    ///
    /// # Errors
    /// [`Error::Busy`] in a handler of this projection; otherwise as
    /// [`Projection::save_snapshot`](crate::Projection::save_snapshot).
    pub fn save_snapshot(&self) -> Result<(), Error> {
        let (key, position, bytes) = {
            let LiveState { engine, .. } = &self.shared.read()?;
            (engine.key(), engine.position, engine.snapshot()?)
        };
        self.shared.store.save_snapshot(key, position, bytes)
    }

    /// Why the last snapshot that [`snapshot_every`](crate::Projection::snapshot_every) was due to
    /// save is not there, if so. The next one is tried when it is due.
    pub fn snapshot_failure(&self) -> Option<Arc<Error>> {
        self.shared.gate.snapshot_failure()
    }
}

#[expect(clippy::panic, reason = "the only other answer would be to wait forever")]
fn in_awaited_handler() -> ! {
    panic!(
        "the state of a live projection was asked for in a handler that it would have to wait for"
    )
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> Drop for LiveProjection<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> fmt::Debug for LiveProjection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveProjection")
            .field("position", &self.position())
            .field("failure", &self.failure())
            .finish_non_exhaustive()
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync> Shared<S> {
    /// Runs handlers as the driver, until nothing is left to be done.
    fn drive(&self, mut turn: Turn) {
        while let Turn::Drive(target) = turn {
            // Handlers are guarded one by one; whatever else may panic must not leave the gate
            // shut.
            let advanced = catch_unwind(AssertUnwindSafe(|| {
                let mut engine = sync::write(&self.engine);
                engine.left_out = self.left_out.load(Ordering::Acquire);
                let count = target.saturating_sub(engine.position);
                let outcome = engine.follow(count, || self.is_over.load(Ordering::Acquire));
                let snapshot_failure = engine.snapshots.failure.clone();
                Advance { done: engine.position, failure: outcome.err(), snapshot_failure }
            }));
            let advance = advanced.unwrap_or_else(|_| {
                let reason = "a live projection stopped half-way through an event";
                let failure = Error::internal(reason);
                let done = sync::read(&self.engine).position;
                Advance { done, failure: Some(failure), snapshot_failure: None }
            });
            turn = self.gate.advance(advance, target, self.store.followers().waits());
        }
        if self.is_over.load(Ordering::Acquire) {
            self.store.followers().remove(self);
        }
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> Shared<S> {
    fn read(&self) -> Result<LiveState<'_, S>, Error> {
        let reader = thread::current().id();
        let followers = self.store.followers();
        self.gate.admit(reader, followers.is_inside(reader), followers.waits())?;
        let presence = Presence { shared: self, reader };
        // Nobody writes while a reader is in, so this does not wait.
        let engine = sync::read(&self.engine);
        Ok(LiveState { engine, _presence: presence })
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync> Follower for Shared<S> {
    fn follow(&self, position: u64, caller: ThreadId) {
        let turn = self.gate.enter(position, caller);
        self.drive(turn);
    }

    fn owe(&self, position: u64) {
        self.gate.owe(position);
    }

    fn is_inside(&self, thread: ThreadId) -> bool {
        self.gate.is_inside(thread)
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> LiveState<'_, S> {
    /// The position of the last event that the state takes account of, or that was passed over.
    pub fn position(&self) -> u64 {
        self.engine.position
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> Deref for LiveState<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.engine.state
    }
}

impl<S> fmt::Debug for LiveState<'_, S>
where
    S: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> Drop for Presence<'_, S> {
    fn drop(&mut self) {
        self.shared.gate.dismiss(self.reader);
        self.shared.store.followers().settle(self.reader);
    }
}
