//! Snapshots whose bytes belong to the caller.

use std::{ffi::c_char, ptr};

use crate::Snapshot;
use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::{self, Out},
        guard::{self, ErrorOut},
        handle::{self, Opaque, SharedStore},
    },
    status::{ANNALS_NOT_FOUND, ANNALS_OK, annals_status},
    store::annals_store,
};

/// A loaded snapshot. It may outlive the store, and stays usable after the store is closed.
#[derive(Debug)]
pub struct annals_snapshot {
    _private: [u8; 0],
}

impl Opaque for annals_snapshot {
    type State = Snapshot;
    const KIND: u32 = 7;
    const NAME: &'static str = "annals_snapshot";

    fn store(_: &Snapshot) -> Option<&SharedStore> {
        None
    }
}

/// Saves bytes that the caller derived from the events up to a position. The snapshot is as durable
/// as an append, and never ahead of the events. For each name, the snapshots with the two highest
/// positions are kept. One with the same position is replaced.
///
/// @param store The store.
/// @param name The name: 1 to 255 bytes of UTF-8 without NUL. The namespace is separate from that
/// of projection snapshots.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param position The position of the last event that the bytes include.
/// @param data The bytes, which are copied; NULL if there are none.
/// @param n The number of bytes: at most 64 MiB.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT if the position is past the head or the name is
/// invalid; ANNALS_E_LIMIT; ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_POISONED;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: writes and syncs a file. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_snapshot_save(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    position: u64,
    data: *const u8,
    n: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (store, name, data) = unsafe {
            let name = arguments::text(name, len, "name")?;
            (handle::shared(store)?, name, arguments::bytes(data, n, "data")?)
        };
        store.events.save_snapshot(name, position, data)?;
        Ok(ANNALS_OK)
    })
}

/// Loads the newest usable snapshot of a name: the one with the highest position. Snapshots that
/// are damaged, belong to another store or are ahead of the log are ignored; annals_verify reports
/// them.
///
/// @param store The store.
/// @param name The name.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param out Receives the snapshot; NULL unless the result is ANNALS_OK.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_NOT_FOUND if there is no usable snapshot; ANNALS_E_INVALID_ARGUMENT or
/// ANNALS_E_LIMIT if the name is invalid; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_NO_MEMORY;
/// ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the snapshot with annals_snapshot_free, before or after the store is
/// closed. Threads: thread-safe. Blocking: may read files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_snapshot_load(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    out: *mut *mut annals_snapshot,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        let (store, name) =
            unsafe { (handle::shared(store)?, arguments::text(name, len, "name")?) };
        let Some(snapshot) = store.events.load_snapshot(name)? else {
            return Ok(ANNALS_NOT_FOUND);
        };
        out.set(handle::make(snapshot)?);
        Ok(ANNALS_OK)
    })
}

/// Returns the position of the last event that a snapshot includes.
///
/// @param snapshot The snapshot.
/// @return The position. 0 if the snapshot includes no event, or if `snapshot` is invalid.
///
/// Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `snapshot` is NULL or a snapshot that is not freed during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_snapshot_position(snapshot: *const annals_snapshot) -> u64 {
    guard::value(0, || {
        // SAFETY: the caller upholds this function's contract.
        Ok(unsafe { handle::shared(snapshot) }?.position())
    })
}

/// Returns the bytes of a snapshot as they were saved.
///
/// @param snapshot The snapshot.
/// @param out_len Receives the number of bytes. May be NULL.
/// @return The bytes, valid until the snapshot is freed; NULL if `snapshot` is invalid.
///
/// Ownership: the snapshot owns the bytes. Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_snapshot_data(
    snapshot: *const annals_snapshot,
    out_len: *mut usize,
) -> *const u8 {
    // SAFETY: the caller upholds this function's contract.
    let len = unsafe { Out::cleared(out_len, 0) };
    guard::value(ptr::null(), || {
        // SAFETY: the caller upholds this function's contract.
        let snapshot = unsafe { handle::shared(snapshot) }?;
        len.set(snapshot.data().len());
        Ok(snapshot.data().as_ptr())
    })
}

/// Frees a snapshot and its bytes.
///
/// @param snapshot The snapshot. NULL is a no-op.
///
/// Threads: any; no other thread may be using the snapshot. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `snapshot` is NULL or a snapshot, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_snapshot_free(snapshot: *mut annals_snapshot) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(snapshot) };
}
