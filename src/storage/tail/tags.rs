//! The index of tags of a generation, in little memory: each tag may occur once only, and then a
//! generation has more tags than events.
//!
//! A tag is known by its number, in the order in which tags came. A hash table with open addressing
//! leads from a hash to a number, and the texts decide; they are in one string. A tag with a single
//! event takes its text and some 30 bytes.

use std::{hash::BuildHasher as _, ops::RangeInclusive};

use foldhash::fast::RandomState;

/// About how many bytes a tag takes besides its text, and each event after its first.
const TAG_BYTES: u64 = 32;
const POSITION_BYTES: u64 = 8;

/// The number in a slot without a tag.
const NO_TAG: u32 = u32::MAX;

/// The bit of a place that says where the positions of several events are.
const SEVERAL: u32 = 1 << 31;

/// From a tag to the positions of its events.
#[derive(Debug, Default)]
pub(super) struct TagIndex {
    /// The texts of the tags, without anything between them.
    texts: String,
    /// For each tag, where its text ends.
    ends: Vec<usize>,
    /// For each tag, the position of its event, counted from `base`; or [`SEVERAL`] and an index.
    places: Vec<u32>,
    /// The position of the first event with tags.
    base: u64,
    /// The positions of the events of a tag, ascending.
    several: Vec<Vec<u64>>,
    /// A power of two of slots, at most three quarters of them in use: a part of the hash of a tag,
    /// which is also where the search for it starts, and its number.
    slots: Vec<(u32, u32)>,
    hashes: RandomState,
    bytes: u64,
}

impl TagIndex {
    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds an event with a tag, at a position after those of all earlier ones.
    pub(super) fn push(&mut self, tag: &str, position: u64) {
        let hash = self.hash(tag);
        match self.number_of(hash, tag) {
            Some(number) => self.add_to(number, position),
            None => self.add(hash, tag, position),
        }
    }

    /// The positions of the events with a tag in a range, ascending.
    pub(super) fn positions(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
    ) -> impl DoubleEndedIterator<Item = u64> + use<'_> {
        let number = self.number_of(self.hash(tag), tag);
        let (one, several) = number.map_or((None, &[][..]), |number| self.positions_of(number));
        let start = several.partition_point(|position| position < range.start());
        let end = several.partition_point(|position| position <= range.end());
        let several = several.get(start..end).unwrap_or_default();
        one.filter(|one| range.contains(one)).into_iter().chain(several.iter().copied())
    }

    /// The tags of events after `position`.
    pub(super) fn after(&self, position: u64) -> impl Iterator<Item = &str> {
        let last = |number| match self.positions_of(number) {
            (Some(one), _) => Some(one),
            (None, several) => several.last().copied(),
        };
        let numbers = (0..self.ends.len()).filter(move |&number| last(number) > Some(position));
        numbers.map(|number| self.text(number))
    }

    fn hash(&self, tag: &str) -> u32 {
        u32::try_from(self.hashes.hash_one(tag) >> 32).unwrap_or_default()
    }

    /// The slots that a tag with this hash may be in, in the order of the search.
    fn probe(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let count = self.slots.len();
        (0..count).map(move |step| (hash as usize).wrapping_add(step) & (count - 1))
    }

    fn number_of(&self, hash: u32, tag: &str) -> Option<usize> {
        for index in self.probe(hash) {
            let &(other, number) = self.slots.get(index).filter(|(_, number)| *number != NO_TAG)?;
            if other == hash && self.text(number as usize) == tag {
                return Some(number as usize);
            }
        }
        None
    }

    fn text(&self, number: usize) -> &str {
        let end_of = |number: usize| self.ends.get(number).copied().unwrap_or(0);
        let start = number.checked_sub(1).map_or(0, end_of);
        self.texts.get(start..end_of(number)).unwrap_or_default()
    }

    /// The position of the only event of a tag, or those of several.
    fn positions_of(&self, number: usize) -> (Option<u64>, &[u64]) {
        match self.places.get(number) {
            Some(&place) if place & SEVERAL == 0 => (Some(self.base + u64::from(place)), &[]),
            Some(&place) => {
                let several = self.several.get((place & !SEVERAL) as usize);
                (None, several.map(Vec::as_slice).unwrap_or_default())
            }
            None => (None, &[]),
        }
    }

    fn add_to(&mut self, number: usize, position: u64) {
        self.bytes += POSITION_BYTES;
        let place = self.places.get(number).copied().unwrap_or(SEVERAL);
        if place & SEVERAL == 0 {
            let both = vec![self.base + u64::from(place), position];
            self.bytes += TAG_BYTES + POSITION_BYTES;
            let place = self.add_several(both);
            self.places.get_mut(number).into_iter().for_each(|one| *one = place);
        } else if let Some(several) = self.several.get_mut((place & !SEVERAL) as usize) {
            several.push(position);
        }
    }

    fn add_several(&mut self, positions: Vec<u64>) -> u32 {
        let index = u32::try_from(self.several.len()).unwrap_or(u32::MAX);
        self.several.push(positions);
        SEVERAL | index
    }

    fn add(&mut self, hash: u32, tag: &str, position: u64) {
        if self.ends.is_empty() {
            self.base = position;
        }
        if (self.ends.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.enter(hash, u32::try_from(self.ends.len()).unwrap_or(NO_TAG));
        self.texts.push_str(tag);
        self.ends.push(self.texts.len());
        let place = u32::try_from(position - self.base).ok().filter(|place| place & SEVERAL == 0);
        let place = place.unwrap_or_else(|| self.add_several(vec![position]));
        self.places.push(place);
        self.bytes += TAG_BYTES + tag.len() as u64;
    }

    /// Puts a tag into the first free slot.
    fn enter(&mut self, hash: u32, number: u32) {
        for index in self.probe(hash) {
            if let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.1 == NO_TAG) {
                *slot = (hash, number);
                return;
            }
        }
    }

    fn grow(&mut self) {
        let slots = vec![(0, NO_TAG); (self.slots.len() * 2).max(16)];
        for (hash, number) in std::mem::replace(&mut self.slots, slots) {
            if number != NO_TAG {
                self.enter(hash, number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_finds_what_a_map_finds() {
        let (mut index, mut map) = (TagIndex::default(), BTreeMap::<String, Vec<u64>>::new());
        // Unique ones, some with a few events, and one with many; positions far apart at the end.
        for event in 0..6_000_u64 {
            let position = 1_000 + if event < 5_000 { event * 3 } else { event << 32 };
            let tags = [format!("once:{event}"), format!("some:{}", event % 700), "all".to_owned()];
            for (tag, _) in tags.iter().zip(0..=event % 3) {
                index.push(tag, position);
                map.entry(tag.clone()).or_default().push(position);
            }
        }
        let ranges = [0..=u64::MAX, 0..=999, 1_000..=1_000, 1_001..=9_000, 9_001..=u64::MAX];
        for (tag, due) in &map {
            for range in &ranges {
                let due: Vec<u64> = due.iter().copied().filter(|at| range.contains(at)).collect();
                assert_eq!(index.positions(tag, range).collect::<Vec<_>>(), due, "{tag} {range:?}");
                assert!(index.positions(tag, range).rev().eq(due.into_iter().rev()), "{tag}");
            }
        }
        for missing in ["", "once:", "once:6000", "al", "alll"] {
            assert_eq!(index.positions(missing, &ranges[0]).count(), 0, "{missing:?}");
        }
        for position in [0, 1_000, 1_001, 9_000, 5_999 << 32, u64::MAX] {
            let mut found: Vec<&str> = index.after(position).collect();
            found.sort_unstable();
            let due = map.iter().filter(|(_, at)| at.last().is_some_and(|last| *last > position));
            assert!(found.into_iter().eq(due.map(|(tag, _)| tag)), "after {position}");
        }
    }

    #[test]
    fn texts_decide_where_hashes_are_equal() {
        let mut index = TagIndex::default();
        for (number, tag) in ["a", "ab", "b"].into_iter().enumerate() {
            index.add(7, tag, 10 + number as u64);
        }
        assert_eq!(
            ["a", "ab", "b"].map(|tag| index.number_of(7, tag)),
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(["", "abb", "c"].map(|tag| index.number_of(7, tag)), [None; 3]);
        assert_eq!(index.number_of(8, "ab"), None, "the search starts elsewhere");
    }

    #[test]
    fn a_tag_with_one_event_takes_little() {
        let mut index = TagIndex::default();
        (0..100_000).for_each(|number| index.push(&format!("customer:{number:0>6}"), number));
        let spaces = [index.texts.capacity(), index.ends.capacity() * 8];
        let spaces = spaces.into_iter().chain([index.places.capacity() * 4, index.slots.len() * 8]);
        let bytes: usize = spaces.sum();
        assert!(bytes <= 75 * 100_000, "{bytes}");
        assert!(index.several.is_empty());
        assert!((40 * 100_000..=75 * 100_000).contains(&index.bytes()), "{}", index.bytes());
    }
}
