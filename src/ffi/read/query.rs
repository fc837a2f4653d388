//! Queries: events selected by their types, tags and streams.

use std::{ffi::c_char, ptr};

use crate::ffi::{
    error::annals_error,
    event::annals_string,
    glue::{
        arguments,
        fault::Details,
        guard::{self, ErrorOut},
        handle::{self, Opaque, SharedStore},
    },
    status::{ANNALS_OK, annals_status},
};
use crate::{
    Query, QueryItem,
    limits::{self, QUERY_ITEMS_MAX},
};

/// Selects events: an event matches the query if it matches any of its items.
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

/// Creates a query without items. Functions that use a query reject it with
/// ANNALS_E_INVALID_ARGUMENT until an item is added.
///
/// @return The query; NULL only if there is not enough memory.
///
/// Ownership: the caller frees it with annals_query_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_query_new() -> *mut annals_query {
    guard::value(ptr::null_mut(), || handle::make(Query::new()))
}

/// Creates a query that matches every event. It accepts no items.
///
/// @return The query; NULL only if there is not enough memory.
///
/// Ownership: the caller frees it with annals_query_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_query_new_all() -> *mut annals_query {
    guard::value(ptr::null_mut(), || handle::make(Query::all()))
}

/// Adds an item. An event matches the item if its type is one of the given types, it has all given
/// tags, and it is in the given stream. What is not given matches any event. On an error nothing is
/// added.
///
/// @param query The query. It can have 1000 items.
/// @param types At most 1000 types, which are copied; (NULL, 0) for any type.
/// @param type_count The number of types.
/// @param tags At most 1000 tags, which are copied; (NULL, 0) to require no tag.
/// @param tag_count The number of tags.
/// @param stream The stream id, or (NULL, 0) for any stream. An empty id that is not NULL is
/// invalid.
/// @param stream_len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT, also if the item restricts nothing (use
/// annals_query_new_all) or the query is from annals_query_new_all; ANNALS_E_LIMIT;
/// ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
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
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let mut query = unsafe { handle::exclusive(query) }?;
        // SAFETY: the caller upholds this function's contract.
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
/// @param query The query. NULL is a no-op.
///
/// Threads: any; no other thread may be using the query. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `query` is NULL or comes from `annals_query_new` or `annals_query_new_all`, and is not used
/// again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_query_free(query: *mut annals_query) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(query) };
}
