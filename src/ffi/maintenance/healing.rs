//! Damage: what an open has repaired, repair, salvage; also compaction.

use std::ffi::{c_char, c_void};

use crate::ffi::{
    callback::annals_write_fn,
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle,
    },
    maintenance::verify::{annals_finding_fn, hand_over},
    ndjson::Sink,
    status::{ANNALS_OK, annals_status},
    store::annals_store,
};
use crate::{RepairOptions, repair, salvage};

/// As a flag of annals_repair: repair the store. Without it nothing is changed, and the reported
/// steps are a plan.
pub const ANNALS_REPAIR_APPLY: u32 = 1;
/// As a flag of annals_repair, together with ANNALS_REPAIR_APPLY: remove what earlier repairs have
/// set aside, except the first and the newest copy of each file.
pub const ANNALS_REPAIR_DISCARD_EVIDENCE: u32 = 2;

/// Returns what annals_open had to repair: it rebuilds missing or damaged trees from the journal,
/// and keeps the old ones as trees.damaged-1 and so on.
///
/// @param store The store.
/// @param out_rebuilt_events Receives the number of events from which the trees were rebuilt; 0 if
/// nothing had to be done. May be NULL.
/// @param out_micros Receives the time that this took, in microseconds. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_recovery(
    store: *const annals_store,
    out_rebuilt_events: *mut u64,
    out_micros: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (events, micros, err) = unsafe {
        (Out::cleared(out_rebuilt_events, 0), Out::cleared(out_micros, 0), ErrorOut::cleared(err))
    };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        let recovery = store.events.recovery();
        events.set(recovery.rebuilt_events());
        micros.set(u64::try_from(recovery.duration().as_micros()).unwrap_or(u64::MAX));
        Ok(ANNALS_OK)
    })
}

/// Repairs a store that is not open, or reports how it would: events that one of the two copies has
/// lost are rewritten from the other copy. Where only the journal has the events and it is damaged,
/// it is cut off at the damage. Whatever is replaced is kept under its name with .damaged-1 and so
/// on. A plan is made on a private copy in /tmp.
///
/// @param path The store's directory, UTF-8.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param flags 0, or ANNALS_REPAIR_APPLY, alone or with ANNALS_REPAIR_DISCARD_EVIDENCE.
/// @param finding Called at the end for each step, and then for everything that cannot be repaired.
/// May be NULL.
/// @param user_data Passed to `finding`.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if `finding` asked to stop; ANNALS_E_CALLBACK; ANNALS_E_LOCKED if
/// the store is open; ANNALS_E_CORRUPT if nothing in it is usable; ANNALS_E_FORMAT;
/// ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
///
/// Threads: any. Blocking: reads and writes files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_repair(
    path: *const c_char,
    len: usize,
    flags: u32,
    finding: annals_finding_fn,
    user_data: *mut c_void,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        let options = match flags {
            0 => RepairOptions::new(),
            ANNALS_REPAIR_APPLY => RepairOptions::new().apply(true),
            3 => RepairOptions::new().apply(true).discard_evidence(true),
            _ => {
                let reason = "pass 0, or ANNALS_REPAIR_APPLY with or without \
                              ANNALS_REPAIR_DISCARD_EVIDENCE";
                return Err(Details::invalid("flags", reason));
            }
        };
        // SAFETY: the caller upholds this function's contract.
        let path = unsafe { arguments::path(path, len) }?;
        let report = repair(path, &options)?;
        // SAFETY: the caller upholds this function's contract.
        unsafe { hand_over(report.steps.iter().chain(&report.lost), finding, user_data) }
    })
}

/// Writes, as NDJSON and in order, every event of a store that can be read from either copy. The
/// store may be unable to open, and it may be in use; nothing in it is changed. The work is done on
/// a private copy in /tmp.
///
/// @param path The store's directory, UTF-8.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param write Receives the bytes, in pieces that may end anywhere.
/// @param missing Called at the end for each range of positions that is lost. May be NULL.
/// @param user_data Passed to `write` and `missing`.
/// @param out_events Receives the number of events written, also on an error. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if a callback asked to stop; ANNALS_E_CALLBACK; ANNALS_E_CORRUPT
/// if nothing is usable; ANNALS_E_FORMAT; ANNALS_E_NO_SPACE; ANNALS_E_IO;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
///
/// Threads: any. Blocking: reads and writes files, and runs `write`. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_salvage(
    path: *const c_char,
    len: usize,
    write: annals_write_fn,
    missing: annals_finding_fn,
    user_data: *mut c_void,
    out_events: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        let write = write.ok_or_else(|| Details::invalid("write", "it is NULL"))?;
        // SAFETY: the caller upholds this function's contract.
        let path = unsafe { arguments::path(path, len) }?;
        // SAFETY: the caller upholds this function's contract.
        let call = |bytes: &[u8]| unsafe { write(user_data, bytes.as_ptr(), bytes.len()) };
        let mut sink = Sink::new(call);
        let saved = salvage(path, &mut sink);
        events.set(sink.lines());
        if let Some(end) = sink.end() {
            return end.outcome("write");
        }
        let report = saved.map_err(Fault::from)?;
        // SAFETY: the caller upholds this function's contract.
        unsafe { hand_over(&report.missing, missing, user_data) }
    })
}

/// Rewrites a store that is not open, and replaces it with the result: small files are merged, and
/// the events of each stream are placed close together. No event is removed. If the process is
/// killed at any point, `path` holds a complete store.
///
/// @param path The store's directory, UTF-8.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_LOCKED if the store is open; ANNALS_E_CORRUPT if the store is
/// damaged; ANNALS_E_FORMAT; ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT;
/// ANNALS_E_PANIC.
///
/// Threads: any. Blocking: reads and writes files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_compact(
    path: *const c_char,
    len: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let path = unsafe { arguments::path(path, len) }?;
        crate::compact(path)?;
        Ok(ANNALS_OK)
    })
}
