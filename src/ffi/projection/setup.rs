//! Making a projection: its name, its version, its callbacks.

use std::{
    ffi::{c_char, c_void},
    ptr,
    sync::{Arc, atomic::Ordering},
};

use crate::ffi::{
    derived::{Callback, annals_destroy_fn, annals_event_fn},
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::Details,
        guard::{self, ErrorOut},
        handle::{self, Opaque},
    },
    projection::object::{Projected, annals_projection},
    read::check_name,
    status::{ANNALS_OK, annals_status},
    store::annals_store,
};

/// Makes a projection that has seen no event yet.
///
/// @param store The store.
/// @param name The name, under which its snapshots are kept: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param out Receives the projection.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the projection with annals_projection_free, before or after the
/// store is closed. Threads: any number at once. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_new(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    out: *mut *mut annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: as promised to this function.
        let (store, name) =
            unsafe { (handle::shared(store)?, arguments::text(name, len, "name")?) };
        check_name("projection name", "projection name (bytes)", name)?;
        out.set(handle::make(Projected::new(Arc::clone(&store), name))?);
        Ok(ANNALS_OK)
    })
}

/// Registers a callback for a type of event, in place of the one before. Events of types without a
/// callback are passed over.
///
/// A callback should depend on nothing but the state and the event: after a restart from an older
/// snapshot it is given events again. One that fails must leave the caller's state as it was before
/// the event. It may read and append; what it appends comes to its own projection when it has
/// returned.
///
/// @param projection The projection, not yet live.
/// @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param handler Takes each event of the type: in annals_projection_catch_up on the thread of that
/// call, once live on a thread that appends; never two at once for a projection.
/// @param user_data Handed to `handler`.
/// @param destroy Takes `user_data` back: when the callback is replaced, when the projection is
/// freed, and when this call fails. May be NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_BUSY once it is live, and while another call on it runs;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: takes `user_data`, and hands it back through `destroy`, exactly once. Threads: any,
/// one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
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
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    // SAFETY: as promised to this function. From here on the user data is handed back.
    let callback = unsafe { Callback::new(handler, user_data, destroy) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let (projected, event_type) = unsafe {
            let projected = handle::shared(projection.cast_const())?;
            (projected, arguments::text(r#type, len, "event type")?)
        };
        callback.check()?;
        check_name("event type", "event type (bytes)", event_type)?;
        let mut pulled = projected.alone()?;
        let Some(pulled) = pulled.as_mut() else {
            return Err(Details::busy(annals_projection::NAME).of("it is live"));
        };
        if projected.table.set(event_type.to_owned(), callback) {
            let table = Arc::clone(&projected.table);
            pulled.when(event_type, move |(), event| table.run(event));
        }
        Ok(ANNALS_OK)
    })
}

/// Sets the version of a projection: raise it when its callbacks change the meaning of its state.
/// Snapshots of another version are left aside.
///
/// @param projection The projection.
/// @param version The version; 0 unless it is set.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_BUSY while another call on it runs; ANNALS_E_INVALID_ARGUMENT;
/// ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_set_version(
    projection: *mut annals_projection,
    version: u32,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        let _alone = projected.alone()?;
        projected.version.store(version, Ordering::Release);
        Ok(ANNALS_OK)
    })
}
