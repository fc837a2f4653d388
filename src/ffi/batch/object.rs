//! Batches.

use std::{collections::HashSet, ffi::c_char, ptr};

use super::ticket::annals_ticket;
use crate::ffi::{
    append::{Intake, expected},
    error::annals_error,
    event::annals_new_event,
    glue::{
        arguments::{self, Out},
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle::{self, Exclusive, Opaque, SharedStore},
    },
    read::annals_query,
    status::{ANNALS_ALREADY_STORED, ANNALS_E_BUSY, ANNALS_E_MISUSE, ANNALS_OK, annals_status},
    store::annals_store,
};
use crate::{Batch, Committed, Error, limits::CONDITIONS_MAX};

/// One atomic unit that is being put together: events for any number of streams, requirements,
/// conditions and checkpoints. See annals_batch_commit.
#[derive(Debug)]
pub struct annals_batch {
    _private: [u8; 0],
}

#[derive(Debug)]
pub(in crate::ffi) struct Gathered {
    /// `None` once it is spent.
    batch: Option<Batch>,
    checkpoints: HashSet<String>,
    conditions: usize,
    /// Why the first part that was refused was refused: without it the batch is never written.
    failure: Option<Fault>,
}

impl Opaque for annals_batch {
    type State = Gathered;
    const KIND: u32 = 10;
    const NAME: &'static str = "annals_batch";

    fn store(_: &Gathered) -> Option<&SharedStore> {
        None
    }
}

impl Gathered {
    /// Adds a part that is sound by itself.
    fn add(&mut self, part: Result<Batch, Fault>) -> Result<(), Fault> {
        let Some(batch) = self.batch.take() else { return Err(spent()) };
        let checked = part.and_then(|part| Ok(part.check().map(|()| part)?));
        let (batch, failure) = match checked {
            Ok(part) => (batch.and(part), None),
            Err(fault) => (batch, Some(fault)),
        };
        self.batch = Some(batch);
        let Some(fault) = failure else { return Ok(()) };
        if !matches!(fault.status, ANNALS_E_BUSY | ANNALS_E_MISUSE) {
            self.failure.get_or_insert_with(|| fault.clone());
        }
        Err(fault)
    }

    /// Takes the batch, which is spent from then on.
    fn spend(&mut self) -> Result<Batch, Fault> {
        let batch = self.batch.take().ok_or_else(spent)?;
        match self.failure.take() {
            Some(fault) => Err(fault.of("a part of the batch was refused")),
            None => Ok(batch),
        }
    }
}

fn spent() -> Fault {
    Details::misuse("the batch was committed or submitted: make another one")
}

/// Begins the use of a batch that takes further parts.
///
/// # Safety
/// `batch` is NULL or comes from `annals_batch_new` and is not freed meanwhile.
unsafe fn open<'a>(batch: *mut annals_batch) -> Result<Exclusive<'a, annals_batch>, Fault> {
    // SAFETY: the caller keeps the promise.
    let batch = unsafe { handle::exclusive(batch) }?;
    if batch.batch.is_none() { Err(spent()) } else { Ok(batch) }
}

/// Makes a batch without entries.
///
/// @return The batch; NULL only when there is no memory.
///
/// Ownership: the caller frees it with annals_batch_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// Nothing to keep.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_new() -> *mut annals_batch {
    guard::value(ptr::null_mut(), || {
        let batch = Some(Batch::new());
        handle::make(Gathered { batch, checkpoints: HashSet::new(), conditions: 0, failure: None })
    })
}

/// Adds events to append to a stream if it is as expected. The entries of a batch apply in order,
/// and each check sees the entries before it, so that a stream may come twice.
///
/// A call that fails adds nothing, and the batch is never written without that part:
/// annals_batch_commit and annals_batch_submit then return the same status.
///
/// @param batch The batch.
/// @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param expected_version What is expected of the stream: see annals_append.
/// @param events The events; see annals_new_event. They are copied.
/// @param n How many: 1 to 100000.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_UNSUPPORTED;
/// ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE: also after annals_batch_commit or annals_batch_submit;
/// ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_append(
    batch: *mut annals_batch,
    stream: *const c_char,
    len: usize,
    expected_version: u64,
    events: *const annals_new_event,
    n: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let mut batch = unsafe { open(batch) }?;
        // SAFETY: as promised to this function.
        let taken = unsafe {
            arguments::text(stream, len, "stream id")
                .and_then(|stream| Ok((stream, Intake::new().events(events, n)?)))
        };
        batch.add(taken.map(|(stream, events)| {
            Batch::new().append(stream, expected(expected_version), events)
        }))?;
        Ok(ANNALS_OK)
    })
}

/// Requires that a stream is as expected, and writes nothing to it. As annals_batch_append
/// otherwise.
///
/// @param batch The batch.
/// @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param expected_version What is expected of the stream: see annals_append.
/// @param err Receives an error object on failure, unless NULL.
/// @return As annals_batch_append.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_require(
    batch: *mut annals_batch,
    stream: *const c_char,
    len: usize,
    expected_version: u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let mut batch = unsafe { open(batch) }?;
        // SAFETY: as promised to this function.
        let stream = unsafe { arguments::text(stream, len, "stream id") };
        batch.add(stream.map(|stream| Batch::new().require(stream, expected(expected_version))))?;
        Ok(ANNALS_OK)
    })
}

/// Requires that no event after a position matches a query. What a decision rests on is protected
/// so: `after` is the head that annals_query_read gave with the events. A batch does not conflict
/// with its own events.
///
/// @param batch The batch. It may have up to 100 conditions; one more is ANNALS_E_LIMIT here.
/// @param query The query, which is copied.
/// @param after The position: 0 means that no event at all may match. One past the head is no
/// error: nothing can match yet.
/// @param err Receives an error object on failure, unless NULL.
/// @return As annals_batch_append.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_require_none(
    batch: *mut annals_batch,
    query: *const annals_query,
    after: u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let mut batch = unsafe { open(batch) }?;
        // SAFETY: as promised to this function.
        let query = unsafe { handle::shared(query) };
        let conditions = batch.conditions.saturating_add(1);
        // An argument that is wrong comes before a limit.
        batch.add(query.and_then(|query| {
            let part = Batch::new().require_none(&query, after);
            part.check()?;
            if conditions > CONDITIONS_MAX {
                return Err(Fault::from(Error::LimitExceeded {
                    what: "batch (conditions)",
                    limit: CONDITIONS_MAX as u64,
                    actual: conditions as u64,
                }));
            }
            Ok(part)
        }))?;
        batch.conditions = conditions;
        Ok(ANNALS_OK)
    })
}

/// Saves the checkpoint of a consumer in the same unit, so that a restart repeats nothing. A batch
/// may consist of checkpoints alone.
///
/// @param batch The batch.
/// @param name The name of the consumer, once in a batch: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length, or ANNALS_NUL_TERMINATED.
/// @param position How far it has come: at most the head that the batch makes.
/// @param err Receives an error object on failure, unless NULL.
/// @return As annals_batch_append.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_checkpoint(
    batch: *mut annals_batch,
    name: *const c_char,
    len: usize,
    position: u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let mut batch = unsafe { open(batch) }?;
        // SAFETY: as promised to this function.
        let name = unsafe { arguments::text(name, len, "checkpoint name") };
        let name = name.and_then(|name| match batch.checkpoints.contains(name) {
            true => {
                let reason = format_args!("{name:?} comes twice in the batch");
                Err(Details::invalid("checkpoint name", reason))
            }
            false => Ok(name),
        });
        let own = name.as_ref().ok().map(|name| (*name).to_owned());
        batch.add(name.map(|name| Batch::new().checkpoint(name, position)))?;
        batch.checkpoints.extend(own);
        Ok(ANNALS_OK)
    })
}

/// Writes a batch as one atomic unit, and returns once it is as durable as an append would be.
/// Readers and crashes see all of it or nothing. Positions are consecutive over all events.
///
/// The batch is spent, whatever the result: from then on it can only be freed. So no unit is
/// written twice by accident. For another try build it again; with ids on its events that is safe.
///
/// Faults are looked for in the order arguments, limits, ids, versions, conditions, checkpoints.
/// Every violated check and condition is in the error object: see annals_error_conflict and
/// annals_error_condition.
///
/// An exact retry by event ids, as for annals_append, writes no event. A checkpoint in it is saved
/// if it is ahead of the stored one, and ignored otherwise. In any other batch a checkpoint that
/// goes back or past the new head is refused.
///
/// @param batch The batch.
/// @param store The store.
/// @param out_first_position_or_null Receives the position of the first event; 0 for a batch of
/// checkpoints alone.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT; ANNALS_E_CONDITION: no
/// version is violated, but a condition is; otherwise as annals_append; ANNALS_E_READ_ONLY.
///
/// Threads: any, one at a time. Blocking: as annals_append. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_commit(
    batch: *mut annals_batch,
    store: *const annals_store,
    out_first_position_or_null: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (position, err) =
        unsafe { (Out::cleared(out_first_position_or_null, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let (batch, store) = unsafe {
            let batch = handle::exclusive(batch)?.spend()?;
            (batch, handle::shared(store)?)
        };
        let committed = batch.commit(&store.events)?;
        position.set(first_position(&committed));
        Ok(status_of(&committed))
    })
}

/// Queues a batch to be written, and returns at once. The ticket has the outcome, a conflict as
/// well. So one thread has many batches in flight, which share their syncs.
///
/// What one thread submits, commits and appends takes its positions in the order of its calls. Each
/// batch is decided on its own: a refused one stops none after it. The queue holds up to 1024
/// batches or 64 MiB of events; then the call waits for room, but never inside a callback. The
/// first call starts a thread of the store, which also runs the callbacks of live projections for
/// submitted batches.
///
/// The batch is spent, as by annals_batch_commit.
///
/// @param batch The batch.
/// @param store The store.
/// @param out Receives the ticket.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT and ANNALS_E_IO:
/// a check could not read what it rests on; ANNALS_E_POISONED; ANNALS_E_READ_ONLY; ANNALS_E_CLOSED;
/// ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_INTERNAL;
/// ANNALS_E_PANIC.
///
/// Ownership: the caller frees the ticket with annals_ticket_free. Threads: any, one at a time.
/// Blocking: while the queue is full; may read files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_submit(
    batch: *mut annals_batch,
    store: *const annals_store,
    out: *mut *mut annals_ticket,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let batch = unsafe { handle::exclusive(batch)?.spend()? };
        out.required("out")?;
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        // Made first, so that nothing is written without a ticket.
        let made = super::ticket::Waiting::prepare(&store)?;
        out.set(made.fill(batch.submit(&store.events))?);
        Ok(ANNALS_OK)
    })
}

/// Frees a batch.
///
/// @param batch The batch, or NULL, which is nothing to do.
///
/// Threads: any, with no other call on the same batch. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `batch` is NULL or comes from `annals_batch_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_batch_free(batch: *mut annals_batch) {
    // SAFETY: as promised to this function.
    unsafe { handle::free(batch) };
}

pub(super) fn first_position(committed: &Committed) -> u64 {
    let positions = committed.positions();
    if positions.is_empty() { 0 } else { *positions.start() }
}

pub(in crate::ffi) fn status_of(committed: &Committed) -> annals_status {
    if committed.is_replay() { ANNALS_ALREADY_STORED } else { ANNALS_OK }
}
