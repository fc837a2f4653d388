//! A point in a stream, up to which its state is derived.

use crate::event::{RecordedEvent, Timestamp};

/// The point up to which the events of a stream are replayed, inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpTo {
    /// All events.
    #[default]
    Now,
    /// This version of the stream; 0 means before its first event.
    Version(u64),
    /// This position of the store.
    Position(u64),
    /// All events with this time or an earlier one, wherever they are in the stream. Naive times
    /// count as UTC.
    Timestamp(Timestamp),
}

impl UpTo {
    /// Whether an event is included.
    pub fn includes(self, event: &RecordedEvent) -> bool {
        match self {
            UpTo::Now => true,
            UpTo::Version(version) => event.version() <= version,
            UpTo::Position(position) => event.position() <= position,
            UpTo::Timestamp(time) => event.timestamp().micros() <= time.micros(),
        }
    }

    /// Whether the stream may have included events after one that is not included.
    pub(super) fn has_gaps(self) -> bool {
        matches!(self, UpTo::Timestamp(_))
    }
}
