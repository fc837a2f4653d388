//! What an error object says.

use std::ffi::c_char;

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::Out,
        fault::{Details, Fault},
        guard, handle,
    },
    status::{ANNALS_OK, annals_status},
};

/// Reads from an error object, or returns `otherwise` if it is NULL.
///
/// # Safety
/// `error` is NULL or an error object that is not freed during the call.
unsafe fn read<T>(error: *const annals_error, otherwise: T, read: impl FnOnce(&Details) -> T) -> T {
    guard::value(otherwise, || {
        // SAFETY: the caller upholds this function's contract.
        let error = unsafe { handle::shared(error) }?;
        Ok::<T, Fault>(read(&error))
    })
}

/// Returns the status that the failed call returned.
///
/// @param error An error object, or NULL.
/// @return The status; ANNALS_OK for NULL.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `error` is NULL or an error object that is not freed during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_status(error: *const annals_error) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe { read(error, ANNALS_OK, |details| details.status) }
}

/// Returns a message: what failed, with the values involved, on one line without a full stop.
///
/// @param error An error object, or NULL.
/// @param out_len_or_null Receives the length of the message in bytes, without its NUL. May be
/// NULL.
/// @return UTF-8 that ends with a NUL; a NUL inside it shows as U+FFFD. Valid until the error
/// object is freed; "" for NULL.
///
/// Ownership: the error object owns the text. Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; `out_len_or_null` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_message(
    error: *const annals_error,
    out_len_or_null: *mut usize,
) -> *const c_char {
    // SAFETY: the caller upholds this function's contract.
    let out_len = unsafe { Out::cleared(out_len_or_null, 0) };
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        read(error, c"".as_ptr(), |details| {
            out_len.set(details.text().len());
            details.message.as_ptr().cast()
        })
    }
}

/// Returns the error number of the operating system (errno on POSIX systems).
///
/// @param error An error object, or NULL.
/// @return The number; 0 if there is none.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_os_code(error: *const annals_error) -> i32 {
    // SAFETY: the caller upholds this function's contract.
    unsafe { read(error, 0, |details| details.os_code) }
}

/// Returns the versions of an ANNALS_E_VERSION_CONFLICT: those of the first violated check.
///
/// @param error An error object, or NULL.
/// @param out_expected Receives the expected version, or a constant such as
/// ANNALS_EXPECT_STREAM_EXISTS. May be NULL.
/// @param out_actual Receives the actual version of the stream. May be NULL.
/// @return True if the error is a version conflict; otherwise both outputs are 0.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the outputs are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_versions(
    error: *const annals_error,
    out_expected: *mut u64,
    out_actual: *mut u64,
) -> bool {
    // SAFETY: the caller upholds this function's contract.
    let (expected, actual) =
        unsafe { (Out::cleared(out_expected, 0), Out::cleared(out_actual, 0)) };
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        read(error, false, |details| {
            let Some(first) = details.conflicts.first() else { return false };
            expected.set(first.expected);
            actual.set(first.actual);
            true
        })
    }
}

/// Returns how many version checks were violated. An append of several units or a batch reports all
/// of them.
///
/// @param error An error object, or NULL.
/// @return The count; 0 if the error is not a version conflict.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_conflict_count(error: *const annals_error) -> usize {
    // SAFETY: the caller upholds this function's contract.
    unsafe { read(error, 0, |details| details.conflicts.len()) }
}

/// Returns one violated version check. They are in the order of the units or calls.
///
/// @param error An error object, or NULL.
/// @param index From 0 to annals_error_conflict_count - 1.
/// @param out_stream Receives the stream id, which also ends with a NUL and is valid until the
/// error object is freed. May be NULL.
/// @param out_len Receives the length of the stream id in bytes. May be NULL.
/// @param out_expected Receives the expected version, as in annals_error_versions. May be NULL.
/// @param out_actual Receives the actual version of the stream. May be NULL.
/// @return True if there is such a check; otherwise the outputs are NULL and 0.
///
/// Ownership: the error object owns the text. Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the outputs are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_conflict(
    error: *const annals_error,
    index: usize,
    out_stream: *mut *const c_char,
    out_len: *mut usize,
    out_expected: *mut u64,
    out_actual: *mut u64,
) -> bool {
    // SAFETY: the caller upholds this function's contract.
    let (stream, len, expected, actual) = unsafe {
        (
            Out::cleared(out_stream, std::ptr::null()),
            Out::cleared(out_len, 0),
            Out::cleared(out_expected, 0),
            Out::cleared(out_actual, 0),
        )
    };
    // SAFETY: the caller upholds this function's contract.
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

/// Returns which entry of the batch a violated version check belongs to.
///
/// @param error An error object, or NULL.
/// @param index From 0 to annals_error_conflict_count - 1.
/// @param out_which Receives the index of the annals_batch_append or annals_batch_require call,
/// counted from 0 over both; for annals_append_multi, the index of the unit. May be NULL.
/// @return True if there is such a check; otherwise the output is 0.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the output is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_conflict_which(
    error: *const annals_error,
    index: usize,
    out_which: *mut usize,
) -> bool {
    // SAFETY: the caller upholds this function's contract.
    let which = unsafe { Out::cleared(out_which, 0) };
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        read(error, false, |details| {
            let Some(conflict) = details.conflicts.get(index) else { return false };
            which.set(conflict.index);
            true
        })
    }
}

/// Returns how many conditions of the batch were violated. An ANNALS_E_VERSION_CONFLICT may have
/// some, too.
///
/// @param error An error object, or NULL.
/// @return The count; 0 for NULL and for errors of other kinds.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_condition_count(error: *const annals_error) -> usize {
    // SAFETY: the caller upholds this function's contract.
    unsafe { read(error, 0, |details| details.conditions.len()) }
}

/// Returns one violated condition of a batch. They are in the order of the calls.
///
/// @param error An error object, or NULL.
/// @param index From 0 to annals_error_condition_count - 1.
/// @param out_which Receives the index of the annals_batch_require_none call, counted from 0. May
/// be NULL.
/// @param out_position Receives the position of the first match after the condition's `after`. May
/// be NULL.
/// @return True if there is such a condition; otherwise the outputs are 0.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the outputs are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_condition(
    error: *const annals_error,
    index: usize,
    out_which: *mut usize,
    out_position: *mut u64,
) -> bool {
    // SAFETY: the caller upholds this function's contract.
    let (which, position) = unsafe { (Out::cleared(out_which, 0), Out::cleared(out_position, 0)) };
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        read(error, false, |details| {
            let Some(condition) = details.conditions.get(index) else { return false };
            which.set(condition.index);
            position.set(condition.position);
            true
        })
    }
}

/// Returns where in its input an import failed.
///
/// @param error An error object, or NULL.
/// @param out_line Receives the line, counted from 1. May be NULL.
/// @param out_column Receives the byte within the line, counted from 1; 0 if only the line is
/// known. May be NULL.
/// @return True if the line is known; otherwise both outputs are 0.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`; the outputs are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_line(
    error: *const annals_error,
    out_line: *mut u64,
    out_column: *mut u64,
) -> bool {
    // SAFETY: the caller upholds this function's contract.
    let (line, column) = unsafe { (Out::cleared(out_line, 0), Out::cleared(out_column, 0)) };
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        read(error, false, |details| {
            let Some(place) = details.place else { return false };
            line.set(place.line);
            column.set(place.column);
            true
        })
    }
}

/// Returns the value with which a callback made the call fail with ANNALS_E_CALLBACK.
///
/// @param error An error object, or NULL.
/// @return The value: negative, or anything but 0 from an upcaster. 0 if no callback failed.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_callback_code(error: *const annals_error) -> i32 {
    // SAFETY: the caller upholds this function's contract.
    unsafe { read(error, 0, |details| details.callback_code) }
}

/// Frees an error object and every text obtained from it.
///
/// @param error An error object. NULL is a no-op. So is an error that the library passed to a
/// callback: the library owns it.
///
/// Threads: any; no other thread may be using the error. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_error_status`, and `error` is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_error_free(error: *mut annals_error) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(error) };
}
