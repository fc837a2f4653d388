//! A run: where consecutive versions of one stream lie in the global order.
//!
//! ```text
//! value = bincode { first_position u64, spans [(gap u64, len u64)] }
//! ```
//! The first span starts at `first_position` (its gap is 0); each later one starts `gap` positions
//! behind the last position of the span before. Versions count up through the spans from the
//! version in the key. The index is derived from the records and carries no checksum of its own: an
//! event found through it names its own stream and version, and those are compared.

use crate::codec::{self, Reason};

/// Spans in one run: bounds the size of its value to some KiB.
const SPANS_MAX: usize = 1_000;

/// Where consecutive versions of one stream lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    first_position: u64,
    last_position: u64,
    /// Gap and length of each span.
    spans: Vec<(u64, u64)>,
}

impl Run {
    pub(crate) fn new(first_position: u64) -> Run {
        Run { first_position, last_position: first_position, spans: vec![(0, 1)] }
    }

    /// Adds the next version's position, which is larger than all before; false when the run is
    /// full and a new one has to start there.
    pub(crate) fn push(&mut self, position: u64) -> bool {
        let gap = position.saturating_sub(self.last_position);
        let has_room = self.spans.len() < SPANS_MAX;
        match self.spans.last_mut() {
            Some((_, len)) if gap == 1 => *len += 1,
            _ if has_room => self.spans.push((gap, 1)),
            _ => return false,
        }
        self.last_position = position;
        true
    }

    pub(crate) fn first_position(&self) -> u64 {
        self.first_position
    }

    /// How many events lie at or below `head`.
    pub(crate) fn count_through(&self, head: u64) -> u64 {
        self.spans().map(|(first, len)| len.min(head.saturating_add(1).saturating_sub(first))).sum()
    }

    /// The positions from the `skip`-th on.
    pub(crate) fn positions_from(&self, skip: u64) -> impl Iterator<Item = u64> {
        let mut skip = skip;
        self.spans().flat_map(move |(first, len)| {
            let here = skip.min(len);
            skip -= here;
            first + here..first + len
        })
    }

    /// First position and length of each span.
    fn spans(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut end = self.first_position;
        self.spans.iter().map(move |&(gap, len)| {
            let first = end + gap;
            end = first + len - 1;
            (first, len)
        })
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Reason> {
        let mut bytes = Vec::with_capacity(16 + 2 * self.spans.len());
        codec::encode(&(self.first_position, &self.spans), &mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Run, Reason> {
        let (first_position, spans): (u64, Vec<(u64, u64)>) = codec::decode(bytes)?;
        if first_position == 0 || spans.is_empty() {
            return Err("it leads nowhere".to_owned());
        }
        let mut last_position = first_position;
        for (index, &(gap, len)) in spans.iter().enumerate() {
            if len == 0 || (gap == 0) != (index == 0) {
                return Err("its spans overlap".to_owned());
            }
            last_position = last_position
                .checked_add(gap)
                .and_then(|first| first.checked_add(len - 1))
                .ok_or_else(|| "its spans are out of range".to_owned())?;
        }
        Ok(Run { first_position, last_position, spans })
    }
}
