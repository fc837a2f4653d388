//! The events that have all of several tags.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::RangeInclusive,
};

use crate::{
    Error,
    storage::{Direction, Hit, Storage},
};

/// The number of positions looked up at once: few at first, because many searches end with the
/// first.
const POSITIONS_FIRST: usize = 32;
const POSITIONS_MAX: usize = 2_048;

/// This many events within this many positions, of at least this many streams, are read faster from
/// the journal than from the runs of the trees: a block holds some 250 events of 256 bytes, and
/// takes as long to read as four short runs.
const DENSE_EVENTS: usize = 8;
const DENSE_POSITIONS: u64 = 256;
const DENSE_STREAMS: usize = 4;

/// The events of one tag in a range, in one direction.
#[derive(Debug)]
struct Postings {
    tag: String,
    /// The range that has not been looked up yet; `None` if nothing is left.
    range: Option<RangeInclusive<u64>>,
    direction: Direction,
    found: VecDeque<Hit>,
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

    /// The first event that is not before `start`, in the direction of the search. Earlier events
    /// are skipped.
    fn seek(&mut self, storage: &Storage, start: u64) -> Result<Option<&Hit>, Error> {
        let is_before = |position: u64| match self.direction {
            Direction::Forward => position < start,
            Direction::Backward => position > start,
        };
        while self.found.front().is_some_and(|hit| is_before(hit.position)) {
            self.found.pop_front();
        }
        if self.found.is_empty() {
            self.look_up(storage, start)?;
        }
        Ok(self.found.front())
    }

    /// Whether the next events are so close together that reading the journal is faster.
    fn is_dense(&self) -> bool {
        let next = || self.found.iter().take(DENSE_EVENTS);
        let (Some(one), Some(other)) = (self.found.front(), self.found.get(DENSE_EVENTS - 1))
        else {
            return false;
        };
        one.position.abs_diff(other.position) < DENSE_POSITIONS && {
            let streams: BTreeSet<&str> =
                next().filter_map(|hit| hit.place.as_ref().map(|(stream, _)| &**stream)).collect();
            streams.len() >= DENSE_STREAMS
        }
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
        // Once for many events: the check for a forked child is a system call.
        storage.check_open()?;
        let found = storage.tagged(&self.tag, range, self.direction, self.at_once)?;
        let left = found.last().filter(|_| found.len() == self.at_once);
        self.range = match (left, self.direction) {
            (Some(hit), Direction::Forward) => Some(hit.position.saturating_add(1)..=last),
            (Some(hit), Direction::Backward) => Some(first..=hit.position.saturating_sub(1)),
            (None, _) => None,
        };
        self.at_once = (self.at_once * 4).min(POSITIONS_MAX);
        self.found = found.into();
        Ok(())
    }
}

/// The events that several tags have in common.
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

    /// The first common event that is not before `start`, in the direction of the search.
    pub(super) fn seek(&mut self, storage: &Storage, start: u64) -> Result<Option<Hit>, Error> {
        let mut candidate = start;
        let (mut agreed, count) = (0, self.postings.len());
        // Each tag in turn advances the candidate, until all of them have it.
        for index in (0..count).cycle() {
            let Some(postings) = self.postings.get_mut(index) else { break };
            let Some(found) = postings.seek(storage, candidate)? else { return Ok(None) };
            agreed = if found.position == candidate { agreed + 1 } else { 1 };
            candidate = found.position;
            if agreed >= count {
                return Ok(Some(found.clone()));
            }
        }
        Ok(None)
    }

    /// Whether the events of every tag are close together at the current place of the search.
    pub(super) fn is_dense(&self) -> bool {
        self.postings.iter().all(Postings::is_dense)
    }
}
