//! Snapshots of projections.

use std::ffi::c_void;

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments,
        fault::Details,
        guard::{self, ErrorOut},
        handle::{self, Opaque},
    },
    projection::object::annals_projection,
    status::{ANNALS_DONE, ANNALS_NOT_FOUND, ANNALS_OK, annals_status},
};

/// Receives the bytes of a snapshot, which are valid until the callback returns.
///
/// @return 0 if the state is restored from the bytes; a positive value to ignore the snapshot; a
/// negative value to fail.
pub type annals_restore_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        position: u64,
        data: *const u8,
        len: usize,
    ) -> i32,
>;

/// Saves the caller's state for a projection, together with its name, version and position. The
/// snapshot is as durable as an append. The two snapshots with the highest positions are kept.
///
/// @param projection The projection. If it is live, call this while no other thread appends: the
/// snapshot gets the current position, and the state must belong to that position. The caller must
/// not hold a lock that a callback takes.
/// @param state The bytes, which are copied; NULL if there are none.
/// @param n The number of bytes: at most 64 MiB.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_BUSY inside a callback of this projection, or if another call on it
/// is running; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE;
/// ANNALS_E_IO; ANNALS_E_POISONED; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: waits for a callback, writes and syncs a file.
/// Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_save_snapshot(
    projection: *mut annals_projection,
    state: *const u8,
    n: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (projected, state) = unsafe {
            let projected = handle::shared(projection.cast_const())?;
            (projected, arguments::bytes(state, n, "state")?)
        };
        let pulled = projected.alone()?;
        let position = match (pulled.as_ref(), projected.live.get()) {
            (Some(pulled), _) => pulled.position(),
            (None, Some(live)) => live.try_last_state()?.position(),
            (None, None) => return Err(Details::busy(annals_projection::NAME)),
        };
        projected.store.events.save_snapshot(projected.key(), position, state)?;
        Ok(ANNALS_OK)
    })
}

/// Passes the newest usable snapshot of this name and version to a callback, and moves the
/// projection to the position of the snapshot if the callback accepts it. Snapshots that are
/// damaged, belong to another version or store, or are ahead of the log are ignored; the events are
/// replayed instead.
///
/// @param projection The projection, which must not be live.
/// @param restore Receives the snapshot, on this thread.
/// @param user_data Passed to `restore`.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_NOT_FOUND if there is no usable snapshot; ANNALS_DONE if the callback
/// ignored it; ANNALS_E_CALLBACK if the callback failed; ANNALS_E_BUSY if the projection is live or
/// another call on it is running; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_CORRUPT; ANNALS_E_IO;
/// ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC. With any result but ANNALS_OK
/// the projection is unchanged.
///
/// Threads: any, one call at a time. Blocking: may read files, and runs `restore`. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_load_snapshot(
    projection: *mut annals_projection,
    restore: annals_restore_fn,
    user_data: *mut c_void,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        let restore = restore.ok_or_else(|| Details::invalid("restore", "it is NULL"))?;
        let mut pulled = projected.alone()?;
        let Some(pulled) = pulled.as_mut() else {
            return Err(Details::live());
        };
        let Some(snapshot) = projected.store.events.load_snapshot(projected.key())? else {
            return Ok(ANNALS_NOT_FOUND);
        };
        let (position, data) = (snapshot.position(), snapshot.data());
        let code = {
            let _running = projected.store.in_callback();
            // SAFETY: the caller upholds this function's contract; the snapshot outlives the call.
            unsafe { restore(user_data, position, data.as_ptr(), data.len()) }
        };
        match code {
            0 => {}
            1.. => return Ok(ANNALS_DONE),
            code => return Err(Details::callback("restore", code)),
        }
        pulled.resume_from((), position)?;
        projected.table.go_on();
        projected.table.note_position(position);
        projected.note_failure(None);
        Ok(ANNALS_OK)
    })
}

/// Moves a projection back to position 0. The caller resets its own state; snapshots stay.
///
/// @param projection The projection, which must not be live.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_BUSY once it is live, and while another call on it runs;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_reset(
    projection: *mut annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        let mut pulled = projected.alone()?;
        let Some(pulled) = pulled.as_mut() else {
            return Err(Details::live());
        };
        pulled.reset();
        projected.table.go_on();
        projected.table.note_position(0);
        projected.note_failure(None);
        Ok(ANNALS_OK)
    })
}
