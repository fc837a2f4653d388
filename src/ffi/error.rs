//! Error objects: why a call failed.

use std::ffi::c_char;

use crate::ffi::{
    glue::{
        arguments::Out,
        fault::{Details, Fault},
        guard,
        handle::{self, Opaque, SharedStore},
    },
    status::{ANNALS_OK, annals_status},
};

/// Why a call failed. It is immutable, belongs to the caller, may be used on any thread, outlives
/// the store, and is freed with annals_error_free.
#[derive(Debug)]
pub struct annals_error {
    _private: [u8; 0],
}

impl Opaque for annals_error {
    type State = Details;
    const KIND: u32 = 1;
    const NAME: &'static str = "annals_error";

    fn store(_: &Details) -> Option<&SharedStore> {
        None
    }
}

/// Reads from an error object; `otherwise` from NULL.
///
/// # Safety
/// `error` is NULL or an error object that is not freed meanwhile.
unsafe fn read<T>(error: *const annals_error, otherwise: T, read: impl FnOnce(&Details) -> T) -> T {
    guard::value(otherwise, || {
        // SAFETY: the caller keeps the promise.
        let error = unsafe { handle::shared(error) }?;
        Ok::<T, Fault>(read(&error))
    })
}

/// The status that the failed call returned.
///
/// @param error An error object, or NULL.
/// @return The status; ANNALS_OK for NULL.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `error` is NULL or an error object that is not freed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_status(error: *const annals_error) -> annals_status {
    // SAFETY: as promised to this function.
    unsafe { read(error, ANNALS_OK, |details| details.status) }
}

/// What went wrong, in one line without a full stop, with the values that it is about.
///
/// @param error An error object, or NULL.
/// @param out_len_or_null Receives the length of the message without its NUL.
/// @return UTF-8 that ends with a NUL, valid until the error object is freed; "" for NULL.
///
/// Ownership: the text belongs to the error object. Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; `out_len_or_null` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_message(
    error: *const annals_error,
    out_len_or_null: *mut usize,
) -> *const c_char {
    // SAFETY: as promised to this function.
    let out_len = unsafe { Out::cleared(out_len_or_null, 0) };
    // SAFETY: as promised to this function.
    unsafe {
        read(error, c"".as_ptr(), |details| {
            out_len.set(details.text().len());
            details.message.as_ptr().cast()
        })
    }
}

/// The number of the operating system for what it refused (errno on POSIX systems).
///
/// @param error An error object, or NULL.
/// @return The number; 0 where there is none.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_os_code(error: *const annals_error) -> i32 {
    // SAFETY: as promised to this function.
    unsafe { read(error, 0, |details| details.os_code) }
}

/// The versions of an ANNALS_E_VERSION_CONFLICT: the first violated check of the append.
///
/// @param error An error object, or NULL.
/// @param out_expected Receives what was expected: a version, or a constant such as
/// ANNALS_EXPECT_STREAM_EXISTS. May be NULL.
/// @param out_actual Receives the version of the stream. May be NULL.
/// @return Whether the error is a version conflict; if not, both are set to 0.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the places are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_versions(
    error: *const annals_error,
    out_expected: *mut u64,
    out_actual: *mut u64,
) -> bool {
    // SAFETY: as promised to this function.
    let (expected, actual) =
        unsafe { (Out::cleared(out_expected, 0), Out::cleared(out_actual, 0)) };
    // SAFETY: as promised to this function.
    unsafe {
        read(error, false, |details| {
            let Some(first) = details.conflicts.first() else { return false };
            expected.set(first.expected);
            actual.set(first.actual);
            true
        })
    }
}

/// How many checks of the append were violated: annals_append_multi reports them all.
///
/// @param error An error object, or NULL.
/// @return Their number; 0 when the error is no version conflict.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_conflict_count(error: *const annals_error) -> usize {
    // SAFETY: as promised to this function.
    unsafe { read(error, 0, |details| details.conflicts.len()) }
}

/// One violated check of an append, in the order of its units.
///
/// @param error An error object, or NULL.
/// @param index Counted from 0, below annals_error_conflict_count.
/// @param out_stream Receives the stream id, which also ends with a NUL and is valid until the
/// error object is freed. May be NULL.
/// @param out_len Receives the length of the stream id. May be NULL.
/// @param out_expected Receives what was expected, as annals_error_versions does. May be NULL.
/// @param out_actual Receives the version of the stream. May be NULL.
/// @return Whether there is such a check; if not, the places are set to NULL and 0.
///
/// Ownership: the text belongs to the error object. Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the places are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_conflict(
    error: *const annals_error,
    index: usize,
    out_stream: *mut *const c_char,
    out_len: *mut usize,
    out_expected: *mut u64,
    out_actual: *mut u64,
) -> bool {
    // SAFETY: as promised to this function.
    let (stream, len, expected, actual) = unsafe {
        (
            Out::cleared(out_stream, std::ptr::null()),
            Out::cleared(out_len, 0),
            Out::cleared(out_expected, 0),
            Out::cleared(out_actual, 0),
        )
    };
    // SAFETY: as promised to this function.
    unsafe {
        read(error, false, |details| {
            let Some(conflict) = details.conflicts.get(index) else { return false };
            stream.set(conflict.stream.as_ptr().cast());
            len.set(conflict.stream.len().saturating_sub(1));
            expected.set(conflict.expected);
            actual.set(conflict.actual);
            true
        })
    }
}

/// Which entry of the batch a violated check belongs to.
///
/// @param error An error object, or NULL.
/// @param index Counted from 0, below annals_error_conflict_count.
/// @param out_which Receives the number of the annals_batch_append or annals_batch_require, counted
/// from 0 over both; of annals_append_multi, of the unit. May be NULL.
/// @return Whether there is such a check; if not, the place is set to 0.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the place is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_conflict_which(
    error: *const annals_error,
    index: usize,
    out_which: *mut usize,
) -> bool {
    // SAFETY: as promised to this function.
    let which = unsafe { Out::cleared(out_which, 0) };
    // SAFETY: as promised to this function.
    unsafe {
        read(error, false, |details| {
            let Some(conflict) = details.conflicts.get(index) else { return false };
            which.set(conflict.index);
            true
        })
    }
}

/// How many conditions of the batch were violated. An ANNALS_E_VERSION_CONFLICT may have some as
/// well.
///
/// @param error An error object, or NULL.
/// @return Their number; 0 for NULL and for errors of other kinds.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_condition_count(error: *const annals_error) -> usize {
    // SAFETY: as promised to this function.
    unsafe { read(error, 0, |details| details.conditions.len()) }
}

/// One violated condition of a batch, in the order of the calls.
///
/// @param error An error object, or NULL.
/// @param index Counted from 0, below annals_error_condition_count.
/// @param out_which Receives the number of the annals_batch_require_none, counted from 0. May be
/// NULL.
/// @param out_position Receives the position of the first event after its `after` that matches. May
/// be NULL.
/// @return Whether there is such a condition; if not, the places are set to 0.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the places are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_condition(
    error: *const annals_error,
    index: usize,
    out_which: *mut usize,
    out_position: *mut u64,
) -> bool {
    // SAFETY: as promised to this function.
    let (which, position) = unsafe { (Out::cleared(out_which, 0), Out::cleared(out_position, 0)) };
    // SAFETY: as promised to this function.
    unsafe {
        read(error, false, |details| {
            let Some(condition) = details.conditions.get(index) else { return false };
            which.set(condition.index);
            position.set(condition.position);
            true
        })
    }
}

/// Where in an input the fault lies, for an import that failed.
///
/// @param error An error object, or NULL.
/// @param out_line Receives the line, counted from 1. May be NULL.
/// @param out_column Receives the byte within the line, counted from 1; 0 when only the line is
/// known. May be NULL.
/// @return Whether a line is known; if not, both are set to 0.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the places are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_line(
    error: *const annals_error,
    out_line: *mut u64,
    out_column: *mut u64,
) -> bool {
    // SAFETY: as promised to this function.
    let (line, column) = unsafe { (Out::cleared(out_line, 0), Out::cleared(out_column, 0)) };
    // SAFETY: as promised to this function.
    unsafe {
        read(error, false, |details| {
            let Some(place) = details.place else { return false };
            line.set(place.line);
            column.set(place.column);
            true
        })
    }
}

/// What the callback returned that made the call fail with ANNALS_E_CALLBACK.
///
/// @param error An error object, or NULL.
/// @return The value, which is below 0; 0 when no callback failed.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_callback_code(error: *const annals_error) -> i32 {
    // SAFETY: as promised to this function.
    unsafe { read(error, 0, |details| details.callback_code) }
}

/// Frees an error object, and every text that was got from it.
///
/// @param error An error object, or NULL, which is nothing to do. One that a callback was given is
/// the library's, and is left alone.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`, and it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_free(error: *mut annals_error) {
    // SAFETY: as promised to this function.
    unsafe { handle::free(error) };
}
