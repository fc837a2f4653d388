//! The positions of the events that have all of some tags.

use std::{collections::VecDeque, ops::RangeInclusive};

use crate::{
    Error,
    storage::{Direction, Storage},
};

/// Positions that are looked up at once: few at first, because many searches end with the first.
const POSITIONS_FIRST: usize = 32;
const POSITIONS_MAX: usize = 2_048;

/// The positions of one tag in a range, in one direction.
#[derive(Debug)]
struct Postings {
    tag: String,
    /// What has not been looked up; `None` when nothing is left.
    range: Option<RangeInclusive<u64>>,
    direction: Direction,
    found: VecDeque<u64>,
    at_once: usize,
}

impl Postings {
    fn new(tag: String, range: RangeInclusive<u64>, direction: Direction) -> Postings {
        Postings {
            tag,
            range: Some(range),
            direction,
            found: VecDeque::new(),
            at_once: POSITIONS_FIRST,
        }
    }

    /// The first position that is not before `start`, in the direction of the search. What is
    /// before it is passed over.
    fn seek(&mut self, storage: &Storage, start: u64) -> Result<Option<u64>, Error> {
        let is_before = |position: u64| match self.direction {
            Direction::Forward => position < start,
            Direction::Backward => position > start,
        };
        while self.found.front().is_some_and(|position| is_before(*position)) {
            self.found.pop_front();
        }
        if self.found.is_empty() {
            self.look_up(storage, start)?;
        }
        Ok(self.found.front().copied())
    }

    fn look_up(&mut self, storage: &Storage, start: u64) -> Result<(), Error> {
        let Some(left) = &self.range else { return Ok(()) };
        let (first, last) = (*left.start(), *left.end());
        let range = match self.direction {
            Direction::Forward => first.max(start)..=last,
            Direction::Backward => first..=last.min(start),
        };
        if range.is_empty() {
            return Ok(());
        }
        let found = storage.tagged(&self.tag, range, self.direction, self.at_once)?;
        let left = found.last().filter(|_| found.len() == self.at_once);
        self.range = match (left, self.direction) {
            (Some(&position), Direction::Forward) => Some(position.saturating_add(1)..=last),
            (Some(&position), Direction::Backward) => Some(first..=position.saturating_sub(1)),
            (None, _) => None,
        };
        self.at_once = (self.at_once * 4).min(POSITIONS_MAX);
        self.found = found.into();
        Ok(())
    }
}

/// The positions that several tags have in common.
#[derive(Debug)]
pub(super) struct Intersection {
    postings: Vec<Postings>,
}

impl Intersection {
    pub(super) fn new(
        tags: &[String],
        range: &RangeInclusive<u64>,
        direction: Direction,
    ) -> Intersection {
        let of = |tag: &String| Postings::new(tag.clone(), range.clone(), direction);
        Intersection { postings: tags.iter().map(of).collect() }
    }

    /// The first common position that is not before `start`, in the direction of the search.
    pub(super) fn seek(&mut self, storage: &Storage, start: u64) -> Result<Option<u64>, Error> {
        let mut candidate = start;
        let mut agreed = 0;
        // Each tag in turn moves the candidate on, until all of them have it.
        for index in (0..self.postings.len()).cycle() {
            let Some(postings) = self.postings.get_mut(index) else { break };
            let Some(found) = postings.seek(storage, candidate)? else { return Ok(None) };
            agreed = if found == candidate { agreed + 1 } else { 1 };
            candidate = found;
            if agreed >= self.postings.len() {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }
}
