//! Batches as lists, for tests that make them up as they go.

use annals::{AppendError, Appended, Batch, EventStore, ExpectedVersion, NewEvent};

/// One entry of a batch: events for a stream, or without events a requirement.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    stream: String,
    expected: ExpectedVersion,
    events: Vec<NewEvent>,
}

impl Unit {
    pub(crate) fn to(
        stream: impl Into<String>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Unit {
        Unit { stream: stream.into(), expected, events: events.into_iter().collect() }
    }

    #[allow(dead_code, reason = "not every test program has requirements")]
    pub(crate) fn check(stream: impl Into<String>, expected: ExpectedVersion) -> Unit {
        Unit::to(stream, expected, [])
    }
}

/// The batch of these entries.
pub(crate) fn batch_of(units: impl IntoIterator<Item = Unit>) -> Batch {
    units.into_iter().fold(Batch::new(), |batch, Unit { stream, expected, events }| {
        match events.is_empty() {
            true => batch.require(stream, expected),
            false => batch.append(stream, expected, events),
        }
    })
}

pub(crate) trait AppendUnits {
    /// Commits a batch, and returns where the events of each entry with events landed.
    fn append_multi(
        &self,
        units: impl IntoIterator<Item = Unit>,
    ) -> Result<Vec<Appended>, AppendError>;
}

impl AppendUnits for EventStore {
    fn append_multi(
        &self,
        units: impl IntoIterator<Item = Unit>,
    ) -> Result<Vec<Appended>, AppendError> {
        let units: Vec<Unit> = units.into_iter().collect();
        let count = units.len();
        let committed = batch_of(units).commit(self)?;
        Ok((0..count).filter_map(|entry| committed.appended(entry)).collect())
    }
}
