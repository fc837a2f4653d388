//! Numbering: which appends of a group are accepted, and which positions and versions they get.
//!
//! Only one leader at a time runs this, and the store's head does not move meanwhile. Each append
//! sees the earlier ones in its group as if they were stored.

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use uuid::Uuid;

use super::{
    contents::{Condition, Unit},
    request::AppendRequest,
    seen::SeenIds,
    versions::Versions,
};
use crate::{
    AppendError, Error,
    codec::record::EventToEncode,
    error::{Conflict, check_violations},
    event::{Appended, NewEvent, QueryItem, Timestamp},
    storage::Storage,
};

/// The accepted events of a group, in position order.
pub(super) struct Numbering<'a> {
    storage: &'a Storage,
    known: &'a Versions,
    /// The head before the group.
    base: u64,
    events: Vec<EventToEncode<'a>>,
    /// Versions of the streams that the group has looked up, including its own events.
    versions: HashMap<&'a str, u64>,
    /// Positions of the ids that the group has accepted.
    ids: HashMap<Uuid, u64>,
    /// Positions of the events that the group has accepted, by tag.
    tags: HashMap<&'a str, Vec<u64>>,
}

impl<'a> Numbering<'a> {
    pub(super) fn new(storage: &'a Storage, known: &'a Versions) -> Self {
        Numbering {
            storage,
            known,
            base: storage.head(),
            events: Vec::new(),
            versions: HashMap::new(),
            ids: HashMap::new(),
            tags: HashMap::new(),
        }
    }

    pub(super) fn events(&self) -> &[EventToEncode<'a>] {
        &self.events
    }

    /// Refuses a request, or recognizes that its events are already stored and returns their
    /// places.
    pub(super) fn check(
        &mut self,
        request: &'a AppendRequest,
    ) -> Result<Option<Vec<Appended>>, AppendError> {
        if let Some(expected) = request.head.filter(|&expected| expected != self.head()) {
            let reason = format!("the store is at {}, not at {expected}", self.head());
            return Err(Error::invalid("head", reason).into());
        }
        if let Some(appended) = self.check_ids(request)? {
            return Ok(Some(appended));
        }
        let conflicts = self.conflicts(request)?;
        let conditions = request.seen_conditions.violated(
            self.storage,
            &request.contents.conditions,
            self.base,
            |condition| self.first_match(condition),
        )?;
        check_violations(conflicts, conditions)?;
        Ok(None)
    }

    /// Accepts a request that passed the checks.
    pub(super) fn accept(&mut self, request: &'a AppendRequest) -> Result<Vec<Appended>, Error> {
        let mut appended = Vec::new();
        for unit in request.contents.units.iter().filter(|unit| !unit.events.is_empty()) {
            let first_position = self.head() + 1;
            let first_version = self.version_of(&unit.stream)? + 1;
            for (version, event) in (first_version..).zip(&unit.events) {
                self.push(&unit.stream, version, event, request.now);
            }
            let count = unit.events.len() as u64;
            self.versions.insert(&unit.stream, first_version - 1 + count);
            appended.push(Appended::new(first_position, first_version, count));
        }
        Ok(appended)
    }

    /// The head after the accepted events are written.
    pub(super) fn head(&self) -> u64 {
        self.base + self.events.len() as u64
    }

    fn push(&mut self, stream: &'a str, version: u64, event: &'a NewEvent, now: Timestamp) {
        self.events.push(EventToEncode {
            position: self.head() + 1,
            stream,
            version,
            event_type: &event.event_type,
            timestamp: event.timestamp.unwrap_or(now),
            id: event.id,
            is_binary: event.data.is_binary(),
            data: event.data.bytes(),
            metadata: event.metadata.as_deref().map(str::as_bytes),
            tags: event.tag_list(),
        });
        let position = self.base + self.events.len() as u64;
        if let Some(id) = event.id {
            self.ids.insert(id, position);
        }
        for tag in &event.tags {
            self.tags.entry(tag).or_default().push(position);
        }
    }

    /// The first event of the group that a condition excludes. For an item with tags only the
    /// events with its first tag are examined: a group may have a thousand batches with conditions.
    fn first_match(&self, condition: &Condition) -> Option<u64> {
        let Condition { query, after } = condition;
        let is_match = |event: &EventToEncode<'_>| {
            event.position > *after && query.matches(event.stream, event.event_type, event.tags)
        };
        if query.needs_scan() {
            return self.events.iter().find(|event| is_match(event)).map(|event| event.position);
        }
        let of_item = |item: &QueryItem| match (item.tags.first(), &item.stream) {
            (Some(tag), _) => {
                let positions = self.tags.get(tag.as_str())?;
                let is_one = |at: &&u64| self.accepted_at(**at).is_some_and(is_match);
                positions.iter().find(is_one).copied()
            }
            (None, Some(stream)) if self.versions.contains_key(stream.as_str()) => {
                let is_one = |event: &&EventToEncode<'_>| event.stream == stream && is_match(event);
                self.events.iter().find(is_one).map(|event| event.position)
            }
            (None, _) => None,
        };
        query.items.iter().filter_map(of_item).min()
    }

    fn version_of(&mut self, stream: &'a str) -> Result<u64, Error> {
        if let Some(&version) = self.versions.get(stream) {
            return Ok(version);
        }
        let version = self.known.of(self.storage, stream)?;
        self.versions.insert(stream, version);
        Ok(version)
    }

    /// The versions of the streams that the group has looked up, including its own events.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&'a str, u64)> {
        self.versions.iter().map(|(stream, version)| (*stream, *version))
    }

    /// The units whose expected versions do not hold. Each unit sees the earlier ones as if they
    /// were stored.
    fn conflicts(&mut self, request: &'a AppendRequest) -> Result<Vec<Conflict>, Error> {
        let mut ahead: HashMap<&str, u64> = HashMap::new();
        let mut conflicts = Vec::new();
        let units = &request.contents.units;
        for (index, unit) in units.iter().enumerate() {
            let stored = self.version_of(&unit.stream)?;
            let actual = stored + ahead.get(&*unit.stream).copied().unwrap_or_default();
            if !unit.expected.is_satisfied_by(actual) {
                conflicts.push(Conflict::new(index, &unit.stream, unit.expected, actual));
            }
            if index + 1 < units.len() {
                *ahead.entry(&unit.stream).or_default() += unit.events.len() as u64;
            }
        }
        Ok(conflicts)
    }

    /// The original result if all events are stored as this append would store them; `None` if none
    /// of their ids is known.
    fn check_ids(&self, request: &AppendRequest) -> Result<Option<Vec<Appended>>, Error> {
        let units = &request.contents.units;
        let events = || units.iter().flat_map(|unit| unit.events.iter().map(move |e| (unit, e)));
        let mut seen = HashSet::new();
        for id in events().filter_map(|(_, event)| event.id) {
            if !seen.insert(id) {
                return Err(Error::DuplicateEventId { id, position: None });
            }
        }
        if seen.is_empty() {
            return Ok(None);
        }
        let mut known = Vec::new();
        for (index, (unit, event)) in (0..).zip(events()) {
            let Some(id) = event.id else { continue };
            if let Some(position) = self.position_of(id, &request.seen)? {
                known.push(Known { index, unit, event, id, position });
            }
        }
        let Some(first) = known.first() else { return Ok(None) };
        for event in &known {
            let is_due =
                event.position.checked_sub(event.index) == first.position.checked_sub(first.index);
            if !is_due || !self.is_stored(event)? {
                return Err(event.in_use());
            }
        }
        if known.len() != events().count() {
            return Err(first.in_use());
        }
        let mut next = first.position;
        let mut appended = Vec::new();
        for unit in units.iter().filter(|unit| !unit.events.is_empty()) {
            let count = unit.events.len() as u64;
            appended.push(Appended::new(next, self.version_at(next)?, count).replayed());
            next += count;
        }
        Ok(Some(appended))
    }

    fn position_of(&self, id: Uuid, seen: &SeenIds) -> Result<Option<u64>, Error> {
        let known = self.ids.get(&id).copied();
        // Whether the tail had all events after the first search. This must be evaluated after the
        // tail was searched: a drain may remove events from it at any time.
        let was_complete = || {
            let floor = self.storage.tail_floor();
            seen.head == self.base || floor.is_some_and(|floor| floor <= seen.head)
        };
        match known.or_else(|| self.storage.tail_position_of(id)) {
            Some(position) => Ok(Some(position)),
            None if was_complete() => Ok(seen.positions.get(&id).copied()),
            None => self.storage.position_of(id),
        }
    }

    /// Whether the stored event with this event's id has the same stream and content.
    fn is_stored(&self, known: &Known<'_>) -> Result<bool, Error> {
        let Known { unit, event, position, .. } = known;
        if let Some(accepted) = self.accepted_at(*position) {
            return Ok(accepted.stream == unit.stream
                && accepted.event_type == event.event_type
                && accepted.is_binary == event.data.is_binary()
                && accepted.data == event.data.bytes()
                && accepted.metadata == event.metadata.as_deref().map(str::as_bytes)
                && accepted.tags.iter().eq(event.tag_list().iter()));
        }
        let stored = self.storage.event_at(*position)?;
        Ok(stored.stream_id() == unit.stream && event.has_content_of(&stored))
    }

    fn version_at(&self, position: u64) -> Result<u64, Error> {
        match self.accepted_at(position) {
            Some(accepted) => Ok(accepted.version),
            None => Ok(self.storage.event_at(position)?.version()),
        }
    }

    /// The event of this group at a position.
    fn accepted_at(&self, position: u64) -> Option<&EventToEncode<'a>> {
        let index = position.checked_sub(self.base + 1)?;
        self.events.get(usize::try_from(index).ok()?)
    }
}

/// An event of an append whose id is already stored.
struct Known<'a> {
    /// Its index among the events of the append.
    index: u64,
    unit: &'a Unit,
    event: &'a NewEvent,
    id: Uuid,
    /// The position at which the id is stored.
    position: u64,
}

impl Known<'_> {
    fn in_use(&self) -> Error {
        Error::DuplicateEventId { id: self.id, position: Some(self.position) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{contents::Contents, seen::SeenConditions};
    use super::*;
    use crate::{EventStore, ExpectedVersion, Options, Query};

    /// An append of events to one stream, each given as its id and its text.
    fn request(stream: &str, events: &[(u128, &str)]) -> Result<AppendRequest, Error> {
        let event =
            |&(id, json): &(u128, &str)| Ok(NewEvent::raw_json("T", json)?.id(Uuid::from_u128(id)));
        let events: Vec<NewEvent> = events.iter().map(event).collect::<Result<_, Error>>()?;
        let contents =
            Contents::of_units(vec![Unit::to(stream, ExpectedVersion::NoStream, events)]);
        let (seen, seen_conditions) = (SeenIds::default(), SeenConditions::default());
        Ok(AppendRequest { contents, head: None, now: Timestamp::utc(0)?, seen, seen_conditions })
    }

    #[test]
    fn an_append_of_the_same_group_is_repeated_with_its_content_alone() -> Result<(), Error> {
        let store = EventStore::in_memory()?;
        let first = request("s", &[(1, "1"), (2, "2")])?;
        let again = request("s", &[(1, "1"), (2, "2")])?;
        let other = request("s", &[(1, "1"), (2, "20")])?;
        let elsewhere = request("t", &[(1, "1"), (2, "2")])?;
        let longer = request("s", &[(1, "1"), (2, "2"), (3, "3")])?;
        let known = Versions::default();
        let mut group = Numbering::new(store.storage(), &known);
        let mut answer = |request| {
            let replayed = group.check(request)?;
            let is_replay = replayed.is_some();
            let appended = match replayed {
                Some(appended) => appended,
                None => group.accept(request)?,
            };
            let places = appended.first().map(|first| (first.positions(), first.versions()));
            Ok::<_, AppendError>((places, is_replay))
        };
        assert!(matches!(answer(&first), Ok((Some(places), false)) if places == (1..=2, 1..=2)));
        assert!(matches!(answer(&again), Ok((Some(places), true)) if places == (1..=2, 1..=2)));
        for (request, due) in [(&other, 2), (&elsewhere, 1), (&longer, 1)] {
            let Err(AppendError::Failed(Error::DuplicateEventId { id, position })) =
                answer(request)
            else {
                return Err(Error::internal("a duplicate was due"));
            };
            assert_eq!((id, position), (Uuid::from_u128(due), u64::try_from(due).ok()));
        }
        assert_eq!(group.events().len(), 2);
        Ok(())
    }

    /// As if its id had been stored after the append looked it up, and drained since.
    #[test]
    fn an_id_that_left_the_tail_meanwhile_is_found() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("store");
        let request = request("s", &[(1, "1")])?;
        let store = Options::new().journal_bytes(64 << 10).tail_bytes(1).open(&path)?;
        let first = request.contents.units.first().ok_or("it has a unit")?;
        store.append("s", ExpectedVersion::Any, first.events.clone())?;
        // An open takes in what is in the last file of the journal.
        let event = NewEvent::json("T", &"x".repeat(1 << 10))?;
        for _ in 0..200 {
            store.append("other", ExpectedVersion::Any, [event.clone()])?;
        }
        store.close()?;
        let store = EventStore::open(&path)?;
        assert_eq!(store.storage().tail_position_of(Uuid::from_u128(1)), None);
        let known = Versions::default();
        let replayed = Numbering::new(store.storage(), &known).check(&request)?;
        assert_eq!(replayed.and_then(|all| Some(all.first()?.positions())), Some(1..=1));
        Ok(())
    }

    #[test]
    fn a_condition_on_a_stream_of_the_group_minds_type_and_position() -> Result<(), Error> {
        let store = EventStore::in_memory()?;
        let request = request("s", &[(1, "1"), (2, "2")])?;
        let known = Versions::default();
        let mut group = Numbering::new(store.storage(), &known);
        group.accept(&request)?;
        let first = |stream: &str, event_type: &str, after| {
            let item = QueryItem::new().stream(stream).types([event_type]);
            group.first_match(&Condition { query: Query::new().item(item), after })
        };
        assert_eq!([0, 1, 2].map(|after| first("s", "T", after)), [Some(1), Some(2), None]);
        assert_eq!(first("s", "U", 0), None);
        assert_eq!(first("t", "T", 0), None);
        Ok(())
    }
}
