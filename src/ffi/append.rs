//! Appending events.

use std::{ffi::c_char, slice};

use uuid::Uuid;

use crate::ffi::{
    batch,
    error::annals_error,
    event::{
        ANNALS_EVENT_BINARY, ANNALS_EVENT_HAS_ID, ANNALS_EVENT_HAS_TIMESTAMP, ANNALS_OFFSET_NAIVE,
        annals_new_event, annals_unit,
    },
    expected,
    glue::{
        arguments::{self, Out},
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle,
        sized::Array,
    },
    status::{ANNALS_ALREADY_STORED, ANNALS_OK, annals_status},
    store::annals_store,
};
use crate::{
    Appended, Batch, NewEvent, Timestamp, UtcOffset,
    limits::{self, APPEND_BYTES_MAX, APPEND_EVENTS_MAX, EVENT_BYTES_MAX},
};

/// JSON white space, which is trimmed from both ends of a value.
const JSON_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

const EVENT_FLAGS: u32 = ANNALS_EVENT_BINARY | ANNALS_EVENT_HAS_ID | ANNALS_EVENT_HAS_TIMESTAMP;

/// Appends events to a stream: all of them or none, even through a crash. With
/// ANNALS_DURABILITY_SYNC, it returns once the events survive a power cut. Concurrent appends share
/// one write and one sync.
///
/// The events are written only if the stream is at the expected version. `expected_version` is the
/// number of events that the stream must have, or ANNALS_EXPECT_ANY, ANNALS_EXPECT_STREAM_EXISTS or
/// ANNALS_EXPECT_NO_STREAM. Of two writers that read the same version, exactly one succeeds; the
/// other gets ANNALS_E_VERSION_CONFLICT, reads the stream again and makes a new decision.
///
/// With event ids a retry is safe. Suppose that every event has an id, and that all of them are
/// already stored in this stream, in this order, at consecutive positions, each with the same type,
/// data, metadata and tags. Then the call writes nothing and returns ANNALS_ALREADY_STORED with the
/// original positions and versions, whatever the expected version. Timestamps are not compared.
///
/// If this call returns ANNALS_E_POISONED, its outcome is unknown. Reopen the store, then check the
/// event ids or the version of the stream.
///
/// @param store The store.
/// @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param expected_version The expected version of the stream.
/// @param events The events; see annals_new_event. They are copied.
/// @param n The number of events: 1 to 100000.
/// @param out_first_position Receives the position of the first event; the others follow it. May be
/// NULL.
/// @param out_first_version Receives the version of the first event; the others follow it. May be
/// NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT; ANNALS_E_DUPLICATE_ID;
/// ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT for an event of more than 16 MiB, an append of more
/// than 64 MiB or too many events; ANNALS_E_UNSUPPORTED if a field of a newer version is set;
/// ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE; ANNALS_E_POISONED; ANNALS_E_CORRUPT or ANNALS_E_IO if the
/// data that a check needs cannot be read; ANNALS_E_IO if no file can be made ready for the events,
/// for example because of a limit on the size of files; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL; ANNALS_E_PANIC. Except with
/// ANNALS_E_POISONED, nothing is written on an error.
///
/// Threads: thread-safe. Blocking: writes and syncs a file; waits while memory is full and earlier
/// events are moved to the trees. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_append(
    store: *const annals_store,
    stream: *const c_char,
    len: usize,
    expected_version: u64,
    events: *const annals_new_event,
    n: usize,
    out_first_position: *mut u64,
    out_first_version: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (position, version, err) = unsafe {
        (
            Out::cleared(out_first_position, 0),
            Out::cleared(out_first_version, 0),
            ErrorOut::cleared(err),
        )
    };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (store, stream, events) = unsafe {
            let store = handle::shared(store)?;
            let stream = arguments::text(stream, len, "stream id")?;
            (store, stream, Intake::new().events(events, n)?)
        };
        let appended = store.events.append(stream, expected::from_c(expected_version), events)?;
        position.set(*appended.positions().start());
        version.set(*appended.versions().start());
        Ok(status_of(&appended))
    })
}

/// Appends to several streams as one atomic unit: readers, and recovery after a crash, see all of
/// it or nothing.
///
/// The units apply in order, and each check sees the units before it, so a stream may occur more
/// than once. A unit without events only checks its stream. The positions of all events are
/// consecutive. Every violated check is reported: see annals_error_conflict.
///
/// @param store The store.
/// @param units The units; see annals_unit. They are copied.
/// @param n The number of units. All units together have 1 to 100000 events, and up to 100000 units
/// have none.
/// @param out_first_position Receives the position of the first event. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return As annals_append: ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT;
/// ANNALS_E_DUPLICATE_ID; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_UNSUPPORTED;
/// ANNALS_E_READ_ONLY; ANNALS_E_NO_SPACE; ANNALS_E_POISONED; ANNALS_E_CORRUPT; ANNALS_E_IO;
/// ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL;
/// ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: as annals_append. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_append_multi(
    store: *const annals_store,
    units: *const annals_unit,
    n: usize,
    out_first_position: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (position, err) = unsafe { (Out::cleared(out_first_position, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (store, units) = unsafe { (handle::shared(store)?, Array::new(units, n)?) };
        let mut batch = Batch::new();
        let mut intake = Intake::new();
        for (index, unit) in units.enumerate() {
            let unit: Result<Batch, Fault> = unit.and_then(|unit: annals_unit| {
                // SAFETY: the caller upholds this function's contract.
                let (stream, events) = unsafe {
                    let stream = arguments::text(unit.stream, unit.stream_len, "stream id")?;
                    (stream, intake.events(unit.events, unit.event_count)?)
                };
                let expected = expected::from_c(unit.expected_version);
                Ok(match events.is_empty() {
                    true => Batch::new().require(stream, expected),
                    false => Batch::new().append(stream, expected, events),
                })
            });
            let unit = unit.map_err(|fault| fault.of(format_args!("units[{index}]")))?;
            batch = batch.and(unit);
        }
        let committed = batch.commit(&store.events)?;
        position.set(*committed.positions().start());
        Ok(batch::status_of(&committed))
    })
}

fn status_of(appended: &Appended) -> annals_status {
    if appended.is_replay() { ANNALS_ALREADY_STORED } else { ANNALS_OK }
}

/// Copies the events of one append. It stops as soon as a count or size exceeds the limits, so a
/// wrong length does not make it allocate.
pub(in crate::ffi) struct Intake {
    events: usize,
    bytes: usize,
}

impl Intake {
    pub(in crate::ffi) fn new() -> Intake {
        Intake { events: 0, bytes: 0 }
    }

    /// # Safety
    /// `events` is NULL or points to `count` events, whose pointers are NULL or valid.
    pub(in crate::ffi) unsafe fn events(
        &mut self,
        events: *const annals_new_event,
        count: usize,
    ) -> Result<Vec<NewEvent>, Fault> {
        self.events = self.events.saturating_add(count);
        limits::check("append (events)", self.events, APPEND_EVENTS_MAX)?;
        // SAFETY: the caller upholds this function's contract.
        let events = unsafe { Array::new(events, count) }?;
        let mut taken = arguments::with_capacity(count, "the events")?;
        for (index, event) in events.enumerate() {
            // SAFETY: the caller upholds this function's contract.
            let event = event.and_then(|event| unsafe { self.event(&event) });
            taken.push(event.map_err(|fault| fault.of(format_args!("events[{index}]")))?);
        }
        Ok(taken)
    }

    /// # Safety
    /// The pointers of `event` are NULL or valid.
    unsafe fn event(&mut self, event: &annals_new_event) -> Result<NewEvent, Fault> {
        arguments::check_flags(event.flags, EVENT_FLAGS)?;
        // SAFETY: the caller upholds this function's contract.
        let (event_type, data, metadata, tags) = unsafe {
            (
                arguments::text(event.r#type, event.type_len, "event type")?,
                arguments::bytes(event.data, event.data_len, "data")?,
                arguments::bytes(event.metadata, event.metadata_len, "metadata")?,
                arguments::texts(event.tags, event.tag_count, "tags")?,
            )
        };
        let mut taken = self.data(event_type, data, event.flags & ANNALS_EVENT_BINARY != 0)?;
        if !metadata.is_empty() {
            let metadata = self.json(metadata, "metadata")?;
            taken = taken.raw_metadata(metadata)?;
        }
        let mut once = tags;
        once.sort_unstable();
        once.dedup();
        self.count(once.iter().map(|tag| tag.len()).sum())?;
        taken = taken.tags(once);
        // SAFETY: the caller upholds this function's contract.
        if let Some(id) = unsafe { id_of(event) }? {
            taken = taken.id(id);
        }
        if event.flags & ANNALS_EVENT_HAS_TIMESTAMP != 0 {
            taken = taken.timestamp(timestamp_of(event)?);
        }
        Ok(taken)
    }

    fn data(&mut self, event_type: &str, data: &[u8], is_binary: bool) -> Result<NewEvent, Fault> {
        if is_binary {
            self.count(data.len())?;
            return Ok(NewEvent::binary(event_type, arguments::copied(data, "data")?)?);
        }
        Ok(NewEvent::raw_json(event_type, self.json(data, "data")?)?)
    }

    /// The text of a JSON value, without white space around it.
    fn json<'a>(&mut self, bytes: &'a [u8], name: &str) -> Result<&'a str, Fault> {
        let text = arguments::utf8(bytes, name)?.trim_matches(JSON_SPACE);
        self.count(text.len())?;
        Ok(text)
    }

    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        limits::check("event (bytes)", bytes, EVENT_BYTES_MAX)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(limits::check("append (bytes)", self.bytes, APPEND_BYTES_MAX)?)
    }
}

/// # Safety
/// The id is NULL or points to 16 bytes.
unsafe fn id_of(event: &annals_new_event) -> Result<Option<Uuid>, Fault> {
    if event.id.is_null() {
        return match event.flags & ANNALS_EVENT_HAS_ID {
            0 => Ok(None),
            _ => Err(Details::invalid("id", "it is NULL with ANNALS_EVENT_HAS_ID set")),
        };
    }
    // SAFETY: the caller upholds this function's contract.
    let bytes = unsafe { slice::from_raw_parts(event.id, 16) };
    let id = Uuid::from_slice(bytes);
    id.map(Some).map_err(|error| Details::invalid("id", error))
}

fn timestamp_of(event: &annals_new_event) -> Result<Timestamp, Fault> {
    let offset = match event.utc_offset_minutes {
        ANNALS_OFFSET_NAIVE => UtcOffset::Naive,
        minutes => UtcOffset::Minutes(i16::try_from(minutes).map_err(|_| {
            let reason = format_args!("the UTC offset of {minutes} minutes is a day or more");
            Details::invalid("timestamp", reason)
        })?),
    };
    Ok(Timestamp::new(event.timestamp_us, offset)?)
}
