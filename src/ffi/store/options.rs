//! Options for opening a store.

use std::{
    ffi::{c_char, c_void},
    time::Duration,
};

use crate::ffi::{
    callback::{UserData, annals_destroy_fn},
    glue::{
        arguments,
        fault::Details,
        guard,
        handle::{self, Opaque, SharedStore},
    },
    status::{ANNALS_OK, annals_status},
    store::upcast::{Step, Steps, annals_upcast_fn},
};
use crate::{Durability, Options};

/// An append returns once its events survive a power cut. This is the default.
pub const ANNALS_DURABILITY_SYNC: u32 = 0;
/// An append returns once its events are ordered and visible to readers in this process. A crash of
/// the operating system may lose the appends of the last `max_delay_ms`, always whole appends from
/// the end of the log; a crash of this process alone loses none. annals_flush makes all of them
/// durable.
pub const ANNALS_DURABILITY_BUFFERED: u32 = 1;

/// Options for annals_open, which may use them any number of times. They are created by
/// annals_options_new and freed by annals_options_free.
#[derive(Debug)]
pub struct annals_options {
    _private: [u8; 0],
}

/// The caller's options, and the upcasters of the stores that are opened with them.
#[derive(Debug, Default)]
pub(in crate::ffi) struct OpenOptions {
    pub(in crate::ffi) options: Options,
    pub(in crate::ffi) upcasters: Steps,
}

impl Opaque for annals_options {
    type State = OpenOptions;
    const KIND: u32 = 2;
    const NAME: &'static str = "annals_options";

    fn store(_: &OpenOptions) -> Option<&SharedStore> {
        None
    }
}

/// Creates options with the defaults: ANNALS_DURABILITY_SYNC, a cache of 64 MiB, and a store is
/// created if there is none.
///
/// @return The options; NULL only if there is not enough memory.
///
/// Ownership: the caller frees them with annals_options_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_new() -> *mut annals_options {
    guard::value(std::ptr::null_mut(), || handle::make(OpenOptions::default()))
}

/// Frees options. Stores that were opened with them are not affected.
///
/// @param options The options. NULL is a no-op.
///
/// Threads: any; no other thread may be using the options. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_options_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_options_free(options: *mut annals_options) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(options) };
}

/// Applies `change` to the options.
///
/// # Safety
/// `options` is NULL or comes from `annals_options_new`, and is not freed during the call.
unsafe fn set(
    options: *mut annals_options,
    change: impl FnOnce(Options) -> Result<Options, Box<Details>>,
) -> annals_status {
    guard::quietly(|| {
        // SAFETY: the caller upholds this function's contract.
        let mut options = unsafe { handle::exclusive(options) }?;
        options.options = change(options.options.clone())?;
        Ok(ANNALS_OK)
    })
}

/// Sets at what point an append returns.
///
/// @param options The options.
/// @param durability ANNALS_DURABILITY_SYNC or ANNALS_DURABILITY_BUFFERED.
/// @param max_delay_ms The longest time in milliseconds that a buffered event waits for its sync:
/// above 0 with ANNALS_DURABILITY_BUFFERED (10 is a good value), 0 with ANNALS_DURABILITY_SYNC.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_options_new`, and is not freed during the call.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_set_durability(
    options: *mut annals_options,
    durability: u32,
    max_delay_ms: u32,
) -> annals_status {
    let durability = match (durability, max_delay_ms) {
        (ANNALS_DURABILITY_SYNC, 0) => Ok(Durability::Sync),
        (ANNALS_DURABILITY_BUFFERED, 1..) => {
            let max_delay = Duration::from_millis(max_delay_ms.into());
            Ok(Durability::Buffered { max_delay })
        }
        (ANNALS_DURABILITY_SYNC | ANNALS_DURABILITY_BUFFERED, _) => Err("max_delay_ms"),
        _ => Err("durability"),
    };
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        set(options, |options| match durability {
            Ok(durability) => Ok(options.durability(durability)),
            Err(argument) => Err(Details::invalid(argument, "see ANNALS_DURABILITY_BUFFERED")),
        })
    }
}

/// Sets the approximate memory use of the store's page cache.
///
/// @param options The options.
/// @param bytes The size in bytes; anything below 1 MiB means 1 MiB.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_options_set_durability`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_set_cache_bytes(
    options: *mut annals_options,
    bytes: u64,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe { set(options, |options| Ok(options.cache_bytes(bytes))) }
}

/// Sets whether annals_open creates a store if there is none.
///
/// @param options The options.
/// @param create If false, opening a missing store fails with ANNALS_E_IO and the os code ENOENT.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_options_set_durability`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_set_create(
    options: *mut annals_options,
    create: bool,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe { set(options, |options| Ok(options.create(create))) }
}

/// Sets whether annals_open rebuilds unusable trees from the journal; see annals_recovery.
///
/// @param options The options.
/// @param rebuild True, the default: rebuild them. False: fail with ANNALS_E_CORRUPT and change
/// nothing.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_options_set_durability`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_set_rebuild(
    options: *mut annals_options,
    rebuild: bool,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    unsafe { set(options, |options| Ok(options.rebuild(rebuild))) }
}

/// Sets how long annals_open waits if the store is already open, before it returns ANNALS_E_LOCKED.
///
/// @param options The options.
/// @param milliseconds The time. The default is 0: do not wait.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_options_set_durability`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_set_wait_ms(
    options: *mut annals_options,
    milliseconds: u32,
) -> annals_status {
    let patience = Duration::from_millis(milliseconds.into());
    // SAFETY: the caller upholds this function's contract.
    unsafe { set(options, |options| Ok(options.wait_for_lock(patience))) }
}

/// Adds an upcaster: a step that converts the data of one event type from a schema version to the
/// next one. It applies to every function that reads events, and before the callbacks of
/// projections. What is stored, exported and backed up stays as it is.
///
/// The schema version of an event is the number `schema_version` in its metadata, or 1 without it.
/// The first step of a type may start at any version; each further step must start where the
/// previous one ended. Binary data is not converted. If callbacks of a projection rely on the new
/// shape, the projection needs a new version: see annals_projection_set_version.
///
/// @param options The options. Stores that are opened with them from now on use the step; stores
/// that are already open do not.
/// @param type The event type, which is copied: 1 to 255 bytes of UTF-8 without NUL.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param from_version The schema version that the step converts: 1 to UINT32_MAX - 1.
/// @param upcast Converts an event.
/// @param user_data Passed to `upcast`.
/// @param destroy Receives `user_data` once the options, every store opened with them, and
/// everything made from those stores are freed; or if this call fails. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT, also if the step does not start where the previous
/// one ended; ANNALS_E_LIMIT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Ownership: takes ownership of `user_data`, and gives it back through `destroy`, exactly once.
/// Threads: any, one call at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_add_upcaster(
    options: *mut annals_options,
    r#type: *const c_char,
    len: usize,
    from_version: u32,
    upcast: annals_upcast_fn,
    user_data: *mut c_void,
    destroy: annals_destroy_fn,
) -> annals_status {
    // From here on, every exit gives the user data back.
    let user_data = UserData { pointer: user_data, destroy };
    guard::quietly(|| {
        // SAFETY: the caller upholds this function's contract.
        let (mut options, event_type) = unsafe {
            let options = handle::exclusive(options)?;
            (options, arguments::text(r#type, len, "event type")?)
        };
        if upcast.is_none() {
            return Err(Details::invalid("upcast", "it is NULL"));
        }
        let event_type = event_type.to_owned();
        options.upcasters.add(Step { event_type, from: from_version, call: upcast, user_data })?;
        Ok(ANNALS_OK)
    })
}
