//! Which events a reader wants.

use std::collections::HashSet;

use crate::{
    Error,
    event::{RecordedEvent, name},
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// None at all filter nothing.
    pub(crate) event_types: HashSet<String>,
    pub(crate) stream_prefix: Option<String>,
}

impl Filter {
    /// The form of the arguments; their lengths come later, as with every call.
    pub(crate) fn check_form(&self) -> Result<(), Error> {
        self.event_types.iter().try_for_each(|name| name::check_form("event type", name))
    }

    pub(crate) fn check_length(&self) -> Result<(), Error> {
        let mut types = self.event_types.iter();
        types.try_for_each(|name| name::check_length("event type (bytes)", name))
    }

    /// Whether every event passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.event_types.is_empty() && self.stream_prefix.is_none()
    }

    pub(crate) fn passes(&self, event: &RecordedEvent) -> bool {
        let types = &self.event_types;
        (types.is_empty() || types.contains(event.event_type()))
            && self.stream_prefix.as_ref().is_none_or(|start| event.stream_id().starts_with(start))
    }
}
