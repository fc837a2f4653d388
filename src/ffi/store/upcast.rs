//! Upcasters: callbacks that convert events with an old shape as they are read.

use std::{ffi::c_void, panic::catch_unwind, slice, sync::Arc};

use crate::ffi::{
    callback::{UserData, annals_write_fn},
    event::annals_event,
    glue::{
        callbacks::Callbacks,
        fault::{CallbackFailed, Fault},
    },
    status::{ANNALS_E_INVALID_ARGUMENT, ANNALS_E_NO_MEMORY, ANNALS_OK, annals_status},
};
use crate::{
    HandlerError, Upcast, Upcasters,
    sync::{self, Mutex},
};

/// Converts the data of an event to the shape of the next schema version. The event contains the
/// data as the previous steps have converted it. It is valid until the callback returns.
///
/// The callback passes the new data, the text of a JSON value, to `write(writer, data, len)`, in
/// one or several calls. `write` returns 0, or a negative status, which then makes the read fail.
/// If the callback does not call it, the data stays as it is. `write` and `writer` must not be used
/// after the callback returns.
///
/// The callback runs on any thread that reads, and on several at once. It must not use the store.
/// It must not throw or longjmp.
///
/// @return 0 if the event is converted; any other value makes the read fail with ANNALS_E_CALLBACK.
pub type annals_upcast_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        event: *const annals_event,
        write: annals_write_fn,
        writer: *mut c_void,
    ) -> i32,
>;

/// A registered callback, and its user data.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) event_type: String,
    pub(super) from: u32,
    pub(super) call: annals_upcast_fn,
    pub(super) user_data: UserData,
}

// SAFETY: the header says that the callback and its user data are used on any thread.
unsafe impl Send for Step {}
// SAFETY: the header says that the callback runs on several threads at once.
unsafe impl Sync for Step {}

/// The steps of some options, in the order in which they were added.
#[derive(Debug, Default)]
pub(in crate::ffi) struct Steps(Vec<Arc<Step>>);

impl Steps {
    /// Adds a step, which must follow the earlier steps of its event type.
    pub(super) fn add(&mut self, step: Step) -> Result<(), Fault> {
        self.0.push(Arc::new(step));
        let checked = self.counted_by(&Arc::default());
        if checked.is_err() {
            self.0.pop();
        }
        checked.map(drop)
    }

    /// The upcasters of a store. They are counted in `callbacks` while they run.
    pub(in crate::ffi) fn counted_by(
        &self,
        callbacks: &Arc<Callbacks>,
    ) -> Result<Upcasters, Fault> {
        let mut upcasters = Upcasters::new();
        for step in &self.0 {
            let (this, callbacks) = (Arc::clone(step), Arc::clone(callbacks));
            upcasters = upcasters.step(&*step.event_type, step.from, move |event| {
                let _running = callbacks.begin();
                this.run(event)
            })?;
        }
        Ok(upcasters)
    }
}

impl Step {
    fn run(&self, event: &mut Upcast<'_>) -> Result<(), HandlerError> {
        let Some(call) = self.call else { return Ok(()) };
        let written = Mutex::new(Written::default());
        let tags = annals_event::tags_of(event.recorded());
        let mut view = annals_event::of(event.recorded(), &tags);
        view.data = event.data().as_ptr();
        view.data_len = event.data().len();
        let writer = (&raw const written).cast_mut().cast::<c_void>();
        // SAFETY: `annals_options_add_upcaster` requires a function with this signature; the event
        // and the writer outlive the call.
        match unsafe { call(self.user_data.pointer, &raw const view, Some(keep), writer) } {
            0 => {}
            code => return Err(CallbackFailed(code).into()),
        }
        let written = std::mem::take(&mut *sync::lock(&written));
        match (written.failure, written.data) {
            (Some(status), _) => Err(CallbackFailed(status).into()),
            (None, Some(data)) => Ok(event.set_raw_json(&String::from_utf8(data)?)?),
            (None, None) => Ok(()),
        }
    }
}

/// What a callback has passed to `write`.
#[derive(Default)]
struct Written {
    /// `None` if it has not called `write`.
    data: Option<Vec<u8>>,
    /// The status of the first `write` that failed: without its piece the rest is not the data.
    failure: Option<annals_status>,
}

impl Written {
    /// # Safety
    /// `data` is NULL, or `len` bytes can be read there.
    unsafe fn add(&mut self, data: *const u8, len: usize) -> annals_status {
        let kept = self.data.get_or_insert_default();
        if (data.is_null() && len > 0) || isize::try_from(len).is_err() {
            return ANNALS_E_INVALID_ARGUMENT;
        }
        if kept.try_reserve(len).is_err() {
            return ANNALS_E_NO_MEMORY;
        }
        if len > 0 {
            // SAFETY: the caller upholds this function's contract.
            kept.extend_from_slice(unsafe { slice::from_raw_parts(data, len) });
        }
        ANNALS_OK
    }
}

/// The `write` function that an upcaster receives: it keeps a piece of the new data.
unsafe extern "C-unwind" fn keep(writer: *mut c_void, data: *const u8, len: usize) -> i32 {
    let kept = catch_unwind(|| {
        if writer.is_null() {
            return ANNALS_E_INVALID_ARGUMENT;
        }
        // SAFETY: the callback received this writer, which lives until the callback returns.
        let mut written = sync::lock(unsafe { &*writer.cast::<Mutex<Written>>() });
        // SAFETY: the callback guarantees that it passes this many bytes.
        let status = unsafe { written.add(data, len) };
        if status < 0 {
            written.failure.get_or_insert(status);
        }
        status
    });
    kept.unwrap_or(ANNALS_E_NO_MEMORY)
}
