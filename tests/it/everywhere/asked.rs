//! A read with random filters and bounds, and what it must bring.

use annals::{Events, Query, QueryItem, ReadEvents, Timestamp};

use super::{Known, STREAMS, TAGS, TYPES, one_of};
use crate::support::seed::Random;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    kind: Kind,
    is_backward: bool,
    from_position: Option<u64>,
    until_position: Option<u64>,
    since: Option<i64>,
    until: Option<i64>,
    limit: Option<u64>,
}

#[derive(Clone, Debug)]
enum Kind {
    All { types: Vec<&'static str>, prefix: Option<&'static str> },
    Stream { stream: &'static str, types: Vec<&'static str>, from_version: Option<u64> },
    Query(Vec<Item>),
}

#[derive(Clone, Debug)]
struct Item {
    types: Vec<&'static str>,
    tags: Vec<&'static str>,
    stream: Option<&'static str>,
}

fn some<T>(random: &mut Random, make: impl Fn(&mut Random) -> T) -> Option<T> {
    (random.below(3) == 0).then(|| make(random))
}

fn several(random: &mut Random, all: &[&'static str]) -> Vec<&'static str> {
    let count = one_of(random, &[0, 0, 0, 1, 1, 2]);
    (0..count).map(|_| one_of(random, all)).collect()
}

impl Item {
    fn random(random: &mut Random) -> Item {
        loop {
            let (types, tags) = (several(random, &TYPES), several(random, &TAGS));
            let stream = some(random, |random| one_of(random, &STREAMS));
            if !types.is_empty() || !tags.is_empty() || stream.is_some() {
                return Item { types, tags, stream };
            }
        }
    }

    fn matches(&self, event: &Known) -> bool {
        (self.types.is_empty() || self.types.contains(&event.event_type.as_str()))
            && self.tags.iter().all(|tag| event.tags.iter().any(|own| own == tag))
            && self.stream.is_none_or(|stream| stream == event.stream)
    }
}

impl Asked {
    pub(super) fn random(random: &mut Random, head: u64) -> Asked {
        // Mostly near the end, where the tail may begin.
        let position = move |random: &mut Random| match random.below(3) {
            0 => random.below(head + 3),
            1 => (head + 2).saturating_sub(random.below(60)),
            _ => one_of(random, &[0, 1, head, head + 1, u64::MAX]),
        };
        let time = |random: &mut Random| random.below(1_100).cast_signed() - 50;
        let kind = match random.below(3) {
            0 => Kind::All {
                types: several(random, &TYPES),
                prefix: some(random, |random| one_of(random, &["", "a", "a-1", "b", "z"])),
            },
            1 => Kind::Stream {
                stream: one_of(random, &STREAMS),
                types: several(random, &TYPES),
                from_version: some(random, |random| random.below(head / 3 + 3)),
            },
            _ => Kind::Query((0..=random.below(3)).map(|_| Item::random(random)).collect()),
        };
        Asked {
            kind,
            is_backward: random.below(2) == 0,
            from_position: some(random, position),
            until_position: some(random, position),
            since: some(random, time),
            until: some(random, time),
            limit: some(random, |random| random.below(20)),
        }
    }

    /// The read.
    pub(super) fn events(&self, source: &impl ReadEvents) -> Events {
        let mut events = match &self.kind {
            Kind::All { types, prefix } => {
                let events = source.read_all().event_types(types.iter().copied());
                match prefix {
                    Some(prefix) => events.stream_prefix(*prefix),
                    None => events,
                }
            }
            Kind::Stream { stream, types, from_version } => {
                let events = source.read_stream(stream).event_types(types.iter().copied());
                match from_version {
                    Some(version) => events.from_version(*version),
                    None => events,
                }
            }
            Kind::Query(items) => {
                let query = items.iter().fold(Query::new(), |query, item| {
                    let of = QueryItem::new();
                    let of = of.types(item.types.iter().copied()).tags(item.tags.iter().copied());
                    query.item(match item.stream {
                        Some(stream) => of.stream(stream),
                        None => of,
                    })
                });
                source.read_all().query(&query)
            }
        };
        if self.is_backward {
            events = events.backward();
        }
        if let Some(position) = self.from_position {
            events = events.from_position(position);
        }
        if let Some(position) = self.until_position {
            events = events.until_position(position);
        }
        if let Some(micros) = self.since {
            events = events.since(Timestamp::utc(micros).unwrap());
        }
        if let Some(micros) = self.until {
            events = events.until(Timestamp::utc(micros).unwrap());
        }
        match self.limit {
            Some(limit) => events.limit(limit),
            None => events,
        }
    }

    fn passes(&self, event: &Known) -> bool {
        let is_within = match self.is_backward {
            false => {
                self.from_position.is_none_or(|from| event.position >= from)
                    && self.until_position.is_none_or(|until| event.position <= until)
            }
            true => {
                self.from_position.is_none_or(|from| event.position <= from)
                    && self.until_position.is_none_or(|until| event.position >= until)
            }
        };
        let has_type = |types: &[&str]| types.is_empty() || types.contains(&&*event.event_type);
        let is_of_kind = match &self.kind {
            Kind::All { types, prefix } => {
                has_type(types) && prefix.is_none_or(|prefix| event.stream.starts_with(prefix))
            }
            Kind::Stream { stream, types, from_version } => {
                let is_after = from_version.is_none_or(|from| match self.is_backward {
                    false => event.version >= from,
                    true => event.version <= from,
                });
                event.stream == *stream && has_type(types) && is_after
            }
            Kind::Query(items) => items.iter().any(|item| item.matches(event)),
        };
        is_within
            && is_of_kind
            && self.since.is_none_or(|since| event.micros >= since)
            && self.until.is_none_or(|until| event.micros <= until)
    }

    /// What it must bring.
    pub(super) fn due(&self, all: &[Known]) -> Vec<Known> {
        let mut due: Vec<Known> = all.iter().filter(|event| self.passes(event)).cloned().collect();
        if self.is_backward {
            due.reverse();
        }
        due.truncate(self.limit.map_or(usize::MAX, |limit| limit as usize));
        due
    }
}
