//! Queries: events by what they are.

use std::{ffi::c_char, ptr};

use crate::ffi::{
    error::annals_error,
    event::annals_string,
    glue::{
        arguments::{self, Out},
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle::{self, Opaque, SharedStore},
    },
    read::{annals_iter, annals_read_options, iter},
    status::{ANNALS_OK, annals_status},
    store::annals_store,
};
use crate::{
    Query, QueryItem,
    limits::{self, QUERY_ITEMS_MAX},
};

/// A set of events, by what they are: an event matches when it matches one of the items.
#[derive(Debug)]
pub struct annals_query {
    _private: [u8; 0],
}

impl Opaque for annals_query {
    type State = Query;
    const KIND: u32 = 12;
    const NAME: &'static str = "annals_query";

    fn store(_: &Query) -> Option<&SharedStore> {
        None
    }
}

/// Makes a query without items: ANNALS_E_INVALID_ARGUMENT wherever it is used, until an item is
/// added.
///
/// @return The query; NULL only when there is no memory.
///
/// Ownership: the caller frees it with annals_query_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// Nothing to keep.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_query_new() -> *mut annals_query {
    guard::value(ptr::null_mut(), || handle::make(Query::new()))
}

/// Makes the query that every event matches. It takes no item.
///
/// @return The query; NULL only when there is no memory.
///
/// Ownership: the caller frees it with annals_query_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// Nothing to keep.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_query_new_all() -> *mut annals_query {
    guard::value(ptr::null_mut(), || handle::make(Query::all()))
}

/// Adds an item. An event matches it when its type is one of these types, it has all of these tags,
/// and it is of this stream; each where one is given. On an error nothing is added.
///
/// @param query The query. It takes up to 1000 items.
/// @param types The types, up to 1000, which are copied; NULL with a count of 0 for any type.
/// @param type_count How many.
/// @param tags The tags, up to 1000, which are copied; NULL with a count of 0 where none is asked
/// for.
/// @param tag_count How many.
/// @param stream The stream id, or NULL for any stream. An empty one is invalid.
/// @param stream_len Its length, or ANNALS_NUL_TERMINATED.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT: also for an item that restricts nothing, for which
/// there is annals_query_new_all; ANNALS_E_LIMIT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_query_add_item(
    query: *mut annals_query,
    types: *const annals_string,
    type_count: usize,
    tags: *const annals_string,
    tag_count: usize,
    stream: *const c_char,
    stream_len: usize,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let mut query = unsafe { handle::exclusive(query) }?;
        // SAFETY: as promised to this function.
        let (types, tags, stream) = unsafe {
            let stream = match stream.is_null() && stream_len == 0 {
                true => None,
                false => Some(arguments::text(stream, stream_len, "stream id")?),
            };
            (
                arguments::texts(types, type_count, "types")?,
                arguments::texts(tags, tag_count, "tags")?,
                stream,
            )
        };
        let item = QueryItem::new().types(types).tags(tags);
        let item = match stream {
            Some(stream) => item.stream(stream),
            None => item,
        };
        if query.is_all() {
            let reason = "the query for all events takes no items";
            return Err(Details::invalid("query", reason));
        }
        item.check()?;
        limits::check("query (items)", query.items().len().saturating_add(1), QUERY_ITEMS_MAX)?;
        *query = std::mem::take(&mut *query).item(item);
        Ok(ANNALS_OK)
    })
}

/// Frees a query.
///
/// @param query The query, or NULL, which is nothing to do.
///
/// Threads: any, with no other call on the same query. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `query` is NULL or comes from `annals_query_new` or `annals_query_new_all`, and is not used
/// again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_query_free(query: *mut annals_query) {
    // SAFETY: as promised to this function.
    unsafe { handle::free(query) };
}

/// Reads the events that match a query, in the order of their positions.
///
/// @param store The store.
/// @param query The query, which is copied.
/// @param options_or_null Direction, limit and a position to start at, which are copied. Another
/// choice in it is refused.
/// @param out Receives the iterator.
/// @param out_head_or_null Receives at once what a decision that rests on these events gives as
/// `after` to annals_batch_require_none: the head of the store when the read began; forwards with a
/// limit that is reached, the position of the last event that comes out; with a limit of 0, 0.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_CORRUPT and ANNALS_E_IO:
/// the events up to the limit could not be read; ANNALS_E_CLOSED; ANNALS_E_NO_MEMORY;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC. What is wrong with the events
/// shows in annals_iter_next.
///
/// Ownership: the caller frees the iterator with annals_iter_free, before or after the store is
/// closed. Threads: any number at once. Blocking: may read files for out_head_or_null.
/// Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
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
    // SAFETY: as promised to this function.
    let (out, head, err) = unsafe {
        (
            Out::cleared(out, ptr::null_mut()),
            Out::cleared(out_head_or_null, 0),
            ErrorOut::cleared(err),
        )
    };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: as promised to this function.
        let (store, query) = unsafe { (handle::shared(store)?, handle::shared(query)?) };
        let mut found = store.events.query(&query);
        if !options_or_null.is_null() {
            // SAFETY: as promised to this function.
            let options = unsafe { handle::shared(options_or_null) }?;
            found = options.apply_to_query(found)?;
        }
        found.check()?;
        let known: Result<u64, Fault> = match head.is_wanted() {
            true => Ok(found.try_head()?),
            false => Ok(0),
        };
        let known = known?;
        out.set(iter::over(&store, found)?);
        head.set(known);
        Ok(ANNALS_OK)
    })
}
