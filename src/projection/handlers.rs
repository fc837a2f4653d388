//! Handlers: what each type of event does to a state.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{Error, event::RecordedEvent};

/// Why a handler failed: any error, or a text by way of `into`.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

type Handler<S> = Arc<dyn Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync>;

/// Which function takes account of which type of event. Clones are cheap and share the functions.
///
/// A handler should depend on nothing but the state and the event. It may be run again for an event
/// that it has had: after a restart from an older snapshot, and when the state is restored because
/// a later event failed. One that acts on the world, such as by appending, uses event ids or
/// expected versions, so that acting twice does nothing.
///
/// # Examples
/// ```
/// use annals::{Handlers, HandlerError, RecordedEvent};
///
/// let handlers = Handlers::new()
///     .when("Deposited", |balance: &mut i64, event: &RecordedEvent| -> Result<(), HandlerError> {
///         *balance += event.json::<i64>()?;
///         Ok(())
///     })
///     .when("Withdrawn", |balance, event| {
///         *balance -= event.json::<i64>()?;
///         Ok(())
///     });
/// assert!(handlers.handles("Deposited") && !handlers.handles("Opened"));
/// ```
pub struct Handlers<S> {
    by_type: HashMap<String, Handler<S>>,
}

impl<S> Handlers<S> {
    /// No handlers: every event is passed over.
    pub fn new() -> Handlers<S> {
        Handlers { by_type: HashMap::new() }
    }

    /// Runs `handler` for events of this type, in place of the one before.
    #[must_use]
    pub fn when<H>(mut self, event_type: impl Into<String>, handler: H) -> Handlers<S>
    where
        H: Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.set(event_type.into(), handler);
        self
    }

    pub(super) fn set<H>(&mut self, event_type: String, handler: H)
    where
        H: Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.by_type.insert(event_type, Arc::new(handler));
    }

    /// Whether there is a handler for this type.
    pub fn handles(&self, event_type: &str) -> bool {
        self.by_type.contains_key(event_type)
    }

    /// Runs the handler for the event, if there is one. A failure, or a panic, may leave the state
    /// half changed.
    pub(super) fn run(&self, state: &mut S, event: &RecordedEvent) -> Result<(), Error> {
        let Some(handler) = self.by_type.get(event.event_type()) else { return Ok(()) };
        let outcome = catch_unwind(AssertUnwindSafe(|| handler(state, event)));
        let outcome = outcome.unwrap_or_else(|payload| Err(panic_error(payload)));
        outcome.map_err(|source| Error::Handler {
            event_type: event.event_type().to_owned(),
            position: event.position(),
            source: source.into(),
        })
    }
}

/// What a panic says, as an error. The payload's own destructor may panic once more.
fn panic_error(payload: Box<dyn Any + Send>) -> HandlerError {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    if catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err_and(|again| {
        std::mem::forget(again);
        true
    }) {
        return "it panicked, and once more while that was cleared away".into();
    }
    match text {
        Some(text) => format!("it panicked: {text}").into(),
        None => "it panicked without a text".into(),
    }
}

impl<S> Default for Handlers<S> {
    fn default() -> Handlers<S> {
        Handlers::new()
    }
}

impl<S> Clone for Handlers<S> {
    fn clone(&self) -> Handlers<S> {
        Handlers { by_type: self.by_type.clone() }
    }
}

impl<S> fmt::Debug for Handlers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut types: Vec<&String> = self.by_type.keys().collect();
        types.sort();
        f.debug_tuple("Handlers").field(&types).finish()
    }
}
