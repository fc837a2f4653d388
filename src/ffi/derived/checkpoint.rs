//! How far named consumers have come.

use std::ffi::c_char;

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::{self, Out},
        guard::{self, ErrorOut},
        handle,
    },
    status::{ANNALS_OK, annals_status},
    store::annals_store,
};

/// Tells how far a named consumer has come: everything at or below the position is done.
///
/// @param store The store.
/// @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param out_position Receives the position; 0 when the consumer has saved none.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT and ANNALS_E_LIMIT for what is no name;
/// ANNALS_E_CORRUPT when the checkpoint is damaged; ANNALS_E_IO; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: may read files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_checkpoint_load(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    out_position: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (position, err) = unsafe { (Out::cleared(out_position, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        position.required("out_position")?;
        // SAFETY: as promised to this function.
        let (store, name) =
            unsafe { (handle::shared(store)?, arguments::text(name, len, "name")?) };
        position.set(store.events.checkpoint(name)?);
        Ok(ANNALS_OK)
    })
}

/// Saves how far a named consumer has come, as durably as an append, and together with concurrent
/// appends. A checkpoint never goes back, and is never ahead of the events that are durable; saving
/// the same position again writes nothing.
///
/// @param store The store.
/// @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL. Checkpoints have a
/// namespace of their own.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param position The position of the last event that it is done with.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT for a position below the saved one or past the
/// head, and for what is no name; ANNALS_E_LIMIT; ANNALS_E_CORRUPT; ANNALS_E_NO_SPACE; ANNALS_E_IO;
/// ANNALS_E_POISONED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: writes and syncs a file. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_checkpoint_save(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    position: u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let (store, name) =
            unsafe { (handle::shared(store)?, arguments::text(name, len, "name")?) };
        store.events.save_checkpoint(name, position)?;
        Ok(ANNALS_OK)
    })
}
