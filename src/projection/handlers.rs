//! Handlers: how each type of event changes a state.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{
    Error, Upcasters,
    event::{RecordedEvent, variants},
};

/// Why a handler failed: any error, or a text converted with `into`.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

type Handler<S> = Arc<dyn Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync>;

/// Maps each type of event to the function that applies it. Clones are cheap and share the
/// functions.
///
/// A handler should depend only on the state and the event. It may run again for an event that it
/// has already handled: after a restart from an older snapshot, or when the state is restored
/// because a later event failed. A handler with side effects, such as appending, should use event
/// ids or expected versions so that running it twice has no further effect.
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
    /// The handler for all other types.
    otherwise: Option<Handler<S>>,
}

impl<S> Handlers<S> {
    /// No handlers: every event is skipped.
    #[must_use]
    pub fn new() -> Handlers<S> {
        Handlers { by_type: HashMap::new(), otherwise: None }
    }

    /// Runs `handler` for events of this type. It replaces any earlier handler for the type.
    #[must_use]
    pub fn when<H>(mut self, event_type: impl Into<String>, handler: H) -> Handlers<S>
    where
        H: Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.set(event_type.into(), handler);
        self
    }

    /// Runs `handler` for the events of each variant of the enum `E`. It replaces any earlier
    /// handlers for these types. An event is read as [`RecordedEvent::to`] reads it; the handler
    /// also gets the event as it was recorded. If `E` has a variant with serde's `other`, the
    /// handler runs for all types without a handler, as with [`otherwise`](Self::otherwise).
    ///
    /// # Panics
    /// If `E` is not an enum that [`RecordedEvent::to`] can read.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, Handlers, NewEvent};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// enum AccountEvent {
    ///     Opened { owner: String },
    ///     Deposited(i64),
    ///     Withdrawn(i64),
    /// }
    ///
    /// let handlers = Handlers::new().each(|balance: &mut i64, event: AccountEvent, _| {
    ///     match event {
    ///         AccountEvent::Opened { .. } => {}
    ///         AccountEvent::Deposited(cents) => *balance += cents,
    ///         AccountEvent::Withdrawn(cents) => *balance -= cents,
    ///     }
    ///     Ok(())
    /// });
    /// assert_eq!(handlers.event_types(), ["Deposited", "Opened", "Withdrawn"]);
    ///
    /// let store = EventStore::in_memory()?;
    /// for event in [AccountEvent::Deposited(100), AccountEvent::Withdrawn(30)] {
    ///     store.append("account-1", ExpectedVersion::Any, [NewEvent::of(&event)?])?;
    /// }
    /// assert_eq!(store.load("account-1", 0, &handlers)?.state, 70);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn each<E, H>(mut self, handler: H) -> Handlers<S>
    where
        E: DeserializeOwned + 'static,
        H: Fn(&mut S, E, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        let Some((names, takes_others)) = variants::<E>() else { not_an_enum::<E>() };
        let handler: Handler<S> = Arc::new(move |state, event| handler(state, event.to()?, event));
        for name in names {
            self.by_type.insert((*name).to_owned(), handler.clone());
        }
        if takes_others {
            self.otherwise = Some(handler);
        }
        self
    }

    /// Runs `handler` for the events of all types without a handler. It replaces any earlier
    /// handler set this way. Without one, such events are skipped.
    ///
    /// # Examples
    /// ```
    /// use annals::Handlers;
    ///
    /// let handlers = Handlers::new()
    ///     .when("Opened", |_: &mut u64, _| Ok(()))
    ///     .otherwise(|_, event| Err(format!("{} is unknown", event.event_type()).into()));
    /// assert!(handlers.handles("Closed"));
    /// ```
    #[must_use]
    pub fn otherwise<H>(mut self, handler: H) -> Handlers<S>
    where
        H: Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.otherwise = Some(Arc::new(handler));
        self
    }

    pub(super) fn set<H>(&mut self, event_type: String, handler: H)
    where
        H: Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.by_type.insert(event_type, Arc::new(handler));
    }

    /// Whether there is a handler for this type, including one for all other types.
    pub fn handles(&self, event_type: &str) -> bool {
        self.handler(event_type).is_some()
    }

    /// The types that have a separate handler, in byte order. A type that
    /// [the store](crate::EventStore::event_types) has never seen may be misspelt.
    pub fn event_types(&self) -> Vec<&str> {
        let mut types: Vec<&str> = self.by_type.keys().map(String::as_str).collect();
        types.sort_unstable();
        types
    }

    fn handler(&self, event_type: &str) -> Option<&Handler<S>> {
        self.by_type.get(event_type).or(self.otherwise.as_ref())
    }

    /// Runs the handler for a recorded event, if there is one. Only then the event is converted: an
    /// upcaster that fails concerns nobody else. After a failure or a panic the state may be partly
    /// changed.
    pub(super) fn run(
        &self,
        state: &mut S,
        event: RecordedEvent,
        upcasters: &Upcasters,
    ) -> Result<(), Error> {
        let Some(handler) = self.handler(event.event_type()) else { return Ok(()) };
        let event = upcasters.apply(event)?;
        Error::of_handler(&event, || handler(state, &event))
    }
}

#[expect(clippy::panic, reason = "a defect of the caller's that the first run shows")]
fn not_an_enum<E>() -> ! {
    panic!(
        "Handlers::each takes an enum whose variants serde tags from outside, as it does by \
         default, and {} is not one",
        std::any::type_name::<E>()
    )
}

impl<S> Default for Handlers<S> {
    fn default() -> Handlers<S> {
        Handlers::new()
    }
}

impl<S> Clone for Handlers<S> {
    fn clone(&self) -> Handlers<S> {
        Handlers { by_type: self.by_type.clone(), otherwise: self.otherwise.clone() }
    }
}

impl<S> fmt::Debug for Handlers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("event_types", &self.event_types())
            .field("otherwise", &self.otherwise.is_some())
            .finish()
    }
}
