//! The statuses and their names.

use std::ffi::{CStr, c_char};

use crate::ffi::glue::guard;

/// How a call went. Below 0: an error. 0: done. Above 0: a normal outcome other than the usual one.
/// Later versions may add values on either side, so compare with `rc < 0` for errors.
pub type annals_status = i32;

/// Done.
pub const ANNALS_OK: annals_status = 0;
/// There is nothing more: an iterator has ended, or a callback asked to stop.
pub const ANNALS_DONE: annals_status = 1;
/// There is no such thing.
pub const ANNALS_NOT_FOUND: annals_status = 2;
/// Nothing came in the given time.
pub const ANNALS_TIMEOUT: annals_status = 3;
/// The append was an exact retry, by its event ids: the events were stored already, and nothing was
/// written. The outs are those of the first time.
pub const ANNALS_ALREADY_STORED: annals_status = 4;

/// An argument is not what the function takes. A bug of the caller: fix the call.
pub const ANNALS_E_INVALID_ARGUMENT: annals_status = -1;
/// A pointer leads to something else than the function takes, such as another kind of object or one
/// that was freed. A bug of the caller.
pub const ANNALS_E_MISUSE: annals_status = -2;
/// The store was closed. What was made from it still has to be freed.
pub const ANNALS_E_CLOSED: annals_status = -3;
/// Another call is using the object: on another thread, or around the callback that makes this one.
/// Nothing was done, and the object is as it was.
pub const ANNALS_E_BUSY: annals_status = -4;
/// This process is a forked child: the store belongs to its parent. Freeing and closing release
/// memory and touch no file.
pub const ANNALS_E_FORKED: annals_status = -5;
/// The call asks for something that this version of the library does not know. Upgrade it.
pub const ANNALS_E_UNSUPPORTED: annals_status = -6;
/// A limit is passed; the message says which, and by how much. Split or shorten it.
pub const ANNALS_E_LIMIT: annals_status = -7;
/// The store is open for reading alone: see annals_reader_open.
pub const ANNALS_E_READ_ONLY: annals_status = -8;

/// The stream is not at the expected version. Nothing was written: read it again and decide anew.
/// See annals_error_versions.
pub const ANNALS_E_VERSION_CONFLICT: annals_status = -20;
/// An event id is in use, and the append is no exact repetition. Nothing was written.
pub const ANNALS_E_DUPLICATE_ID: annals_status = -21;

/// An event matches that a condition of the batch excludes. Nothing was written: query again and
/// decide anew. See annals_error_condition.
pub const ANNALS_E_CONDITION: annals_status = -22;

/// The operating system refused something: see annals_error_os_code.
pub const ANNALS_E_IO: annals_status = -40;
/// The disk is full. Nothing was written; the store stays usable: free some space and repeat.
pub const ANNALS_E_NO_SPACE: annals_status = -41;
/// The store is open elsewhere, in this process or in another.
pub const ANNALS_E_LOCKED: annals_status = -42;
/// There is not enough memory. Nothing was done.
pub const ANNALS_E_NO_MEMORY: annals_status = -43;
/// A write or a sync failed, now or earlier, and nobody knows what of it is on the disk. The store
/// takes no more writes until it is opened again; reads go on. The outcome of the call that failed
/// is unknown: after reopening, settle it by the event ids or the version of the stream.
pub const ANNALS_E_POISONED: annals_status = -44;

/// Stored bytes are not what was written. Nothing of them was handed out. Keep a copy of the
/// directory, then run `annals verify`.
pub const ANNALS_E_CORRUPT: annals_status = -60;
/// The files are of a newer version of Annals. Upgrade the library.
pub const ANNALS_E_FORMAT: annals_status = -61;
/// The input is not what it should be: see annals_error_line.
pub const ANNALS_E_PARSE: annals_status = -62;

/// A callback of the caller's failed: see annals_error_callback_code.
pub const ANNALS_E_CALLBACK: annals_status = -80;
/// The library failed inside, and the failure was caught. The store that was in use answers every
/// later call with this status; close it and open it again. Please report the message.
pub const ANNALS_E_PANIC: annals_status = -98;
/// A defect: the library contradicts itself or makes no progress. It says nothing against stored
/// bytes. Please report the message. Like ANNALS_E_PANIC, every call may answer it that can fail.
pub const ANNALS_E_INTERNAL: annals_status = -99;

/// Every status with its name and a message.
const TABLE: [(annals_status, &CStr, &CStr); 27] = [
    (ANNALS_OK, c"ANNALS_OK", c"done"),
    (ANNALS_DONE, c"ANNALS_DONE", c"there is nothing more"),
    (ANNALS_NOT_FOUND, c"ANNALS_NOT_FOUND", c"there is no such thing"),
    (ANNALS_TIMEOUT, c"ANNALS_TIMEOUT", c"nothing came in time"),
    (ANNALS_ALREADY_STORED, c"ANNALS_ALREADY_STORED", c"the events were stored already"),
    (ANNALS_E_INVALID_ARGUMENT, c"ANNALS_E_INVALID_ARGUMENT", c"an argument is invalid"),
    (ANNALS_E_MISUSE, c"ANNALS_E_MISUSE", c"a pointer leads to the wrong kind of object"),
    (ANNALS_E_CLOSED, c"ANNALS_E_CLOSED", c"the store is closed"),
    (ANNALS_E_BUSY, c"ANNALS_E_BUSY", c"another call is using the object"),
    (ANNALS_E_FORKED, c"ANNALS_E_FORKED", c"the store belongs to the parent process"),
    (ANNALS_E_UNSUPPORTED, c"ANNALS_E_UNSUPPORTED", c"this version of annals does not know that"),
    (ANNALS_E_LIMIT, c"ANNALS_E_LIMIT", c"a limit is passed"),
    (ANNALS_E_READ_ONLY, c"ANNALS_E_READ_ONLY", c"the store is open for reading alone"),
    (
        ANNALS_E_VERSION_CONFLICT,
        c"ANNALS_E_VERSION_CONFLICT",
        c"the stream is not at the expected version",
    ),
    (ANNALS_E_DUPLICATE_ID, c"ANNALS_E_DUPLICATE_ID", c"an event id is already used"),
    (ANNALS_E_CONDITION, c"ANNALS_E_CONDITION", c"a condition of the batch does not hold"),
    (ANNALS_E_IO, c"ANNALS_E_IO", c"the operating system refused"),
    (ANNALS_E_NO_SPACE, c"ANNALS_E_NO_SPACE", c"no space left on the disk"),
    (ANNALS_E_LOCKED, c"ANNALS_E_LOCKED", c"the store is open elsewhere"),
    (ANNALS_E_NO_MEMORY, c"ANNALS_E_NO_MEMORY", c"not enough memory"),
    (
        ANNALS_E_POISONED,
        c"ANNALS_E_POISONED",
        c"the store takes no more writes after a failure: reopen it",
    ),
    (ANNALS_E_CORRUPT, c"ANNALS_E_CORRUPT", c"stored bytes are damaged"),
    (ANNALS_E_FORMAT, c"ANNALS_E_FORMAT", c"the files are of a newer version of annals"),
    (ANNALS_E_PARSE, c"ANNALS_E_PARSE", c"the input is malformed"),
    (ANNALS_E_CALLBACK, c"ANNALS_E_CALLBACK", c"a callback failed"),
    (ANNALS_E_PANIC, c"ANNALS_E_PANIC", c"annals failed inside, and the failure was caught"),
    (ANNALS_E_INTERNAL, c"ANNALS_E_INTERNAL", c"a defect inside annals"),
];

fn known(status: annals_status) -> Option<&'static (annals_status, &'static CStr, &'static CStr)> {
    TABLE.iter().find(|(known, _, _)| *known == status)
}

/// The name of a status, such as "ANNALS_E_VERSION_CONFLICT".
///
/// @param status Any value.
/// @return A static string, never NULL: "ANNALS_E_UNKNOWN" or "ANNALS_UNKNOWN" for a value that
/// this version of the library does not know.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Nothing to keep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_status_name(status: i32) -> *const c_char {
    let unknown = if status < 0 { c"ANNALS_E_UNKNOWN" } else { c"ANNALS_UNKNOWN" };
    guard::value(unknown.as_ptr(), || {
        Ok(known(status).map_or(unknown, |(_, name, _)| *name).as_ptr())
    })
}

/// What a status means, in a few words. An error object tells more: see annals_error_message.
///
/// @param status Any value.
/// @return A static string, never NULL.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Nothing to keep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_status_message(status: i32) -> *const c_char {
    let unknown = if status < 0 { c"an unknown error" } else { c"an unknown outcome" };
    guard::value(unknown.as_ptr(), || {
        Ok(known(status).map_or(unknown, |(_, _, message)| *message).as_ptr())
    })
}
