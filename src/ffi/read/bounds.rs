//! The last position of a read, and the times that it lets pass.

use crate::Timestamp;
use crate::ffi::{
    read::options::{annals_read_options, set},
    status::annals_status,
};

/// Sets the position in the store at which reading ends, inclusive, in the direction of reading:
/// forwards no event after it is read, backwards none before it. For annals_read_all and
/// annals_read_stream; annals_subscribe and annals_query_read refuse it.
///
/// @param options The read options.
/// @param position The position.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new` and is not freed meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_until_position(
    options: *mut annals_read_options,
    position: u64,
) -> annals_status {
    // SAFETY: as promised to this function.
    unsafe {
        set(options, |options| {
            options.until_position = Some(position);
            Ok(())
        })
    }
}

/// Leaves out the events with an earlier time. Times are compared as annals_event has them, in
/// microseconds since the Unix epoch, and need not rise with the positions. For annals_read_all and
/// annals_read_stream; annals_subscribe and annals_query_read refuse it.
///
/// @param options The read options.
/// @param timestamp_us The earliest time, inclusive: one of the years 1 to 9999.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new` and is not freed meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_since(
    options: *mut annals_read_options,
    timestamp_us: i64,
) -> annals_status {
    // SAFETY: as promised to this function.
    unsafe {
        set(options, |options| {
            options.since = Some(Timestamp::utc(timestamp_us)?);
            Ok(())
        })
    }
}

/// Leaves out the events with a later time. See annals_read_options_set_since.
///
/// @param options The read options.
/// @param timestamp_us The latest time, inclusive: one of the years 1 to 9999.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_read_options_new` and is not freed meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_read_options_set_until(
    options: *mut annals_read_options,
    timestamp_us: i64,
) -> annals_status {
    // SAFETY: as promised to this function.
    unsafe {
        set(options, |options| {
            options.until = Some(Timestamp::utc(timestamp_us)?);
            Ok(())
        })
    }
}
