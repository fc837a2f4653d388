//! One stream's share of an atomic append over several streams.

use crate::event::{ExpectedVersion, NewEvent};

/// One entry of [`append_multi`](crate::EventStore::append_multi): a stream, what is expected of
/// it, and the events to append; without events, a pure check of the stream.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent, Unit};
///
/// let store = EventStore::in_memory()?;
/// store.append("limit", ExpectedVersion::NoStream, [NewEvent::json("Set", &100)?])?;
/// let appended = store.append_multi([
///     Unit::check("limit", ExpectedVersion::Exact(1)),
///     Unit::to("from", ExpectedVersion::Any, [NewEvent::json("Withdrawn", &40)?]),
///     Unit::to("into", ExpectedVersion::Any, [NewEvent::json("Deposited", &40)?]),
/// ])?;
/// assert_eq!(appended.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Unit {
    pub(crate) stream: String,
    pub(crate) expected: ExpectedVersion,
    pub(crate) events: Vec<NewEvent>,
}

impl Unit {
    /// Appends `events` to `stream` if the stream is as `expected`. Without events it is a check.
    pub fn to(
        stream: impl Into<String>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Unit {
        Unit { stream: stream.into(), expected, events: events.into_iter().collect() }
    }

    /// Checks that `stream` is as `expected`, and writes nothing to it.
    pub fn check(stream: impl Into<String>, expected: ExpectedVersion) -> Unit {
        Unit { stream: stream.into(), expected, events: Vec::new() }
    }
}
