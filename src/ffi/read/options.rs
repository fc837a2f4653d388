//! Read options: where a read starts, what it skips, and where it ends.

use std::{ffi::c_char, ptr};

use crate::ffi::{
    glue::{
        arguments,
        fault::{Details, Fault},
        guard,
        handle::{self, Opaque, SharedStore},
    },
    read::annals_query,
    status::{ANNALS_OK, annals_status},
};
use crate::{
    Events, Found, Query, Subscription, Timestamp,
    limits::{self, NAME_BYTES_MAX},
};

/// What to read. Read options are created by annals_read_options_new, used by annals_read_stream,
/// annals_read_all, annals_query_read or annals_subscribe any number of times, and freed by
/// annals_read_options_free.
#[derive(Debug)]
pub struct annals_read_options {
    _private: [u8; 0],
}

/// The caller's options.
#[derive(Debug, Default)]
pub(in crate::ffi) struct ReadOptions {
    is_backward: bool,
    limit: Option<u64>,
    from_version: Option<u64>,
    from_position: Option<u64>,
    pub(super) until_position: Option<u64>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    event_types: Vec<String>,
    stream_prefix: Option<String>,
    query: Option<Query>,
}

impl Opaque for annals_read_options {
    type State = ReadOptions;
    const KIND: u32 = 4;
    const NAME: &'static str = "annals_read_options";

    fn store(_: &ReadOptions) -> Option<&SharedStore> {
        None
    }
}

impl ReadOptions {
    /// Applies the options to a read.
    pub(in crate::ffi) fn apply(&self, events: Events) -> Events {
        let mut events = events.event_types(self.event_types.iter().cloned());
        if self.is_backward {
            events = events.backward();
        }
        if let Some(limit) = self.limit {
            events = events.limit(limit);
        }
        if let Some(version) = self.from_version {
            events = events.from_version(version);
        }
        if let Some(position) = self.from_position {
            events = events.from_position(position);
        }
        if let Some(position) = self.until_position {
            events = events.until_position(position);
        }
        if let Some(time) = self.since {
            events = events.since(time);
        }
        if let Some(time) = self.until {
            events = events.until(time);
        }
        if let Some(query) = &self.query {
            events = events.query(query);
        }
        match &self.stream_prefix {
            Some(prefix) => events.stream_prefix(prefix.as_str()),
            None => events,
        }
    }

    /// Applies the options to a query. It rejects those that a query replaces.
    pub(in crate::ffi) fn apply_to_query(&self, found: Found) -> Result<Found, Fault> {
        let refused = |what: &str| Err(Details::invalid("options", what));
        if !self.event_types.is_empty() || self.stream_prefix.is_some() {
            return refused("types and a stream prefix belong in the items of the query");
        }
        if self.from_version.is_some() {
            return refused("a query has no start version: set a start position instead");
        }
        if self.query.is_some() {
            return refused("pass the query to annals_query_read only");
        }
        if self.has_end() {
            return refused("a query has no last position and no timestamp bounds");
        }
        let mut found = found;
        if self.is_backward {
            found = found.backward();
        }
        if let Some(limit) = self.limit {
            found = found.limit(limit);
        }
        if let Some(position) = self.from_position {
            found = found.from_position(position);
        }
        Ok(found)
    }
}

impl ReadOptions {
    /// Whether an option is set that works only for reads of a stream and of the whole store.
    fn has_end(&self) -> bool {
        self.until_position.is_some() || self.since.is_some() || self.until.is_some()
    }

    /// Applies the options to a subscription. Also returns the limit on its events, if any.
    pub(in crate::ffi) fn apply_to_subscription(
        &self,
        events: Subscription,
    ) -> Result<(Subscription, Option<u64>), Fault> {
        let refused = |what: &str| Err(Details::invalid("options", what));
        if self.is_backward {
            return refused("a subscription only goes forwards");
        }
        if self.from_version.is_some() {
            return refused("a subscription has no start version: pass a start position instead");
        }
        if self.query.is_some() && (!self.event_types.is_empty() || self.stream_prefix.is_some()) {
            return refused("types and a stream prefix belong in the items of the query");
        }
        if self.from_position.is_some() {
            return refused("pass the start position to annals_subscribe instead");
        }
        if self.has_end() {
            return refused("a subscription has no last position and no timestamp bounds");
        }
        let events = events.event_types(self.event_types.iter().cloned());
        let events = match &self.query {
            Some(query) => events.query(query),
            None => events,
        };
        let events = match &self.stream_prefix {
            Some(prefix) => events.stream_prefix(prefix.as_str()),
            None => events,
        };
        Ok((events, self.limit))
    }
}

/// Creates read options that read everything, forwards.
///
/// @return The read options; NULL only if there is not enough memory.
///
/// Ownership: the caller frees them with annals_read_options_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_new() -> *mut annals_read_options {
    guard::value(ptr::null_mut(), || handle::make(ReadOptions::default()))
}

/// Frees read options. Iterators and subscriptions that were created with them are not affected.
///
/// @param options The read options. NULL is a no-op.
///
/// Threads: any; no other thread may be using the read options. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_read_options_free(options: *mut annals_read_options) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(options) };
}

/// Changes one option.
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new`, and is not freed during the call.
pub(super) unsafe fn set(
    options: *mut annals_read_options,
    choose: impl FnOnce(&mut ReadOptions) -> Result<(), Fault>,
) -> annals_status {
    guard::quietly(|| {
        // SAFETY: the caller upholds this function's contract.
        let mut options = unsafe { handle::exclusive(options) }?;
        choose(&mut options)?;
        Ok(ANNALS_OK)
    })
}

/// Sets the direction.
///
/// @param options The read options.
/// @param backward True to read from the last event to the first.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new`, and is not freed during the call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_backward(
    options: *mut annals_read_options,
    backward: bool,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            options.is_backward = backward;
            Ok(())
        })
    }
}

/// Sets the maximum number of events, counted after the filters.
///
/// @param options The read options.
/// @param limit The number of events; 0 reads nothing.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_read_options_set_backward`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_limit(
    options: *mut annals_read_options,
    limit: u64,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            options.limit = Some(limit);
            Ok(())
        })
    }
}

/// Sets the version of the stream at which reading starts, inclusive. The default is the first
/// event, or the last when reading backwards. Only for annals_read_stream; other functions reject
/// it with ANNALS_E_INVALID_ARGUMENT.
///
/// @param options The read options.
/// @param version The version.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_read_options_set_backward`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_from_version(
    options: *mut annals_read_options,
    version: u64,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            options.from_version = Some(version);
            Ok(())
        })
    }
}

/// Sets the position in the store at which reading starts, inclusive. The default is the first
/// event, or the last when reading backwards. annals_subscribe rejects it with
/// ANNALS_E_INVALID_ARGUMENT.
///
/// @param options The read options.
/// @param position The position.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_read_options_set_backward`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_from_position(
    options: *mut annals_read_options,
    position: u64,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            options.from_position = Some(position);
            Ok(())
        })
    }
}

/// Adds an event type to the filter: only events of the added types are read. Without the filter,
/// all types are read.
///
/// @param options The read options.
/// @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_read_options_set_backward`; `type` is readable for `len`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_add_type(
    options: *mut annals_read_options,
    r#type: *const c_char,
    len: usize,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            let event_type = arguments::text(r#type, len, "event type")?;
            check_name("event type", "event type (bytes)", event_type)?;
            options.event_types.push(event_type.to_owned());
            Ok(())
        })
    }
}

/// Reads only streams whose ids start with a prefix. For annals_read_all and annals_subscribe;
/// other functions reject it with ANNALS_E_INVALID_ARGUMENT.
///
/// @param options The read options.
/// @param prefix The prefix, which is copied; an empty one removes the filter.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT if it is longer than any stream id;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_read_options_set_backward`; `prefix` is readable for `len`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_stream_prefix(
    options: *mut annals_read_options,
    prefix: *const c_char,
    len: usize,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            let prefix = arguments::text(prefix, len, "stream prefix")?;
            limits::check("stream prefix (bytes)", prefix.len(), NAME_BYTES_MAX)?;
            options.stream_prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
            Ok(())
        })
    }
}

/// Reads only events that match a query. For annals_read_all and annals_subscribe, and not together
/// with types or a stream prefix: add those to the items of the query.
///
/// @param options The read options.
/// @param query The query, which is copied.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_read_options_set_backward`; `query` is NULL or a query that is not freed during
/// the call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_query(
    options: *mut annals_read_options,
    query: *const annals_query,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            let query = handle::shared(query)?;
            query.check()?;
            options.query = Some(query.clone());
            Ok(())
        })
    }
}

pub(in crate::ffi) fn check_name(
    argument: &str,
    what: &'static str,
    name: &str,
) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Details::invalid(argument, "it is empty"));
    }
    if let Some(offset) = name.find('\0') {
        let reason = format_args!("it holds a NUL at byte offset {offset}");
        return Err(Details::invalid(argument, reason));
    }
    Ok(limits::check(what, name.len(), NAME_BYTES_MAX)?)
}
