//! Import and export of NDJSON.

use std::{
    ffi::{c_char, c_void},
    io::{self, Read, Write},
};

use crate::ffi::{
    callback::annals_write_fn,
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::{Details, Fault, Outcome},
        guard::{self, ErrorOut},
        handle,
    },
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
    store::annals_store,
};
use crate::{
    EventStore, ExportOptions, ImportError, ImportMode, ImportOptions, ImportReport, TornTail,
};

/// Import mode: each event_id must follow the store's head, so that every event keeps its position.
pub const ANNALS_IMPORT_FAITHFUL: u32 = 0;
/// Import mode: events get new positions; event_id is ignored and may be missing. Their ids are
/// kept: if all events of a batch have one, a repeated import of the same file skips the batches
/// that are already stored.
pub const ANNALS_IMPORT_APPEND: u32 = 1;
/// Import mode: events at or below the store's head are compared with the stored ones and skipped;
/// a difference is an error. Later events are treated as with ANNALS_IMPORT_FAITHFUL.
pub const ANNALS_IMPORT_RESUME: u32 = 2;

/// Import flag: ignore a last line that has no line end and is not JSON, such as one left by a
/// crash of its writer. Without the flag it is an error.
pub const ANNALS_IMPORT_DROP_TORN_TAIL: u32 = 1;

/// Supplies bytes to an import: writes at most `capacity` bytes to `buffer` and their number to
/// `*out_len`, which is 0 on entry. Leaving it 0 ends the input.
///
/// The callback returns 0 to continue, a positive value to end the input after these bytes (the
/// import then returns ANNALS_DONE), or a negative value to fail (the import then returns
/// ANNALS_E_CALLBACK). It runs on the thread of the call, with no lock held. It may use the store,
/// but must not close it. It must not throw or longjmp.
pub type annals_read_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        buffer: *mut u8,
        capacity: usize,
        out_len: *mut usize,
    ) -> i32,
>;

/// Writes all events up to the current head as NDJSON: one event per line, byte for byte as
/// Python's json.dumps would write it.
///
/// @param store The store.
/// @param write Receives the bytes, in large pieces that may end anywhere.
/// @param user_data Passed to `write`.
/// @param out_events Receives how many complete lines `write` has taken, also on an error. May be
/// NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if `write` asked to stop; ANNALS_E_CALLBACK; ANNALS_E_CORRUPT;
/// ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: reads files, and runs `write`. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_export_ndjson(
    store: *const annals_store,
    write: annals_write_fn,
    user_data: *mut c_void,
    out_events: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        let write = write.ok_or_else(|| Details::invalid("write", "it is NULL"))?;
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        let call = |bytes: &[u8]| {
            let _running = store.in_callback();
            // SAFETY: the caller upholds this function's contract.
            unsafe { write(user_data, bytes.as_ptr(), bytes.len()) }
        };
        let mut sink = Sink::new(call);
        let exported = store.events.export_ndjson(&mut sink, &ExportOptions::new());
        events.set(sink.lines);
        match sink.end {
            Some(end) => end.outcome("write"),
            None => exported.map(|_| ANNALS_OK).map_err(Fault::from),
        }
    })
}

/// Writes all events up to the current head as NDJSON to a new file. The file appears under its
/// name only when it is complete and durable. An existing file is never overwritten.
///
/// @param store The store.
/// @param path The file, UTF-8.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param out_events Receives the number of events in the file; 0 on an error, because then there
/// is no file. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_IO, with the os code EEXIST if `path` exists; ANNALS_E_NO_SPACE;
/// ANNALS_E_CORRUPT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: reads and writes files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_export_ndjson_file(
    store: *const annals_store,
    path: *const c_char,
    len: usize,
    out_events: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (store, path) = unsafe { (handle::shared(store)?, arguments::path(path, len)?) };
        let report = store.events.export_ndjson_file(path, &ExportOptions::new())?;
        events.set(report.events);
        Ok(ANNALS_OK)
    })
}

/// Appends the events in the input, one per line, in durable batches of a few thousand. After an
/// error nothing of the batch with the fault is written; earlier batches stay.
///
/// @param store The store.
/// @param mode ANNALS_IMPORT_FAITHFUL, ANNALS_IMPORT_APPEND or ANNALS_IMPORT_RESUME.
/// @param flags 0 or ANNALS_IMPORT_DROP_TORN_TAIL.
/// @param read Supplies the bytes.
/// @param user_data Passed to `read`.
/// @param out_events Receives the number of events written, also on an error. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if `read` asked to stop; ANNALS_E_PARSE: see annals_error_line;
/// ANNALS_E_DUPLICATE_ID; ANNALS_E_CALLBACK; ANNALS_E_LIMIT; ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE;
/// ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT, also if `read`
/// reports more bytes than fit into its buffer; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: as annals_append, and runs `read`. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_import_ndjson(
    store: *const annals_store,
    mode: u32,
    flags: u32,
    read: annals_read_fn,
    user_data: *mut c_void,
    out_events: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        let read = read.ok_or_else(|| Details::invalid("read", "it is NULL"))?;
        let options = import_options(mode, flags)?;
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        let call = |buffer: &mut [u8]| {
            let mut len = 0;
            let _running = store.in_callback();
            // SAFETY: the caller upholds this function's contract.
            let code = unsafe { read(user_data, buffer.as_mut_ptr(), buffer.len(), &raw mut len) };
            (code, len)
        };
        let mut source = Source { call, end: None };
        let imported =
            import(&store.events, &events, |store| store.import_ndjson(&mut source, &options));
        match (source.end, imported) {
            // A stop only ends the input: an error in the lines before it is still returned.
            (Some(End::Stopped), Err(fault)) => Err(fault),
            (Some(end), _) => end.outcome("read"),
            (None, imported) => imported,
        }
    })
}

/// Appends the events of an NDJSON file: see annals_import_ndjson.
///
/// @param store The store.
/// @param mode ANNALS_IMPORT_FAITHFUL, ANNALS_IMPORT_APPEND or ANNALS_IMPORT_RESUME.
/// @param flags 0 or ANNALS_IMPORT_DROP_TORN_TAIL.
/// @param path The file, UTF-8.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param out_events Receives the number of events written, also on an error. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_PARSE: see annals_error_line; ANNALS_E_DUPLICATE_ID; ANNALS_E_LIMIT;
/// ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE; ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: as annals_append, and reads the file. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_import_ndjson_file(
    store: *const annals_store,
    mode: u32,
    flags: u32,
    path: *const c_char,
    len: usize,
    out_events: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        let options = import_options(mode, flags)?;
        // SAFETY: the caller upholds this function's contract.
        let (store, path) = unsafe { (handle::shared(store)?, arguments::path(path, len)?) };
        import(&store.events, &events, |store| store.import_ndjson_file(path, &options))
    })
}

fn import_options(mode: u32, flags: u32) -> Result<ImportOptions, Fault> {
    let mode = match mode {
        ANNALS_IMPORT_FAITHFUL => ImportMode::Faithful,
        ANNALS_IMPORT_APPEND => ImportMode::Append,
        ANNALS_IMPORT_RESUME => ImportMode::Resume,
        unknown => {
            let reason = format_args!("{unknown} is not an ANNALS_IMPORT_ mode");
            return Err(Details::invalid("mode", reason));
        }
    };
    arguments::check_flags(flags, ANNALS_IMPORT_DROP_TORN_TAIL)?;
    let torn_tail = match flags & ANNALS_IMPORT_DROP_TORN_TAIL {
        0 => TornTail::Refuse,
        _ => TornTail::Drop,
    };
    Ok(ImportOptions::new().mode(mode).torn_tail(torn_tail))
}

/// Runs an import and sets the number of events written, also after an error.
fn import(
    store: &EventStore,
    events: &Out<u64>,
    run: impl FnOnce(&EventStore) -> Result<ImportReport, ImportError>,
) -> Outcome {
    let imported = run(store);
    let report = match &imported {
        Ok(report) => report,
        Err(failure) => &*failure.report,
    };
    events.set(report.events);
    imported?;
    Ok(ANNALS_OK)
}

/// Why a callback is not called again.
pub(in crate::ffi) enum End {
    Stopped,
    Failed(i32),
    Overran { len: usize, capacity: usize },
}

impl End {
    pub(in crate::ffi) fn outcome(self, name: &str) -> Outcome {
        match self {
            End::Stopped => Ok(ANNALS_DONE),
            End::Failed(code) => Err(Details::callback(name, code)),
            End::Overran { len, capacity } => {
                let reason = format_args!("{name} reported {len} bytes, with room for {capacity}");
                Err(Details::invalid("out_len", reason))
            }
        }
    }
}

/// Passes bytes to a callback.
pub(in crate::ffi) struct Sink<F> {
    call: F,
    lines: u64,
    end: Option<End>,
}

impl<F> Sink<F> {
    pub(in crate::ffi) fn new(call: F) -> Sink<F> {
        Sink { call, lines: 0, end: None }
    }

    /// Complete lines that the callback has taken.
    pub(in crate::ffi) fn lines(&self) -> u64 {
        self.lines
    }

    /// How the callback ended the export, if it did.
    pub(in crate::ffi) fn end(self) -> Option<End> {
        self.end
    }
}

impl<F: FnMut(&[u8]) -> i32> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ended = || io::Error::other("the callback ended the export");
        if self.end.is_some() {
            return Err(ended());
        }
        let code = (self.call)(bytes);
        if code >= 0 {
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
            self.lines = self.lines.saturating_add(lines);
        }
        self.end = match code {
            0 => return Ok(bytes.len()),
            1.. => Some(End::Stopped),
            failed => Some(End::Failed(failed)),
        };
        Err(ended())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gets bytes from a callback.
struct Source<F> {
    call: F,
    end: Option<End>,
}

impl<F: FnMut(&mut [u8]) -> (i32, usize)> Read for Source<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.end.is_some() {
            return Ok(0);
        }
        let (code, len) = (self.call)(buffer);
        if len > buffer.len() {
            self.end = Some(End::Overran { len, capacity: buffer.len() });
            return Err(io::Error::other("the callback overran its buffer"));
        }
        match code {
            0 => {}
            1.. => self.end = Some(End::Stopped),
            failed => {
                self.end = Some(End::Failed(failed));
                return Err(io::Error::other("the callback failed"));
            }
        }
        Ok(len)
    }
}
