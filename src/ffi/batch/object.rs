//! Batches.

use std::{collections::HashSet, ffi::c_char, ptr};

use super::ticket::annals_ticket;
use crate::ffi::{
    append::Intake,
    error::annals_error,
    event::annals_new_event,
    expected,
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
use crate::{
    Batch, Committed,
    limits::{self, CHECKPOINTS_MAX, CONDITIONS_MAX, REQUIREMENTS_MAX},
};

/// An atomic unit that is being built: events for any number of streams, requirements, conditions
/// and checkpoints. See annals_batch_commit.
#[derive(Debug)]
pub struct annals_batch {
    _private: [u8; 0],
}

#[derive(Debug)]
pub(in crate::ffi) struct Gathered {
    /// `None` once the batch is committed or submitted.
    batch: Option<Batch>,
    checkpoints: HashSet<String>,
    conditions: usize,
    requirements: usize,
    /// Why the first rejected part was rejected. If it is set, the batch is never written.
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
    /// Adds a part if it is valid by itself.
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

    /// Takes the batch out. From then on it can only be freed.
    fn spend(&mut self) -> Result<Batch, Fault> {
        let batch = self.batch.take().ok_or_else(spent)?;
        match self.failure.take() {
            Some(fault) => Err(fault.of("a part of the batch was rejected")),
            None => Ok(batch),
        }
    }
}

/// Checks a part that is the n-th of its kind. An invalid argument is reported before an exceeded
/// limit.
fn one_more(part: Batch, what: &'static str, count: usize, limit: usize) -> Result<Batch, Fault> {
    part.check()?;
    limits::check(what, count, limit)?;
    Ok(part)
}

fn spent() -> Fault {
    Details::misuse("the batch was already committed or submitted: build a new one")
}

/// Starts the use of a batch that still accepts parts.
///
/// # Safety
/// `batch` is NULL or comes from `annals_batch_new`, and is not freed during the use.
unsafe fn open<'a>(batch: *mut annals_batch) -> Result<Exclusive<'a, annals_batch>, Fault> {
    // SAFETY: the caller upholds this function's contract.
    let batch = unsafe { handle::exclusive(batch) }?;
    if batch.batch.is_none() { Err(spent()) } else { Ok(batch) }
}

/// Creates an empty batch.
///
/// @return The batch; NULL only if there is not enough memory.
///
/// Ownership: the caller frees it with annals_batch_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_new() -> *mut annals_batch {
    guard::value(ptr::null_mut(), || {
        handle::make(Gathered {
            batch: Some(Batch::new()),
            checkpoints: HashSet::new(),
            conditions: 0,
            requirements: 0,
            failure: None,
        })
    })
}

/// Adds events for a stream, which are appended if the stream is at the expected version. The
/// entries of a batch apply in order, and each check sees the entries before it, so a stream may
/// occur more than once.
///
/// A call that fails adds nothing, and the batch is never written without that part:
/// annals_batch_commit and annals_batch_submit then return the status of the first failed call.
/// Calls that return ANNALS_E_BUSY or ANNALS_E_MISUSE do not count as failed here.
///
/// @param batch The batch.
/// @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param expected_version The expected version of the stream: see annals_append.
/// @param events The events; see annals_new_event. They are copied.
/// @param n The number of events: 1 to 100000.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_UNSUPPORTED;
/// ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE, also after annals_batch_commit or annals_batch_submit;
/// ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
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
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let mut batch = unsafe { open(batch) }?;
        // SAFETY: the caller upholds this function's contract.
        let taken = unsafe {
            arguments::text(stream, len, "stream id")
                .and_then(|stream| Ok((stream, Intake::new().events(events, n)?)))
        };
        batch.add(taken.map(|(stream, events)| {
            Batch::new().append(stream, expected::from_c(expected_version), events)
        }))?;
        Ok(ANNALS_OK)
    })
}

/// Requires that a stream is at the expected version, and writes nothing to it. A call that fails
/// has the same effect as a failed annals_batch_append.
///
/// @param batch The batch. It can have 100000 requirements; one more returns ANNALS_E_LIMIT.
/// @param stream The stream id: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param expected_version The expected version of the stream: see annals_append.
/// @param err Receives an error object on failure. May be NULL.
/// @return As annals_batch_append.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_require(
    batch: *mut annals_batch,
    stream: *const c_char,
    len: usize,
    expected_version: u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let mut batch = unsafe { open(batch) }?;
        // SAFETY: the caller upholds this function's contract.
        let stream = unsafe { arguments::text(stream, len, "stream id") };
        let count = batch.requirements.saturating_add(1);
        batch.add(stream.and_then(|stream| {
            let part = Batch::new().require(stream, expected::from_c(expected_version));
            one_more(part, "batch (requirements)", count, REQUIREMENTS_MAX)
        }))?;
        batch.requirements = count;
        Ok(ANNALS_OK)
    })
}

/// Requires that no event after a position matches a query. This protects a decision that depends
/// on the events of the query: pass as `after` the head that annals_query_read returned for them.
/// The events of the batch itself do not count. A call that fails has the same effect as a failed
/// annals_batch_append.
///
/// @param batch The batch. It can have 100 conditions; one more returns ANNALS_E_LIMIT.
/// @param query The query, which is copied.
/// @param after The position. 0 means that no event at all may match. A position past the head is
/// not an error: nothing can match yet.
/// @param err Receives an error object on failure. May be NULL.
/// @return As annals_batch_append.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_require_none(
    batch: *mut annals_batch,
    query: *const annals_query,
    after: u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let mut batch = unsafe { open(batch) }?;
        // SAFETY: the caller upholds this function's contract.
        let query = unsafe { handle::shared(query) };
        let count = batch.conditions.saturating_add(1);
        batch.add(query.and_then(|query| {
            let part = Batch::new().require_none(&query, after);
            one_more(part, "batch (conditions)", count, CONDITIONS_MAX)
        }))?;
        batch.conditions = count;
        Ok(ANNALS_OK)
    })
}

/// Saves the checkpoint of a consumer in the same atomic unit, so that after a restart the consumer
/// repeats nothing. A batch may consist of checkpoints only. A call that fails has the same effect
/// as a failed annals_batch_append.
///
/// @param batch The batch. It can have 10000 checkpoints; one more returns ANNALS_E_LIMIT.
/// @param name The name of the consumer: 1 to 255 bytes of UTF-8 without NUL. It may occur only
/// once in a batch.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param position The position of the last event that the consumer has finished: at most the head
/// after this batch.
/// @param err Receives an error object on failure. May be NULL.
/// @return As annals_batch_append.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_checkpoint(
    batch: *mut annals_batch,
    name: *const c_char,
    len: usize,
    position: u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let mut batch = unsafe { open(batch) }?;
        // SAFETY: the caller upholds this function's contract.
        let name = unsafe { arguments::text(name, len, "checkpoint name") };
        let name = name.and_then(|name| match batch.checkpoints.contains(name) {
            true => {
                let reason = format_args!("{name:?} occurs twice in the batch");
                Err(Details::invalid("checkpoint name", reason))
            }
            false => Ok(name),
        });
        let own = name.as_ref().ok().map(|name| (*name).to_owned());
        let count = batch.checkpoints.len().saturating_add(1);
        batch.add(name.and_then(|name| {
            let part = Batch::new().checkpoint(name, position);
            one_more(part, "batch (checkpoints)", count, CHECKPOINTS_MAX)
        }))?;
        batch.checkpoints.extend(own);
        Ok(ANNALS_OK)
    })
}

/// Writes a batch as one atomic unit, and returns when it is as durable as an append would be.
/// Readers, and recovery after a crash, see all of it or nothing. The positions of all events are
/// consecutive.
///
/// The call uses up the batch, whatever it returns: afterwards the batch can only be freed. So a
/// batch is never written twice by accident. To retry, build it again; with ids on its events that
/// is safe.
///
/// Errors are detected in this order: arguments, limits, ids, versions, conditions, checkpoints.
/// The error object contains every violated version check and condition: see annals_error_conflict
/// and annals_error_condition.
///
/// An exact retry by event ids, as described for annals_append, writes no event. Its checkpoints
/// are saved if they are ahead of the stored ones, and ignored otherwise. In any other batch, a
/// checkpoint that goes back or past the new head is rejected with ANNALS_E_INVALID_ARGUMENT.
///
/// @param batch The batch. An empty one is ANNALS_E_INVALID_ARGUMENT.
/// @param store The store.
/// @param out_first_position_or_null Receives the position of the first event; 0 for a batch of
/// checkpoints only. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_ALREADY_STORED; ANNALS_E_VERSION_CONFLICT; ANNALS_E_CONDITION if a
/// condition is violated but no version check; otherwise as annals_append.
///
/// Threads: any, one call at a time. Blocking: as annals_append. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_commit(
    batch: *mut annals_batch,
    store: *const annals_store,
    out_first_position_or_null: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (position, err) =
        unsafe { (Out::cleared(out_first_position_or_null, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let (batch, store) = unsafe {
            let batch = handle::exclusive(batch)?.spend()?;
            (batch, handle::shared(store)?)
        };
        let committed = batch.commit(&store.events)?;
        position.set(first_position(&committed));
        Ok(status_of(&committed))
    })
}

/// Queues a batch to be written, and returns at once. The ticket reports the outcome, including a
/// conflict. One thread can have many batches in flight this way, and they share their syncs.
///
/// What one thread submits, commits and appends gets its positions in the order of the calls. Each
/// batch succeeds or fails by itself: one that fails takes no position and stops none after it. The
/// queue holds up to 1024 batches or 64 MiB of events. When it is full, the call waits for room,
/// but never inside a callback. The first call starts a thread of the store, which also runs the
/// callbacks of live projections for submitted batches. If the store is in memory, or has no thread
/// to spare because it is sealing a file, the batch is written before this call returns, and the
/// callbacks run in it.
///
/// The call uses up the batch, as annals_batch_commit does.
///
/// @param batch The batch.
/// @param store The store.
/// @param out Receives the ticket.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT or ANNALS_E_IO if
/// the data that a check needs cannot be read; ANNALS_E_POISONED; ANNALS_E_READ_ONLY;
/// ANNALS_E_CLOSED; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_INTERNAL; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the ticket with annals_ticket_free. Threads: any, one call at a
/// time. Blocking: while the queue is full; may read files; without a thread as annals_append.
/// Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_batch_submit(
    batch: *mut annals_batch,
    store: *const annals_store,
    out: *mut *mut annals_ticket,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let batch = unsafe { handle::exclusive(batch)?.spend()? };
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        // The ticket is created first, so that nothing is written without one.
        let made = super::ticket::Waiting::prepare(&store)?;
        out.set(made.fill(batch.submit(&store.events))?);
        Ok(ANNALS_OK)
    })
}

/// Frees a batch.
///
/// @param batch The batch. NULL is a no-op.
///
/// Threads: any; no other thread may be using the batch. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `batch` is NULL or comes from `annals_batch_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_batch_free(batch: *mut annals_batch) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(batch) };
}

pub(super) fn first_position(committed: &Committed) -> u64 {
    let positions = committed.positions();
    if positions.is_empty() { 0 } else { *positions.start() }
}

pub(in crate::ffi) fn status_of(committed: &Committed) -> annals_status {
    if committed.is_replay() { ANNALS_ALREADY_STORED } else { ANNALS_OK }
}
