//! The callbacks of a store that are running: they keep it from being closed.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use crate::{EventStore, OwnThread};

/// Counts the callbacks of a store while they run.
///
/// Those on the store's own thread do not count: they belong to submitted batches, which a close
/// completes.
#[derive(Debug, Default)]
pub(in crate::ffi) struct Callbacks {
    running: AtomicU32,
    own_thread: OnceLock<OwnThread>,
}

impl Callbacks {
    /// Tells the callbacks on the thread of `store` from others. Until then there are none.
    pub(in crate::ffi) fn are_of(&self, store: &EventStore) {
        self.own_thread.get_or_init(|| store.own_thread());
    }

    /// Counts a callback that starts.
    pub(in crate::ffi) fn begin(&self) -> InCallback<'_> {
        if self.own_thread.get().is_some_and(OwnThread::is_current) {
            return InCallback(None);
        }
        self.running.fetch_add(1, Ordering::AcqRel);
        InCallback(Some(&self.running))
    }

    pub(in crate::ffi) fn are_running(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }
}

/// Counts as a running callback until it is dropped.
pub(in crate::ffi) struct InCallback<'a>(Option<&'a AtomicU32>);

impl Drop for InCallback<'_> {
    fn drop(&mut self) {
        if let Some(running) = self.0 {
            running.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
