//! Finding the events that match a query, in ascending or descending order of their positions.
//!
//! An item with tags is looked up in the index of tags, and an item with a stream but no tags in
//! the stream. If an item has neither, every event is read.

use std::{ops::RangeInclusive, sync::Arc};

use super::{super::cursor::Cursor, pages::Pages, postings::Intersection};
use crate::{
    Error,
    event::{Query, QueryItem, RecordedEvent},
    storage::{Direction, Storage},
};

/// A search within a range of positions.
#[derive(Debug)]
pub(crate) struct Search {
    query: Query,
    range: RangeInclusive<u64>,
    direction: Direction,
    /// The next position that may match.
    next: u64,
    state: State,
    /// The pages that were read last.
    pages: Pages,
}

#[derive(Debug)]
enum State {
    Unstarted,
    Scan(Box<Cursor>),
    Items(Vec<Choice>),
}

/// An item, and the first event that it may match from where the search is.
#[derive(Debug)]
struct Choice {
    item: Item,
    /// It stays until the search has passed it, so that each step looks up few items.
    found: Option<Candidate>,
    has_more: bool,
}

/// The events that one item may match.
#[derive(Debug)]
enum Item {
    /// Events with all of the item's tags, in its stream if it has one; and whether it has no
    /// types.
    Tagged { tagged: Intersection, stream: Option<String>, has_no_types: bool },
    /// Events of the item's stream.
    Stream(Box<Cursor>),
}

/// The first position that an item may match.
#[derive(Debug)]
struct Candidate {
    position: u64,
    event: Option<RecordedEvent>,
    /// Its place in the trees, if they are to be read.
    place: Option<(Arc<str>, u64)>,
    /// The event is known to match.
    is_certain: bool,
}

impl Search {
    /// Creates a search in `range`, which ends at or below the head.
    pub(crate) fn new(query: Query, range: RangeInclusive<u64>, direction: Direction) -> Search {
        let next = match direction {
            Direction::Forward => *range.start(),
            Direction::Backward => *range.end(),
        };
        let (state, pages) = (State::Unstarted, Pages::default());
        Search { query, range, direction, next, state, pages }
    }

    /// The next event that matches.
    pub(crate) fn next(&mut self, storage: &Storage) -> Result<Option<RecordedEvent>, Error> {
        loop {
            let Some(found) = self.candidate(storage)? else { return Ok(None) };
            let event = match found.event {
                Some(event) => event,
                None => self.pages.event(storage, found.position, found.place)?,
            };
            if found.is_certain || self.is_match(&event) {
                return Ok(Some(event));
            }
        }
    }

    /// The position of the next matching event. The event is not read if the index alone can
    /// decide.
    pub(crate) fn next_position(&mut self, storage: &Storage) -> Result<Option<u64>, Error> {
        loop {
            let Some(found) = self.candidate(storage)? else { return Ok(None) };
            let is_match = found.is_certain
                || match &found.event {
                    Some(event) => self.is_match(event),
                    None => {
                        let event = self.pages.event(storage, found.position, found.place)?;
                        self.is_match(&event)
                    }
                };
            if is_match {
                return Ok(Some(found.position));
            }
        }
    }

    fn is_match(&self, event: &RecordedEvent) -> bool {
        self.query.matches(event.stream_id(), event.event_type(), event.tag_list())
    }

    /// The next event that may match.
    fn candidate(&mut self, storage: &Storage) -> Result<Option<Candidate>, Error> {
        if self.range.is_empty() || !self.range.contains(&self.next) {
            return Ok(None);
        }
        if let State::Unstarted = self.state {
            self.state = self.start(storage)?;
        }
        let mut best: Option<Candidate> = None;
        match &mut self.state {
            State::Unstarted => {}
            State::Scan(cursor) => {
                let event = cursor.next(storage)?;
                best = event.map(|event| Candidate::of(event, false));
            }
            State::Items(choices) => {
                let mut first: Option<&mut Choice> = None;
                for choice in choices {
                    choice.seek(storage, self.next, self.direction)?;
                    let is_first = match (&choice.found, first.as_ref().map(|one| &one.found)) {
                        (None, _) => false,
                        (Some(found), Some(Some(first))) => found.precedes(first, self.direction),
                        (Some(_), _) => true,
                    };
                    if is_first {
                        first = Some(choice);
                    }
                }
                best = first.and_then(|first| first.found.take());
            }
        }
        // After the last position, the range no longer contains `next`.
        self.next = match (&best, self.direction) {
            (Some(found), Direction::Forward) => found.position.saturating_add(1),
            (Some(found), Direction::Backward) => found.position.saturating_sub(1),
            (None, Direction::Forward) => u64::MAX,
            (None, Direction::Backward) => 0,
        };
        Ok(best)
    }

    fn start(&self, storage: &Storage) -> Result<State, Error> {
        let (first, last) = (*self.range.start(), *self.range.end());
        if self.query.needs_scan() {
            let bounds = match self.direction {
                Direction::Forward => (first, last),
                Direction::Backward => (last, first),
            };
            let cursor = Cursor::of_all(bounds, self.direction == Direction::Backward);
            return Ok(State::Scan(Box::new(cursor)));
        }
        let items = self.query.items.iter().map(|item| self.start_item(storage, item));
        let choice = |item: Result<Item, Error>| {
            item.map(|item| Choice { item, found: None, has_more: true })
        };
        items.map(choice).collect::<Result<_, Error>>().map(State::Items)
    }

    fn start_item(&self, storage: &Storage, item: &QueryItem) -> Result<Item, Error> {
        let Some(stream) = item.stream.as_ref().filter(|_| item.tags.is_empty()) else {
            let tagged = Intersection::new(&item.tags, &self.range, self.direction);
            let (stream, has_no_types) = (item.stream.clone(), item.types.is_empty());
            return Ok(Item::Tagged { tagged, stream, has_no_types });
        };
        let (before, version) = storage.versions_around(stream, &self.range)?;
        let bounds = match self.direction {
            Direction::Forward => (before + 1, version),
            Direction::Backward => (version, before + 1),
        };
        let is_backward = self.direction == Direction::Backward;
        let cursor = Cursor::of_stream(stream.clone(), bounds, is_backward, *self.range.end());
        Ok(Item::Stream(Box::new(cursor)))
    }
}

impl Choice {
    /// Finds the first event that is not before `start`, in this direction.
    fn seek(&mut self, storage: &Storage, start: u64, direction: Direction) -> Result<(), Error> {
        let is_known = self.found.as_ref().is_some_and(|found| found.is_from(start, direction));
        if self.has_more && !is_known {
            self.found = self.item.seek(storage, start, direction)?;
            self.has_more = self.found.is_some();
        }
        Ok(())
    }
}

impl Item {
    /// The first event that is not before `start`, in this direction.
    fn seek(
        &mut self,
        storage: &Storage,
        start: u64,
        direction: Direction,
    ) -> Result<Option<Candidate>, Error> {
        match self {
            Item::Tagged { tagged, stream, has_no_types } => {
                let mut start = start;
                loop {
                    let Some(hit) = tagged.seek(storage, start)? else { return Ok(None) };
                    let is_of_stream = match (&*stream, &hit.place) {
                        (None, _) => Some(true),
                        (Some(stream), Some((found, _))) => Some(**found == **stream),
                        (Some(_), None) => None,
                    };
                    if is_of_stream == Some(false) {
                        start = match direction {
                            Direction::Forward => hit.position.saturating_add(1),
                            Direction::Backward => hit.position.saturating_sub(1),
                        };
                        continue;
                    }
                    let is_certain = *has_no_types && is_of_stream == Some(true);
                    let place = hit.place.filter(|_| !tagged.is_dense());
                    let position = hit.position;
                    return Ok(Some(Candidate { position, event: None, place, is_certain }));
                }
            }
            Item::Stream(cursor) => loop {
                let Some(event) = cursor.next(storage)? else { return Ok(None) };
                let found = Candidate::of(event, false);
                if found.is_from(start, direction) {
                    return Ok(Some(found));
                }
            },
        }
    }
}

impl Candidate {
    fn of(event: RecordedEvent, is_certain: bool) -> Candidate {
        Candidate { position: event.position(), event: Some(event), place: None, is_certain }
    }

    /// Whether this candidate is not before `start` in this direction.
    fn is_from(&self, start: u64, direction: Direction) -> bool {
        match direction {
            Direction::Forward => self.position >= start,
            Direction::Backward => self.position <= start,
        }
    }

    /// Whether this candidate comes first in the direction of the search, or says more about the
    /// same event.
    fn precedes(&self, other: &Candidate, direction: Direction) -> bool {
        if self.position == other.position {
            return self.is_certain && !other.is_certain;
        }
        match direction {
            Direction::Forward => self.position < other.position,
            Direction::Backward => self.position > other.position,
        }
    }
}
