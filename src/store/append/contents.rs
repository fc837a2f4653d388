//! The contents of an append or a batch, and the checks before it queues.

use std::{collections::HashSet, sync::Arc};

use crate::{
    Error,
    codec::saved::Checkpoint,
    event::{
        ExpectedVersion, NewEvent, Query,
        limits::{
            self, APPEND_BYTES_MAX, APPEND_EVENTS_MAX, CHECKPOINTS_MAX, CONDITIONS_MAX,
            EVENT_BYTES_MAX, REQUIREMENTS_MAX, TAGS_MAX,
        },
        name,
    },
};

/// The maximum size of a checkpoint, not counting its name.
const CHECKPOINT_BYTES: usize = 64;

/// A stream, its expected version, and the events to append to it; without events it is only a
/// check.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) stream: String,
    pub(crate) expected: ExpectedVersion,
    pub(crate) events: Vec<NewEvent>,
}

impl Unit {
    pub(crate) fn to(
        stream: impl Into<String>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Unit {
        Unit { stream: stream.into(), expected, events: events.into_iter().collect() }
    }
}

/// No event after a position may match a query.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) query: Query,
    pub(crate) after: u64,
}

/// The contents of one atomic unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) units: Vec<Unit>,
    pub(crate) conditions: Vec<Condition>,
    /// Each name occurs once.
    pub(crate) checkpoints: Vec<Checkpoint>,
}

impl Contents {
    pub(crate) fn of_units(units: Vec<Unit>) -> Contents {
        Contents { units, ..Contents::default() }
    }

    pub(crate) fn of_checkpoint(name: &str, position: u64) -> Contents {
        let checkpoints = vec![Checkpoint { name: Arc::from(name), position }];
        Contents { checkpoints, ..Contents::default() }
    }

    pub(crate) fn events(&self) -> u64 {
        self.units.iter().map(|unit| unit.events.len() as u64).sum()
    }

    /// How many streams get events.
    #[cfg(feature = "tracing")]
    pub(super) fn streams(&self) -> usize {
        let written = self.units.iter().filter(|unit| !unit.events.is_empty());
        written.map(|unit| &unit.stream).collect::<std::collections::HashSet<_>>().len()
    }

    /// The bytes that the events count against the limit of an append.
    pub(super) fn bytes(&self) -> usize {
        let bytes_of = |unit: &Unit| {
            unit.events.iter().map(|event| event.counted_bytes(&unit.stream)).sum::<usize>()
        };
        self.units.iter().map(bytes_of).sum()
    }

    /// Roughly the memory that the contents take, and at least the bytes that they add to a frame.
    pub(crate) fn weight(&self) -> usize {
        let checkpoints = self.checkpoints.iter().map(|saved| saved.name.len() + CHECKPOINT_BYTES);
        let conditions = self
            .conditions
            .iter()
            .map(|condition| size_of::<Condition>() + condition.query.weight());
        let units = self.units.iter().map(|unit| unit.stream.len() + size_of::<Unit>());
        self.bytes() + units.sum::<usize>() + checkpoints.sum::<usize>() + conditions.sum::<usize>()
    }

    /// Makes all checks that do not depend on the store: first arguments, then limits.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.events() == 0 && self.checkpoints.is_empty() {
            return Err(Error::invalid("events", "there are no events and no checkpoint"));
        }
        self.check_entries()
    }

    /// Like [`check`](Self::check), for contents that may be incomplete.
    pub(crate) fn check_entries(&self) -> Result<(), Error> {
        self.check_arguments()?;
        self.check_limits()
    }

    fn check_arguments(&self) -> Result<(), Error> {
        for unit in &self.units {
            name::check_form("stream id", &unit.stream)?;
            for event in &unit.events {
                name::check_form("event type", &event.event_type)?;
                event.tags.iter().try_for_each(|tag| name::check_form("tag", tag))?;
            }
        }
        self.conditions.iter().try_for_each(|condition| condition.query.check_form())?;
        let mut names = HashSet::new();
        for Checkpoint { name, .. } in &self.checkpoints {
            name::check_form("checkpoint name", name)?;
            if !names.insert(name) {
                let reason = format!("the checkpoint {name:?} occurs twice in the batch");
                return Err(Error::invalid("checkpoint name", reason));
            }
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), Error> {
        let (mut count, mut total) = (0, 0);
        for unit in &self.units {
            name::check_length("stream id (bytes)", &unit.stream)?;
            count += unit.events.len();
            for event in &unit.events {
                name::check_length("event type (bytes)", &event.event_type)?;
                event.tags.iter().try_for_each(|tag| name::check_length("tag (bytes)", tag))?;
                limits::check("event (tags)", event.tags.len(), TAGS_MAX)?;
                let bytes = event.counted_bytes(&unit.stream);
                limits::check("event (bytes)", bytes, EVENT_BYTES_MAX)?;
                total += bytes;
            }
        }
        limits::check("append (events)", count, APPEND_EVENTS_MAX)?;
        limits::check("append (bytes)", total, APPEND_BYTES_MAX)?;
        let requirements = self.units.iter().filter(|unit| unit.events.is_empty()).count();
        limits::check("batch (requirements)", requirements, REQUIREMENTS_MAX)?;
        limits::check("batch (conditions)", self.conditions.len(), CONDITIONS_MAX)?;
        self.conditions.iter().try_for_each(|condition| condition.query.check_limits())?;
        limits::check("batch (checkpoints)", self.checkpoints.len(), CHECKPOINTS_MAX)?;
        let mut checkpoints = self.checkpoints.iter();
        checkpoints.try_for_each(|saved| name::check_length("checkpoint name (bytes)", &saved.name))
    }
}
