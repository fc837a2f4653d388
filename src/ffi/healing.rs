//! Damage: what an open has repaired, repairs, salvage; and compaction.

use std::ffi::{c_char, c_void};

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle,
    },
    ndjson::{Sink, annals_write_fn},
    status::{ANNALS_OK, annals_status},
    store::annals_store,
    verify::{annals_finding_fn, hand_over},
};
use crate::{RepairOptions, repair, salvage};

/// As a flag of annals_repair: the store is repaired. Without it nothing changes, and the steps are
/// a plan.
pub const ANNALS_REPAIR_APPLY: u32 = 1;
/// As a flag of annals_repair, beside ANNALS_REPAIR_APPLY: what earlier repairs have set aside is
/// removed, but for the first and the newest of each file.
pub const ANNALS_REPAIR_DISCARD_EVIDENCE: u32 = 2;

/// Tells what annals_open had to repair: trees that are missing or damaged are rebuilt from the
/// journal, and the old ones are kept as trees.damaged-1 and so on.
///
/// @param store The store.
/// @param out_rebuilt_events Receives how many events the trees were rebuilt from; 0 when nothing
/// had to be done. May be NULL.
/// @param out_micros Receives how long that took, in microseconds. May be NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_recovery(
    store: *const annals_store,
    out_rebuilt_events: *mut u64,
    out_micros: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (events, micros, err) = unsafe {
        (Out::cleared(out_rebuilt_events, 0), Out::cleared(out_micros, 0), ErrorOut::cleared(err))
    };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        let recovery = store.events.recovery();
        events.set(recovery.rebuilt_events());
        micros.set(u64::try_from(recovery.duration().as_micros()).unwrap_or(u64::MAX));
        Ok(ANNALS_OK)
    })
}

/// Repairs a store that is not open, or shows how: what one copy of the events has lost is written
/// anew from the other, and where only the journal has events and is damaged, it is cut off. What
/// is replaced is kept under its name with .damaged-1 and so on. A plan is made on a private copy
/// in /tmp.
///
/// @param path The store's directory, UTF-8.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param flags 0, or ANNALS_REPAIR_APPLY with or without ANNALS_REPAIR_DISCARD_EVIDENCE.
/// @param finding Called for each step, and then for each thing that cannot be repaired, when the
/// repair is over; NULL not to be called.
/// @param user_data Handed to `finding`.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when `finding` asked to stop; ANNALS_E_CALLBACK; ANNALS_E_LOCKED
/// while the store is open; ANNALS_E_CORRUPT when nothing of it can be used; ANNALS_E_FORMAT;
/// ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
///
/// Threads: any. Blocking: reads and writes files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
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
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        let options = match flags {
            0 => RepairOptions::new(),
            ANNALS_REPAIR_APPLY => RepairOptions::new().apply(true),
            3 => RepairOptions::new().apply(true).discard_evidence(true),
            _ => return Err(Details::invalid("flags", "see ANNALS_REPAIR_APPLY")),
        };
        // SAFETY: as promised to this function.
        let path = unsafe { arguments::path(path, len) }?;
        let report = repair(path, &options)?;
        // SAFETY: as promised to this function.
        unsafe { hand_over(report.steps.iter().chain(&report.lost), finding, user_data) }
    })
}

/// Writes every event of a store that can be read from either copy as NDJSON, in order. The store
/// need not open, and may be in use; nothing of it is changed. It works on a private copy in /tmp.
///
/// @param path The store's directory, UTF-8.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param write Takes the bytes, in pieces that end anywhere.
/// @param missing Called for each range of positions that is lost, when the rest is written; NULL
/// not to be called.
/// @param user_data Handed to `write` and `missing`.
/// @param out_events Receives how many events were written. May be NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when a callback asked to stop; ANNALS_E_CALLBACK;
/// ANNALS_E_CORRUPT when nothing can be used; ANNALS_E_FORMAT; ANNALS_E_NO_SPACE; ANNALS_E_IO;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
///
/// Threads: any. Blocking: reads and writes files, and for as long as `write` takes. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
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
    // SAFETY: as promised to this function.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        let write = write.ok_or_else(|| Details::invalid("write", "it is NULL"))?;
        // SAFETY: as promised to this function.
        let path = unsafe { arguments::path(path, len) }?;
        // SAFETY: as promised to this function.
        let call = |bytes: &[u8]| unsafe { write(user_data, bytes.as_ptr(), bytes.len()) };
        let mut sink = Sink::new(call);
        let saved = salvage(path, &mut sink);
        events.set(sink.lines());
        if let Some(end) = sink.end() {
            return end.outcome("write");
        }
        let report = saved.map_err(Fault::from)?;
        // SAFETY: as promised to this function.
        unsafe { hand_over(&report.missing, missing, user_data) }
    })
}

/// Writes a store that is not open anew, and puts that in its place: small files are merged, and
/// the events of a stream lie close together. No event is removed. Killed at any point, a whole
/// store is at `path`.
///
/// @param path The store's directory, UTF-8.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_LOCKED while the store is open; ANNALS_E_CORRUPT for a store with
/// damage; ANNALS_E_FORMAT; ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT;
/// ANNALS_E_PANIC.
///
/// Threads: any. Blocking: reads and writes files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_compact(
    path: *const c_char,
    len: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let path = unsafe { arguments::path(path, len) }?;
        crate::compact(path)?;
        Ok(ANNALS_OK)
    })
}
