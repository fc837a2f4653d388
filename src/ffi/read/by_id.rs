//! Finding one event by its id.

use std::ptr;

use uuid::Uuid;

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::Out,
        fault::Details,
        guard::{self, ErrorOut},
        handle,
    },
    read::{annals_iter, iter},
    status::{ANNALS_NOT_FOUND, ANNALS_OK, annals_status},
    store::annals_store,
};

/// Finds an event by its id.
///
/// @param store The store.
/// @param id The 16 bytes of the id.
/// @param out Receives an iterator over that single event; NULL if there is none.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_NOT_FOUND if no event has the id; ANNALS_E_INVALID_ARGUMENT;
/// ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CALLBACK if an upcaster failed; ANNALS_E_CLOSED;
/// ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
/// closed. Threads: thread-safe. Blocking: may read files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_event_by_id(
    store: *const annals_store,
    id: *const u8,
    out: *mut *mut annals_iter,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        if id.is_null() {
            return Err(Details::invalid("id", "it is NULL"));
        }
        // SAFETY: the caller upholds this function's contract.
        let id = Uuid::from_bytes(unsafe { id.cast::<[u8; 16]>().read_unaligned() });
        let Some(event) = store.events.event_by_id(id)? else { return Ok(ANNALS_NOT_FOUND) };
        out.set(iter::over_one(&store, event)?);
        Ok(ANNALS_OK)
    })
}
