//! Upcasters: callbacks that convert events with an old shape as they are read.

use std::{
    ffi::{c_char, c_void},
    panic::catch_unwind,
    slice,
    sync::Arc,
};

use crate::ffi::{
    derived::{annals_destroy_fn, callback::UserData},
    event::annals_event,
    glue::{
        arguments,
        callbacks::Callbacks,
        fault::{CallbackFailed, Details, Fault},
        guard, handle,
    },
    ndjson::annals_write_fn,
    options::annals_options,
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
struct Step {
    event_type: String,
    from: u32,
    call: annals_upcast_fn,
    user_data: UserData,
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
    fn add(&mut self, step: Step) -> Result<(), Fault> {
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
