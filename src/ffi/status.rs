//! Statuses, their names and their messages.

/// The result of a call. Negative: an error. 0: success. Positive: a normal outcome other than the
/// usual one. Later versions may add values of either sign, so check for errors with `rc < 0`.
pub type annals_status = i32;

/// Success.
pub const ANNALS_OK: annals_status = 0;
/// Nothing is left: the iterator has ended, or a callback asked to stop.
pub const ANNALS_DONE: annals_status = 1;
/// Nothing with that name or number exists.
pub const ANNALS_NOT_FOUND: annals_status = 2;
/// Nothing happened within the given time.
pub const ANNALS_TIMEOUT: annals_status = 3;
/// The append was an exact retry, recognized by its event ids: the events were already stored, and
/// nothing was written. The outputs are those of the first call.
pub const ANNALS_ALREADY_STORED: annals_status = 4;

/// An argument is invalid. This is a bug in the caller.
pub const ANNALS_E_INVALID_ARGUMENT: annals_status = -1;
/// A pointer does not point to what the function takes, but for example to another kind of object
/// or to one that was freed. This is a bug in the caller.
pub const ANNALS_E_MISUSE: annals_status = -2;
/// The store was closed. Objects made from it must still be freed.
pub const ANNALS_E_CLOSED: annals_status = -3;
/// Another call is using the object: on another thread, or the call that runs this callback. Or the
/// call would have to wait for the callback that makes it. Nothing was done; the object is
/// unchanged.
pub const ANNALS_E_BUSY: annals_status = -4;
/// This process is a forked child, and the store belongs to its parent. Freeing and closing only
/// release memory; they touch no file.
pub const ANNALS_E_FORKED: annals_status = -5;
/// The call uses something that this version of the library does not know. Upgrade the library.
pub const ANNALS_E_UNSUPPORTED: annals_status = -6;
/// A limit is exceeded; the message says which, and by how much. Split or shorten the input.
pub const ANNALS_E_LIMIT: annals_status = -7;
/// The store is open for reading only: see annals_reader_open.
pub const ANNALS_E_READ_ONLY: annals_status = -8;

/// The stream is not at the expected version. Nothing was written: read the stream again and make a
/// new decision. See annals_error_versions.
pub const ANNALS_E_VERSION_CONFLICT: annals_status = -20;
/// An event id is already in use, and the append is not an exact retry. Nothing was written.
pub const ANNALS_E_DUPLICATE_ID: annals_status = -21;

/// An event matches that a condition of the batch excludes. Nothing was written: query again and
/// make a new decision. See annals_error_condition.
pub const ANNALS_E_CONDITION: annals_status = -22;

/// An operating system call failed: see annals_error_os_code.
pub const ANNALS_E_IO: annals_status = -40;
/// The disk is full. Nothing was written, and the store stays usable: free some space and retry.
pub const ANNALS_E_NO_SPACE: annals_status = -41;
/// The store is already open, in this process or in another one.
pub const ANNALS_E_LOCKED: annals_status = -42;
/// There is not enough memory. Nothing was done.
pub const ANNALS_E_NO_MEMORY: annals_status = -43;
/// A write or sync failed, in this call or an earlier one, so it is unknown how much of it reached
/// the disk. The store accepts no more writes until it is reopened; reads continue. The outcome of
/// the call that failed is unknown: reopen the store, then check the event ids or the version of
/// the stream.
pub const ANNALS_E_POISONED: annals_status = -44;

/// Stored bytes differ from what was written. None of them were returned. Keep a copy of the
/// directory, then run `annals verify`.
pub const ANNALS_E_CORRUPT: annals_status = -60;
/// This version of the library cannot read the files: a newer version wrote them (upgrade the
/// library), or one that was never released.
pub const ANNALS_E_FORMAT: annals_status = -61;
/// The input is malformed: see annals_error_line.
pub const ANNALS_E_PARSE: annals_status = -62;

/// A callback of the caller failed: see annals_error_callback_code.
pub const ANNALS_E_CALLBACK: annals_status = -80;
/// The library panicked, and the panic was caught. From now on every call on the store in use
/// returns this status: close the store and open it again. Please report the message.
pub const ANNALS_E_PANIC: annals_status = -98;
/// A bug: the library contradicts itself or makes no progress. This does not mean that stored bytes
/// are damaged. Please report the message. As with ANNALS_E_PANIC, any call that can fail may
/// return it.
pub const ANNALS_E_INTERNAL: annals_status = -99;
