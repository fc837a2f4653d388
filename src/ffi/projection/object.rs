//! The object, and what one may ask it at any time.

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

/// A projection: callbacks that are given the events of their types in the order of positions, and
/// the position that they have come to. The state that they derive belongs to the caller.
///
/// It is pulled, by annals_projection_catch_up, until annals_projection_live makes it follow every
/// append.
#[derive(Debug)]
pub struct annals_projection {
    _private: [u8; 0],
}

/// Calls share the handle, so that its position can be asked for while it runs; those that change
/// it hold `pulled`.
#[derive(Debug)]
pub(in crate::ffi) struct Projected {
    pub(super) store: Arc<SharedStore>,
    pub(super) table: Arc<Table>,
    pub(super) name: String,
    pub(super) version: AtomicU32,
    /// `None` once it is live.
    pulled: Mutex<Option<Projection<()>>>,
    pub(super) live: OnceLock<LiveProjection<()>>,
    /// Why it stopped while it was pulled.
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

    /// What a call that changes it holds; `ANNALS_E_BUSY` while another one does.
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
        if let Some(live) = self.live.get() {
            return live.position().max(self.table.position());
        }
        match self.alone().as_deref() {
            Ok(Some(pulled)) => pulled.position(),
            _ => self.table.position(),
        }
    }

    /// Whether it goes on, and if not, why.
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
        // First nothing may run any more; only then is user data handed back.
        drop(self.live.take());
        self.table.end_and_clear();
    }
}

/// Tells whether a projection goes on.
///
/// @param projection The projection.
/// @param err Receives the error that stopped it, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when a callback has stopped it; the error that stopped it, such
/// as ANNALS_E_CALLBACK: annals_projection_catch_up and annals_projection_live go on at that event;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL;
/// ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_state(
    projection: *const annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        unsafe { handle::shared(projection) }?.state()
    })
}

/// The position of the last event that a projection has taken account of, or passed over because
/// there is no callback for its type. Inside a callback: that of the event before.
///
/// @param projection The projection.
/// @return The position; 0 at first, and for what is no projection.
///
/// Threads: any number at once. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `projection` is NULL or a projection that is not freed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_projection_position(projection: *const annals_projection) -> u64 {
    guard::value(0, || {
        // SAFETY: as promised to this function.
        Ok(unsafe { handle::shared(projection) }?.position())
    })
}

/// Ends and frees a projection. It waits for a callback that runs on another thread, hands all user
/// data back, and afterwards no callback runs. Called by one of its own callbacks, or by a callback
/// that one of its own waits for, it does not wait: its own callback is the last one, and what is
/// left to do follows when that returns.
///
/// @param projection The projection, or NULL, which is nothing to do.
///
/// Threads: any, with no other call on the same projection but those of its own callbacks.
/// Blocking: waits for a callback. Since: 0.1.0
///
/// # Safety
/// `projection` is NULL or a projection, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_projection_free(projection: *mut annals_projection) {
    guard::value((), || {
        let end = |projected: &Projected| {
            projected.table.end();
            // A callback may be inside a call on the projection: that has to be over first.
            if let Some(live) = projected.live.get() {
                live.stop();
            }
            Ok(())
        };
        // SAFETY: as promised to this function; no call has a projection alone.
        unsafe { handle::peek(projection.cast_const(), end) }
    });
    // SAFETY: as promised to this function.
    unsafe { handle::free(projection) };
}
