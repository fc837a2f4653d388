//! The filter of a reader: which events it returns.

use std::{collections::HashSet, ops::RangeInclusive};

use crate::{
    Error,
    event::{Query, RecordedEvent, Timestamp, name},
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// An empty set filters nothing.
    pub(crate) event_types: HashSet<String>,
    pub(crate) stream_prefix: Option<String>,
    /// Cannot be combined with types or a prefix.
    pub(crate) query: Option<Query>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Filter {
    /// Checks the form of the arguments; their lengths are checked later, as in every call.
    pub(crate) fn check_form(&self) -> Result<(), Error> {
        if let Some(query) = &self.query {
            if !self.event_types.is_empty() || self.stream_prefix.is_some() {
                let reason = "it excludes other filters; its items can name types and streams";
                return Err(Error::invalid("query", reason));
            }
            query.check_form()?;
        }
        self.event_types.iter().try_for_each(|name| name::check_form("event type", name))
    }

    pub(crate) fn check_length(&self) -> Result<(), Error> {
        self.query.iter().try_for_each(Query::check_limits)?;
        let mut types = self.event_types.iter();
        types.try_for_each(|name| name::check_length("event type (bytes)", name))
    }

    /// Whether every event passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.event_types.is_empty()
            && self.stream_prefix.is_none()
            && self.query.is_none()
            && self.times().is_none()
    }

    /// The times that pass, in microseconds, or `None` if all do.
    pub(crate) fn times(&self) -> Option<RangeInclusive<i64>> {
        let (since, until) = (self.since.map(Timestamp::micros), self.until.map(Timestamp::micros));
        since.or(until)?;
        Some(since.unwrap_or(i64::MIN)..=until.unwrap_or(i64::MAX))
    }

    /// Whether an event passes all parts of the filter except the query, which is searched for.
    pub(crate) fn passes(&self, event: &RecordedEvent) -> bool {
        let types = &self.event_types;
        (types.is_empty() || types.contains(event.event_type()))
            && self.stream_prefix.as_ref().is_none_or(|start| event.stream_id().starts_with(start))
            && self.times().is_none_or(|times| times.contains(&event.timestamp().micros()))
    }
}
