//! Import and export of NDJSON.

use std::{
    ffi::{c_char, c_void},
    io::{self, Read, Write},
};

use crate::ffi::{
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

/// As the mode of an import: each event_id must follow the last position of the store, so that
/// every event keeps its position.
pub const ANNALS_IMPORT_FAITHFUL: u32 = 0;
/// As the mode of an import: events get new positions, and event_id says nothing. Their ids are
/// kept, so that importing the same file again skips what is there, if all its events have one.
pub const ANNALS_IMPORT_APPEND: u32 = 1;
/// As the mode of an import: events up to the last position of the store are compared with it and
/// skipped, and a difference is an error; from there on as ANNALS_IMPORT_FAITHFUL.
pub const ANNALS_IMPORT_RESUME: u32 = 2;

/// As a flag of an import: a last line that has no line end and is no JSON, as a crash of its
/// writer leaves it, is left out. Without the flag it is an error.
pub const ANNALS_IMPORT_DROP_TORN_TAIL: u32 = 1;

/// Takes bytes of an export. They are valid until the callback returns.
///
/// It returns 0 to go on, a value above 0 to stop once these bytes are taken (the export returns
/// ANNALS_DONE), or one below 0 to fail (the export returns ANNALS_E_CALLBACK). It runs on the
/// thread of the call, with no lock held, and may use the store, except to close it. It must not
/// throw or longjmp.
pub type annals_write_fn =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, data: *const u8, len: usize) -> i32>;

/// Gives bytes to an import: writes at most `capacity` of them to `buffer` and their number to
/// `*out_len`, which is 0 before; 0 is the end.
///
/// It returns 0 to go on, a value above 0 to end the input after these bytes (the import returns
/// ANNALS_DONE), or one below 0 to fail (the import returns ANNALS_E_CALLBACK). It runs on the
/// thread of the call, with no lock held, and may use the store, except to close it. It must not
/// throw or longjmp.
pub type annals_read_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        buffer: *mut u8,
        capacity: usize,
        out_len: *mut usize,
    ) -> i32,
>;

/// Writes every event up to the last one of this moment as NDJSON, one event a line, byte for byte
/// as Python's json.dumps would.
///
/// @param store The store.
/// @param write Takes the bytes, in large pieces that end anywhere.
/// @param user_data Handed to `write`.
/// @param out_events Receives how many whole lines `write` has taken, also on an error. May be
/// NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when `write` asked to stop; ANNALS_E_CALLBACK; ANNALS_E_CORRUPT;
/// ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: reads files, and for as long as `write` takes.
/// Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_export_ndjson(
    store: *const annals_store,
    write: annals_write_fn,
    user_data: *mut c_void,
    out_events: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        let write = write.ok_or_else(|| Details::invalid("write", "it is NULL"))?;
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        // SAFETY: as promised to this function.
        let call = |bytes: &[u8]| unsafe { write(user_data, bytes.as_ptr(), bytes.len()) };
        let mut sink = Sink::new(call);
        let exported = store.events.export_ndjson(&mut sink, &ExportOptions::new());
        events.set(sink.lines);
        match sink.end {
            Some(end) => end.outcome("write"),
            None => exported.map(|_| ANNALS_OK).map_err(Fault::from),
        }
    })
}

/// Writes every event up to the last one of this moment as NDJSON to a new file. The file appears
/// under its name when it is complete and durable; what has the name already is never overwritten.
///
/// @param store The store.
/// @param path The file, UTF-8.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param out_events Receives how many events the file has; 0 on an error, when there is no file.
/// May be NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_IO, with EEXIST when the name is taken; ANNALS_E_NO_SPACE;
/// ANNALS_E_CORRUPT; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: reads and writes files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_export_ndjson_file(
    store: *const annals_store,
    path: *const c_char,
    len: usize,
    out_events: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let (store, path) = unsafe { (handle::shared(store)?, arguments::path(path, len)?) };
        let report = store.events.export_ndjson_file(path, &ExportOptions::new())?;
        events.set(report.events);
        Ok(ANNALS_OK)
    })
}

/// Appends the events that the input has, one a line, in durable batches of a few thousand. A fault
/// costs its batch alone: the batches before it stay.
///
/// @param store The store.
/// @param mode ANNALS_IMPORT_FAITHFUL, ANNALS_IMPORT_APPEND or ANNALS_IMPORT_RESUME.
/// @param flags 0 or ANNALS_IMPORT_DROP_TORN_TAIL.
/// @param read Gives the bytes.
/// @param user_data Handed to `read`.
/// @param out_events Receives how many events were written, also on an error. May be NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when `read` asked to stop; ANNALS_E_PARSE: see annals_error_line;
/// ANNALS_E_DUPLICATE_ID; ANNALS_E_CALLBACK; ANNALS_E_LIMIT; ANNALS_E_NO_SPACE; ANNALS_E_POISONED;
/// ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT, also when `read` tells more bytes than
/// it had room for; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: as annals_append, and for as long as `read` takes.
/// Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
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
    // SAFETY: as promised to this function.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        let read = read.ok_or_else(|| Details::invalid("read", "it is NULL"))?;
        let options = import_options(mode, flags)?;
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        let call = |buffer: &mut [u8]| {
            let mut len = 0;
            // SAFETY: as promised to this function.
            let code = unsafe { read(user_data, buffer.as_mut_ptr(), buffer.len(), &raw mut len) };
            (code, len)
        };
        let mut source = Source { call, end: None };
        let imported =
            import(&store.events, &events, |store| store.import_ndjson(&mut source, &options));
        match (source.end, imported) {
            // A stop only ends the input: what is wrong with the lines before it still counts.
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
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param out_events Receives how many events were written, also on an error. May be NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_PARSE: see annals_error_line; ANNALS_E_DUPLICATE_ID; ANNALS_E_LIMIT;
/// ANNALS_E_NO_SPACE; ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: as annals_append, and reads the file. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
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
    // SAFETY: as promised to this function.
    let (events, err) = unsafe { (Out::cleared(out_events, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        let options = import_options(mode, flags)?;
        // SAFETY: as promised to this function.
        let (store, path) = unsafe { (handle::shared(store)?, arguments::path(path, len)?) };
        import(&store.events, &events, |store| store.import_ndjson_file(path, &options))
    })
}

fn import_options(mode: u32, flags: u32) -> Result<ImportOptions, Fault> {
    let mode = match mode {
        ANNALS_IMPORT_FAITHFUL => ImportMode::Faithful,
        ANNALS_IMPORT_APPEND => ImportMode::Append,
        ANNALS_IMPORT_RESUME => ImportMode::Resume,
        unknown => return Err(Details::invalid("mode", format_args!("{unknown} is unknown"))),
    };
    arguments::check_flags(flags, ANNALS_IMPORT_DROP_TORN_TAIL)?;
    let torn_tail = match flags & ANNALS_IMPORT_DROP_TORN_TAIL {
        0 => TornTail::Refuse,
        _ => TornTail::Drop,
    };
    Ok(ImportOptions::new().mode(mode).torn_tail(torn_tail))
}

/// Runs an import and tells how many events are in, whatever the end.
fn import(
    store: &EventStore,
    events: &Out<u64>,
    run: impl FnOnce(&EventStore) -> Result<ImportReport, ImportError>,
) -> Outcome {
    let imported = run(store);
    let report = match &imported {
        Ok(report) => report,
        Err(failure) => &failure.report,
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
                let reason = format_args!("it tells {len} bytes, with room for {capacity}");
                Err(Details::invalid("out_len", reason))
            }
        }
    }
}

/// Hands bytes to a callback.
pub(in crate::ffi) struct Sink<F> {
    call: F,
    lines: u64,
    end: Option<End>,
}

impl<F> Sink<F> {
    pub(in crate::ffi) fn new(call: F) -> Sink<F> {
        Sink { call, lines: 0, end: None }
    }

    /// Whole lines that the callback has taken.
    pub(in crate::ffi) fn lines(&self) -> u64 {
        self.lines
    }

    /// How the callback has ended the export, if it has.
    pub(in crate::ffi) fn end(self) -> Option<End> {
        self.end
    }
}

impl<F: FnMut(&[u8]) -> i32> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ended = || io::Error::other("the callback has ended the export");
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
            return Err(io::Error::other("the callback has overrun its buffer"));
        }
        match code {
            0 => {}
            1.. => self.end = Some(End::Stopped),
            failed => {
                self.end = Some(End::Failed(failed));
                return Err(io::Error::other("the callback has failed"));
            }
        }
        Ok(len)
    }
}
