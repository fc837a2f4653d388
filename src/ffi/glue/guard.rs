//! The wrapper around the body of each exported function.
//!
//! A panic becomes `ANNALS_E_PANIC` with the text of the panic. What it left half done is not used
//! again: the guards of the handles in use mark them as they are dropped (see `handle`). If the
//! library is built with `panic = "abort"`, nothing is caught, and the process ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::Out,
        fault::{Details, Fault, Outcome},
        handle,
    },
    status::annals_status,
};

/// Where a call stores its error object.
pub(in crate::ffi) struct ErrorOut(Out<*mut annals_error>);

impl ErrorOut {
    /// Clears the output, so that it never holds the error of an earlier call.
    ///
    /// # Safety
    /// `place` is NULL, or writable until the call ends.
    pub(in crate::ffi) unsafe fn cleared(place: *mut *mut annals_error) -> ErrorOut {
        // SAFETY: the caller upholds this function's contract.
        ErrorOut(unsafe { Out::cleared(place, std::ptr::null_mut()) })
    }

    fn give(&self, details: Details) -> annals_status {
        let status = details.status;
        if self.0.is_wanted() {
            // Without memory for an object, the caller gets only the status.
            let made = handle::make::<annals_error>(details);
            self.0.set(made.unwrap_or(std::ptr::null_mut()));
        }
        status
    }
}

/// Runs the body of a function that returns a status.
pub(in crate::ffi) fn call(err: ErrorOut, body: impl FnOnce() -> Outcome) -> annals_status {
    match caught(body) {
        Ok(status) => status,
        Err(fault) => err.give(*fault),
    }
}

/// Runs the body of a function that returns a status and has no `err` argument.
pub(in crate::ffi) fn quietly(body: impl FnOnce() -> Outcome) -> annals_status {
    caught(body).unwrap_or_else(|fault| fault.status)
}

/// Runs the body of a function that returns a value; returns `otherwise` after a fault or panic.
pub(in crate::ffi) fn value<T>(otherwise: T, body: impl FnOnce() -> Result<T, Fault>) -> T {
    caught(body).unwrap_or(otherwise)
}

fn caught<T>(body: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let result = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(feature = "panic-injection")]
        super::panic_injection::at_entry();
        body()
    }));
    result.unwrap_or_else(|payload| {
        let fault = Details::panicked(&*payload);
        // Dropping the payload runs foreign code, which may panic as well.
        if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
            std::mem::forget(second);
        }
        Err(fault)
    })
}
