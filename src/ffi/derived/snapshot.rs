//! Snapshots with bytes of the caller's.

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

/// A snapshot that was loaded. It needs no store any more.
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

/// Saves bytes that were derived from the events up to a position, as durably as an append, and
/// never ahead of the events. Of each name the snapshots with the two highest positions are kept;
/// one for the same position is replaced.
///
/// @param store The store.
/// @param name The name: 1 to 255 bytes of UTF-8 without NUL. These snapshots have a namespace of
/// their own, apart from that of projections.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param position The position of the last event that the bytes take account of.
/// @param data The bytes, which are copied; NULL when there are none.
/// @param n How many: at most 64 MiB.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT for a position past the head, and for what is no
/// name; ANNALS_E_LIMIT; ANNALS_E_NO_SPACE; ANNALS_E_IO; ANNALS_E_POISONED; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: writes and syncs a file. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
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
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let (store, name, data) = unsafe {
            let name = arguments::text(name, len, "name")?;
            (handle::shared(store)?, name, arguments::bytes(data, n, "data")?)
        };
        store.events.save_snapshot(name, position, data)?;
        Ok(ANNALS_OK)
    })
}

/// Loads the newest usable snapshot of a name: that with the highest position. One that is damaged,
/// of another store, or ahead of the log is left aside; annals_verify tells it.
///
/// @param store The store.
/// @param name The name.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param out Receives the snapshot; NULL with any other result than ANNALS_OK.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_NOT_FOUND when there is none to use; ANNALS_E_INVALID_ARGUMENT and
/// ANNALS_E_LIMIT for what is no name; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_NO_MEMORY;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the snapshot with annals_snapshot_free, before or after the store is
/// closed. Threads: any number at once. Blocking: may read files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_snapshot_load(
    store: *const annals_store,
    name: *const c_char,
    len: usize,
    out: *mut *mut annals_snapshot,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: as promised to this function.
        let (store, name) =
            unsafe { (handle::shared(store)?, arguments::text(name, len, "name")?) };
        let Some(snapshot) = store.events.load_snapshot(name)? else {
            return Ok(ANNALS_NOT_FOUND);
        };
        out.set(handle::make(snapshot)?);
        Ok(ANNALS_OK)
    })
}

/// The position of the last event that a snapshot takes account of.
///
/// @param snapshot The snapshot.
/// @return The position; 0 for what is no snapshot, and for one of the empty store.
///
/// Threads: any number at once. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `snapshot` is NULL or a snapshot that is not freed meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_snapshot_position(snapshot: *const annals_snapshot) -> u64 {
    guard::value(0, || {
        // SAFETY: as promised to this function.
        Ok(unsafe { handle::shared(snapshot) }?.position())
    })
}

/// The bytes of a snapshot, as they were saved.
///
/// @param snapshot The snapshot.
/// @param out_len Receives how many there are. May be NULL.
/// @return The bytes, valid until the snapshot is freed; NULL for what is no snapshot.
///
/// Ownership: the bytes belong to the snapshot. Threads: any number at once. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_snapshot_data(
    snapshot: *const annals_snapshot,
    out_len: *mut usize,
) -> *const u8 {
    // SAFETY: as promised to this function.
    let len = unsafe { Out::cleared(out_len, 0) };
    guard::value(ptr::null(), || {
        // SAFETY: as promised to this function.
        let snapshot = unsafe { handle::shared(snapshot) }?;
        len.set(snapshot.data().len());
        Ok(snapshot.data().as_ptr())
    })
}

/// Frees a snapshot, and its bytes.
///
/// @param snapshot The snapshot, or NULL, which is nothing to do.
///
/// Threads: any, with no other call on the same snapshot. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `snapshot` is NULL or a snapshot, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_snapshot_free(snapshot: *mut annals_snapshot) {
    // SAFETY: as promised to this function.
    unsafe { handle::free(snapshot) };
}
