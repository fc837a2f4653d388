//! From a tag to events: from the tail, and below it from the trees, or from the sealed files if
//! the trees fail.

use std::{ops::RangeInclusive, sync::Arc};

use crate::{
    Error,
    storage::{Direction, Storage},
};

/// An event with a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) position: u64,
    /// Its stream and version, if the answer came with them.
    pub(crate) place: Option<(Arc<str>, u64)>,
}

impl Hit {
    /// From a copy that stores only positions.
    pub(super) fn at(position: u64) -> Hit {
        Hit { position, place: None }
    }
}

impl Storage {
    /// Up to `limit` events with a tag in a range, in this direction. If there are fewer, these are
    /// all. The range must end at or below the head. The caller checks from time to time whether
    /// this is a forked child, because that check costs a system call.
    pub(crate) fn tagged(
        &self,
        tag: &str,
        range: RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Hit>, Error> {
        self.check_not_closed()?;
        // First, so that what leaves the tail meanwhile is found in the trees.
        let (floor, in_tail) = self.tail.tagged(tag, &range, direction, limit);
        let in_tail = in_tail.into_iter().map(Hit::at);
        let end = floor.map_or(*range.end(), |floor| floor.min(*range.end()));
        let below = *range.start()..=end;
        let ask = |limit: usize| match below.is_empty() || limit == 0 {
            true => Ok(Vec::new()),
            false => {
                self.ask_trees(Vec::new(), |source| source.tagged(tag, &below, direction, limit))
            }
        };
        let mut found;
        match direction {
            Direction::Forward => {
                found = ask(limit)?;
                found.extend(in_tail);
                found.truncate(limit);
            }
            Direction::Backward => {
                found = in_tail.collect();
                found.extend(ask(limit.saturating_sub(found.len()))?);
            }
        }
        Ok(found)
    }
}

/// A tree for a test to damage.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum SpoiledTree {
    Streams,
    Tags,
}

#[cfg(test)]
impl Storage {
    /// Damages every value of a tree.
    pub(crate) fn spoil(&self, tree: SpoiledTree) {
        let is_streams = matches!(tree, SpoiledTree::Streams);
        let spoiled = self.disk().map(|disk| disk.with_trees(|trees| trees.spoil(is_streams)));
        assert!(matches!(spoiled, Some(Ok(()))), "{spoiled:?}");
    }
}
