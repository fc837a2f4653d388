//! Tracks how far the journal is written and how far it is durable.

use std::time::Instant;

use crate::{
    codec::head::LogEnd,
    sync::{
        self, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// The end of what is written and the end of what is durable, under one lock.
#[derive(Debug)]
pub(crate) struct Durability {
    state: Mutex<State>,
    /// The durable position, which can be read without the lock.
    position: AtomicU64,
}

#[derive(Debug)]
struct State {
    written: LogEnd,
    synced: LogEnd,
    /// About when the oldest frame that is not durable was written.
    oldest_unsynced: Option<Instant>,
}

impl Durability {
    /// Starts with everything up to `end` durable.
    pub(crate) fn new(end: LogEnd) -> Durability {
        let state = State { written: end, synced: end, oldest_unsynced: None };
        Durability { state: Mutex::new(state), position: AtomicU64::new(end.position) }
    }

    /// The last position that is durable.
    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// The last frame that is durable.
    pub(crate) fn synced(&self) -> LogEnd {
        sync::lock(&self.state).synced
    }

    /// The last frame that was written.
    pub(crate) fn written(&self) -> LogEnd {
        sync::lock(&self.state).written
    }

    /// Notes a frame that was written, and returns since when the oldest unsynced frame has been
    /// waiting.
    pub(crate) fn wrote(&self, end: LogEnd, now: Instant) -> Instant {
        let mut state = sync::lock(&self.state);
        state.written = end;
        *state.oldest_unsynced.get_or_insert(now)
    }

    /// Notes that everything up to `end` is durable, by a sync that began at `started`.
    pub(crate) fn note_synced(&self, end: LogEnd, started: Instant) {
        let mut state = sync::lock(&self.state);
        if end.frame_number <= state.synced.frame_number {
            return;
        }
        state.synced = end;
        self.position.store(end.position, Ordering::Release);
        // Frames written while the sync ran count from its start.
        let is_all = end.frame_number >= state.written.frame_number;
        state.oldest_unsynced = if is_all { None } else { Some(started) };
    }

    /// Whether any frame waits for a sync.
    pub(crate) fn has_unsynced(&self) -> bool {
        let state = sync::lock(&self.state);
        state.synced.frame_number < state.written.frame_number
    }

    /// Since when the oldest unsynced frame has been waiting.
    pub(crate) fn oldest_unsynced(&self) -> Option<Instant> {
        sync::lock(&self.state).oldest_unsynced
    }
}
