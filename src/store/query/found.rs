//! Queries and their results.

use std::{iter::FusedIterator, sync::OnceLock};

use crate::{
    Error, EventStore,
    event::{Query, RecordedEvent},
    store::Events,
};

/// Events that match a [`Query`]: an iterator over `Result<RecordedEvent, Error>` in the order of
/// their positions. Until the first event is taken it is also a builder.
///
/// It sees the store as of its creation, like [`Events`], and takes a bounded amount of memory. It
/// ends after an error.
///
/// # Errors
/// Same as for the items of [`Events`].
///
/// # Examples
/// ```
/// use annals::{Batch, EventStore, ExpectedVersion, NewEvent, Query, QueryItem};
///
/// let store = EventStore::in_memory()?;
/// let name = Query::new().item(QueryItem::new().types(["UserNamed"]).tags(["name:ada"]));
/// let found = store.query(&name);
/// let after = found.head();
/// if found.count() == 0 {
///     let named = NewEvent::json("UserNamed", &"ada")?.tag("name:ada");
///     let batch = Batch::new().append("user-1", ExpectedVersion::NoStream, [named]);
///     batch.require_none(&name, after).commit(&store)?;
/// }
/// assert_eq!(store.query(&name).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator reads nothing until it is asked"]
pub struct Found {
    store: EventStore,
    query: Query,
    events: Events,
    is_backward: bool,
    from_position: Option<u64>,
    limit: Option<u64>,
    head: OnceLock<u64>,
}

impl EventStore {
    /// Returns the events that match a query, in the order of their positions.
    ///
    /// Items of the query that have tags use the index of tags, and items that have a stream use
    /// that stream. If an item has only types, every event is read.
    ///
    /// # Examples
    /// See [`Found`].
    pub fn query(&self, query: &Query) -> Found {
        Found {
            store: self.clone(),
            query: query.clone(),
            events: self.read_all().query(query),
            is_backward: false,
            from_position: None,
            limit: None,
            head: OnceLock::new(),
        }
    }
}

impl Found {
    /// Starts at this position, inclusive. The default is the first event, or backward the last.
    pub fn from_position(mut self, position: u64) -> Found {
        self.events = self.events.from_position(position);
        self.from_position = Some(position);
        self.head = OnceLock::new();
        self
    }

    /// Returns the last event first.
    pub fn backward(mut self) -> Found {
        self.events = self.events.backward();
        self.is_backward = true;
        self.head = OnceLock::new();
        self
    }

    /// Ends after this many events. With 0 there are none.
    pub fn limit(mut self, events: u64) -> Found {
        self.events = self.events.limit(events);
        self.limit = Some(events);
        self.head = OnceLock::new();
        self
    }

    /// Checks the arguments, for a caller that wants to find mistakes before the first event.
    ///
    /// # Errors
    /// The error that the first item would otherwise be.
    pub fn check(&self) -> Result<(), Error> {
        self.events.check()
    }

    /// The position up to which the store was searched. A decision based on these events passes it
    /// as `after` to [`Batch::require_none`](crate::Batch::require_none). It is known at once, and
    /// does not change while events are taken.
    ///
    /// It is the head of the store when the query began, with two exceptions. In a forward query
    /// that reaches its limit, it is the position of the last event that is returned; to find that,
    /// all of these events are searched for once more. In a forward query with a limit of 0, or if
    /// the search fails, it is 0, because nothing was searched; the items report a failure too.
    pub fn head(&self) -> u64 {
        *self.head.get_or_init(|| match self.limit {
            Some(0) if !self.is_backward => 0,
            Some(limit) if !self.is_backward => self.last_of(limit).unwrap_or(0),
            _ => self.events.head(),
        })
    }

    /// Like [`head`](Self::head), but returns the error if the search fails.
    ///
    /// # Errors
    /// Same as for the items.
    pub fn try_head(&self) -> Result<u64, Error> {
        match self.limit {
            Some(limit) if limit > 0 && !self.is_backward => self.last_of(limit),
            _ => Ok(self.head()),
        }
    }

    /// The position of the last of `limit` events; the head if there are fewer events.
    fn last_of(&self, limit: u64) -> Result<u64, Error> {
        let again = self.store.read_all().as_recorded().query(&self.query);
        let again = match self.from_position {
            Some(position) => again.from_position(position),
            None => again,
        };
        let (mut count, mut last) = (0, 0);
        for event in again.bounded_by(self.events.head()).limit(limit) {
            (count, last) = (count + 1, event?.position());
        }
        Ok(if count == limit { last } else { self.events.head() })
    }
}

impl Iterator for Found {
    type Item = Result<RecordedEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.events.next()
    }
}

impl FusedIterator for Found {}
