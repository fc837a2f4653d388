//! The loop around a decision: load, decide, append, and repeat after a conflict.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{
    AppendError, Error, ErrorCode, EventStore, VersionConflict,
    event::{Appended, ExpectedVersion, NewEvent, SnapshotKey, limits::UPDATE_ATTEMPTS_MAX},
    projection::{Handlers, Loaded, UpTo},
};

/// Why an [`update`](EventStore::update) failed. Nothing was written, unless the cause is
/// [`Error::Poisoned`].
///
/// # Examples
/// See [`EventStore::update`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UpdateError<E> {
    /// The decision was refused, with this error from `decide`.
    Refused(E),
    /// Other writers were faster [`UPDATE_ATTEMPTS_MAX`] times in a row.
    Conflict(VersionConflict),
    /// Anything else.
    Failed(Error),
}

impl<E> UpdateError<E> {
    /// The stable number of this error; `None` for an error of the decision.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            UpdateError::Refused(_) => None,
            UpdateError::Conflict(_) => Some(ErrorCode::VersionConflict),
            UpdateError::Failed(error) => Some(error.code()),
        }
    }
}

impl<E> From<Error> for UpdateError<E> {
    fn from(error: Error) -> UpdateError<E> {
        UpdateError::Failed(error)
    }
}

impl<E: fmt::Display> fmt::Display for UpdateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateError::Refused(refusal) => refusal.fmt(f),
            UpdateError::Conflict(conflict) => {
                write!(f, "gave up after {UPDATE_ATTEMPTS_MAX} attempts: {conflict}")
            }
            UpdateError::Failed(error) => error.fmt(f),
        }
    }
}

/// `E` may also be a text or a boxed error, neither of which implements this trait. So the source
/// of a refusal is available only from the refusal itself.
impl<E: fmt::Debug + fmt::Display> std::error::Error for UpdateError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            UpdateError::Failed(error) => error.source(),
            UpdateError::Refused(_) | UpdateError::Conflict(_) => None,
        }
    }
}

impl EventStore {
    /// Loads the state of a stream, asks `decide` for the events that follow from it, and appends
    /// them if the stream has not changed meanwhile. If another writer was faster, the events in
    /// between are applied and `decide` is called again, at most [`UPDATE_ATTEMPTS_MAX`] times in
    /// all.
    ///
    /// `decide` may run several times, so it should only decide. It returns the events to append,
    /// no events if there is nothing to do, or an error of any type.
    ///
    /// The result says where the events are; it is `None` if there were none. If every event has an
    /// [id](NewEvent::id), a repeated call may find its own events already stored: see
    /// [`append`](Self::append).
    ///
    /// # Errors
    /// [`UpdateError::Refused`] with the error of `decide`; [`UpdateError::Conflict`] after too
    /// many conflicts; [`UpdateError::Failed`] with the errors of [`load`](Self::load) and
    /// [`append`](Self::append). Nothing is written, except that [`Error::Poisoned`] leaves the
    /// outcome unknown.
    ///
    /// # Examples
    /// ```
    /// use annals::{Error, EventStore, ExpectedVersion, Handlers, NewEvent, UpdateError};
    ///
    /// #[derive(Debug, PartialEq)]
    /// enum Refusal {
    ///     TooLittle { balance: i64 },
    ///     Invalid(String),
    /// }
    ///
    /// fn withdraw(balance: i64, amount: i64) -> Result<Vec<NewEvent>, Refusal> {
    ///     if balance < amount {
    ///         return Err(Refusal::TooLittle { balance });
    ///     }
    ///     let event = NewEvent::json("Withdrawn", &amount);
    ///     Ok(vec![event.map_err(|error| Refusal::Invalid(error.to_string()))?])
    /// }
    ///
    /// let store = EventStore::in_memory()?;
    /// store.append("account-1", ExpectedVersion::Any, [NewEvent::json("Deposited", &100)?])?;
    /// let handlers = Handlers::new()
    ///     .when("Deposited", |balance: &mut i64, event| {
    ///         *balance += event.json::<i64>()?;
    ///         Ok(())
    ///     })
    ///     .when("Withdrawn", |balance, event| {
    ///         *balance -= event.json::<i64>()?;
    ///         Ok(())
    ///     });
    ///
    /// let appended = store.update("account-1", 0, &handlers, |balance| withdraw(*balance, 70));
    /// assert_eq!(appended.unwrap().unwrap().versions(), 2..=2);
    /// let refused = store.update("account-1", 0, &handlers, |balance| withdraw(*balance, 70));
    /// let Err(UpdateError::Refused(refusal)) = refused else { panic!("30 are too little") };
    /// assert_eq!(refusal, Refusal::TooLittle { balance: 30 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update<S, E, I>(
        &self,
        stream: impl AsRef<str>,
        initial: S,
        handlers: &Handlers<S>,
        decide: impl FnMut(&S) -> Result<I, E>,
    ) -> Result<Option<Appended>, UpdateError<E>>
    where
        I: IntoIterator<Item = NewEvent>,
    {
        let stream = stream.as_ref();
        let loaded = self.load(stream, initial, handlers)?;
        self.update_loaded(stream, loaded, handlers, decide)
    }

    /// Like [`update`](Self::update), but starts from the newest usable snapshot of `key`, as
    /// [`load_from`](Self::load_from) does. It saves no snapshot: see [`Loaded::save`].
    ///
    /// # Errors
    /// The errors of [`update`](Self::update) and of [`load_from`](Self::load_from).
    ///
    /// # Examples
    /// ```
    /// use annals::{Error, EventStore, Handlers, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// let handlers = Handlers::new().when("Counted", |sum: &mut u64, event| {
    ///     *sum += event.json::<u64>()?;
    ///     Ok(())
    /// });
    /// for _ in 0..5 {
    ///     store.update_from("sum", "sum", 1, &handlers, |sum| {
    ///         Ok::<_, Error>([NewEvent::json("Counted", sum)?])
    ///     })?;
    ///     store.load_from("sum", "sum", 1, &handlers)?.save(&store, "sum")?;
    /// }
    /// assert_eq!(store.load("sum", 1, &handlers)?.state, 32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update_from<S: DeserializeOwned, E, I>(
        &self,
        key: impl Into<SnapshotKey>,
        stream: impl AsRef<str>,
        initial: S,
        handlers: &Handlers<S>,
        decide: impl FnMut(&S) -> Result<I, E>,
    ) -> Result<Option<Appended>, UpdateError<E>>
    where
        I: IntoIterator<Item = NewEvent>,
    {
        let stream = stream.as_ref();
        let loaded = self.load_from(key, stream, initial, handlers)?;
        self.update_loaded(stream, loaded, handlers, decide)
    }

    fn update_loaded<S, E, I>(
        &self,
        stream: &str,
        mut loaded: Loaded<S>,
        handlers: &Handlers<S>,
        mut decide: impl FnMut(&S) -> Result<I, E>,
    ) -> Result<Option<Appended>, UpdateError<E>>
    where
        I: IntoIterator<Item = NewEvent>,
    {
        let mut attempts = 1;
        loop {
            let decision = decide(&loaded.state).map_err(UpdateError::Refused)?;
            let events: Vec<NewEvent> = decision.into_iter().collect();
            if events.is_empty() {
                return Ok(None);
            }
            match self.append(stream, ExpectedVersion::Exact(loaded.version), events) {
                Ok(appended) => return Ok(Some(appended)),
                Err(AppendError::Conflict(_)) if attempts < UPDATE_ATTEMPTS_MAX => attempts += 1,
                Err(AppendError::Conflict(conflict)) => {
                    return Err(UpdateError::Conflict(conflict));
                }
                Err(AppendError::Failed(error)) => return Err(UpdateError::Failed(error)),
                Err(AppendError::Condition(_)) => {
                    let reason = "an append without conditions failed a condition";
                    return Err(UpdateError::Failed(Error::internal(reason)));
                }
            }
            // The conflict is returned only once the events that caused it are visible.
            loaded.advance(self, stream, handlers, UpTo::Now)?;
        }
    }
}
