//! The projection object, and its functions that may be called at any time.

use std::sync::{Arc, OnceLock, atomic::AtomicU32};

use crate::sync::{Mutex, MutexGuard};

use crate::ffi::{
    error::annals_error,
    glue::{
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle::{self, Opaque, SharedStore},
    },
    projection::table::Table,
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
};
use crate::{LiveProjection, Projection, SnapshotKey, sync};

/// A projection: callbacks that receive the events of their types in the order of positions, and
/// the position of the last event. The state that the callbacks derive belongs to the caller.
///
/// At first a projection advances only in annals_projection_catch_up. After annals_projection_live
/// it follows every append.
#[derive(Debug)]
pub struct annals_projection {
    _private: [u8; 0],
}

/// Calls share the handle, so that the position can be read while the projection runs. Calls that
/// change the projection hold `pulled`; the position is read from `table`, so that no read makes
/// such a call fail.
#[derive(Debug)]
pub(in crate::ffi) struct Projected {
    pub(super) store: Arc<SharedStore>,
    pub(super) table: Arc<Table>,
    pub(super) name: String,
    pub(super) version: AtomicU32,
    /// `None` once the projection is live.
    pulled: Mutex<Option<Projection<()>>>,
    pub(super) live: OnceLock<LiveProjection<()>>,
    /// Why the projection stopped before it was live.
    failure: Mutex<Option<Fault>>,
}

impl Opaque for annals_projection {
    type State = Projected;
    const KIND: u32 = 9;
    const NAME: &'static str = "annals_projection";

    fn store(state: &Projected) -> Option<&SharedStore> {
        Some(&state.store)
    }
}

impl Projected {
    pub(super) fn new(store: Arc<SharedStore>, name: &str) -> Projected {
        let pulled = Projection::new(name, &store.events, (), crate::Handlers::<()>::new());
        Projected {
            table: Arc::new(Table::new(Arc::clone(&store))),
            store,
            name: name.to_owned(),
            version: AtomicU32::new(0),
            pulled: Mutex::new(Some(pulled)),
            live: OnceLock::new(),
            failure: Mutex::new(None),
        }
    }

    /// Locks the projection for a change; `ANNALS_E_BUSY` if another call holds the lock.
    pub(super) fn alone(&self) -> Result<MutexGuard<'_, Option<Projection<()>>>, Fault> {
        sync::try_lock(&self.pulled).ok_or_else(|| Details::busy(annals_projection::NAME))
    }

    pub(super) fn key(&self) -> SnapshotKey {
        let version = self.version.load(std::sync::atomic::Ordering::Acquire);
        SnapshotKey::of_projection(self.name.as_str(), version)
    }

    pub(super) fn note_failure(&self, failure: Option<Fault>) {
        *sync::lock(&self.failure) = failure;
    }

    fn position(&self) -> u64 {
        let noted = self.table.position();
        self.live.get().map_or(noted, |live| live.position().max(noted))
    }

    /// Whether the projection is running, and if not, why.
    fn state(&self) -> Result<annals_status, Fault> {
        if self.table.has_stopped() {
            return Ok(ANNALS_DONE);
        }
        if let Some(live) = self.live.get() {
            return live.failure().map_or(Ok(ANNALS_OK), |failure| Err(Fault::from(&*failure)));
        }
        let failure = sync::lock(&self.failure).clone();
        failure.map_or(Ok(ANNALS_OK), Err)
    }
}

impl Drop for Projected {
    fn drop(&mut self) {
        // First make sure that no callback can run; only then give the user data back.
        drop(self.live.take());
        self.table.end_and_clear();
    }
}

/// Reports whether a projection has stopped.
///
/// @param projection The projection.
/// @param err Receives the error that stopped it. May be NULL.
/// @return ANNALS_OK if it has not stopped; ANNALS_DONE if a callback stopped it; otherwise the
/// error that stopped it, such as ANNALS_E_CALLBACK: annals_projection_catch_up and
/// annals_projection_live resume at that event. Also ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_state(
    projection: *const annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        unsafe { handle::shared(projection) }?.state()
    })
}

/// Returns the position of the last event that a projection has applied, or skipped because no
/// callback is registered for its type. Inside a callback it is the position of the previous event.
///
/// @param projection The projection.
/// @return The position. 0 if there was no event yet, or if `projection` is invalid.
///
/// Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `projection` is NULL or a projection that is not freed during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_projection_position(projection: *const annals_projection) -> u64 {
    guard::value(0, || {
        // SAFETY: the caller upholds this function's contract.
        Ok(unsafe { handle::shared(projection) }?.position())
    })
}

/// Stops and frees a projection. It waits for a callback that an append runs on another thread,
/// then calls `destroy` for all user data. When it returns, no callback is running, and none will
/// run. If one of its own callbacks calls it, or a callback that one of its own waits for, it does
/// not wait: its own callback is then the last one, and the cleanup follows when that callback
/// returns.
///
/// @param projection The projection. NULL is a no-op.
///
/// Threads: any; no other thread may be inside a call on the projection, but appends may be running
/// its callbacks. Blocking: waits for a callback. Since: 0.1.0
///
/// # Safety
/// `projection` is NULL or a projection, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_projection_free(projection: *mut annals_projection) {
    guard::value((), || {
        let end = |projected: &Projected| {
            projected.table.end();
            // A callback may be inside a call on the projection: wait for it first.
            if let Some(live) = projected.live.get() {
                live.stop();
            }
            Ok(())
        };
        // SAFETY: the caller upholds this function's contract; no call has exclusive access.
        unsafe { handle::peek(projection.cast_const(), end) }
    });
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(projection) };
}
