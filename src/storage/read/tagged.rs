//! From a tag to positions: the tail, and what is below it from the trees, or from the sealed files
//! where the trees fail.

use std::ops::RangeInclusive;

use crate::{
    Error,
    storage::{Direction, Storage},
};

impl Storage {
    /// Up to `limit` positions of events with a tag that lie in a range, in this direction. Fewer
    /// are all of them. The range ends at or below the head.
    pub(crate) fn tagged(
        &self,
        tag: &str,
        range: RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        self.check_not_closed()?;
        // First, so that what leaves the tail meanwhile is in the trees.
        let (floor, in_tail) = self.tail.tagged(tag, &range, direction, limit);
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
                found = in_tail;
                found.extend(ask(limit.saturating_sub(found.len()))?);
            }
        }
        Ok(found)
    }
}
