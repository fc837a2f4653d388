//! The types of callbacks that several functions take, and the ownership of their user data.

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::RecordedEvent;
use crate::ffi::{
    event::annals_event,
    glue::{
        fault::{Details, Fault},
        handle::SharedStore,
    },
};

/// Receives an event, which is valid until the callback returns.
///
/// @return 0 to continue; a positive value to stop after this event; a negative value to fail at
/// this event.
pub type annals_event_fn =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, event: *const annals_event) -> i32>;

/// Receives bytes of an export, which are valid until the callback returns.
///
/// The callback returns 0 to continue, a positive value to stop after it has taken these bytes (the
/// export then returns ANNALS_DONE), or a negative value to fail (the export then returns
/// ANNALS_E_CALLBACK). It runs on the thread of the call, with no lock held. It may use the store,
/// but must not close it. It must not throw or longjmp.
pub type annals_write_fn =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, data: *const u8, len: usize) -> i32>;

/// Takes ownership of user data back: called once, after the last call of the callback with that
/// data. It must not use the object with which the callback was registered.
pub type annals_destroy_fn = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// A registered callback. Dropping it gives the user data back, so a caller must hold it during the
/// call.
#[derive(Debug)]
pub(in crate::ffi) struct Callback {
    call: annals_event_fn,
    user_data: UserData,
}

/// The user data of a callback. Dropping it calls `destroy`.
#[derive(Debug)]
pub(in crate::ffi) struct UserData {
    pub(in crate::ffi) pointer: *mut c_void,
    pub(in crate::ffi) destroy: annals_destroy_fn,
}

// SAFETY: the header says that callbacks and their user data are used on any thread, but for each
// projection only one at a time.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Callback {
    /// Takes ownership of the user data, before anything can fail.
    ///
    /// # Safety
    /// The functions and the user data are as the header requires, until `destroy` is called.
    pub(in crate::ffi) unsafe fn new(
        call: annals_event_fn,
        user_data: *mut c_void,
        destroy: annals_destroy_fn,
    ) -> Callback {
        Callback { call, user_data: UserData { pointer: user_data, destroy } }
    }

    /// Rejects a callback that is NULL. `name` is that of the argument.
    pub(in crate::ffi) fn check(&self, name: &str) -> Result<(), Fault> {
        match self.call {
            Some(_) => Ok(()),
            None => Err(Details::invalid(name, "it is NULL")),
        }
    }

    /// Passes an event to the callback and returns the callback's result.
    pub(in crate::ffi) fn run(&self, store: &SharedStore, event: &RecordedEvent) -> i32 {
        let Some(call) = self.call else { return 0 };
        let tags = annals_event::tags_of(event);
        let view = annals_event::of(event, &tags);
        let _running = store.in_callback();
        // SAFETY: `new` requires a function with this signature; the event outlives the call.
        unsafe { call(self.user_data.pointer, &raw const view) }
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        let Some(destroy) = self.destroy.take() else { return };
        let user_data = self.pointer;
        let destroyed = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the caller registered a function with this signature; it is called once.
            unsafe { destroy(user_data) };
        }));
        if let Err(payload) = destroyed {
            std::mem::forget(payload);
        }
    }
}
