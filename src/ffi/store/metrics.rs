//! Counters and measurements of a store.

use std::ffi::c_void;

use crate::Error;
use crate::ffi::{
    callback::annals_write_fn,
    error::annals_error,
    glue::{
        fault::Details,
        guard::{self, ErrorOut},
        handle,
    },
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
    store::annals_store,
};

/// Writes one JSON object with what the store has done since it was opened. Counts are numbers.
/// Times and sizes are objects with `count`, `sum`, `max`, `p50`, `p90`, `p99` and `p999`. Names
/// end with their unit:
///
/// - `append_nanos`: the times of successful appends; `ticket_nanos`: those of successful submitted
///   batches.
/// - `append_conflicts`, `append_replays`: conflicts and exact retries. `events_written`: events.
/// - `group_requests`: how many appends shared one write. `sync_nanos`: syncs of the journal.
/// - `drain_nanos`, `events_drained`: drains, which move events from memory to the trees.
/// - `page_nanos`: reads of files. `tail_pages`: reads that needed no file.
/// - `version_cache_hits`, `version_cache_misses`: lookups of stream versions.
/// - `tail_bytes`: memory used by the tail.
///
/// Later versions may add members.
///
/// @param store The store.
/// @param write Receives the object, in one piece.
/// @param user_data Passed to `write`.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if `write` returned a positive value; ANNALS_E_CALLBACK if it
/// failed; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: runs `write`. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_metrics(
    store: *const annals_store,
    write: annals_write_fn,
    user_data: *mut c_void,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        let write = write.ok_or_else(|| Details::invalid("write", "it is NULL"))?;
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        let json = serde_json::to_vec(&store.events.metrics())
            .map_err(|error| Error::Internal { reason: error.to_string() })?;
        let _running = store.in_callback();
        // SAFETY: the caller upholds this function's contract.
        match unsafe { write(user_data, json.as_ptr(), json.len()) } {
            0 => Ok(ANNALS_OK),
            1.. => Ok(ANNALS_DONE),
            code => Err(Details::callback("write", code)),
        }
    })
}
