//! Given some events, when a decision is made, then other events follow.

use std::fmt;

use crate::{
    EventStore,
    event::{ExpectedVersion, NewEvent, Payload},
    projection::Handlers,
    testing::same::is_same_json,
};

/// The stream of a scenario.
const STREAM: &str = "given";

/// The state of a stream after some events.
///
/// # Examples
/// See [`given`].
#[derive(Debug)]
#[must_use = "nothing is checked before a `then_` is called"]
pub struct Given<S> {
    state: S,
}

/// The outcome of a decision in that state.
///
/// # Examples
/// See [`given`].
#[must_use = "nothing is checked before a `then_` is called"]
pub struct Decided<E> {
    outcome: Result<Vec<NewEvent>, E>,
}

/// The state that the handlers derive from `initial` and these events, as in a store.
///
/// # Panics
/// If an event is invalid or a handler fails: the message says why.
///
/// # Examples
/// ```
/// use annals::{Handlers, NewEvent, testing::given};
///
/// fn withdraw(balance: i64, amount: i64) -> Result<Vec<NewEvent>, String> {
///     match balance < amount {
///         true => Err(format!("{balance} is too little")),
///         false => NewEvent::json("Withdrawn", &amount)
///             .map(|event| vec![event])
///             .map_err(|error| error.to_string()),
///     }
/// }
///
/// let handlers = Handlers::new().when("Deposited", |balance: &mut i64, event| {
///     *balance += event.json::<i64>()?;
///     Ok(())
/// });
/// let deposited = NewEvent::json("Deposited", &100)?;
/// given(0, &handlers, [deposited.clone()])
///     .when(|balance| withdraw(*balance, 70))
///     .then([NewEvent::json("Withdrawn", &70)?]);
/// given(0, &handlers, [deposited.clone()])
///     .when(|balance| withdraw(*balance, 101))
///     .then_refused("100 is too little".to_owned());
/// given(0, &handlers, [deposited]).then_state(|balance| assert_eq!(*balance, 100));
/// # Ok::<(), annals::Error>(())
/// ```
#[track_caller]
pub fn given<S>(
    initial: S,
    handlers: &Handlers<S>,
    events: impl IntoIterator<Item = NewEvent>,
) -> Given<S> {
    let events: Vec<NewEvent> = events.into_iter().collect();
    let loaded = EventStore::in_memory().and_then(|store| {
        if !events.is_empty() {
            let appended = store.append(STREAM, ExpectedVersion::NoStream, events);
            appended.map_err(|error| crate::Error::invalid("events", error.to_string()))?;
        }
        store.load(STREAM, initial, handlers)
    });
    match loaded {
        Ok(loaded) => Given { state: loaded.state },
        Err(error) => fail(&format!("the given events cannot be applied: {}", error.chain())),
    }
}

impl<S> Given<S> {
    /// Makes the decision.
    pub fn when<E, I>(self, decide: impl FnOnce(&S) -> Result<I, E>) -> Decided<E>
    where
        I: IntoIterator<Item = NewEvent>,
    {
        Decided { outcome: decide(&self.state).map(|events| events.into_iter().collect()) }
    }

    /// Checks the state itself.
    pub fn then_state(self, check: impl FnOnce(&S)) {
        check(&self.state);
    }
}

impl<E: fmt::Debug> Decided<E> {
    /// Checks that exactly these events follow: type, data, metadata and tags. JSON is compared by
    /// value: the order of members and white space do not matter. Numbers are compared digit for
    /// digit, so 1 and 1.0 differ.
    ///
    /// # Panics
    /// If other events follow, or the decision was refused.
    #[track_caller]
    pub fn then(self, due: impl IntoIterator<Item = NewEvent>) {
        let due: Vec<NewEvent> = due.into_iter().collect();
        let events = match self.outcome {
            Ok(events) => events,
            Err(error) => fail(&format!("refused with {error:?}, but expected\n{}", listed(&due))),
        };
        let is_same = events.len() == due.len()
            && events.iter().zip(&due).all(|(event, due)| is_same(event, due));
        if !is_same {
            fail(&format!("decided\n{}\nbut expected\n{}", listed(&events), listed(&due)));
        }
    }

    /// Checks that no events follow.
    ///
    /// # Panics
    /// If any events follow, or the decision was refused.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// Checks that the decision was refused with this error.
    ///
    /// # Panics
    /// If it was not refused, or was refused with another error.
    #[track_caller]
    pub fn then_refused(self, due: E)
    where
        E: PartialEq,
    {
        match self.outcome {
            Err(error) if error == due => {}
            Err(error) => fail(&format!("refused with {error:?}, but expected {due:?}")),
            Ok(events) => {
                fail(&format!("decided\n{}\nbut expected the refusal {due:?}", listed(&events)))
            }
        }
    }

    /// The outcome of the decision, for custom checks.
    pub fn outcome(self) -> Result<Vec<NewEvent>, E> {
        self.outcome
    }
}

impl<E: fmt::Debug> fmt::Debug for Decided<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided").field("outcome", &self.outcome).finish()
    }
}

fn is_same(one: &NewEvent, other: &NewEvent) -> bool {
    let is_same_data = match (&one.data, &other.data) {
        (Payload::Json(one), Payload::Json(other)) => is_same_json(one, other),
        (Payload::Binary(one), Payload::Binary(other)) => one == other,
        _ => false,
    };
    let is_same_metadata = match (&one.metadata, &other.metadata) {
        (Some(one), Some(other)) => is_same_json(one, other),
        (one, other) => one == other,
    };
    one.event_type == other.event_type && is_same_data && is_same_metadata && one.tags == other.tags
}

fn listed(events: &[NewEvent]) -> String {
    let lines = events.iter().map(|event| {
        let data = String::from_utf8_lossy(event.data());
        let metadata = event.metadata.as_deref().unwrap_or_default();
        let tags = match event.tags.is_empty() {
            true => String::new(),
            false => format!("{:?}", event.tags),
        };
        let parts = [event.event_type.as_str(), &data, metadata, &tags];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("  {}", parts.join(" "))
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "  nothing".to_owned() } else { lines.join("\n") }
}

#[track_caller]
#[expect(clippy::panic, reason = "that is how a test fails")]
fn fail(reason: &str) -> ! {
    panic!("{reason}")
}
