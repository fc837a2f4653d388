//! The state of one stream at an earlier point.

use std::ffi::{c_char, c_void};

use crate::ffi::{
    callback::{Callback, annals_event_fn},
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle::{self, SharedStore},
    },
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
    store::annals_store,
};
use crate::{Events, RecordedEvent, Timestamp, UpTo};

/// Up to the last event. `up_to` must be 0.
pub const ANNALS_UP_TO_NOW: u32 = 0;
/// Up to a version of the stream, inclusive.
pub const ANNALS_UP_TO_VERSION: u32 = 1;
/// Up to a position of the store, inclusive.
pub const ANNALS_UP_TO_POSITION: u32 = 2;
/// All events with this timestamp or an earlier one, wherever they are in the stream: microseconds
/// since the Unix epoch, an int64_t cast to uint64_t. Times without a zone are treated as UTC.
pub const ANNALS_UP_TO_TIMESTAMP: u32 = 3;

fn up_to(kind: u32, value: u64) -> Result<UpTo, Fault> {
    Ok(match kind {
        ANNALS_UP_TO_NOW if value == 0 => UpTo::Now,
        ANNALS_UP_TO_NOW => {
            return Err(Details::invalid("up_to", "with ANNALS_UP_TO_NOW it must be 0"));
        }
        ANNALS_UP_TO_VERSION => UpTo::Version(value),
        ANNALS_UP_TO_POSITION => UpTo::Position(value),
        ANNALS_UP_TO_TIMESTAMP => UpTo::Timestamp(Timestamp::utc(value.cast_signed())?),
        unknown => {
            let reason = format_args!("there is no kind {unknown}");
            return Err(Details::invalid("up_to_kind", reason));
        }
    })
}

/// The version and the position of the last event up to a point.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    version: u64,
    position: u64,
}

impl Last {
    fn at(event: &RecordedEvent) -> Last {
        Last { version: event.version(), position: event.position() }
    }
}

/// The events of a stream up to a point. Later ones are not read, so no upcaster can fail for them.
fn events_up_to(store: &SharedStore, stream: &str, up_to: UpTo) -> Events {
    let events = store.events.read_stream(stream);
    match up_to {
        UpTo::Now => events,
        // Versions count from 1 without gaps.
        UpTo::Version(version) => events.limit(version),
        UpTo::Position(position) => events.until_position(position),
        UpTo::Timestamp(time) => events.until(time),
    }
}

/// Passes events to the callback until it stops, and returns the last event passed.
fn replay(
    store: &SharedStore,
    events: &mut Events,
    callback: &Callback,
) -> Result<(annals_status, Last), Fault> {
    let mut last = Last::default();
    for event in events {
        let event = event?;
        last = Last::at(&event);
        match callback.run(store, &event) {
            0 => {}
            1.. => return Ok((ANNALS_DONE, last)),
            code => return Err(Details::callback("apply", code)),
        }
    }
    Ok((ANNALS_OK, last))
}

/// Passes the events of one stream to a callback, in the order of their versions, up to a given
/// point. From these events the callback can derive the state that the stream had at that point.
///
/// @param store The store.
/// @param stream The stream id. If the stream has no events, the callback is not called; this is
/// not an error.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param up_to_kind The meaning of `up_to`: ANNALS_UP_TO_NOW, ANNALS_UP_TO_VERSION,
/// ANNALS_UP_TO_POSITION or ANNALS_UP_TO_TIMESTAMP.
/// @param up_to The point, inclusive.
/// @param apply Receives each event, on this thread. It may use the store.
/// @param user_data Passed to `apply`.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if the callback stopped; ANNALS_E_CALLBACK if the callback or an
/// upcaster failed; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT; ANNALS_E_IO;
/// ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: may read files, and runs `apply`. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_reconstruct_state(
    store: *const annals_store,
    stream: *const c_char,
    len: usize,
    up_to_kind: u32,
    up_to: u64,
    apply: annals_event_fn,
    user_data: *mut c_void,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract. There is no destructor.
        let callback = unsafe { Callback::new(apply, user_data, None) };
        // SAFETY: the caller upholds this function's contract.
        let (store, stream) =
            unsafe { (handle::shared(store)?, arguments::text(stream, len, "stream id")?) };
        callback.check("apply")?;
        let up_to = self::up_to(up_to_kind, up_to)?;
        let mut events = events_up_to(&store, stream, up_to);
        Ok(replay(&store, &mut events, &callback)?.0)
    })
}

/// Does the same as annals_reconstruct_state, and returns the version and position of the stream's
/// last event up to that point. Pass the version as the expected version of an append that depends
/// on the state, and the position to annals_snapshot_save for a snapshot of it. If the callback
/// stops early, the version and position are still those of the last event.
///
/// @param store The store.
/// @param stream The stream id. If the stream has no events, the callback is not called; this is
/// not an error.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param up_to_kind The meaning of `up_to`: ANNALS_UP_TO_NOW, ANNALS_UP_TO_VERSION,
/// ANNALS_UP_TO_POSITION or ANNALS_UP_TO_TIMESTAMP.
/// @param up_to The point, inclusive.
/// @param apply Receives each event, on this thread. It may use the store.
/// @param user_data Passed to `apply`.
/// @param out_version Receives the version; 0 if there is no event. May be NULL.
/// @param out_position Receives the position; 0 if there is no event. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if the callback stopped; ANNALS_E_CALLBACK if the callback or an
/// upcaster failed; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT; ANNALS_E_IO;
/// ANNALS_E_CLOSED; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: may read files, and runs `apply`. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_reconstruct_state_versioned(
    store: *const annals_store,
    stream: *const c_char,
    len: usize,
    up_to_kind: u32,
    up_to: u64,
    apply: annals_event_fn,
    user_data: *mut c_void,
    out_version: *mut u64,
    out_position: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (version, position, err) = unsafe {
        (Out::cleared(out_version, 0), Out::cleared(out_position, 0), ErrorOut::cleared(err))
    };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract. There is no destructor.
        let callback = unsafe { Callback::new(apply, user_data, None) };
        // SAFETY: the caller upholds this function's contract.
        let (store, stream) =
            unsafe { (handle::shared(store)?, arguments::text(stream, len, "stream id")?) };
        callback.check("apply")?;
        let mut events = events_up_to(&store, stream, self::up_to(up_to_kind, up_to)?);
        let (status, mut last) = replay(&store, &mut events, &callback)?;
        for event in events {
            last = Last::at(&event?);
        }
        version.set(last.version);
        position.set(last.position);
        Ok(status)
    })
}
