//! The callbacks of a projection by event type, and its position while they run.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::ffi::{
    callback::Callback,
    glue::{fault::CallbackFailed, handle::SharedStore},
};
use crate::sync::{Mutex, MutexGuard};
use crate::{HandlerError, RecordedEvent, sync};

/// Outlives the projection object if one of its own callbacks frees that.
#[derive(Debug)]
pub(super) struct Table {
    store: Arc<SharedStore>,
    callbacks: Mutex<HashMap<String, Arc<Callback>>>,
    /// The position before the event that was passed to a callback last.
    position: AtomicU64,
    has_stopped: AtomicBool,
    /// The object was freed: no more callbacks run.
    has_ended: AtomicBool,
    is_running: AtomicBool,
}

/// A callback stopped the projection after an earlier event.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a callback stopped the projection")
    }
}

impl std::error::Error for Stopped {}

impl Table {
    pub(super) fn new(store: Arc<SharedStore>) -> Table {
        Table {
            store,
            callbacks: Mutex::default(),
            position: AtomicU64::new(0),
            has_stopped: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            is_running: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Callback>>> {
        sync::lock(&self.callbacks)
    }

    /// Registers a callback; true if it is the first one of its type. A replaced callback is
    /// dropped.
    pub(super) fn set(&self, event_type: String, callback: Callback) -> bool {
        let replaced = self.lock().insert(event_type, Arc::new(callback));
        replaced.is_none()
    }

    /// Drops all callbacks: now, or, if one of them makes this call, when that one has returned.
    /// They may share their user data.
    pub(super) fn end_and_clear(&self) {
        self.end();
        if !self.is_running.load(Ordering::Acquire) {
            self.clear();
        }
    }

    fn clear(&self) {
        // In a forked child the lock may be held by a thread that only the parent has.
        let locked = match self.store.is_forked() {
            true => sync::try_lock(&self.callbacks),
            false => Some(self.lock()),
        };
        let callbacks = locked.map(|mut callbacks| mem::take(&mut *callbacks));
        drop(callbacks);
    }

    pub(super) fn run(&self, event: &RecordedEvent) -> Result<(), HandlerError> {
        if self.is_over() {
            return Err(Stopped.into());
        }
        let callback = self.lock().get(event.event_type()).cloned();
        let Some(callback) = callback else { return Ok(()) };
        self.note_position(event.position().saturating_sub(1));
        self.is_running.store(true, Ordering::Release);
        let code = callback.run(&self.store, event);
        self.is_running.store(false, Ordering::Release);
        drop(callback);
        if self.has_ended.load(Ordering::Acquire) {
            self.clear();
        }
        match code {
            0 => Ok(()),
            1.. => {
                self.stop();
                Ok(())
            }
            code => Err(CallbackFailed(code).into()),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    pub(super) fn note_position(&self, position: u64) {
        self.position.store(position, Ordering::Release);
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.has_stopped.load(Ordering::Acquire)
    }

    pub(super) fn stop(&self) {
        self.has_stopped.store(true, Ordering::Release);
    }

    /// Prevents all further callbacks.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Whether callbacks are prevented, for now or forever.
    pub(super) fn is_over(&self) -> bool {
        self.has_stopped() || self.has_ended.load(Ordering::Acquire)
    }

    /// Allows callbacks again after a stop.
    pub(super) fn go_on(&self) {
        self.has_stopped.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventStore;

    /// As if a thread of the parent had held the lock when this process was forked.
    #[test]
    fn a_forked_child_does_not_wait_for_a_thread_of_its_parent() -> Result<(), crate::Error> {
        let store = SharedStore::of_another_process(EventStore::in_memory()?);
        let table = Table::new(Arc::new(store));
        let held = table.lock();
        table.end_and_clear();
        drop(held);
        assert!(table.is_over());
        Ok(())
    }
}
