//! The version of the library.

use std::ffi::{CStr, c_char};

use crate::ffi::glue::guard;

/// The version of the ABI that this header describes. A library with another ABI version does not
/// fit the program: see ANNALS_CHECK_VERSION.
pub const ANNALS_ABI_VERSION: u32 = 2;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

const VERSION_NUMBER: u32 = {
    let major = number(env!("CARGO_PKG_VERSION_MAJOR"));
    let minor = number(env!("CARGO_PKG_VERSION_MINOR"));
    let patch = number(env!("CARGO_PKG_VERSION_PATCH"));
    major
        .saturating_mul(1_000_000)
        .saturating_add(minor.saturating_mul(1_000))
        .saturating_add(patch)
};

const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}

/// Returns the version of the library at run time, such as "0.1.0": its own ANNALS_VERSION_STRING.
///
/// @return A static string.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_version() -> *const c_char {
    guard::value(VERSION.as_ptr(), || Ok(VERSION.as_ptr()))
}

/// Returns the version of the library at run time as a number: major * 1000000 + minor * 1000 +
/// patch.
///
/// @return The library's own ANNALS_VERSION_NUMBER.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_version_number() -> u32 {
    guard::value(VERSION_NUMBER, || Ok(VERSION_NUMBER))
}

/// Returns the ABI version of the library at run time.
///
/// @return The library's own ANNALS_ABI_VERSION.
///
/// Threads: any. Blocking: never. Since: 0.1.0
///
/// # Safety
/// No requirements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_abi_version() -> u32 {
    guard::value(ANNALS_ABI_VERSION, || Ok(ANNALS_ABI_VERSION))
}
