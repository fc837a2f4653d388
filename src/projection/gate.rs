//! Controls which threads may drive a live projection and which may read it.
//!
//! One thread at a time drives it; any number may read between two events. Threads that want to
//! drive and threads that want to read take turns, so that neither group starves the other. A
//! thread that is already inside a projection of the store, as a driver or as a reader, never waits
//! for threads that wait to drive: they may be waiting for it.

use std::sync::Arc;

use crate::{
    Error,
    store::Waits,
    sync::{self, Condvar, Mutex, MutexGuard, thread::ThreadId},
};

#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    driver: Option<ThreadId>,
    readers: Vec<ThreadId>,
    waiting_drivers: usize,
    waiting_readers: usize,
    /// Threads inside a projection of the store that wait for the driver to finish.
    waiting_enders: usize,
    /// How many of the waiting readers are admitted before the next driver.
    passes: usize,
    /// The position of the state.
    done: u64,
    /// A position that the driver must reach although it did not start with it as its target.
    owed: u64,
    failure: Option<Arc<Error>>,
    /// The next driver may enter although there is a failure, which lasts until then: readers that
    /// are still inside see the state that it left.
    is_resuming: bool,
    is_detached: bool,
}

/// How far a driver has got.
#[derive(Debug)]
pub(super) struct Advance {
    pub(super) done: u64,
    pub(super) failure: Option<Error>,
}

/// What a thread that wants the projection to advance must do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Drive the projection to at least this position.
    Drive(u64),
    /// Nothing: the projection is there already, or it has failed.
    Leave,
}

impl Gate {
    pub(super) fn at(position: u64) -> Gate {
        let state = State { done: position, ..State::default() };
        Gate { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        sync::wait(&self.changed, state)
    }

    /// Asks for the projection to reach `target`, and waits until it has or the caller may drive.
    /// The caller must not be inside any projection of the store.
    pub(super) fn enter(&self, target: u64, me: ThreadId) -> Turn {
        let mut state = self.lock();
        loop {
            let has_stopped = state.failure.is_some() && !state.is_resuming;
            if state.is_detached || has_stopped || state.done >= target {
                // Readers that gave way to waiting drivers may be waiting for this thread.
                if state.waiting_drivers == 0 && state.waiting_readers > 0 {
                    self.changed.notify_all();
                }
                return Turn::Leave;
            }
            if state.driver.is_none() && state.readers.is_empty() && state.passes == 0 {
                state.driver = Some(me);
                state.resume();
                return Turn::Drive(target);
            }
            state.waiting_drivers += 1;
            state = self.wait(state);
            state.waiting_drivers -= 1;
        }
    }

    /// Notes that the driver must reach this position too.
    pub(super) fn owe(&self, position: u64) {
        let mut state = self.lock();
        if state.driver.is_some() {
            state.owed = state.owed.max(position);
        }
    }

    /// Notes how far the driver has got, and returns whether it must go on.
    pub(super) fn advance(&self, advance: Advance, target: u64, waits: &Waits) -> Turn {
        let Advance { done, failure } = advance;
        let mut state = self.lock();
        state.done = done;
        state.failure = failure.map(Arc::new);
        let target = target.max(state.owed);
        let goes_on = state.failure.is_none() && !state.is_detached && done < target;
        if !goes_on {
            let driver = state.driver.take();
            state.passes = state.waiting_readers;
            if let (Some(driver), 1..) = (driver, state.waiting_readers + state.waiting_enders) {
                waits.release(driver);
            }
        }
        drop(state);
        self.changed.notify_all();
        if goes_on { Turn::Drive(target) } else { Turn::Leave }
    }

    /// Admits a reader. `is_inside` says whether it is already inside a projection of the store.
    /// Returns [`Error::Busy`] for the thread that drives this projection, and for one that the
    /// driver waits for.
    pub(super) fn admit(&self, me: ThreadId, is_inside: bool, waits: &Waits) -> Result<(), Error> {
        let busy = || Err(Error::Busy { what: "reading the state of a live projection" });
        let mut state = self.lock();
        if state.driver == Some(me) {
            return busy();
        }
        let may_enter =
            |state: &State| state.driver.is_none() && (is_inside || state.waiting_drivers == 0);
        if !may_enter(&state) {
            state.waiting_readers += 1;
            let mut is_cycle = false;
            while !may_enter(&state) && (state.driver.is_some() || state.passes == 0) {
                // No thread waits for one that is outside of every projection.
                let awaited = state.driver.filter(|_| is_inside);
                is_cycle = awaited.is_some_and(|driver| !waits.begin(me, driver));
                if is_cycle {
                    break;
                }
                state = self.wait(state);
                if awaited.is_some() {
                    waits.end(me);
                }
            }
            state.waiting_readers -= 1;
            if is_cycle {
                return busy();
            }
            state.passes = state.passes.saturating_sub(1);
        }
        state.readers.push(me);
        Ok(())
    }

    /// Lets a reader out.
    pub(super) fn dismiss(&self, me: ThreadId) {
        let mut state = self.lock();
        if let Some(index) = state.readers.iter().position(|reader| *reader == me) {
            state.readers.swap_remove(index);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Stops all driving, and waits until no other thread drives, unless the driver waits for this
    /// thread, which then `is_inside` a projection of the store. Returns whether there still is a
    /// driver: this thread, or one that waits for it.
    pub(super) fn detach(&self, me: ThreadId, is_inside: bool, waits: &Waits) -> bool {
        let mut state = self.lock();
        state.is_detached = true;
        self.changed.notify_all();
        while let Some(driver) = state.driver.filter(|driver| *driver != me) {
            // No thread waits for one that is outside of every projection.
            if is_inside && !waits.begin(me, driver) {
                break;
            }
            state.waiting_enders += 1;
            state = self.wait(state);
            state.waiting_enders -= 1;
            if is_inside {
                waits.end(me);
            }
        }
        state.driver.is_some()
    }

    /// Whether this thread drives or reads the projection.
    pub(super) fn is_inside(&self, thread: ThreadId) -> bool {
        let state = self.lock();
        state.driver == Some(thread) || state.readers.contains(&thread)
    }

    pub(super) fn position(&self) -> u64 {
        self.lock().done
    }

    pub(super) fn failure(&self) -> Option<Arc<Error>> {
        self.lock().failure.clone()
    }

    /// Lets the next driver enter in spite of a failure.
    pub(super) fn allow_resuming(&self) {
        let mut state = self.lock();
        state.is_resuming = state.failure.is_some();
    }

    /// Forgets the failure if no driver had to enter, because the state has reached this position.
    pub(super) fn end_resuming(&self, target: u64) {
        let mut state = self.lock();
        if state.is_resuming && state.done >= target {
            state.resume();
        }
    }
}

impl State {
    fn resume(&mut self) {
        self.failure = None;
        self.is_resuming = false;
    }
}
