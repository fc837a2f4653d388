//! The result of a batch.

use std::ops::RangeInclusive;

use crate::event::Appended;

/// The result of a batch.
///
/// # Examples
/// See [`Batch`](crate::Batch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// One for each entry of the batch; `None` for a check.
    entries: Vec<Option<Appended>>,
    is_replay: bool,
}

impl Committed {
    pub(super) fn new(entries: Vec<Option<Appended>>, is_replay: bool) -> Committed {
        Committed { entries, is_replay }
    }

    /// The positions of all events of the batch; an empty range if the batch has only checkpoints.
    #[allow(clippy::reversed_empty_ranges, reason = "it says that there are none")]
    pub fn positions(&self) -> RangeInclusive<u64> {
        let appended = || self.entries.iter().flatten();
        match (appended().next(), appended().next_back()) {
            (Some(first), Some(last)) => *first.positions().start()..=*last.positions().end(),
            _ => 1..=0,
        }
    }

    /// The positions and versions of the events of one entry. Entries are the streams of the batch,
    /// whether written or only required, counted from 0 in the order of the calls. `None` for a
    /// requirement, and for an index past the last entry.
    pub fn appended(&self, entry: usize) -> Option<Appended> {
        self.entries.get(entry).copied().flatten()
    }

    /// Whether this was an exact retry: the events were already stored, and none was written.
    pub fn is_replay(&self) -> bool {
        self.is_replay
    }
}
