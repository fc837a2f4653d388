//! What a projection saves, and what it starts from.

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

/// Takes the bytes of a snapshot, which are valid until the callback returns.
///
/// @return 0 when they are a state to go on from; above 0 to leave the snapshot aside; below 0 to
/// fail.
pub type annals_restore_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        position: u64,
        data: *const u8,
        len: usize,
    ) -> i32,
>;

/// Saves the caller's state of a projection, with its name, its version and the position it has
/// come to, as durably as an append. The newest and one older are kept.
///
/// @param projection The projection. Once it is live, call this when no other thread appends: the
/// position is that of the moment, and the state must be that of the same moment. The caller must
/// hold no lock that a callback takes.
/// @param state The bytes, which are copied; NULL when there are none.
/// @param n How many: at most 64 MiB.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_BUSY inside a callback of this projection, and while another call on
/// it runs; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_SPACE; ANNALS_E_IO;
/// ANNALS_E_POISONED; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: waits for a callback, writes and syncs a file.
/// Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_save_snapshot(
    projection: *mut annals_projection,
    state: *const u8,
    n: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
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

/// Goes on from the newest usable snapshot of the name and version: hands it to a callback, and
/// sets the position when that has taken it. One that is damaged, of another version or store, or
/// ahead of the log is left aside, and the events are replayed.
///
/// @param projection The projection, not yet live.
/// @param restore Takes the snapshot, on this thread.
/// @param user_data Handed to `restore`.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_NOT_FOUND when there is none to use; ANNALS_DONE when the callback
/// left it aside; ANNALS_E_CALLBACK when it failed; with all but ANNALS_OK nothing has changed;
/// ANNALS_E_BUSY once it is live, and while another call on it runs; ANNALS_E_INVALID_ARGUMENT;
/// ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: may read files, and runs the callback. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_load_snapshot(
    projection: *mut annals_projection,
    restore: annals_restore_fn,
    user_data: *mut c_void,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        let restore = restore.ok_or_else(|| Details::invalid("restore", "it is NULL"))?;
        let mut pulled = projected.alone()?;
        let Some(pulled) = pulled.as_mut() else {
            return Err(Details::busy(annals_projection::NAME).of("it is live"));
        };
        let Some(snapshot) = projected.store.events.load_snapshot(projected.key())? else {
            return Ok(ANNALS_NOT_FOUND);
        };
        let (position, data) = (snapshot.position(), snapshot.data());
        let code = {
            let _running = projected.store.in_callback();
            // SAFETY: as promised to this function; the snapshot outlives the call.
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

/// Goes back to before the first event. The caller's state is the caller's business, and snapshots
/// stay.
///
/// @param projection The projection, not yet live.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_BUSY once it is live, and while another call on it runs;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_reset(
    projection: *mut annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        let mut pulled = projected.alone()?;
        let Some(pulled) = pulled.as_mut() else {
            return Err(Details::busy(annals_projection::NAME).of("it is live"));
        };
        pulled.reset();
        projected.table.go_on();
        projected.table.note_position(0);
        projected.note_failure(None);
        Ok(ANNALS_OK)
    })
}
