//! Open stores.

use std::{ffi::c_char, path::Path, ptr, sync::Arc};

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::Fault,
        guard::{self, ErrorOut},
        handle::{self, Opaque, SharedStore},
    },
    status::{ANNALS_OK, annals_status},
    store::{OpenOptions, annals_options},
};
use crate::{Error, EventStore, Options, Reader};

/// An open event store. It is thread-safe; only annals_close needs exclusive access.
#[derive(Debug)]
pub struct annals_store {
    _private: [u8; 0],
}

impl Opaque for annals_store {
    type State = Arc<SharedStore>;
    const KIND: u32 = 3;
    const NAME: &'static str = "annals_store";

    fn store(state: &Arc<SharedStore>) -> Option<&SharedStore> {
        Some(state)
    }
}

fn handle_of(store: EventStore) -> Result<*mut annals_store, Fault> {
    handle::make(Arc::new(SharedStore::new(store)))
}

/// The body of the functions that open a store at a path.
///
/// # Safety
/// As for [`annals_open`].
unsafe fn open_at(
    (path, path_len): (*const c_char, usize),
    options_or_null: *const annals_options,
    (out_store, err): (*mut *mut annals_store, *mut *mut annals_error),
    open: impl FnOnce(&Path, &Options) -> Result<EventStore, Error>,
) -> annals_status {
    // SAFETY: the caller upholds the contract of `annals_open`.
    let (out, err) = unsafe { (Out::cleared(out_store, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out_store")?;
        // SAFETY: as above.
        let path = unsafe { arguments::path(path, path_len) }?;
        if options_or_null.is_null() {
            out.set(handle_of(open(path, &Options::new())?)?);
            return Ok(ANNALS_OK);
        }
        // SAFETY: as above.
        let OpenOptions { options, upcasters } = &*unsafe { handle::shared(options_or_null) }?;
        let callbacks = Arc::default();
        let upcasters = upcasters.counted_by(&callbacks)?;
        let store = open(path, &options.clone().upcasters(upcasters))?;
        out.set(handle::make(Arc::new(SharedStore::with_callbacks(store, callbacks)))?);
        Ok(ANNALS_OK)
    })
}

/// Opens a reader in the form that C uses for stores and readers.
fn open_reader(path: &Path, options: &Options) -> Result<EventStore, Error> {
    Reader::open_with(path, options).map(Reader::into_store)
}

/// Opens the store in a directory; if there is no store, creates the directory and the store. It
/// recovers from a crash: every acknowledged append is there, and any other append is there as a
/// whole or not at all. Only one process at a time can have a store open, and only once.
///
/// @param path The directory, UTF-8.
/// @param path_len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param options_or_null Options, which are copied; NULL for the defaults.
/// @param out_store Receives the store.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_LOCKED if the store is already open; ANNALS_E_INVALID_ARGUMENT, also
/// if the directory is neither a store nor empty; ANNALS_E_CORRUPT; ANNALS_E_FORMAT; ANNALS_E_IO,
/// with the os code ENOENT if the store is missing and must not be created; ANNALS_E_NO_SPACE;
/// ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads and
/// writes files; after a crash it takes longer, because it replays the journal. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_open(
    path: *const c_char,
    path_len: usize,
    options_or_null: *const annals_options,
    out_store: *mut *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        open_at((path, path_len), options_or_null, (out_store, err), |path, options| {
            options.open(path)
        })
    }
}

/// Opens a store read-only. Another program may write it at the same time. The reader takes no
/// lock, writes nothing, and needs only read permission. It never returns events that are not
/// durable.
///
/// Functions that only read accept this store; functions that write return ANNALS_E_READ_ONLY. Each
/// call sees all events that are durable at that time. An iterator sees the events that were
/// durable when it was created. A subscription follows the appends of any process. If the journal
/// is damaged, all events before the damage are returned, then ANNALS_E_CORRUPT. If the directory
/// is removed, or another store takes its place, calls return ANNALS_E_CLOSED; a store that was
/// compacted is the same store.
///
/// @param path The directory, UTF-8.
/// @param path_len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param out_store Receives the store.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_IO, with the os code ENOENT if there is no store; ANNALS_E_CORRUPT;
/// ANNALS_E_FORMAT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
///
/// Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads files.
/// Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_reader_open(
    path: *const c_char,
    path_len: usize,
    out_store: *mut *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe { open_at((path, path_len), ptr::null(), (out_store, err), open_reader) }
}

/// Opens a store read-only, as annals_reader_open does, and converts the events that it reads with
/// the upcasters of the options. All other options are ignored.
///
/// @param path The directory, UTF-8.
/// @param path_len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param options_or_null Options, which are copied; NULL for none.
/// @param out_store Receives the store.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_IO, with the os code ENOENT if there is no store; ANNALS_E_CORRUPT;
/// ANNALS_E_FORMAT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_PANIC.
///
/// Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads files.
/// Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_reader_open_with_options(
    path: *const c_char,
    path_len: usize,
    options_or_null: *const annals_options,
    out_store: *mut *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe { open_at((path, path_len), options_or_null, (out_store, err), open_reader) }
}

/// Opens a store in memory, without files: for tests, and for events that are needed only until the
/// store is closed.
///
/// @param out_store Receives the store.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
///
/// Ownership: the caller closes the store with annals_close. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_open_in_memory(
    out_store: *mut *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out_store, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out_store")?;
        out.set(handle_of(EventStore::in_memory()?)?);
        Ok(ANNALS_OK)
    })
}

/// Closes a store: makes everything durable, and releases the directory so that it can be opened
/// again. It takes ownership of the handle: the pointer is invalid afterwards, even if an error is
/// returned. The only exception is ANNALS_E_BUSY: another call on the store is running, such as the
/// one that runs this callback, and the store stays open.
///
/// From now on, functions that read or write through objects made from the store return
/// ANNALS_E_CLOSED. The objects must still be freed, now or later.
///
/// Batches that were submitted are completed first: callbacks for them still use the store, which
/// accepts no more batches, and their tickets keep their outcomes.
///
/// @param store The store. NULL is a no-op.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_POISONED if the last sync or an earlier write failed: acknowledged
/// events do not depend on it; ANNALS_E_BUSY: the store is still open; ANNALS_E_FORKED: in a forked
/// child only memory is released; ANNALS_E_PANIC, also if an earlier call panicked;
/// ANNALS_E_MISUSE.
///
/// Ownership: takes ownership of the store. Threads: any; no other thread may be using the store.
/// Blocking: writes and syncs files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above, and the store is not used again.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_close(
    store: *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        if store.is_null() {
            return Ok(ANNALS_OK);
        }
        let look = |shared: &Arc<SharedStore>| {
            shared.check_no_callback()?;
            Ok(Arc::clone(shared))
        };
        // SAFETY: the caller upholds this function's contract.
        let shared = unsafe { handle::peek(store.cast_const(), look) }?;
        // The callbacks of submitted batches may use the handle, so they end before it is freed.
        shared.events.finish_submitted()?;
        // SAFETY: the caller upholds this function's contract.
        let taken = unsafe { handle::take(store) };
        drop(taken.inspect_err(|_| shared.events.accept_submitted())?);
        shared.check_not_forked()?;
        let closed = shared.events.close();
        shared.check_no_panic()?;
        closed?;
        Ok(ANNALS_OK)
    })
}

/// Makes every event appended so far durable: it survives a power cut when the call returns. With
/// ANNALS_DURABILITY_SYNC all events already are.
///
/// @param store The store.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_POISONED; ANNALS_E_READ_ONLY; ANNALS_E_INVALID_ARGUMENT;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: syncs a file. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_flush(
    store: *const annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        store.events.flush()?;
        Ok(ANNALS_OK)
    })
}

/// Returns the position of the last event.
///
/// @param store The store.
/// @param out_position Receives the position; 0 if there is no event.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; for a reader also ANNALS_E_CLOSED, ANNALS_E_CORRUPT and ANNALS_E_IO;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: never; a reader may read files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_head(
    store: *const annals_store,
    out_position: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (position, err) = unsafe { (Out::cleared(out_position, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        position.required("out_position")?;
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        position.set(store.events.head()?);
        Ok(ANNALS_OK)
    })
}

/// Returns the version of a stream: the number of its events.
///
/// @param store The store.
/// @param stream The stream id.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param out_version Receives the version; 0 if there is no such stream.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT or ANNALS_E_LIMIT if the stream id is invalid;
/// ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: may read files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_stream_version(
    store: *const annals_store,
    stream: *const c_char,
    len: usize,
    out_version: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (version, err) = unsafe { (Out::cleared(out_version, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        version.required("out_version")?;
        // SAFETY: the caller upholds this function's contract.
        let (store, stream) =
            unsafe { (handle::shared(store)?, arguments::text(stream, len, "stream id")?) };
        version.set(store.events.stream_version(stream)?);
        Ok(ANNALS_OK)
    })
}

/// Copies a store to a directory while it is in use: all events up to the current head, checkpoints
/// and snapshots. Open the copy like any other store; the first open builds its trees. A new
/// directory appears under its name only when it is complete and durable. An empty directory is
/// replaced, an earlier backup of the same store is brought up to date, and anything else is never
/// overwritten.
///
/// @param store The store.
/// @param path The directory, UTF-8.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_IO, with the os code EEXIST if `path` holds something else;
/// ANNALS_E_LOCKED if the backup is open; ANNALS_E_CORRUPT if events cannot be read;
/// ANNALS_E_NO_SPACE; ANNALS_E_INVALID_ARGUMENT, also for a store in memory, a path inside the
/// store, and a backup with a different history; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: reads and writes files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_backup(
    store: *const annals_store,
    path: *const c_char,
    len: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (store, path) = unsafe { (handle::shared(store)?, arguments::path(path, len)?) };
        store.events.backup(path)?;
        Ok(ANNALS_OK)
    })
}
