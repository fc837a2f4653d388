//! Iterators over events.

use std::{ffi::c_char, ptr, sync::Arc};

use crate::ffi::{
    error::annals_error,
    event::{annals_event, annals_string},
    glue::{
        arguments::{self, Out},
        fault::{Details, Fault, Outcome},
        guard::{self, ErrorOut},
        handle::{self, Opaque, Shared, SharedStore},
    },
    read::{annals_query, annals_read_options},
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
    store::annals_store,
};
use crate::{Error, EventStore, Events, Found, RecordedEvent};

/// A batch ends at this many events or bytes, whatever the caller allows.
const BATCH_EVENTS_MAX: usize = 4_096;
const BATCH_BYTES_MAX: usize = 4 << 20;

/// An iterator over events. It sees the events that existed when it was created, whatever is
/// appended meanwhile. It holds no lock and a bounded amount of memory.
#[derive(Debug)]
pub struct annals_iter {
    _private: [u8; 0],
}

#[derive(Debug)]
pub(in crate::ffi) struct Iter {
    store: Arc<SharedStore>,
    events: Source,
    /// The memory that the views point into.
    held: Vec<(RecordedEvent, Box<[annals_string]>)>,
    views: Vec<annals_event>,
    end: Option<End>,
}

// SAFETY: the views point into the heap memory of `held`, which moves with the iterator.
unsafe impl Send for Iter {}

/// Where the events come from.
#[derive(Debug)]
enum Source {
    Read(Box<Events>),
    Found(Box<Found>),
    /// At most one event.
    One(Option<RecordedEvent>),
}

impl Source {
    fn next(&mut self, store: &SharedStore) -> Option<Result<RecordedEvent, Error>> {
        match self {
            Source::Read(events) => events.next(),
            Source::Found(found) => found.next(),
            // The event is already there; only a closed store keeps it back.
            Source::One(event) => {
                event.take().map(|event| store.check_not_closed().map(|()| event))
            }
        }
    }
}

/// How an iterator ended. Later calls report the same.
#[derive(Debug)]
enum End {
    Done,
    Failed(Fault),
}

impl Opaque for annals_iter {
    type State = Iter;
    const KIND: u32 = 5;
    const NAME: &'static str = "annals_iter";

    fn store(state: &Iter) -> Option<&SharedStore> {
        Some(&state.store)
    }
}

impl Iter {
    /// Releases the current events and reads up to `max` more. The status says whether there are
    /// any.
    fn advance(&mut self, max: usize) -> Outcome {
        self.views.clear();
        self.held.clear();
        let mut bytes = 0_usize;
        while self.end.is_none() && self.held.len() < max && bytes < BATCH_BYTES_MAX {
            match self.events.next(&self.store) {
                Some(Ok(event)) => {
                    let tags = annals_event::tags_of(&event);
                    let view = annals_event::of(&event, &tags);
                    bytes = bytes.saturating_add(view.data_len).saturating_add(view.metadata_len);
                    let of_tags = tags.iter().map(|tag| tag.len.saturating_add(size_of_val(tag)));
                    bytes = of_tags.fold(bytes, usize::saturating_add);
                    self.views.push(view);
                    self.held.push((event, tags));
                }
                Some(Err(error)) => self.end = Some(End::Failed(error.into())),
                // The next call checks the end again and reports it.
                None if !self.views.is_empty() => break,
                // A closed store is distinguished from the end only here, where that is cheap.
                None => {
                    let closed = self.store.events.head().err();
                    self.end = Some(closed.map_or(End::Done, |error| End::Failed(error.into())));
                }
            }
        }
        match &self.end {
            // The events before the end are returned first.
            _ if !self.views.is_empty() => Ok(ANNALS_OK),
            Some(End::Failed(fault)) => Err(fault.clone()),
            Some(End::Done) | None => Ok(ANNALS_DONE),
        }
    }
}

/// Creates an iterator over the events that `read` selects.
///
/// # Safety
/// `store` and `options` are NULL or handles that are not freed during the call.
unsafe fn start(
    store: *const annals_store,
    options: *const annals_read_options,
    read: impl FnOnce(&EventStore) -> Result<Events, Fault>,
) -> Result<*mut annals_iter, Fault> {
    // SAFETY: the caller upholds this function's contract.
    let store = unsafe { handle::shared(store) }?;
    let mut events = read(&store.events)?;
    if !options.is_null() {
        // SAFETY: the caller upholds this function's contract.
        let options = unsafe { handle::shared(options) }?;
        events = options.apply(events);
    }
    events.check()?;
    make(&store, Source::Read(Box::new(events)))
}

/// Creates an iterator over the events of a query.
pub(super) fn over(
    store: &Shared<'_, annals_store>,
    found: Found,
) -> Result<*mut annals_iter, Fault> {
    make(store, Source::Found(Box::new(found)))
}

/// Creates an iterator over one event.
pub(super) fn over_one(
    store: &Shared<'_, annals_store>,
    event: RecordedEvent,
) -> Result<*mut annals_iter, Fault> {
    make(store, Source::One(Some(event)))
}

fn make(store: &Shared<'_, annals_store>, events: Source) -> Result<*mut annals_iter, Fault> {
    let store = Arc::clone(store);
    handle::make(Iter { store, events, held: Vec::new(), views: Vec::new(), end: None })
}

/// Reads the events of one stream, in the order of their versions.
///
/// @param store The store.
/// @param stream The stream id. If the stream has no events, the iterator is empty; this is not an
/// error.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param options What to read, which is copied; NULL reads everything, forwards.
/// @param out Receives the iterator.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. Damaged events are reported by
/// annals_iter_next.
///
/// Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
/// closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_stream(
    store: *const annals_store,
    stream: *const c_char,
    len: usize,
    options: *const annals_read_options,
    out: *mut *mut annals_iter,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        let iter = unsafe {
            start(store, options, |store| {
                Ok(store.read_stream(arguments::text(stream, len, "stream id")?))
            })
        };
        out.set(iter?);
        Ok(ANNALS_OK)
    })
}

/// Reads all events, in the order of their positions.
///
/// @param store The store.
/// @param options What to read, which is copied; NULL reads everything, forwards.
/// @param out Receives the iterator.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. Damaged events are reported by annals_iter_next.
///
/// Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
/// closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_all(
    store: *const annals_store,
    options: *const annals_read_options,
    out: *mut *mut annals_iter,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        out.set(unsafe { start(store, options, |store| Ok(store.read_all())) }?);
        Ok(ANNALS_OK)
    })
}

/// Reads the events that match a query, in the order of their positions.
///
/// @param store The store.
/// @param query The query, which is copied.
/// @param options_or_null Direction, limit and start position, which are copied, or NULL. Any other
/// option is ANNALS_E_INVALID_ARGUMENT.
/// @param out Receives the iterator.
/// @param out_head_or_null Receives, in this call already, the value to pass as `after` to
/// annals_batch_require_none if a decision depends on these events: the head of the store when the
/// read began. If the read goes forwards and reaches its limit, it is the position of the last
/// event returned, and 0 with a limit of 0. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT or ANNALS_E_IO if
/// out_head_or_null is needed and the events up to the limit cannot be read; ANNALS_E_CLOSED;
/// ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. Damaged
/// events are reported by annals_iter_next.
///
/// Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
/// closed. Threads: thread-safe. Blocking: may read files for out_head_or_null. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_query_read(
    store: *const annals_store,
    query: *const annals_query,
    options_or_null: *const annals_read_options,
    out: *mut *mut annals_iter,
    out_head_or_null: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, head, err) = unsafe {
        (
            Out::cleared(out, ptr::null_mut()),
            Out::cleared(out_head_or_null, 0),
            ErrorOut::cleared(err),
        )
    };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        let (store, query) = unsafe { (handle::shared(store)?, handle::shared(query)?) };
        let mut found = store.events.query(&query);
        if !options_or_null.is_null() {
            // SAFETY: the caller upholds this function's contract.
            let options = unsafe { handle::shared(options_or_null) }?;
            found = options.apply_to_query(found)?;
        }
        found.check()?;
        let known: Result<u64, Fault> = match head.is_wanted() {
            true => Ok(found.try_head()?),
            false => Ok(0),
        };
        let known = known?;
        out.set(over(&store, found)?);
        head.set(known);
        Ok(ANNALS_OK)
    })
}

/// Returns the next event.
///
/// @param iter The iterator.
/// @param out_event Receives a view of the event, which is valid until the next call on this
/// iterator or until it is freed; NULL unless the result is ANNALS_OK.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE at the end; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CALLBACK if
/// an upcaster failed; ANNALS_E_CLOSED. Each of these, except ANNALS_OK, is returned by all later
/// calls, too. Also ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Ownership: the iterator owns the view. Threads: any, one call at a time. Blocking: may read
/// files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_iter_next(
    iter: *mut annals_iter,
    out_event: *mut *const annals_event,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (event, err) = unsafe { (Out::cleared(out_event, ptr::null()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        event.required("out_event")?;
        // SAFETY: the caller upholds this function's contract.
        let mut iter = unsafe { handle::exclusive(iter) }?;
        let status = iter.advance(1)?;
        if let Some(view) = iter.views.first() {
            event.set(view);
        }
        Ok(status)
    })
}

/// Returns several events at once, which costs less than one event per call.
///
/// @param iter The iterator.
/// @param max The most events to return, above 0. A call may return fewer even before the end,
/// because it returns at most 4096 events and about 4 MiB: only ANNALS_DONE is the end.
/// @param out_events Receives an array of views, which is valid until the next call on this
/// iterator or until it is freed; NULL unless the result is ANNALS_OK.
/// @param out_n Receives the number of events in the array: at least 1 with ANNALS_OK.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE at the end; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CALLBACK if
/// an upcaster failed; ANNALS_E_CLOSED. Each of these, except ANNALS_OK, is returned after the
/// events before it, and then by all later calls. Also ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the iterator owns the views. Threads: any, one call at a time. Blocking: may read
/// files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_iter_next_batch(
    iter: *mut annals_iter,
    max: usize,
    out_events: *mut *const annals_event,
    out_n: *mut usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (events, count, err) = unsafe {
        (Out::cleared(out_events, ptr::null()), Out::cleared(out_n, 0), ErrorOut::cleared(err))
    };
    guard::call(err, || {
        events.required("out_events")?;
        count.required("out_n")?;
        if max == 0 {
            return Err(Details::invalid("max", "it is 0"));
        }
        // SAFETY: the caller upholds this function's contract.
        let mut iter = unsafe { handle::exclusive(iter) }?;
        let status = iter.advance(max.min(BATCH_EVENTS_MAX))?;
        if !iter.views.is_empty() {
            events.set(iter.views.as_ptr());
            count.set(iter.views.len());
        }
        Ok(status)
    })
}

/// Frees an iterator and all views obtained from it.
///
/// @param iter The iterator. NULL is a no-op.
///
/// Threads: any; no other thread may be using the iterator. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `iter` is NULL or an iterator, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_iter_free(iter: *mut annals_iter) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(iter) };
}
