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
    snapshot::SaveOutcome,
    store::Follower,
    sync::{
        self, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
        thread::{self, ThreadId},
    },
};

/// A projection that every append brings up to date before it returns, whichever thread appends.
/// Its handlers see the events in position order, one at a time, on an appending thread.
///
/// **A handler that fails** or panics stops this projection before that event and changes nothing
/// else: the append stands, and other projections continue. From then on
/// [`try_state`](Self::try_state) returns the failure, while [`last_state`](Self::last_state) still
/// returns the state before the event. [`resume`](Self::resume) tries the event again, and
/// [`resume_after`](Self::resume_after) leaves it out.
///
/// **A handler may read and append** to the same store. An event that it appends reaches its own
/// projection after the event that it is handling, and the other projections when the handler has
/// returned; the append that started all this waits for that too. Handlers that respond to every
/// event with another event never finish.
///
/// **A handler may read the state of another live projection**, and waits while a handler of that
/// projection runs. If handlers read each other's states, the read that would complete the cycle is
/// refused: see [`try_state`](Self::try_state). A handler may also append to another store, unless
/// live projections there append to this one: they would wait for each other forever.
///
/// Dropping the projection ends it. The drop waits for a running handler, unless that handler, or
/// one that it waits for, drops the projection; afterwards no handler starts. The projection keeps
/// the store open, as every clone of the handle does.
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
    /// The position of the event that [`LiveProjection::resume_after`] left out last.
    left_out: AtomicU64,
    snapshots: SaveOutcome,
    engine: RwLock<Engine<S>>,
}

/// The state of a [`LiveProjection`]. While it is held, the state does not change and appends of
/// other threads wait for it, so hold it only briefly. The thread that holds it may append; the
/// projections of the store process those events once the thread no longer holds any state.
pub struct LiveState<'a, S: Serialize + DeserializeOwned + Send + Sync + 'static> {
    // Dropped in this order: a reader that leaves may have to drive, and then writes.
    engine: RwLockReadGuard<'a, Engine<S>>,
    _presence: Presence<'a, S>,
}

/// Marks that a reader is inside the gate.
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
            snapshots: engine.snapshots.outcome.clone(),
            engine: RwLock::new(engine),
        });
        let follower: Arc<dyn Follower> = Arc::<Shared<S>>::clone(&shared);
        shared.store.followers().add(follower);
        // Processes what was appended before the projection was registered as a follower.
        shared.store.followers().follow(shared.store.storage().head());
        LiveProjection { shared }
    }

    /// The current state. Waits for a running handler. If the projection has stopped, this is the
    /// state before the event at which it stopped; use [`try_state`](Self::try_state) to detect
    /// that.
    ///
    /// # Panics
    /// If called by a handler of this projection, which already has the state, or by a handler that
    /// a handler of this projection waits for. The panic counts as a failure of that handler, like
    /// any other panic.
    pub fn state(&self) -> LiveState<'_, S> {
        match self.shared.read() {
            Ok(state) => state,
            Err(_) => in_awaited_handler(),
        }
    }

    /// The state, provided that it is current: every event up to the head has been applied or
    /// skipped. After [`stop`](Self::stop) the state stays as it was then.
    ///
    /// # Errors
    /// If the projection has stopped, the reason: [`Error::Handler`] names the event and holds the
    /// cause. [`Error::Busy`] in a handler of this projection, and in a handler of another
    /// projection while a handler of this one waits for that projection's state.
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
        // No thread drives while a reader is inside, so the failure belongs to this state.
        self.failure().map_or(Ok(state), |failure| Err((*failure).clone()))
    }

    /// The state of the projection, whether or not it has stopped. Waits for a running handler.
    ///
    /// # Panics
    /// In the same cases as [`state`](Self::state).
    ///
    /// # Examples
    /// See [`try_state`](Self::try_state).
    pub fn last_state(&self) -> LiveState<'_, S> {
        self.state()
    }

    /// Like [`last_state`](Self::last_state), but returns [`Error::Busy`] where that panics.
    #[cfg(feature = "capi")]
    pub(crate) fn try_last_state(&self) -> Result<LiveState<'_, S>, Error> {
        self.shared.read()
    }

    /// The position of the last event that was applied or skipped.
    pub fn position(&self) -> u64 {
        self.shared.gate.position()
    }

    /// The name of the projection.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The reason why the projection has stopped, if it has: [`Error::Handler`] names the event and
    /// holds the cause.
    pub fn failure(&self) -> Option<Arc<Error>> {
        self.shared.gate.failure()
    }

    /// Resumes at the event at which the projection stopped, and returns the position that it
    /// reaches. If the projection has not stopped, this does the same as every append does. After
    /// [`stop`](Self::stop) it does nothing.
    ///
    /// # Errors
    /// The reason why it stopped again, or [`Error::Closed`]; [`Error::Busy`] in a handler of a
    /// live projection of the store, and while this thread holds the state of one.
    pub fn resume(&self) -> Result<u64, Arc<Error>> {
        self.resume_leaving_out(0)
    }

    /// Like [`resume`](Self::resume), but leaves out the event at which the projection stopped: its
    /// handler does not run, and the position moves past it. Every other event is handled as usual.
    /// If the projection has not stopped, nothing is left out.
    ///
    /// The event is left out of this state and of the snapshots made from it. A projection that
    /// starts again from an earlier snapshot, or from the beginning, meets the event again.
    ///
    /// # Errors
    /// The errors of [`resume`](Self::resume), for another event; and the reason why the projection
    /// stopped, if that was not a handler.
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
            return Err(Arc::new(Error::Busy { what: "resuming a live projection" }));
        }
        if position > 0 {
            self.shared.left_out.store(position, Ordering::Release);
        }
        self.shared.gate.allow_resuming();
        store.followers().follow(head);
        self.shared.gate.end_resuming(head);
        match self.failure() {
            Some(failure) => Err(failure),
            None => Ok(self.position()),
        }
    }

    /// Ends the projection, as a drop does. It waits for a running handler, unless that handler, or
    /// one that it waits for, makes the call; afterwards no handler starts. State and position can
    /// still be read.
    pub fn stop(&self) {
        if self.shared.store.storage().is_forked() {
            // The driver is not in this process, so its locks may never be released.
            return;
        }
        self.shared.is_over.store(true, Ordering::Release);
        let (followers, caller) = (self.shared.store.followers(), thread::current().id());
        let is_inside = followers.is_inside(caller);
        // The driver counts as inside until its handler has returned.
        if !self.shared.gate.detach(caller, is_inside, followers.waits()) {
            followers.remove(&*self.shared);
        }
    }

    /// Saves the state with its position, as durably as an append. The newest two snapshots are
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

    /// The reason why the last snapshot due under
    /// [`snapshot_every`](crate::Projection::snapshot_every) was not saved, if it was not. The next
    /// one is attempted when it is due. A snapshot that still waits is saved first.
    pub fn snapshot_failure(&self) -> Option<Arc<Error>> {
        self.shared.store.storage().save_waiting_snapshots(|| {});
        self.shared.snapshots.failure()
    }
}

#[expect(clippy::panic, reason = "the only other answer would be to wait forever")]
fn in_awaited_handler() -> ! {
    panic!("a handler asked for the state of a live projection that is waiting for this handler")
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
    /// Runs handlers as the driver, until nothing is left to do.
    fn drive(&self, mut turn: Turn) {
        while let Turn::Drive(target) = turn {
            // Handlers are guarded one by one; a panic elsewhere must not leave the gate shut.
            let advanced = catch_unwind(AssertUnwindSafe(|| {
                let mut engine = sync::write(&self.engine);
                engine.left_out = self.left_out.load(Ordering::Acquire);
                let count = target.saturating_sub(engine.position);
                let outcome = engine.follow(count, || self.is_over.load(Ordering::Acquire));
                Advance { done: engine.position, failure: outcome.err() }
            }));
            let advance = advanced.unwrap_or_else(|_| {
                let reason = "a live projection stopped in the middle of an event";
                let failure = Error::internal(reason);
                let done = sync::read(&self.engine).position;
                Advance { done, failure: Some(failure) }
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
        // No thread writes while a reader is inside, so this does not wait.
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
    /// The position of the last event that was applied to the state or passed over.
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
