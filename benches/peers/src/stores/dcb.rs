//! What a caller of a store without stream versions knows: the positions that it has read. Such a
//! store checks instead that no event with the tag of the stream comes after a position; the
//! version of an event is its place among the events with that tag.

use std::{collections::HashMap, sync::Mutex};

use crate::store::{Conflict, Event};

/// The last version that the caller has seen of each stream, and its position.
#[derive(Default)]
pub(super) struct Known {
    streams: Mutex<HashMap<String, (u64, u64)>>,
}

/// What the store has to check: that these streams have no event after this position.
pub(super) struct Condition<'a> {
    pub(super) streams: Vec<&'a str>,
    pub(super) after: u64,
}

impl Known {
    /// The condition that stands for the exact versions of `events`. `read` gives the positions of
    /// a stream, for one that the caller has not seen at that version; `head` is the last position
    /// that it has seen, after which a batch of several streams is checked.
    pub(super) fn condition<'a>(
        &self,
        events: &[Event<'a>],
        head: u64,
        read: impl Fn(&str) -> Vec<u64>,
    ) -> Result<Condition<'a>, Conflict> {
        let mut put: HashMap<&str, u64> = HashMap::new();
        let mut firsts = Vec::new();
        for event in events {
            match put.insert(event.stream, event.version) {
                Some(last) if last + 1 != event.version => return Err(Conflict),
                Some(_) => {}
                None => firsts.push(event),
            }
        }
        let streams = firsts.iter().map(|first| first.stream).collect();
        if let [first] = firsts[..] {
            return Ok(Condition { streams, after: self.position_before(first, read)? });
        }
        // One position for all: the caller has read every stream up to the head.
        let known = self.streams.lock().unwrap();
        for first in firsts {
            let seen = known.get(first.stream).map(|(version, _)| *version);
            if seen.unwrap_or_else(|| read(first.stream).len() as u64) + 1 != first.version {
                return Err(Conflict);
            }
        }
        Ok(Condition { streams, after: head })
    }

    /// The position of the event before `event` in its stream. Without it in the store, nobody can
    /// expect it.
    fn position_before(
        &self,
        event: &Event<'_>,
        read: impl Fn(&str) -> Vec<u64>,
    ) -> Result<u64, Conflict> {
        let before = event.version - 1;
        if before == 0 {
            return Ok(0);
        }
        let known = self.streams.lock().unwrap().get(event.stream).copied();
        match known {
            Some((version, position)) if version == before => Ok(position),
            _ => read(event.stream).get(before as usize - 1).copied().ok_or(Conflict),
        }
    }

    /// Takes note of events that were appended, the last of them at position `last`.
    pub(super) fn appended(&self, events: &[Event<'_>], last: u64) {
        let mut known = self.streams.lock().unwrap();
        let first = last + 1 - events.len() as u64;
        for (position, event) in (first..).zip(events) {
            let place = (event.version, position);
            match known.get_mut(event.stream) {
                Some(entry) => *entry = place,
                None => drop(known.insert(event.stream.to_owned(), place)),
            }
        }
    }
}
