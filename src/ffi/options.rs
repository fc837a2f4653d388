//! How a store is opened.

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

/// An append returns once its events survive a power cut. The default.
pub const ANNALS_DURABILITY_SYNC: u32 = 0;
/// An append returns once its events are ordered and visible to readers of this process. At most
/// the last `max_delay_ms` of them may be lost in a crash of the system, always a suffix of whole
/// appends; a crash of the process alone loses none. annals_flush makes all of them durable.
pub const ANNALS_DURABILITY_BUFFERED: u32 = 1;

/// How a store is opened: made by annals_options_new, set up, handed to annals_open any number of
/// times, and freed.
#[derive(Debug)]
pub struct annals_options {
    _private: [u8; 0],
}

/// The choices of a caller, and the upcasters of the stores that are opened with them.
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

/// Makes options with the defaults: ANNALS_DURABILITY_SYNC, a cache of 64 MiB, and creating the
/// store where there is none.
///
/// @return The options; NULL only when there is no memory.
///
/// Ownership: the caller frees them with annals_options_free. Threads: any. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// Nothing to keep.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_new() -> *mut annals_options {
    guard::value(std::ptr::null_mut(), || handle::make(OpenOptions::default()))
}

/// Frees options. Stores that were opened with them are not affected.
///
/// @param options The options, or NULL, which is nothing to do.
///
/// Threads: any, with no other call on the same options. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_options_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_options_free(options: *mut annals_options) {
    // SAFETY: as promised to this function.
    unsafe { handle::free(options) };
}

/// Changes options by what `change` makes of them.
///
/// # Safety
/// `options` is NULL or comes from `annals_options_new` and is not freed meanwhile.
unsafe fn set(
    options: *mut annals_options,
    change: impl FnOnce(Options) -> Result<Options, Box<Details>>,
) -> annals_status {
    guard::quietly(|| {
        // SAFETY: the caller keeps the promise.
        let mut options = unsafe { handle::exclusive(options) }?;
        options.options = change(options.options.clone())?;
        Ok(ANNALS_OK)
    })
}

/// Sets when an append returns.
///
/// @param options The options.
/// @param durability ANNALS_DURABILITY_SYNC or ANNALS_DURABILITY_BUFFERED.
/// @param max_delay_ms The longest time that a buffered event waits for its sync, in milliseconds:
/// above 0 with ANNALS_DURABILITY_BUFFERED (10 is a good value), 0 with ANNALS_DURABILITY_SYNC.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `options` is NULL or comes from `annals_options_new` and is not freed meanwhile.
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
    // SAFETY: as promised to this function.
    unsafe {
        set(options, |options| match durability {
            Ok(durability) => Ok(options.durability(durability)),
            Err(argument) => Err(Details::invalid(argument, "see ANNALS_DURABILITY_BUFFERED")),
        })
    }
}

/// Sets about how much memory the page cache of the store takes.
///
/// @param options The options.
/// @param bytes The size; less than 1 MiB counts as 1 MiB.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_options_set_durability`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_set_cache_bytes(
    options: *mut annals_options,
    bytes: u64,
) -> annals_status {
    // SAFETY: as promised to this function.
    unsafe { set(options, |options| Ok(options.cache_bytes(bytes))) }
}

/// Sets whether annals_open makes a store where there is none.
///
/// @param options The options.
/// @param create If false, opening what is not there fails with ANNALS_E_IO and the os code ENOENT.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_options_set_durability`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_set_create(
    options: *mut annals_options,
    create: bool,
) -> annals_status {
    // SAFETY: as promised to this function.
    unsafe { set(options, |options| Ok(options.create(create))) }
}

/// Sets whether annals_open rebuilds trees that cannot be used from the journal; see
/// annals_recovery.
///
/// @param options The options.
/// @param rebuild If false, such a store fails with ANNALS_E_CORRUPT and stays as it is. True at
/// the start.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
///
/// # Safety
/// As for `annals_options_set_durability`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_options_set_rebuild(
    options: *mut annals_options,
    rebuild: bool,
) -> annals_status {
    // SAFETY: as promised to this function.
    unsafe { set(options, |options| Ok(options.rebuild(rebuild))) }
}

/// Sets how long annals_open waits while the store is open elsewhere, before it answers
/// ANNALS_E_LOCKED.
///
/// @param options The options.
/// @param milliseconds The time; 0, as at the start, does not wait.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: never. Since: 0.1.0
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
    // SAFETY: as promised to this function.
    unsafe { set(options, |options| Ok(options.wait_for_lock(patience))) }
}
