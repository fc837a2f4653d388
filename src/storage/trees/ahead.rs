//! Runs of a stream that were found ahead of the read that wants them.

use std::collections::VecDeque;

use sled::IVec;

/// The most runs that are kept.
const RUNS: usize = 16;

/// The bytes of values after which no more are kept.
const BYTES: usize = 64 << 10;

/// Values of consecutive runs of one stream, as they were when they were found. A run does not
/// change; whatever else a read needs, it checks when it decodes one.
#[derive(Debug, Default)]
pub(crate) struct RunsAhead {
    /// With the first version of each.
    runs: VecDeque<(u64, IVec)>,
    bytes: usize,
    /// The stream had no run after these.
    has_end: bool,
}

impl RunsAhead {
    /// The run that starts at this version, if it is the next one.
    pub(super) fn take(&mut self, version: u64) -> Option<IVec> {
        self.runs.front().filter(|(first_version, _)| *first_version == version)?;
        let (_, value) = self.runs.pop_front()?;
        self.bytes -= value.len();
        Some(value)
    }

    /// Whether the stream has no run after the one that was found or taken last.
    pub(super) fn is_end(&self) -> bool {
        self.has_end && self.runs.is_empty()
    }

    /// Forgets the runs, for another search.
    pub(super) fn clear(&mut self) {
        *self = RunsAhead::default();
    }

    /// Keeps a run; false when there are enough.
    pub(super) fn put(&mut self, first_version: u64, value: &IVec) -> bool {
        let has_room = self.runs.len() < RUNS && self.bytes < BYTES;
        if has_room {
            self.bytes += value.len();
            self.runs.push_back((first_version, value.clone()));
        }
        has_room
    }

    /// The stream has no run after those that were put.
    pub(super) fn end(&mut self) {
        self.has_end = true;
    }
}
