//! Failures of the caller's own code: an error or a panic.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{Error, event::RecordedEvent};

type Cause = dyn std::error::Error + Send + Sync;

impl Error {
    /// Runs the caller's handler for an event.
    pub(crate) fn of_handler(
        event: &RecordedEvent,
        run: impl FnOnce() -> Result<(), Box<Cause>>,
    ) -> Result<(), Error> {
        Error::of_caller(false, event, run)
    }

    /// Runs a step of the caller's upcasters for an event.
    pub(crate) fn of_upcaster(
        event: &RecordedEvent,
        run: impl FnOnce() -> Result<(), Box<Cause>>,
    ) -> Result<(), Error> {
        Error::of_caller(true, event, run)
    }

    fn of_caller(
        is_upcaster: bool,
        event: &RecordedEvent,
        run: impl FnOnce() -> Result<(), Box<Cause>>,
    ) -> Result<(), Error> {
        caught(run).and_then(|outcome| outcome).map_err(|source| Error::Handler {
            is_upcaster,
            event_type: event.event_type().to_owned(),
            position: event.position(),
            source: source.into(),
        })
    }
}

/// Runs the caller's code. A panic is an error.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Box<Cause>> {
    catch_unwind(AssertUnwindSafe(run)).map_err(panic_error)
}

/// Turns a panic into an error with its message. The payload's destructor may panic again.
fn panic_error(payload: Box<dyn Any + Send>) -> Box<Cause> {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    if catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err_and(|again| {
        std::mem::forget(again);
        true
    }) {
        return "it panicked, and dropping the panic's payload panicked too".into();
    }
    match text {
        Some(text) => format!("it panicked: {text}").into(),
        None => "it panicked without a message".into(),
    }
}
