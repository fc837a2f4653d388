//! The result of an append.

use std::{
    hash::{Hash, Hasher},
    ops::RangeInclusive,
};

/// The positions and versions that the events of one stream received. They are consecutive, in the
/// order of the call. Two values are equal if they name the same places, whether or not they are
/// replays.
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
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    first_position: u64,
    first_version: u64,
    count: u64,
    is_replay: bool,
}

impl Appended {
    /// `count` is at least 1.
    pub(crate) fn new(first_position: u64, first_version: u64, count: u64) -> Appended {
        debug_assert!(count > 0 && first_position > 0 && first_version > 0);
        Appended { first_position, first_version, count, is_replay: false }
    }

    /// The same places, for events that an earlier append wrote.
    pub(crate) fn replayed(self) -> Appended {
        Appended { is_replay: true, ..self }
    }

    /// The global positions of the events.
    pub fn positions(&self) -> RangeInclusive<u64> {
        self.first_position..=self.first_position + self.count - 1
    }

    /// The versions of the events in their stream.
    pub fn versions(&self) -> RangeInclusive<u64> {
        self.first_version..=self.first_version + self.count - 1
    }
    /// Whether this was an exact retry: the events were already stored at these positions, and
    /// nothing was written. See [`EventStore::append`](crate::EventStore::append).
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    /// use uuid::Uuid;
    ///
    /// let store = EventStore::in_memory()?;
    /// let deposit = NewEvent::json("Deposited", &100)?.id(Uuid::from_u128(1));
    /// let first = store.append("account-1", ExpectedVersion::NoStream, [deposit.clone()])?;
    /// let again = store.append("account-1", ExpectedVersion::NoStream, [deposit])?;
    /// assert!(!first.is_replay() && again.is_replay());
    /// assert_eq!(first, again);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_replay(&self) -> bool {
        self.is_replay
    }

    fn places(&self) -> (u64, u64, u64) {
        (self.first_position, self.first_version, self.count)
    }
}

impl PartialEq for Appended {
    fn eq(&self, other: &Appended) -> bool {
        self.places() == other.places()
    }
}

impl Eq for Appended {}

impl Hash for Appended {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.places().hash(state);
    }
}
