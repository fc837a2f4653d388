//! Queries: which events a decision depends on.

use crate::{
    Error,
    event::{
        TagList,
        limits::{self, QUERY_ITEMS_MAX, QUERY_TAGS_MAX, QUERY_TYPES_MAX},
        name, tags,
    },
};

/// Selects events by stream, type and tags: an event matches the query if it matches one of the
/// items. [`Query::all`] matches every event.
///
/// A query is checked when it is used. A query without items is an
/// [`InvalidArgument`](Error::InvalidArgument) error, and so is an item that restricts nothing.
/// More than [`QUERY_ITEMS_MAX`] items are a [`LimitExceeded`](Error::LimitExceeded) error.
///
/// Queries follow the specification of dynamic consistency boundaries (dcb.events).
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent, Query, QueryItem};
///
/// let store = EventStore::in_memory()?;
/// let reserved = NewEvent::json("SeatReserved", &12)?.tags(["show:7", "customer:ada"]);
/// store.append("show-7", ExpectedVersion::Any, [reserved])?;
///
/// let seats = QueryItem::new().types(["SeatReserved", "SeatReleased"]).tags(["show:7"]);
/// let customer = QueryItem::new().tags(["customer:ada"]);
/// let query = Query::new().item(seats).item(customer);
/// assert_eq!(store.query(&query).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub(crate) items: Vec<QueryItem>,
    is_all: bool,
}

/// A part of a [`Query`]. An event matches if its type is one of these types, it has all of these
/// tags, and it belongs to this stream. A part that is not set restricts nothing.
///
/// # Examples
/// See [`Query`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryItem {
    /// Sorted, without repeats.
    pub(crate) types: Vec<String>,
    /// Sorted, without repeats.
    pub(crate) tags: Vec<String>,
    pub(crate) stream: Option<String>,
}

impl QueryItem {
    /// An item that restricts nothing yet.
    pub fn new() -> QueryItem {
        QueryItem::default()
    }

    /// Adds types. The event must have one of them. At most [`QUERY_TYPES_MAX`].
    #[must_use]
    pub fn types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> QueryItem {
        tags::add(&mut self.types, types.into_iter().map(Into::into));
        self
    }

    /// Adds tags. The event must have all of them. At most [`QUERY_TAGS_MAX`].
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> QueryItem {
        tags::add(&mut self.tags, tags.into_iter().map(Into::into));
        self
    }

    /// Sets the stream to which the event must belong.
    #[must_use]
    pub fn stream(mut self, stream: impl Into<String>) -> QueryItem {
        self.stream = Some(stream.into());
        self
    }

    /// Checks the item, for a caller that wants to find mistakes before using it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the item restricts nothing or a name is invalid,
    /// [`Error::LimitExceeded`].
    pub fn check(&self) -> Result<(), Error> {
        self.check_form()?;
        self.check_limits()
    }

    fn check_form(&self) -> Result<(), Error> {
        if self.types.is_empty() && self.tags.is_empty() && self.stream.is_none() {
            let reason = "an item restricts nothing: use the query for all events instead";
            return Err(Error::invalid("query", reason));
        }
        self.types.iter().try_for_each(|name| name::check_form("event type", name))?;
        self.tags.iter().try_for_each(|tag| name::check_form("tag", tag))?;
        self.stream.iter().try_for_each(|stream| name::check_form("stream id", stream))
    }

    fn check_limits(&self) -> Result<(), Error> {
        limits::check("query item (types)", self.types.len(), QUERY_TYPES_MAX)?;
        limits::check("query item (tags)", self.tags.len(), QUERY_TAGS_MAX)?;
        let mut types = self.types.iter();
        types.try_for_each(|name| name::check_length("event type (bytes)", name))?;
        self.tags.iter().try_for_each(|tag| name::check_length("tag (bytes)", tag))?;
        let mut stream = self.stream.iter();
        stream.try_for_each(|stream| name::check_length("stream id (bytes)", stream))
    }

    fn matches(&self, stream: &str, event_type: &str, tags: TagList<'_>) -> bool {
        (self.types.is_empty() || has(&self.types, event_type))
            && self.stream.as_ref().is_none_or(|own| own == stream)
            && self.has_tags_in(tags)
    }

    /// Whether these tags, which are also sorted, include all of the item's tags.
    fn has_tags_in(&self, tags: TagList<'_>) -> bool {
        let mut tags = tags.iter();
        self.tags.iter().all(|own| tags.by_ref().find(|tag| *tag >= own.as_str()) == Some(own))
    }
}

fn has(sorted: &[String], name: &str) -> bool {
    sorted.binary_search_by(|one| one.as_str().cmp(name)).is_ok()
}

impl Query {
    /// A query that has no items yet.
    pub fn new() -> Query {
        Query::default()
    }

    /// The query that matches every event. Items cannot be added to it.
    pub fn all() -> Query {
        Query { items: Vec::new(), is_all: true }
    }

    /// Adds an item.
    #[must_use]
    pub fn item(mut self, item: QueryItem) -> Query {
        self.items.push(item);
        self
    }

    /// The items, in the order in which they were added.
    pub fn items(&self) -> &[QueryItem] {
        &self.items
    }

    /// Whether this is the query that matches every event.
    pub fn is_all(&self) -> bool {
        self.is_all
    }

    /// Checks the query, for a caller that wants to find mistakes before using it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], [`Error::LimitExceeded`].
    ///
    /// # Examples
    /// ```
    /// use annals::{Query, QueryItem};
    ///
    /// assert!(Query::all().check().is_ok());
    /// assert!(Query::new().check().is_err());
    /// assert!(Query::new().item(QueryItem::new()).check().is_err());
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        self.check_form()?;
        self.check_limits()
    }

    pub(crate) fn check_form(&self) -> Result<(), Error> {
        match (self.is_all, self.items.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => {
                return Err(Error::invalid("query", "the query for all events cannot have items"));
            }
            (false, true) => return Err(Error::invalid("query", "it has no items")),
            (false, false) => {}
        }
        self.items.iter().try_for_each(QueryItem::check_form)
    }

    pub(crate) fn check_limits(&self) -> Result<(), Error> {
        limits::check("query (items)", self.items.len(), QUERY_ITEMS_MAX)?;
        self.items.iter().try_for_each(QueryItem::check_limits)
    }

    /// Whether an event of this stream, with this type and these tags, matches.
    pub(crate) fn matches(&self, stream: &str, event_type: &str, tags: TagList<'_>) -> bool {
        self.is_all || self.items.iter().any(|item| item.matches(stream, event_type, tags))
    }

    /// Roughly the memory that the query takes.
    pub(crate) fn weight(&self) -> usize {
        let names = |item: &QueryItem| {
            let named = item.types.iter().chain(&item.tags);
            let bytes: usize = named.map(|name| name.len() + size_of::<String>()).sum();
            bytes + item.stream.as_ref().map_or(0, String::len)
        };
        self.items.iter().map(|item| size_of::<QueryItem>() + names(item)).sum()
    }

    /// Whether every event has to be read to find the ones that match.
    pub(crate) fn needs_scan(&self) -> bool {
        self.is_all || self.items.iter().any(|item| item.tags.is_empty() && item.stream.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_query_weighs() {
        let name = || ["x".repeat(200)];
        let item = QueryItem::new;
        for item in [item().types(name()), item().tags(name()), item().stream("x".repeat(200))] {
            let query = (0..50).fold(Query::new(), |query, _| query.item(item.clone()));
            assert!(query.weight() >= 50 * (200 + size_of::<QueryItem>()), "{item:?}");
        }
    }
}
