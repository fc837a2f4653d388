//! Random operations, with reopening in between, against a model that is a vector.
//!
//! A failure prints the operations that led to it, shrunk, and the seed of the run;
//! `PROPTEST_RNG_SEED` runs that seed again.

use std::{collections::BTreeMap, time::Duration};

use crate::support::units::{AppendUnits, Unit};
use annals::{
    AppendError, Durability, Error, EventStore, ExpectedVersion, NewEvent, Options, RecordedEvent,
};
use proptest::prelude::*;
use uuid::Uuid;

const STREAMS: [&str; 4] = ["a", "a-1", "b", "caf\u{e9}"];
const TYPES: [&str; 3] = ["Opened", "Changed", "Closed"];

#[derive(Clone, Debug)]
struct Event {
    event_type: usize,
    size: usize,
    id: Option<u8>,
    is_binary: bool,
    has_metadata: bool,
}

#[derive(Clone, Debug)]
enum Operation {
    Append(Vec<(usize, ExpectedVersion, Vec<Event>)>),
    /// Appends the n-th accepted unit with ids once more.
    Retry(usize),
    ReadAll {
        from: u64,
        limit: u64,
        is_backward: bool,
        event_type: Option<usize>,
    },
    ReadStream {
        stream: usize,
        from: u64,
        is_backward: bool,
    },
    Reopen {
        is_clean: bool,
    },
    Flush,
}

/// What an event must look like.
#[derive(Clone, Debug, PartialEq)]
struct Due {
    stream: String,
    version: u64,
    event_type: String,
    data: Vec<u8>,
    metadata: Option<String>,
    id: Option<Uuid>,
}

#[derive(Default)]
struct Model {
    events: Vec<Due>,
    versions: BTreeMap<String, u64>,
    retries: Vec<(Vec<Unit>, u64)>,
}

fn event() -> impl Strategy<Value = Event> {
    let size = prop_oneof![6 => 0..300_usize, 2 => 3_900..4_300_usize, 1 => 30_000..70_000_usize];
    (0..3_usize, size, proptest::option::weighted(0.3, 0..40_u8), any::<bool>(), any::<bool>())
        .prop_map(|(event_type, size, id, is_binary, has_metadata)| Event {
            event_type,
            size,
            id,
            is_binary,
            has_metadata,
        })
}

fn expected() -> impl Strategy<Value = ExpectedVersion> {
    prop_oneof![
        6 => Just(ExpectedVersion::Any),
        1 => Just(ExpectedVersion::NoStream),
        2 => Just(ExpectedVersion::StreamExists),
        2 => (0..12_u64).prop_map(ExpectedVersion::Exact),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let unit = (0..4_usize, expected(), prop::collection::vec(event(), 0..6));
    let from = prop_oneof![0..60_u64, Just(u64::MAX)];
    prop_oneof![
        12 => prop::collection::vec(unit, 1..4).prop_map(Operation::Append),
        2 => (0..100_usize).prop_map(Operation::Retry),
        3 => (from.clone(), 0..50_u64, any::<bool>(), proptest::option::of(0..3_usize)).prop_map(
            |(from, limit, is_backward, event_type)| {
                Operation::ReadAll { from, limit, is_backward, event_type }
            }
        ),
        3 => (0..4_usize, from, any::<bool>()).prop_map(|(stream, from, is_backward)| {
            Operation::ReadStream { stream, from, is_backward }
        }),
        2 => any::<bool>().prop_map(|is_clean| Operation::Reopen { is_clean }),
        1 => Just(Operation::Flush),
    ]
}

fn new_event(event: &Event) -> NewEvent {
    let name = TYPES[event.event_type];
    let new = match event.is_binary {
        true => NewEvent::binary(name, vec![event.size as u8; event.size]).unwrap(),
        false => NewEvent::json(name, &"x".repeat(event.size)).unwrap(),
    };
    let new = match event.has_metadata {
        true => new.metadata(&BTreeMap::from([("size", event.size)])).unwrap(),
        false => new,
    };
    match event.id {
        Some(id) => new.id(Uuid::from_u128(u128::from(id) + 1)),
        None => new,
    }
}

/// What an event looks like when it is stored.
fn due(stream: &str, version: u64, event: &Event) -> Due {
    let new = new_event(event);
    Due {
        stream: stream.to_owned(),
        version,
        event_type: new.event_type().to_owned(),
        data: new.data().to_owned(),
        metadata: event.has_metadata.then(|| format!("{{\"size\":{}}}", event.size)),
        id: event.id.map(|id| Uuid::from_u128(u128::from(id) + 1)),
    }
}

fn seen(event: &RecordedEvent) -> Due {
    Due {
        stream: event.stream_id().to_owned(),
        version: event.version(),
        event_type: event.event_type().to_owned(),
        data: event.data().to_owned(),
        metadata: event.metadata().map(str::to_owned),
        id: event.id(),
    }
}

impl Model {
    /// Applies an append as the contract says, or tells why it is refused.
    fn append(
        &mut self,
        units: &[(usize, ExpectedVersion, Vec<Event>)],
    ) -> Result<(), &'static str> {
        let events =
            || units.iter().flat_map(|(stream, _, events)| events.iter().map(|e| (*stream, e)));
        if events().next().is_none() {
            return Err("invalid");
        }
        let ids: Vec<u8> = events().filter_map(|(_, event)| event.id).collect();
        let is_twice = ids.iter().enumerate().any(|(n, id)| ids[..n].contains(id));
        let place = |id: u8| {
            let id = Some(Uuid::from_u128(u128::from(id) + 1));
            self.events.iter().position(|event| event.id == id)
        };
        let known: Vec<usize> = ids.iter().filter_map(|&id| place(id)).collect();
        if is_twice {
            return Err("duplicate");
        }
        if let Some(&first) = known.first() {
            let is_retry = known.len() == events().count()
                && known.iter().zip(first..).all(|(&found, due)| found == due)
                && events().zip(&known).all(|((stream, event), &n)| {
                    let stored = &self.events[n];
                    *stored == due(STREAMS[stream], stored.version, event)
                });
            return if is_retry { Ok(()) } else { Err("duplicate") };
        }
        let mut versions = self.versions.clone();
        for (stream, expected, events) in units {
            let version = versions.entry(STREAMS[*stream].to_owned()).or_default();
            if !expected.is_satisfied_by(*version) {
                return Err("conflict");
            }
            *version += events.len() as u64;
        }
        for (stream, event) in events() {
            let stream = STREAMS[stream].to_owned();
            let version = self.versions.entry(stream.clone()).or_default();
            *version += 1;
            let version = *version;
            self.events.push(due(&stream, version, event));
        }
        Ok(())
    }

    fn check_append(&mut self, store: &EventStore, units: &[(usize, ExpectedVersion, Vec<Event>)]) {
        let new: Vec<Unit> = units
            .iter()
            .map(|(stream, expected, events)| {
                Unit::to(STREAMS[*stream], *expected, events.iter().map(new_event))
            })
            .collect();
        let before = self.events.len() as u64;
        let due = self.append(units);
        match (store.append_multi(new.clone()), due) {
            (Ok(appended), Ok(())) => {
                let first = *appended[0].positions().start();
                let is_replay = self.events.len() as u64 == before;
                assert!(appended.iter().all(|unit| unit.is_replay() == is_replay));
                let all_have_ids =
                    units.iter().all(|(_, _, events)| events.iter().all(|e| e.id.is_some()));
                if all_have_ids && first == before + 1 {
                    self.retries.push((new, first));
                }
            }
            (Err(AppendError::Conflict(_)), Err("conflict"))
            | (Err(AppendError::Failed(Error::DuplicateEventId { .. })), Err("duplicate"))
            | (Err(AppendError::Failed(Error::InvalidArgument { .. })), Err("invalid")) => {}
            (answer, due) => panic!("{answer:?} where {due:?} was due"),
        }
        assert_eq!(store.head().unwrap(), self.events.len() as u64);
    }

    fn check_whole(&self, store: &EventStore) {
        let all: Vec<Due> = store.read_all().map(|event| seen(&event.unwrap())).collect();
        assert_eq!(all, self.events);
        let streams: BTreeMap<String, u64> = store
            .streams()
            .map(|stream| stream.unwrap())
            .map(|stream| (stream.stream_id().to_owned(), stream.version()))
            .collect();
        let mut due = self.versions.clone();
        due.retain(|_, version| *version > 0);
        assert_eq!(streams, due);
        assert_eq!(store.verify().unwrap().findings, []);
    }

    fn check_read_all(&self, store: &EventStore, operation: &Operation) {
        let &Operation::ReadAll { from, limit, is_backward, event_type } = operation else {
            return;
        };
        let passes = |due: &&Due| event_type.is_none_or(|n| due.event_type == TYPES[n]);
        let events = self.events.iter();
        let limit_of = limit as usize;
        let due: Vec<Due> = match is_backward {
            false => {
                let skip = from.clamp(1, 1_000_000) as usize - 1;
                events.skip(skip).filter(passes).take(limit_of).cloned().collect()
            }
            true => {
                let keep = from.min(self.events.len() as u64) as usize;
                events.take(keep).rev().filter(passes).take(limit_of).cloned().collect()
            }
        };
        let mut read = store.read_all().from_position(from).limit(limit);
        if is_backward {
            read = read.backward();
        }
        if let Some(event_type) = event_type {
            read = read.event_types([TYPES[event_type]]);
        }
        assert_eq!(read.map(|event| seen(&event.unwrap())).collect::<Vec<_>>(), due);
    }

    fn check_read_stream(&self, store: &EventStore, stream: usize, from: u64, is_backward: bool) {
        let of_stream = self.events.iter().filter(|due| due.stream == STREAMS[stream]);
        let mut due: Vec<Due> = of_stream
            .filter(|due| if is_backward { due.version <= from } else { due.version >= from })
            .cloned()
            .collect();
        let mut read = store.read_stream(STREAMS[stream]).from_version(from);
        if is_backward {
            due.reverse();
            read = read.backward();
        }
        assert_eq!(read.map(|event| seen(&event.unwrap())).collect::<Vec<_>>(), due);
    }
}

fn run(operations: &[Operation], options: &Options) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut store = options.open(&path).unwrap();
    let mut model = Model::default();
    for operation in operations {
        match operation {
            Operation::Append(units) => model.check_append(&store, units),
            Operation::Retry(number) => {
                if let Some((units, first)) = model.retries.get(number % model.retries.len().max(1))
                {
                    let again = store.append_multi(units.clone()).unwrap();
                    assert_eq!(*again[0].positions().start(), *first);
                }
            }
            Operation::ReadAll { .. } => model.check_read_all(&store, operation),
            &Operation::ReadStream { stream, from, is_backward } => {
                model.check_read_stream(&store, stream, from, is_backward);
            }
            Operation::Reopen { is_clean } => {
                if *is_clean {
                    store.close().unwrap();
                } else {
                    drop(store);
                }
                store = options.open(&path).unwrap();
                model.check_whole(&store);
            }
            Operation::Flush => store.flush().unwrap(),
        }
    }
    model.check_whole(&store);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_store_does_what_the_model_does(
        operations in prop::collection::vec(operation(), 1..60),
        tail_bytes in prop_oneof![Just(2_000_u64), Just(60_000), Just(16 << 20)],
        is_buffered in any::<bool>(),
    ) {
        let max_delay = Duration::from_millis(1);
        let durability =
            if is_buffered { Durability::Buffered { max_delay } } else { Durability::Sync };
        let options = Options::new().durability(durability).tail_bytes(tail_bytes);
        run(&operations, &options.journal_bytes(64 << 10));
    }
}
