//! Runs of a stream that were found before the read needs them.

use std::collections::VecDeque;

use sled::IVec;

/// The most runs to keep.
const RUNS: usize = 16;

/// No more runs are kept once their values take this many bytes.
const BYTES: usize = 64 << 10;

/// Values of consecutive runs of one stream, as they were when they were found. A run does not
/// change; decoding a run makes all the checks that a read needs.
#[derive(Debug, Default)]
pub(crate) struct RunsAhead {
    /// Each value with its first version.
    runs: VecDeque<(u64, IVec)>,
    bytes: usize,
    /// The stream had no run after these when they were found.
    has_end: bool,
}

impl RunsAhead {
    /// Returns the run that starts at this version, if it is the next one.
    pub(super) fn take(&mut self, version: u64) -> Option<IVec> {
        self.runs.front().filter(|(first_version, _)| *first_version == version)?;
        let (_, value) = self.runs.pop_front()?;
        self.bytes -= value.len();
        Some(value)
    }

    /// Whether the stream has no run after the last one that was found or taken.
    pub(super) fn is_end(&self) -> bool {
        self.has_end && self.runs.is_empty()
    }

    /// Discards the runs before another search.
    pub(super) fn clear(&mut self) {
        *self = RunsAhead::default();
    }

    /// Keeps a run; returns false when there are enough.
    pub(super) fn put(&mut self, first_version: u64, value: &IVec) -> bool {
        let has_room = self.runs.len() < RUNS && self.bytes < BYTES;
        if has_room {
            self.bytes += value.len();
            self.runs.push_back((first_version, value.clone()));
        }
        has_room
    }

    /// Notes that the stream has no run after those that were put.
    pub(super) fn end(&mut self) {
        self.has_end = true;
    }
}
