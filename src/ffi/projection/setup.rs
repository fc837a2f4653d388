//! Setting up a projection: its name, version and callbacks.

use std::{
    ffi::{c_char, c_void},
    ptr,
    sync::{Arc, atomic::Ordering},
};

use crate::ffi::{
    callback::{Callback, annals_destroy_fn, annals_event_fn},
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::Details,
        guard::{self, ErrorOut},
        handle,
    },
    projection::object::{Projected, annals_projection},
    read::check_name,
    status::{ANNALS_OK, annals_status},
    store::annals_store,
};

/// Creates a projection at position 0.
///
/// @param store The store.
/// @param name The name under which its snapshots are stored: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param out Receives the projection.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the projection with annals_projection_free, before or after the
/// store is closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_new(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    out: *mut *mut annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        let (store, name) =
            unsafe { (handle::shared(store)?, arguments::text(name, len, "name")?) };
        check_name("projection name", "projection name (bytes)", name)?;
        out.set(handle::make(Projected::new(Arc::clone(&store), name))?);
        Ok(ANNALS_OK)
    })
}

/// Registers a callback for an event type. It replaces an earlier callback for that type. Events of
/// types without a callback are skipped.
///
/// A callback should depend on nothing but the state and the event: after a restart from an older
/// snapshot, it receives events again. If it fails, it must leave the caller's state as it was
/// before the event. It may read from the store and append to it; its own projection receives the
/// appended events after it has returned.
///
/// @param projection The projection, which must not be live.
/// @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param handler Receives each event of the type. In annals_projection_catch_up it runs on the
/// calling thread. Once the projection is live it runs on threads that append, and for submitted
/// batches on a thread of the store. A projection never runs two callbacks at once.
/// @param user_data Passed to `handler`.
/// @param destroy Receives `user_data` when the callback is replaced, when the projection is freed,
/// or if this call fails. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_BUSY if the projection is live or another call on it is running;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: takes ownership of `user_data`, and gives it back through `destroy`, exactly once.
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_when(
    projection: *mut annals_projection,
    r#type: *const c_char,
    len: usize,
    handler: annals_event_fn,
    user_data: *mut c_void,
    destroy: annals_destroy_fn,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    // SAFETY: the caller upholds this function's contract. From here on, every exit gives the user
    // data back.
    let callback = unsafe { Callback::new(handler, user_data, destroy) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (projected, event_type) = unsafe {
            let projected = handle::shared(projection.cast_const())?;
            (projected, arguments::text(r#type, len, "event type")?)
        };
        callback.check("handler")?;
        check_name("event type", "event type (bytes)", event_type)?;
        let mut pulled = projected.alone()?;
        let Some(pulled) = pulled.as_mut() else {
            return Err(Details::live());
        };
        if projected.table.set(event_type.to_owned(), callback) {
            let table = Arc::clone(&projected.table);
            pulled.when(event_type, move |(), event| table.run(event));
        }
        Ok(ANNALS_OK)
    })
}

/// Sets the version of a projection. Raise it when the callbacks change the meaning of the state:
/// snapshots of other versions are ignored.
///
/// @param projection The projection.
/// @param version The version. The default is 0.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_BUSY if another call on the projection is running;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_set_version(
    projection: *mut annals_projection,
    version: u32,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        let _alone = projected.alone()?;
        projected.version.store(version, Ordering::Release);
        Ok(ANNALS_OK)
    })
}
