//! From a tag to the events with it.

use std::ops::RangeInclusive;

use crate::{
    Error,
    codec::{key, tagged::Tagged},
    storage::{
        Direction, Hit,
        trees::{Trees, guarded},
    },
};

impl Trees {
    /// Up to `limit` events with a tag in a range, in this direction.
    pub(crate) fn tagged(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Hit>, Error> {
        let (start, end) = (key::run(tag, *range.start()), key::run(tag, *range.end()));
        // The run that holds the start of the range starts at or before it.
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
            let mut run = self.decode_tagged(&key, &value)?;
            let below = |position: u64| run.positions().take_while(|&at| at < position).count();
            let first = below(*range.start());
            let end = below(range.end().saturating_add(1)).max(first);
            let room = limit - found.len();
            let mut take = |index: usize| {
                let position = run.positions().nth(index)?;
                Some(Hit { position, place: run.place(index) })
            };
            match direction {
                Direction::Forward => found.extend((first..end).take(room).filter_map(&mut take)),
                Direction::Backward => {
                    found.extend((first..end).rev().take(room).filter_map(&mut take));
                }
            }
        }
        Ok(found)
    }

    /// Every tag with the events of a run. A damaged run is an `Err` item.
    pub(crate) fn tagged_runs(
        &self,
    ) -> impl Iterator<Item = Result<(String, Tagged), Error>> + use<'_> {
        let mut runs = self.tags.iter();
        let mut has_ended = false;
        std::iter::from_fn(move || {
            if has_ended {
                return None;
            }
            match guarded(|| runs.next().transpose()).transpose()? {
                Ok((key, value)) => Some(self.decode_tagged(&key, &value).map(|run| {
                    let tag = key::parse_run(&key).map_or("", |(tag, _)| tag);
                    (tag.to_owned(), run)
                })),
                Err(error) => {
                    has_ended = true;
                    Some(Err(error))
                }
            }
        })
    }

    fn decode_tagged(&self, key: &[u8], value: &[u8]) -> Result<Tagged, Error> {
        Tagged::decode(key, value, &self.checksum).map_err(|reason| {
            let (tag, first) = key::parse_run(key).unwrap_or_default();
            let place = format!("the positions of the tag {tag:?} in the trees");
            Error::corrupted(place, (first > 0).then_some(first), reason)
        })
    }

    /// Damages every run of events, or of positions, for a test.
    #[cfg(test)]
    pub(crate) fn spoil(&self, is_streams: bool) -> Result<(), Error> {
        let tree = if is_streams { &self.streams } else { &self.tags };
        guarded(|| {
            for key in tree.iter().keys() {
                tree.insert(key?, b"damaged".as_slice())?;
            }
            Ok(())
        })
    }
}
