//! Reading the events of one stream or of all streams, in either direction.

use std::{iter::FusedIterator, ops::RangeInclusive};

use crate::{
    Error, EventStore,
    event::{Query, RecordedEvent, Timestamp, name},
    storage::Direction,
    store::{cursor::Cursor, filter::Filter, query::Search},
};

/// Events read from a store: an iterator over `Result<RecordedEvent, Error>`. Until the first event
/// is taken it is also a builder that selects the events.
///
/// It sees the store as of its creation: everything up to the head at that time, whatever is
/// appended while it is read. It holds no lock, and takes a bounded amount of memory. It ends after
/// an error.
///
/// # Errors
/// An item is an error if an argument is invalid ([`Error::InvalidArgument`],
/// [`Error::LimitExceeded`]), if events are damaged ([`Error::Corrupted`]) or unreadable
/// ([`Error::Io`]), and after the store was closed ([`Error::Closed`]). In a forked child
/// ([`Error::Forked`]) an iterator created by the parent reads nothing more; events that the parent
/// has already decoded, a few KiB, may come first.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// for name in ["Opened", "Renamed", "Closed"] {
///     store.append("account-1", ExpectedVersion::Any, [NewEvent::json(name, &())?])?;
/// }
/// let last_two: Vec<u64> = store
///     .read_stream("account-1")
///     .backward()
///     .limit(2)
///     .map(|event| event.map(|event| event.version()))
///     .collect::<Result<_, _>>()?;
/// assert_eq!(last_two, [3, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator reads nothing until it is asked"]
pub struct Events {
    store: EventStore,
    /// The head when the iterator was created.
    head: u64,
    wanted: Wanted,
    state: State,
    /// The current process is known to be the one that opened the store.
    is_at_home: bool,
    /// Whether upcasters are applied.
    is_upcast: bool,
    /// Why the head could not be determined.
    failure: Option<Error>,
    /// What is known to be wrong after the head.
    damage: Option<Error>,
}

#[derive(Debug, Default)]
struct Wanted {
    stream: Option<String>,
    from_version: Option<u64>,
    from_position: Option<u64>,
    until_position: Option<u64>,
    is_backward: bool,
    limit: Option<u64>,
    filter: Filter,
}

#[derive(Debug)]
enum State {
    Unstarted,
    Reading(Box<Cursor>),
    Searching(Box<Search>),
    Ended,
}

impl EventStore {
    /// Returns the events of one stream, in the order of their versions.
    ///
    /// # Examples
    /// See [`Events`].
    pub fn read_stream(&self, stream: impl AsRef<str>) -> Events {
        let stream = Some(stream.as_ref().to_owned());
        Events::new(self, Wanted { stream, ..Wanted::default() })
    }

    /// Returns all events, in the order of their positions.
    ///
    /// # Examples
    /// ```
    /// # use annals::{EventStore, ExpectedVersion, NewEvent};
    /// # let store = EventStore::in_memory()?;
    /// # store.append("order-1", ExpectedVersion::Any, [NewEvent::json("ItemAdded", &())?])?;
    /// let orders = store.read_all().from_position(1).stream_prefix("order-");
    /// assert_eq!(orders.event_types(["ItemAdded"]).count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_all(&self) -> Events {
        Events::new(self, Wanted::default())
    }
}

impl Events {
    fn new(store: &EventStore, wanted: Wanted) -> Events {
        let failure = store.storage().refresh().err();
        let damage = store.storage().damage_after_head();
        let head = store.storage().head();
        let is_upcast = !store.upcasters().is_empty();
        let store = store.clone();
        Events {
            store,
            head,
            wanted,
            state: State::Unstarted,
            is_at_home: false,
            failure,
            damage,
            is_upcast,
        }
    }

    /// Skips the check for a forked child, for a caller that has just made it.
    pub(crate) fn at_home(mut self) -> Events {
        self.is_at_home = true;
        self
    }

    /// Starts at this version of the stream, inclusive. The default is the first version, or
    /// backward the last. Only for [`read_stream`](EventStore::read_stream).
    pub fn from_version(mut self, version: u64) -> Events {
        self.wanted.from_version = Some(version);
        self
    }

    /// Starts at this global position, inclusive. The default is the first event, or backward the
    /// last.
    pub fn from_position(mut self, position: u64) -> Events {
        self.wanted.from_position = Some(position);
        self
    }

    /// Ends at this global position, inclusive: a forward read returns nothing after it, a backward
    /// read nothing before it.
    ///
    /// # Examples
    /// ```
    /// # use annals::{EventStore, ExpectedVersion, NewEvent};
    /// # let store = EventStore::in_memory()?;
    /// # for _ in 0..9 {
    /// #     store.append("order-1", ExpectedVersion::Any, [NewEvent::json("ItemAdded", &())?])?;
    /// # }
    /// assert_eq!(store.read_all().from_position(3).until_position(5).count(), 3);
    /// assert_eq!(store.read_all().backward().until_position(8).count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn until_position(mut self, position: u64) -> Events {
        self.wanted.until_position = Some(position);
        self
    }

    /// Returns only events with this time or a later one. Naive times count as UTC.
    ///
    /// This is a filter, not a starting point: callers set times and clocks jump, so events need
    /// not be in the order of their times. A read of all skips the blocks of the journal whose
    /// times are all outside the range, without reading them.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent, Timestamp};
    ///
    /// let store = EventStore::in_memory()?;
    /// for day in ["2024-05-03", "2024-05-01", "2024-05-02"] {
    ///     let time: Timestamp = format!("{day}T12:00:00Z").parse()?;
    ///     let counted = NewEvent::json("Counted", &day)?.timestamp(time);
    ///     store.append("counts", ExpectedVersion::Any, [counted])?;
    /// }
    /// let since = "2024-05-02T00:00:00Z".parse()?;
    /// let positions = store.read_all().since(since).map(|event| event.map(|e| e.position()));
    /// assert_eq!(positions.collect::<Result<Vec<_>, _>>()?, [1, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn since(mut self, time: Timestamp) -> Events {
        self.wanted.filter.since = Some(time);
        self
    }

    /// Returns only events with this time or an earlier one: see [`since`](Self::since).
    pub fn until(mut self, time: Timestamp) -> Events {
        self.wanted.filter.until = Some(time);
        self
    }

    /// Reads from the last event to the first.
    pub fn backward(mut self) -> Events {
        self.wanted.is_backward = true;
        self
    }

    /// Ends after this many events that pass the filters. With 0 nothing is read.
    pub fn limit(mut self, events: u64) -> Events {
        self.wanted.limit = Some(events);
        self
    }

    /// Returns only events of these types. An empty list filters nothing.
    pub fn event_types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Events {
        self.wanted.filter.event_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Returns only events of streams whose ids start with this text. Only for
    /// [`read_all`](EventStore::read_all).
    pub fn stream_prefix(mut self, prefix: impl Into<String>) -> Events {
        self.wanted.filter.stream_prefix = Some(prefix.into());
        self
    }

    /// Returns only events that match a query. Only for [`read_all`](EventStore::read_all), and not
    /// together with types or a prefix. [`EventStore::query`] also returns the position with which
    /// to guard a decision based on the events.
    pub fn query(mut self, query: &Query) -> Events {
        self.wanted.filter.query = Some(query.clone());
        self
    }

    /// The head that limits the read.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Limits the read to an earlier head.
    pub(crate) fn bounded_by(self, head: u64) -> Events {
        Events { head, ..self }
    }

    /// Returns events as they were recorded, without [upcasters](crate::Options::upcasters).
    pub fn as_recorded(mut self) -> Events {
        self.is_upcast = false;
        self
    }

    /// Checks the arguments, for a caller that wants to find mistakes before the first event.
    ///
    /// # Errors
    /// The error that the first item would otherwise be: [`Error::InvalidArgument`],
    /// [`Error::LimitExceeded`].
    ///
    /// # Examples
    /// ```
    /// let store = annals::EventStore::in_memory()?;
    /// assert!(store.read_stream("order-7").check().is_ok());
    /// assert!(store.read_stream("").check().is_err());
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        self.wanted.check()
    }

    fn next_event(&mut self) -> Result<Option<RecordedEvent>, Error> {
        if let State::Unstarted = self.state {
            match self.is_at_home {
                true => self.store.storage().check_not_closed()?,
                false => self.store.storage().check_open()?,
            }
            self.wanted.check()?;
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if self.wanted.is_backward {
                // The last events would be returned first.
                self.check_end()?;
            }
            self.state = self.wanted.start(&self.store, self.head)?;
        }
        if self.wanted.limit == Some(0) {
            return Ok(None);
        }
        let storage = self.store.storage();
        let found = loop {
            let next = match &mut self.state {
                State::Unstarted | State::Ended => return Ok(None),
                State::Searching(search) => search.next(storage)?,
                State::Reading(cursor) => cursor.next(storage)?,
            };
            match next {
                Some(event) if !self.wanted.filter.passes(&event) => {}
                found => break found,
            }
        };
        if found.is_some() {
            self.wanted.limit = self.wanted.limit.map(|limit| limit - 1);
            return Ok(found);
        }
        if !self.wanted.is_backward {
            self.check_end()?;
        }
        Ok(None)
    }

    /// Returns an error if there are known to be events after the head that cannot be read, and the
    /// read would include them.
    fn check_end(&self) -> Result<(), Error> {
        match &self.damage {
            Some(damage) if self.wanted.passes(&self.store, self.head)? => Err(damage.clone()),
            _ => Ok(()),
        }
    }
}

impl Iterator for Events {
    type Item = Result<RecordedEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        // Most events are already decoded: they are moved exactly once.
        if let State::Reading(cursor) = &mut self.state
            && !self.is_upcast
            && self.wanted.is_plain()
            && cursor.is_ready(self.store.storage())
        {
            return cursor.take_ready().map(Ok);
        }
        let mut next = self.next_event();
        if self.is_upcast {
            let upcasters = self.store.upcasters();
            next = next.and_then(|event| event.map(|event| upcasters.apply(event)).transpose());
        }
        let next = next.transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
        }
        next
    }
}

impl FusedIterator for Events {}

fn searching(query: &Query, range: RangeInclusive<u64>, direction: Direction) -> State {
    State::Searching(Box::new(Search::new(query.clone(), range, direction)))
}

impl Wanted {
    /// Whether every event passes.
    fn is_plain(&self) -> bool {
        self.limit.is_none() && self.filter.is_empty()
    }

    fn check(&self) -> Result<(), Error> {
        match &self.stream {
            Some(stream) => {
                name::check_form("stream id", stream)?;
                if self.filter.stream_prefix.is_some() {
                    let reason = "it does not apply to a read of one stream";
                    return Err(Error::invalid("stream prefix", reason));
                }
                if self.filter.query.is_some() {
                    let reason =
                        "it does not apply to a read of one stream; its items can name streams";
                    return Err(Error::invalid("query", reason));
                }
            }
            None if self.from_version.is_some() => {
                let reason = "it applies only to a read of one stream";
                return Err(Error::invalid("from_version", reason));
            }
            None => {}
        }
        self.filter.check_form()?;
        if let Some(stream) = &self.stream {
            name::check_length("stream id (bytes)", stream)?;
        }
        self.filter.check_length()
    }

    /// Whether the read would include events after the head.
    fn passes(&self, store: &EventStore, head: u64) -> Result<bool, Error> {
        if !self.is_backward {
            return Ok(self.until_position.is_none_or(|until| until > head));
        }
        if self.from_position.is_some_and(|from| from <= head) {
            return Ok(false);
        }
        match (&self.stream, self.from_version) {
            (Some(stream), Some(version)) => {
                Ok(version > store.storage().stream_version(stream, head)?)
            }
            _ => Ok(true),
        }
    }

    /// The first and last number to read, in the direction of reading.
    fn start(&self, store: &EventStore, head: u64) -> Result<State, Error> {
        let Some(stream) = &self.stream else {
            let from = self.from_position;
            let (first, last) = self.bounds(from, from, head);
            let last = match self.until_position {
                None => last,
                Some(until) if self.is_backward => last.max(until),
                Some(until) => last.min(until),
            };
            let times = self.filter.times();
            return Ok(match (&self.filter.query, self.is_backward) {
                (Some(query), false) => searching(query, first..=last, Direction::Forward),
                (Some(query), true) => searching(query, last..=first, Direction::Backward),
                (None, is_backward) => {
                    let cursor = Cursor::of_all((first, last), is_backward).of_times(times);
                    State::Reading(Box::new(cursor))
                }
            });
        };
        let storage = store.storage();
        if !self.is_backward
            && self.from_position.is_none()
            && self.until_position.is_none()
            && let Some(cursor) = Cursor::of_runs(storage, stream, self.from_version, head)
        {
            return Ok(State::Reading(Box::new(cursor)));
        }
        let last = storage.stream_version(stream, head)?;
        // A position means the first version at or after it, in the direction of reading.
        let by_position = match self.from_position {
            None => None,
            Some(position) if self.is_backward => {
                Some(storage.stream_version(stream, position.min(head))?)
            }
            Some(position) => {
                let before = position.saturating_sub(1).min(head);
                Some(storage.stream_version(stream, before)? + 1)
            }
        };
        let (first, mut last) = self.bounds(self.from_version, by_position, last);
        if let Some(until) = self.until_position {
            last = match self.is_backward {
                true => storage.stream_version(stream, until.saturating_sub(1).min(head))? + 1,
                false => storage.stream_version(stream, until.min(head))?,
            };
        }
        let cursor = Cursor::of_stream(stream.clone(), (first, last), self.is_backward, head);
        Ok(State::Reading(Box::new(cursor)))
    }

    /// The first and last number of a read between 1 and `last`. Of two starts, the one further in
    /// the direction of reading is used.
    fn bounds(&self, one: Option<u64>, other: Option<u64>, last: u64) -> (u64, u64) {
        let starts = || [one, other].into_iter().flatten();
        match self.is_backward {
            true => (starts().min().unwrap_or(last).min(last), 1),
            false => (starts().max().unwrap_or(1).max(1), last),
        }
    }
}
