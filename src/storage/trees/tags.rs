//! From a tag to the positions of the events that have it.

use std::ops::RangeInclusive;

use crate::{
    Error,
    codec::{key, tagged},
    storage::{
        Direction,
        trees::{Trees, guarded},
    },
};

impl Trees {
    /// Up to `limit` positions of events with a tag that lie in a range, in this direction.
    pub(crate) fn tagged(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        let (start, end) = (key::run(tag, *range.start()), key::run(tag, *range.end()));
        // The run that holds the start of the range begins at or before it.
        let before = key::run(tag, 0)..=start.clone();
        let first = guarded(|| self.tags.range(before).next_back().transpose())?;
        let first = first.map_or(start, |(key, _)| key.to_vec());
        let mut runs = self.tags.range(first..=end);
        let mut found = Vec::new();
        while found.len() < limit {
            let next = guarded(|| match direction {
                Direction::Forward => runs.next().transpose(),
                Direction::Backward => runs.next_back().transpose(),
            })?;
            let Some((key, value)) = next else { break };
            let mut positions = self.decode_tagged(&key, &value)?;
            positions.retain(|position| range.contains(position));
            if direction == Direction::Backward {
                positions.reverse();
            }
            found.extend(positions);
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Every tag with the positions of a run. Damage is an item.
    pub(crate) fn tagged_runs(
        &self,
    ) -> impl Iterator<Item = Result<(String, Vec<u64>), Error>> + use<'_> {
        let mut runs = self.tags.iter();
        let mut has_ended = false;
        std::iter::from_fn(move || {
            if has_ended {
                return None;
            }
            match guarded(|| runs.next().transpose()).transpose()? {
                Ok((key, value)) => Some(self.decode_tagged(&key, &value).map(|positions| {
                    let tag = key::parse_run(&key).map_or("", |(tag, _)| tag);
                    (tag.to_owned(), positions)
                })),
                Err(error) => {
                    has_ended = true;
                    Some(Err(error))
                }
            }
        })
    }

    fn decode_tagged(&self, key: &[u8], value: &[u8]) -> Result<Vec<u64>, Error> {
        tagged::decode(key, value, &self.checksum).map_err(|reason| {
            let (tag, first) = key::parse_run(key).unwrap_or_default();
            let place = format!("the positions of the tag {tag:?} in the trees");
            Error::corrupted(place, (first > 0).then_some(first), reason)
        })
    }
}
