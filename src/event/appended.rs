//! The answer to an append.

use std::ops::RangeInclusive;

/// Where the events of one stream landed. The events have consecutive positions and versions, in
/// the order of the call.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// let events = [NewEvent::json("Opened", &1)?, NewEvent::json("Closed", &2)?];
/// let appended = store.append("account-1", ExpectedVersion::NoStream, events)?;
/// assert_eq!(appended.positions(), 1..=2);
/// assert_eq!(appended.versions(), 1..=2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Appended {
    first_position: u64,
    first_version: u64,
    count: u64,
}

impl Appended {
    /// `count` is at least 1.
    pub(crate) fn new(first_position: u64, first_version: u64, count: u64) -> Appended {
        debug_assert!(count > 0 && first_position > 0 && first_version > 0);
        Appended { first_position, first_version, count }
    }

    /// The global positions of the events.
    pub fn positions(&self) -> RangeInclusive<u64> {
        self.first_position..=self.first_position + self.count - 1
    }

    /// The versions of the events in their stream.
    pub fn versions(&self) -> RangeInclusive<u64> {
        self.first_version..=self.first_version + self.count - 1
    }
}
