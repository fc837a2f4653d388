//! Queries as callers make them.

use std::{iter::FusedIterator, sync::OnceLock};

use crate::{
    Error, EventStore,
    event::{Query, RecordedEvent},
    store::Events,
};

/// Events that match a [`Query`]: an iterator over `Result<RecordedEvent, Error>` in the order of
/// their positions, and before its first event a builder.
///
/// It sees the store as of its creation, as [`Events`] does, and takes a bounded amount of memory.
/// After an error it ends.
///
/// # Errors
/// As the items of [`Events`].
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
    /// The events that match a query, in the order of their positions.
    ///
    /// Events are found through the index of tags where the items of the query have tags, through
    /// their stream where they have a stream. With an item that has only types every event is
    /// looked at.
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
    /// Starts at this position, inclusive. Unset: the first one, or backwards the last.
    pub fn from_position(mut self, position: u64) -> Found {
        self.events = self.events.from_position(position);
        self.from_position = Some(position);
        self.head = OnceLock::new();
        self
    }

    /// Finds the last event first.
    pub fn backward(mut self) -> Found {
        self.events = self.events.backward();
        self.is_backward = true;
        self.head = OnceLock::new();
        self
    }

    /// Ends after this many events. 0 finds nothing.
    pub fn limit(mut self, events: u64) -> Found {
        self.events = self.events.limit(events);
        self.limit = Some(events);
        self.head = OnceLock::new();
        self
    }

    /// Checks the arguments, for a caller that wants to know before the first event.
    ///
    /// # Errors
    /// What the first item would be otherwise.
    pub fn check(&self) -> Result<(), Error> {
        self.events.check()
    }

    /// What a decision that rests on these events gives as `after` to
    /// [`Batch::require_none`](crate::Batch::require_none): the position up to which everything was
    /// looked at. It is known at once, and stays the same while events are taken.
    ///
    /// That is the head of the store when the query began. Forwards, where the limit is reached, it
    /// is the position of the last event that comes out; for that all of them are searched once
    /// more. Forwards with a limit of 0, and where the search fails, which the items report as
    /// well, it is 0: nothing was looked at.
    pub fn head(&self) -> u64 {
        *self.head.get_or_init(|| match self.limit {
            Some(0) if !self.is_backward => 0,
            Some(limit) if !self.is_backward => self.last_of(limit).unwrap_or(0),
            _ => self.events.head(),
        })
    }

    /// As [`head`](Self::head), with the error of a search that fails.
    ///
    /// # Errors
    /// As the items.
    pub fn try_head(&self) -> Result<u64, Error> {
        match self.limit {
            Some(limit) if limit > 0 && !self.is_backward => self.last_of(limit),
            _ => Ok(self.head()),
        }
    }

    /// The position of the last of `limit` events; the head if there are fewer.
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
