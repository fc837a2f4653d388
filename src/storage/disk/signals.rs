//! How work is requested from the background thread, and how other threads wait for it.

use std::time::{Duration, Instant};

use crate::sync::{self, Condvar, Mutex, MutexGuard};

/// The length of one wait.
const WAIT: Duration = Duration::from_millis(100);

/// After this many waits in a row without progress (about 25 seconds) the thread counts as hung.
/// Waits are counted instead of measuring time, so that a process that was suspended for a minute
/// does not give up its own thread.
const WAITS_MAX: u32 = 250;

/// The signals of one store.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The tail is large enough to be drained, or an append waits for room in it.
    is_drain_due: bool,
    /// The journal will soon need another file.
    is_file_due: bool,
    /// Snapshots wait to be saved.
    are_snapshots_due: bool,
    /// When a write of a buffered store must be durable.
    sync_at: Option<Instant>,
    is_stopping: bool,
    has_ended: bool,
    /// The disk is too full to drain the tail.
    is_short_of_space: bool,
    /// Whether the thread is working.
    is_busy: bool,
    /// Counts the steps of the thread.
    progress: u64,
    /// Additional waits that a step of the thread may take.
    more_waits: u32,
}

/// How a wait for room in the tail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There may be room: check again.
    LookAgain,
    /// The disk is too full to drain the tail.
    NoSpace,
    /// The thread hangs or has ended.
    Hung,
}

/// Counts the waits of one caller without progress.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    progress: u64,
    waits: u32,
}

impl Patience {
    /// Counts a wait that ended in this state; returns false after too many without progress.
    fn lasts(&mut self, state: &State) -> bool {
        let has_moved = state.progress != self.progress;
        self.progress = state.progress;
        self.waits = if has_moved { 0 } else { self.waits + 1 };
        self.waits < WAITS_MAX.saturating_add(state.more_waits)
    }
}

/// What the thread must do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) drain: bool,
    pub(crate) file: bool,
    pub(crate) snapshots: bool,
    pub(crate) sync: bool,
    pub(crate) stop: bool,
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }

    pub(crate) fn request_drain(&self) {
        let mut state = self.lock();
        if !state.is_drain_due {
            state.is_drain_due = true;
            self.changed.notify_all();
        }
    }

    pub(crate) fn request_file(&self) {
        let mut state = self.lock();
        if !state.is_file_due {
            state.is_file_due = true;
            self.changed.notify_all();
        }
    }

    pub(crate) fn request_snapshots(&self) {
        let mut state = self.lock();
        if !state.are_snapshots_due {
            state.are_snapshots_due = true;
            self.changed.notify_all();
        }
    }

    pub(crate) fn request_sync(&self, at: Instant) {
        let mut state = self.lock();
        if state.sync_at.is_none() {
            state.sync_at = Some(at);
            self.changed.notify_all();
        }
    }

    /// Waits until the tail may have shrunk.
    pub(crate) fn wait_for_room(&self, patience: &mut Patience) -> Room {
        let mut state = self.lock();
        state.is_drain_due = true;
        state.is_short_of_space = false;
        self.changed.notify_all();
        let (state, _) = sync::wait_timeout_while(&self.changed, state, WAIT, |state| {
            state.is_drain_due && !state.is_short_of_space && !state.has_ended
        });
        if state.is_short_of_space {
            return Room::NoSpace;
        }
        let lasts = !state.is_busy || patience.lasts(&state);
        if state.has_ended || !lasts { Room::Hung } else { Room::LookAgain }
    }

    /// Asks the thread to finish its work and end; returns false if it hangs.
    pub(crate) fn stop(&self) -> bool {
        let mut state = self.lock();
        state.is_stopping = true;
        self.changed.notify_all();
        let mut patience = Patience::default();
        while !state.has_ended {
            if !patience.lasts(&state) {
                return false;
            }
            let goes_on = |state: &mut State| !state.has_ended;
            state = sync::wait_timeout_while(&self.changed, state, WAIT, goes_on).0;
        }
        true
    }

    /// Notes that the thread has completed a step.
    pub(crate) fn beat(&self) {
        self.lock().progress += 1;
    }

    /// Allows the next step of the thread, its last, to take this much longer than others.
    pub(crate) fn allow(&self, patience: Duration) {
        let waits = patience.as_millis().div_ceil(WAIT.as_millis());
        self.lock().more_waits = u32::try_from(waits).unwrap_or(u32::MAX);
    }

    /// Whether the journal will soon need another file; returns true once for each request.
    pub(crate) fn take_file_request(&self) -> bool {
        std::mem::take(&mut self.lock().is_file_due)
    }

    pub(crate) fn report_no_space(&self) {
        self.lock().is_short_of_space = true;
    }

    /// Notes that the thread has ended or was never started.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// Notes that the thread has finished a drain.
    pub(crate) fn end_drain(&self) {
        self.lock().is_drain_due = false;
        self.changed.notify_all();
    }

    /// Called on the thread: waits for work.
    pub(crate) fn next_work(&self) -> Work {
        let mut state = self.lock();
        state.is_busy = false;
        loop {
            let now = Instant::now();
            let work = Work {
                drain: state.is_drain_due,
                file: std::mem::take(&mut state.is_file_due),
                snapshots: std::mem::take(&mut state.are_snapshots_due),
                sync: state.sync_at.is_some_and(|at| at <= now),
                stop: state.is_stopping,
            };
            if work.sync {
                state.sync_at = None;
            }
            if work.drain || work.file || work.snapshots || work.sync || work.stop {
                state.is_busy = true;
                state.progress += 1;
                return work;
            }
            state = match state.sync_at.map(|at| at.saturating_duration_since(now)) {
                None => sync::wait(&self.changed, state),
                Some(timeout) => {
                    let is_idle = |state: &mut State| {
                        !state.is_drain_due
                            && !state.is_file_due
                            && !state.are_snapshots_due
                            && !state.is_stopping
                    };
                    sync::wait_timeout_while(&self.changed, state, timeout, is_idle).0
                }
            };
        }
    }
}
