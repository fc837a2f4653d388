//! What a store counts and measures.

use std::ffi::c_void;

use crate::Error;
use crate::ffi::{
    error::annals_error,
    glue::{
        fault::Details,
        guard::{self, ErrorOut},
        handle,
    },
    ndjson::annals_write_fn,
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
    store::annals_store,
};

/// Writes what the store has done since it was opened as one JSON object: counters, and for times
/// and sizes objects with `count`, `sum`, `max`, `p50`, `p90`, `p99` and `p999`. Names end with
/// their unit. `append_nanos` times successful appends and `ticket_nanos` successful submitted
/// batches; `append_conflicts` and `append_replays` count conflicts and exact retries, and
/// `events_written` events; `group_requests` says how many appends shared a write; `sync_nanos`
/// times the syncs of the journal; `drain_nanos` and `events_drained` are about the moves into the
/// trees; `page_nanos` times the reads of files, and `tail_pages` counts the reads that needed no
/// file; `version_cache_hits` and `version_cache_misses`; `tail_bytes` of memory. Later versions
/// add members.
///
/// @param store The store.
/// @param write Takes the object, in one piece.
/// @param user_data Handed to `write`.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when `write` returned a value above 0; ANNALS_E_CALLBACK when it
/// failed; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_metrics(
    store: *const annals_store,
    write: annals_write_fn,
    user_data: *mut c_void,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        let write = write.ok_or_else(|| Details::invalid("write", "it is NULL"))?;
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        let json = serde_json::to_vec(&store.events.metrics())
            .map_err(|error| Error::Internal { reason: error.to_string() })?;
        let _running = store.in_callback();
        // SAFETY: as promised to this function.
        match unsafe { write(user_data, json.as_ptr(), json.len()) } {
            0 => Ok(ANNALS_OK),
            1.. => Ok(ANNALS_DONE),
            code => Err(Details::callback("write", code)),
        }
    })
}
