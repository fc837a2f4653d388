//! The answer to a batch.

use std::ops::RangeInclusive;

use crate::event::Appended;

/// What a batch did.
///
/// # Examples
/// See [`Batch`](crate::Batch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// One for each entry of the batch; none for a check.
    entries: Vec<Option<Appended>>,
    is_replay: bool,
}

impl Committed {
    pub(super) fn new(entries: Vec<Option<Appended>>, is_replay: bool) -> Committed {
        Committed { entries, is_replay }
    }

    /// The positions of all events of the batch; an empty range for a batch of checkpoints alone.
    #[allow(clippy::reversed_empty_ranges, reason = "it says that there are none")]
    pub fn positions(&self) -> RangeInclusive<u64> {
        let appended = || self.entries.iter().flatten();
        match (appended().next(), appended().next_back()) {
            (Some(first), Some(last)) => *first.positions().start()..=*last.positions().end(),
            _ => 1..=0,
        }
    }

    /// Where the events of one entry landed. Entries are the streams of the batch, written or only
    /// required, counted from 0 in the order of the calls. `None` for a requirement, and past the
    /// last entry.
    pub fn appended(&self, entry: usize) -> Option<Appended> {
        self.entries.get(entry).copied().flatten()
    }

    /// Whether this was an exact retry: the events were stored already, and none was written.
    pub fn is_replay(&self) -> bool {
        self.is_replay
    }
}
