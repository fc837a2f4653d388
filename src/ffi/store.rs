//! An open store.

use std::{ffi::c_char, path::Path, ptr, sync::Arc};

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::Fault,
        guard::{self, ErrorOut},
        handle::{self, Opaque, SharedStore},
    },
    options::{OpenOptions, annals_options},
    status::{ANNALS_OK, annals_status},
};
use crate::{EventStore, Reader};

/// An open event store. Any number of threads may use it at once; only annals_close wants it alone.
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

fn open(path: &Path, options: &OpenOptions) -> Result<*mut annals_store, Fault> {
    let callbacks = Arc::default();
    let upcasters = options.upcasters.counted_by(&callbacks)?;
    let store = options.options.clone().upcasters(upcasters).open(path)?;
    handle::make(Arc::new(SharedStore::with_callbacks(store, callbacks)))
}

/// Opens the store in a directory, which is made if need be. Whatever a crash left behind is put in
/// order: an append that was acknowledged is there, one that was not is there whole or not at all.
/// One process at a time has a store open, and has it open once.
///
/// @param path The directory, UTF-8.
/// @param path_len Its length, or ANNALS_NUL_TERMINATED.
/// @param options_or_null Options, which are copied, or NULL for the defaults.
/// @param out_store Receives the store.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_LOCKED when it is open elsewhere; ANNALS_E_INVALID_ARGUMENT for a
/// bad argument, and for a directory that is neither a store nor empty; ANNALS_E_CORRUPT;
/// ANNALS_E_FORMAT; ANNALS_E_IO, with ENOENT for a missing store that may not be created;
/// ANNALS_E_NO_SPACE; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads and
/// writes files; after a crash longer, for what has to be replayed. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_open(
    path: *const c_char,
    path_len: usize,
    options_or_null: *const annals_options,
    out_store: *mut *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (out, err) = unsafe { (Out::cleared(out_store, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out_store")?;
        // SAFETY: as promised to this function.
        let path = unsafe { arguments::path(path, path_len) }?;
        let store = if options_or_null.is_null() {
            handle_of(EventStore::open(path)?)?
        } else {
            // SAFETY: as promised to this function.
            let options = unsafe { handle::shared(options_or_null) }?;
            open(path, &options)?
        };
        out.set(store);
        Ok(ANNALS_OK)
    })
}

/// Opens a store for reading, beside the program that writes it or with nobody writing it. It takes
/// no lock, writes nothing, and needs only read permission. It never shows what is not durable.
///
/// The store takes the calls that read; calls that write answer ANNALS_E_READ_ONLY. Each call sees
/// the last event that is durable at its time; an iterator what was there when it was made; a
/// subscription follows what any process appends. Where the journal is damaged, ANNALS_E_CORRUPT
/// comes after everything before the damage.
///
/// @param path The directory, UTF-8.
/// @param path_len Its length, or ANNALS_NUL_TERMINATED.
/// @param out_store Receives the store.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_IO, with ENOENT when there is no store; ANNALS_E_CORRUPT;
/// ANNALS_E_FORMAT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
///
/// Ownership: the caller closes the store with annals_close. Threads: any. Blocking: reads files.
/// Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_reader_open(
    path: *const c_char,
    path_len: usize,
    out_store: *mut *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (out, err) = unsafe { (Out::cleared(out_store, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out_store")?;
        // SAFETY: as promised to this function.
        let path = unsafe { arguments::path(path, path_len) }?;
        out.set(handle_of(Reader::open(path)?.into_store())?);
        Ok(ANNALS_OK)
    })
}

/// Opens a store without files, for tests and for events that need not last: they live as long as
/// the store does.
///
/// @param out_store Receives the store.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_PANIC.
///
/// Ownership: the caller closes the store with annals_close. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_open_in_memory(
    out_store: *mut *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (out, err) = unsafe { (Out::cleared(out_store, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out_store")?;
        out.set(handle_of(EventStore::in_memory()?)?);
        Ok(ANNALS_OK)
    })
}

/// Closes a store: makes everything durable, and gives the directory free for another open. The
/// pointer is invalid afterwards, also when an error is returned, except with ANNALS_E_BUSY, which
/// is the answer while another call on the store runs, such as the one around a callback that
/// closes it.
///
/// What was made from the store answers ANNALS_E_CLOSED from now on and still has to be freed, now
/// or later.
///
/// @param store The store, or NULL, which is nothing to do.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_POISONED when the last sync failed, or an earlier write: events
/// whose append was acknowledged do not depend on it; ANNALS_E_BUSY, and the store is still open;
/// ANNALS_E_FORKED: in a forked child only memory is released; ANNALS_E_PANIC: also when an earlier
/// call panicked; ANNALS_E_MISUSE.
///
/// Ownership: takes the store. Threads: any, with no other call on the same store. Blocking: writes
/// and syncs files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says, and the store is not used again.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_close(
    store: *mut annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        if store.is_null() {
            return Ok(ANNALS_OK);
        }
        // SAFETY: as promised to this function.
        unsafe { handle::peek(store.cast_const(), |shared| shared.check_no_callback()) }?;
        // SAFETY: as promised to this function.
        let shared = unsafe { handle::take(store) }?;
        shared.check_not_forked()?;
        let closed = shared.events.close();
        shared.check_no_panic()?;
        closed?;
        Ok(ANNALS_OK)
    })
}

/// Returns once every event appended so far survives a power cut. With ANNALS_DURABILITY_SYNC that
/// is so already.
///
/// @param store The store.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_POISONED; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: syncs a file. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_flush(
    store: *const annals_store,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        store.events.flush()?;
        Ok(ANNALS_OK)
    })
}

/// Tells the position of the last event.
///
/// @param store The store.
/// @param out_position Receives the position; 0 when there is no event.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_head(
    store: *const annals_store,
    out_position: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (position, err) = unsafe { (Out::cleared(out_position, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        position.required("out_position")?;
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        position.set(store.events.head()?);
        Ok(ANNALS_OK)
    })
}

/// Tells how many events a stream has, which is the version of its last one.
///
/// @param store The store.
/// @param stream The stream id.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param out_version Receives the version; 0 when there is no such stream.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT and ANNALS_E_LIMIT for what is no stream id;
/// ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: may read files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_stream_version(
    store: *const annals_store,
    stream: *const c_char,
    len: usize,
    out_version: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (version, err) = unsafe { (Out::cleared(out_version, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        version.required("out_version")?;
        // SAFETY: as promised to this function.
        let (store, stream) =
            unsafe { (handle::shared(store)?, arguments::text(stream, len, "stream id")?) };
        version.set(store.events.stream_version(stream)?);
        Ok(ANNALS_OK)
    })
}

/// Copies a store to a directory while it is in use: every event up to the head of this moment,
/// checkpoints and snapshots. The copy is opened as any other store; the first open builds its
/// trees. A new directory appears under its name when it is complete and durable; an empty one is
/// replaced, an earlier backup of the same store is continued, and anything else is never
/// overwritten.
///
/// @param store The store.
/// @param path The directory, UTF-8.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_IO, with EEXIST when something else is there; ANNALS_E_LOCKED while
/// the backup is open; ANNALS_E_CORRUPT when events cannot be read; ANNALS_E_NO_SPACE;
/// ANNALS_E_INVALID_ARGUMENT, also for a store in memory, a path in the store itself, and the
/// backup of another history; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: reads and writes files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_backup(
    store: *const annals_store,
    path: *const c_char,
    len: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let (store, path) = unsafe { (handle::shared(store)?, arguments::path(path, len)?) };
        store.events.backup(path)?;
        Ok(ANNALS_OK)
    })
}
