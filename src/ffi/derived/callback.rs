//! Callbacks that take events, and what becomes of their user data.

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

/// Takes an event, which is valid until the callback returns.
///
/// @return 0 to go on; above 0 to stop after this event; below 0 to fail at this event.
pub type annals_event_fn =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, event: *const annals_event) -> i32>;

/// Takes user data back, once, when no callback will be given it any more; it must not use the
/// object that it was registered with.
pub type annals_destroy_fn = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// A registered callback. Its drop hands the user data back, so whoever calls it holds it.
#[derive(Debug)]
pub(in crate::ffi) struct Callback {
    call: annals_event_fn,
    user_data: UserData,
}

/// User data of a callback, which is handed back as this is dropped.
#[derive(Debug)]
pub(super) struct UserData {
    pub(super) pointer: *mut c_void,
    pub(super) destroy: annals_destroy_fn,
}

// SAFETY: the header says that callbacks and their user data are used on any thread, one at a time
// for each projection.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Callback {
    /// Takes charge of the user data, before anything else can fail.
    ///
    /// # Safety
    /// The functions and the user data are what the header asks for, until `destroy` is called.
    pub(in crate::ffi) unsafe fn new(
        call: annals_event_fn,
        user_data: *mut c_void,
        destroy: annals_destroy_fn,
    ) -> Callback {
        Callback { call, user_data: UserData { pointer: user_data, destroy } }
    }

    pub(in crate::ffi) fn check(&self) -> Result<(), Fault> {
        match self.call {
            Some(_) => Ok(()),
            None => Err(Details::invalid("handler", "it is NULL")),
        }
    }

    /// Hands over an event and returns what the callback does.
    pub(in crate::ffi) fn run(&self, store: &SharedStore, event: &RecordedEvent) -> i32 {
        let Some(call) = self.call else { return 0 };
        let tags = annals_event::tags_of(event);
        let view = annals_event::of(event, &tags);
        let _running = store.in_callback();
        // SAFETY: `new` was promised a function that takes this, and the event outlives the call.
        unsafe { call(self.user_data.pointer, &raw const view) }
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        let Some(destroy) = self.destroy.take() else { return };
        let user_data = self.pointer;
        let destroyed = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: whoever registered it promised a function that takes this; it is called once.
            unsafe { destroy(user_data) };
        }));
        if let Err(payload) = destroyed {
            std::mem::forget(payload);
        }
    }
}
