//! The names of statuses, and what they mean.

use std::ffi::{CStr, c_char};

use crate::ffi::{glue::guard, status::*};

/// Every status with its name and a message.
const TABLE: [(annals_status, &CStr, &CStr); 27] = [
    (ANNALS_OK, c"ANNALS_OK", c"success"),
    (ANNALS_DONE, c"ANNALS_DONE", c"nothing is left"),
    (ANNALS_NOT_FOUND, c"ANNALS_NOT_FOUND", c"not found"),
    (ANNALS_TIMEOUT, c"ANNALS_TIMEOUT", c"timed out"),
    (ANNALS_ALREADY_STORED, c"ANNALS_ALREADY_STORED", c"the events were already stored"),
    (ANNALS_E_INVALID_ARGUMENT, c"ANNALS_E_INVALID_ARGUMENT", c"an argument is invalid"),
    (ANNALS_E_MISUSE, c"ANNALS_E_MISUSE", c"a pointer points to the wrong kind of object"),
    (ANNALS_E_CLOSED, c"ANNALS_E_CLOSED", c"the store is closed"),
    (
        ANNALS_E_BUSY,
        c"ANNALS_E_BUSY",
        c"another call is using the object, or this call would wait for its own callback",
    ),
    (
        ANNALS_E_FORKED,
        c"ANNALS_E_FORKED",
        c"the store belongs to the process that opened it, and this is a forked child",
    ),
    (
        ANNALS_E_UNSUPPORTED,
        c"ANNALS_E_UNSUPPORTED",
        c"this version of annals does not support that: upgrade it",
    ),
    (ANNALS_E_LIMIT, c"ANNALS_E_LIMIT", c"a limit is exceeded"),
    (ANNALS_E_READ_ONLY, c"ANNALS_E_READ_ONLY", c"the store is open for reading only"),
    (
        ANNALS_E_VERSION_CONFLICT,
        c"ANNALS_E_VERSION_CONFLICT",
        c"the stream is not at the expected version",
    ),
    (
        ANNALS_E_DUPLICATE_ID,
        c"ANNALS_E_DUPLICATE_ID",
        c"an event id is already used, and the append is not an exact retry",
    ),
    (ANNALS_E_CONDITION, c"ANNALS_E_CONDITION", c"a condition of the batch failed"),
    (ANNALS_E_IO, c"ANNALS_E_IO", c"an operating system call failed"),
    (ANNALS_E_NO_SPACE, c"ANNALS_E_NO_SPACE", c"no space left"),
    (ANNALS_E_LOCKED, c"ANNALS_E_LOCKED", c"the store is open elsewhere"),
    (ANNALS_E_NO_MEMORY, c"ANNALS_E_NO_MEMORY", c"not enough memory"),
    (
        ANNALS_E_POISONED,
        c"ANNALS_E_POISONED",
        c"a write failed, so the store refuses writes until it is reopened",
    ),
    (ANNALS_E_CORRUPT, c"ANNALS_E_CORRUPT", c"stored bytes are damaged"),
    (ANNALS_E_FORMAT, c"ANNALS_E_FORMAT", c"this version of annals cannot read the files"),
    (ANNALS_E_PARSE, c"ANNALS_E_PARSE", c"the input is malformed"),
    (ANNALS_E_CALLBACK, c"ANNALS_E_CALLBACK", c"a callback failed"),
    (
        ANNALS_E_PANIC,
        c"ANNALS_E_PANIC",
        c"internal error in annals: it panicked, and the panic was caught",
    ),
    (ANNALS_E_INTERNAL, c"ANNALS_E_INTERNAL", c"internal error in annals"),
];

fn known(status: annals_status) -> Option<&'static (annals_status, &'static CStr, &'static CStr)> {
    TABLE.iter().find(|(known, _, _)| *known == status)
}

/// Returns the name of a status, such as "ANNALS_E_VERSION_CONFLICT".
///
/// @param status Any value.
/// @return A static string, never NULL. A value that this version of the library does not know is
/// "ANNALS_E_UNKNOWN" if it is negative, otherwise "ANNALS_UNKNOWN".
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_status_name(status: i32) -> *const c_char {
    let unknown = if status < 0 { c"ANNALS_E_UNKNOWN" } else { c"ANNALS_UNKNOWN" };
    guard::value(unknown.as_ptr(), || {
        Ok(known(status).map_or(unknown, |(_, name, _)| *name).as_ptr())
    })
}

/// Returns a short description of a status. An error object says more: see annals_error_message.
///
/// @param status Any value.
/// @return A static string, never NULL.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_status_message(status: i32) -> *const c_char {
    let unknown = if status < 0 { c"an unknown error" } else { c"an unknown outcome" };
    guard::value(unknown.as_ptr(), || {
        Ok(known(status).map_or(unknown, |(_, _, message)| *message).as_ptr())
    })
}
