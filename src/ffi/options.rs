//! Options for opening a store.

use std::time::Duration;

use crate::ffi::{
    derived::Steps,
    glue::{
        fault::Details,
        guard,
        handle::{self, Opaque, SharedStore},
    },
    status::{ANNALS_OK, annals_status},
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
