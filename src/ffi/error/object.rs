//! Error objects: why a call failed.

use crate::ffi::glue::{
    fault::Details,
    handle::{Opaque, SharedStore},
};

/// Why a call failed. An error object is immutable, belongs to the caller, may be used on any
/// thread, and may outlive the store. Free it with annals_error_free.
#[derive(Debug)]
pub struct annals_error {
    _private: [u8; 0],
}

impl Opaque for annals_error {
    type State = Details;
    const KIND: u32 = 1;
    const NAME: &'static str = "annals_error";

    fn store(_: &Details) -> Option<&SharedStore> {
        None
    }
}
