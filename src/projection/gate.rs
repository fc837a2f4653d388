//! Who may work on a live projection, and who may look at it.
//!
//! One thread at a time drives it; any number may read between two events. Nobody waits for
//! themselves: a thread that drives it, or reads it, leaves what it appends to be done when it
//! stops doing so. Readers come in unless a handler runs, even if a driver waits, so that a thread
//! that reads may start another read.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::ThreadId,
};

use crate::Error;

#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    driver: Option<ThreadId>,
    readers: Vec<ThreadId>,
    /// The position that the state has.
    done: u64,
    /// A position that nobody waits for and that has to be reached all the same.
    owed: u64,
    failure: Option<Arc<Error>>,
    snapshot_failure: Option<Arc<Error>>,
    is_detached: bool,
}

/// How far a driver has come.
#[derive(Debug)]
pub(super) struct Advance {
    pub(super) done: u64,
    pub(super) failure: Option<Error>,
    pub(super) snapshot_failure: Option<Arc<Error>>,
}

/// What a thread that wants the projection to advance has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It drives, to this position at least.
    Drive(u64),
    /// Nothing: it is done, or another will do it, or it has failed.
    Leave,
}

impl Gate {
    pub(super) fn at(position: u64) -> Gate {
        let state = State { done: position, ..State::default() };
        Gate { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the projection to be at `target`.
    pub(super) fn enter(&self, target: u64, me: ThreadId, may_wait: bool) -> Turn {
        let mut state = self.lock();
        loop {
            if state.is_detached || state.failure.is_some() || state.done >= target {
                return Turn::Leave;
            }
            let is_mine = state.driver == Some(me) || state.readers.contains(&me);
            let is_free = state.driver.is_none() && state.readers.is_empty();
            if is_free {
                state.driver = Some(me);
                return Turn::Drive(target);
            }
            if is_mine || !may_wait {
                state.owed = state.owed.max(target);
                return Turn::Leave;
            }
            state = self.wait(state);
        }
    }

    /// Notes how far the driver has come, and whether it has to go on.
    pub(super) fn advance(&self, advance: Advance, target: u64) -> Turn {
        let Advance { done, failure, snapshot_failure } = advance;
        let mut state = self.lock();
        state.done = done;
        state.failure = failure.map(Arc::new);
        state.snapshot_failure = snapshot_failure;
        let target = target.max(state.owed);
        let goes_on = state.failure.is_none() && !state.is_detached && done < target;
        if !goes_on {
            state.driver = None;
        }
        drop(state);
        self.changed.notify_all();
        if goes_on { Turn::Drive(target) } else { Turn::Leave }
    }

    /// Lets a reader in; [`Error::Busy`] for the thread that drives.
    pub(super) fn admit(&self, me: ThreadId) -> Result<(), Error> {
        let mut state = self.lock();
        while let Some(driver) = state.driver {
            if driver == me {
                return Err(Error::Busy { what: "the state of a live projection" });
            }
            state = self.wait(state);
        }
        state.readers.push(me);
        Ok(())
    }

    /// Lets a reader out, who may have to drive on behalf of what it held up.
    pub(super) fn dismiss(&self, me: ThreadId) -> Turn {
        let mut state = self.lock();
        if let Some(index) = state.readers.iter().position(|reader| *reader == me) {
            state.readers.swap_remove(index);
        }
        let is_owed = state.owed > state.done && state.failure.is_none() && !state.is_detached;
        let turn = match state.readers.is_empty() && state.driver.is_none() && is_owed {
            true => {
                state.driver = Some(me);
                Turn::Drive(state.owed)
            }
            false => Turn::Leave,
        };
        drop(state);
        self.changed.notify_all();
        turn
    }

    /// Ends all driving, and returns once nobody drives any more, unless this thread does.
    pub(super) fn detach(&self, me: ThreadId) {
        let mut state = self.lock();
        state.is_detached = true;
        self.changed.notify_all();
        while state.driver.is_some_and(|driver| driver != me) {
            state = self.wait(state);
        }
    }

    pub(super) fn is_driven_by(&self, thread: ThreadId) -> bool {
        self.lock().driver == Some(thread)
    }

    pub(super) fn position(&self) -> u64 {
        self.lock().done
    }

    pub(super) fn failure(&self) -> Option<Arc<Error>> {
        self.lock().failure.clone()
    }

    pub(super) fn snapshot_failure(&self) -> Option<Arc<Error>> {
        self.lock().snapshot_failure.clone()
    }

    pub(super) fn clear_failure(&self) {
        self.lock().failure = None;
    }
}
