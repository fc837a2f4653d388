//! Read options: the last position, and bounds on the timestamps.

use crate::Timestamp;
use crate::ffi::{
    read::options::{annals_read_options, set},
    status::annals_status,
};

/// Sets the position in the store at which reading ends, inclusive: no event after it is read, or
/// before it when reading backwards. For annals_read_all and annals_read_stream; annals_subscribe
/// and annals_query_read reject it with ANNALS_E_INVALID_ARGUMENT.
///
/// @param options The read options.
/// @param position The position.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new`, and is not freed during the call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_until_position(
    options: *mut annals_read_options,
    position: u64,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            options.until_position = Some(position);
            Ok(())
        })
    }
}

/// Skips events with an earlier timestamp. Timestamps are compared as in annals_event, in
/// microseconds since the Unix epoch; they need not rise with the positions. For annals_read_all
/// and annals_read_stream; annals_subscribe and annals_query_read reject it with
/// ANNALS_E_INVALID_ARGUMENT.
///
/// @param options The read options.
/// @param timestamp_us The earliest timestamp, inclusive, in the years 1 to 9999.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new`, and is not freed during the call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_since(
    options: *mut annals_read_options,
    timestamp_us: i64,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            options.since = Some(Timestamp::utc(timestamp_us)?);
            Ok(())
        })
    }
}

/// Skips events with a later timestamp. See annals_read_options_set_since.
///
/// @param options The read options.
/// @param timestamp_us The latest timestamp, inclusive, in the years 1 to 9999.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new`, and is not freed during the call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_until(
    options: *mut annals_read_options,
    timestamp_us: i64,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| {
            options.until = Some(Timestamp::utc(timestamp_us)?);
            Ok(())
        })
    }
}
