//! Checkpoints: the positions of named consumers.

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

/// Returns the checkpoint of a consumer: it has finished all events up to this position.
///
/// @param store The store.
/// @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param out_position Receives the position; 0 if the consumer has saved none.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT or ANNALS_E_LIMIT if the name is invalid;
/// ANNALS_E_CORRUPT if the checkpoint is damaged; ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: may read files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_checkpoint_load(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    out_position: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (position, err) = unsafe { (Out::cleared(out_position, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        position.required("out_position")?;
        // SAFETY: the caller upholds this function's contract.
        let (store, name) =
            unsafe { (handle::shared(store)?, arguments::text(name, len, "name")?) };
        position.set(store.events.checkpoint(name)?);
        Ok(ANNALS_OK)
    })
}

/// Saves the checkpoint of a consumer. It is as durable as an append, and shares writes and syncs
/// with concurrent appends. A checkpoint never goes back, and is never ahead of the durable events.
/// Saving the same position again writes nothing.
///
/// @param store The store.
/// @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL. Checkpoints have
/// their own namespace.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param position The position of the last event that the consumer has finished.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT if the position is below the saved one or past the
/// head, or if the name is invalid; ANNALS_E_LIMIT; ANNALS_E_READ_ONLY; ANNALS_E_CORRUPT;
/// ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_POISONED; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: writes and syncs a file. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_checkpoint_save(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    position: u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (store, name) =
            unsafe { (handle::shared(store)?, arguments::text(name, len, "name")?) };
        store.events.save_checkpoint(name, position)?;
        Ok(ANNALS_OK)
    })
}
