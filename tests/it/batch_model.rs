//! Random batches with conditions, checkpoints, retries, reopening and kills, against a model that
//! keeps a list.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use annals::{
    AppendError, Batch, ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, Query, QueryItem,
};
use uuid::Uuid;

use crate::support::{files::copy_moment, seed::Random};

#[derive(Clone, Debug, PartialEq)]
struct Known {
    stream: String,
    event_type: &'static str,
    tags: Vec<String>,
    id: Option<u128>,
}

/// One batch as data.
#[derive(Clone, Debug)]
struct Made {
    appends: Vec<(String, ExpectedVersion, Vec<Known>)>,
    conditions: Vec<(&'static str, Option<String>, u64)>,
    checkpoint: Option<u64>,
}

#[derive(Default)]
struct Model {
    events: Vec<Known>,
    checkpoint: u64,
    ids: u128,
    /// Batches that went in, for retries.
    written: Vec<(Made, u64)>,
}

#[derive(Debug, PartialEq)]
enum Due {
    Written { first: u64 },
    Replayed { first: u64 },
    Conflict { conflicts: Vec<usize>, conditions: Vec<(usize, u64)> },
    Condition { conditions: Vec<(usize, u64)> },
    Invalid,
}

impl Model {
    fn version(&self, stream: &str) -> u64 {
        self.events.iter().filter(|event| event.stream == stream).count() as u64
    }

    fn make(&mut self, random: &mut Random) -> Made {
        let has_ids = random.below(2) == 0;
        let head = self.events.len() as u64;
        let mut appends = Vec::new();
        for _ in 0..random.below(4) {
            let stream = format!("s-{}", random.below(3));
            let version = self.version(&stream);
            let expected = match random.below(6) {
                0 => ExpectedVersion::Exact(version),
                1 => ExpectedVersion::Exact(version + random.below(2)),
                2 => ExpectedVersion::NoStream,
                3 => ExpectedVersion::StreamExists,
                _ => ExpectedVersion::Any,
            };
            let count = if random.below(5) == 0 { 0 } else { 1 + random.below(3) };
            let events = (0..count).map(|_| {
                self.ids += 1;
                let mut tags: Vec<String> =
                    (0..random.below(3)).map(|_| format!("t-{}", random.below(4))).collect();
                tags.sort();
                tags.dedup();
                let event_type = ["A", "B"][random.below(2) as usize];
                let id = has_ids.then_some(self.ids);
                Known { stream: stream.clone(), event_type, tags, id }
            });
            let events = events.collect();
            appends.push((stream, expected, events));
        }
        let conditions = (0..random.below(3)).map(|_| {
            let event_type = ["", "A", "B"][random.below(3) as usize];
            let tag = format!("t-{}", random.below(5));
            let tag = (event_type.is_empty() || random.below(2) == 0).then_some(tag);
            (event_type, tag, (head + 2).saturating_sub(random.below(12)))
        });
        let conditions = conditions.collect();
        let checkpoint = (random.below(3) == 0).then(|| random.below(head + 5));
        Made { appends, conditions, checkpoint }
    }

    fn due(&self, made: &Made) -> Due {
        let events: Vec<&Known> = made.appends.iter().flat_map(|(_, _, events)| events).collect();
        if events.is_empty() && made.checkpoint.is_none() {
            return Due::Invalid;
        }
        let head = self.events.len() as u64;
        let retried = self.written.iter().find(|(written, _)| {
            !events.is_empty()
                && events.iter().all(|event| event.id.is_some())
                && written.appends.iter().flat_map(|(_, _, events)| events).eq(events.clone())
        });
        if let Some((_, first)) = retried {
            return match made.checkpoint {
                Some(position) if position > head => Due::Invalid,
                _ => Due::Replayed { first: *first },
            };
        }
        let mut ahead = BTreeMap::<&str, u64>::new();
        let mut conflicts = Vec::new();
        for (index, (stream, expected, events)) in made.appends.iter().enumerate() {
            let added = ahead.entry(stream).or_default();
            let version = self.version(stream) + *added;
            let holds = match expected {
                ExpectedVersion::Any => true,
                ExpectedVersion::NoStream => version == 0,
                ExpectedVersion::StreamExists => version > 0,
                ExpectedVersion::Exact(exact) => version == *exact,
            };
            if !holds {
                conflicts.push(index);
            }
            *added += events.len() as u64;
        }
        let mut conditions = Vec::new();
        for (index, (event_type, tag, after)) in made.conditions.iter().enumerate() {
            let is_match = |event: &Known| {
                (event_type.is_empty() || event.event_type == *event_type)
                    && tag.as_ref().is_none_or(|tag| event.tags.contains(tag))
            };
            let found = (1..).zip(&self.events).find(|(at, event)| at > after && is_match(event));
            conditions.extend(found.map(|(at, _)| (index, at)));
        }
        if !conflicts.is_empty() {
            return Due::Conflict { conflicts, conditions };
        }
        if !conditions.is_empty() {
            return Due::Condition { conditions };
        }
        match made.checkpoint {
            Some(position)
                if position < self.checkpoint || position > head + events.len() as u64 =>
            {
                Due::Invalid
            }
            _ => Due::Written { first: if events.is_empty() { 0 } else { head + 1 } },
        }
    }

    fn apply(&mut self, made: Made, due: &Due) {
        match due {
            Due::Written { first } => {
                let events = made.appends.iter().flat_map(|(_, _, events)| events.clone());
                self.events.extend(events);
                self.checkpoint = made.checkpoint.unwrap_or(self.checkpoint);
                self.written.push((made, *first));
            }
            Due::Replayed { .. } => {
                self.checkpoint = self.checkpoint.max(made.checkpoint.unwrap_or(0));
            }
            _ => {}
        }
    }
}

fn batch_of(made: &Made) -> Batch {
    let mut batch = Batch::new();
    for (stream, expected, events) in &made.appends {
        let new = events.iter().map(|event| {
            let new = NewEvent::raw_json(event.event_type, "1").unwrap().tags(&event.tags);
            match event.id {
                Some(id) => new.id(Uuid::from_u128(id)),
                None => new,
            }
        });
        batch = match events.is_empty() {
            true => batch.require(stream.clone(), *expected),
            false => batch.append(stream.clone(), *expected, new.collect::<Vec<_>>()),
        };
    }
    for (event_type, tag, after) in &made.conditions {
        let mut item = QueryItem::new();
        if !event_type.is_empty() {
            item = item.types([*event_type]);
        }
        if let Some(tag) = tag {
            item = item.tags([tag.as_str()]);
        }
        batch = batch.require_none(&Query::new().item(item), *after);
    }
    match made.checkpoint {
        Some(position) => batch.checkpoint("c", position),
        None => batch,
    }
}

fn outcome_of(answer: Result<annals::Committed, AppendError>) -> Due {
    let of = |conditions: &[annals::FailedCondition]| {
        conditions.iter().map(|one| (one.index, one.position)).collect()
    };
    match answer {
        Ok(committed) => {
            let positions = committed.positions();
            let first = if positions.is_empty() { 0 } else { *positions.start() };
            match committed.is_replay() {
                true => Due::Replayed { first },
                false => Due::Written { first },
            }
        }
        Err(AppendError::Conflict(conflict)) => Due::Conflict {
            conflicts: conflict.conflicts().iter().map(|one| one.index).collect(),
            conditions: of(conflict.conditions()),
        },
        Err(AppendError::Condition(failed)) => {
            Due::Condition { conditions: of(failed.conditions()) }
        }
        Err(other) if other.code() == ErrorCode::InvalidArgument => Due::Invalid,
        Err(other) => panic!("{other:?}"),
    }
}

fn check(store: &EventStore, model: &Model) {
    let events = store.read_all().map(|event| {
        let event = event.unwrap();
        let event_type = if event.event_type() == "A" { "A" } else { "B" };
        Known {
            stream: event.stream_id().to_owned(),
            event_type,
            tags: event.tags().map(str::to_owned).collect(),
            id: event.id().map(|id| id.as_u128()),
        }
    });
    assert!(events.eq(model.events.iter().cloned()));
    assert_eq!(store.checkpoint("c").unwrap(), model.checkpoint);
}

/// Runs batches, some of them submitted several at a time, and compares every answer.
fn run(random: &mut Random, mut store: EventStore, reopen: impl Fn(EventStore) -> EventStore) {
    let mut model = Model::default();
    for _ in 0..250 {
        let count = 1 + random.below(4);
        let mut waiting = Vec::new();
        for _ in 0..count {
            let made = match random.below(5) {
                0 if !model.written.is_empty() => {
                    let index = random.below(model.written.len() as u64) as usize;
                    let mut again = model.written[index].0.clone();
                    again.checkpoint =
                        (random.below(2) == 0).then(|| random.below(model.events.len() as u64 + 2));
                    again
                }
                _ => model.make(random),
            };
            let due = model.due(&made);
            let batch = batch_of(&made);
            model.apply(made.clone(), &due);
            match random.below(3) {
                0 => assert_eq!(outcome_of(batch.commit(&store)), due, "{made:?}"),
                _ => match batch.submit(&store) {
                    Ok(ticket) => waiting.push((ticket, due, made)),
                    Err(error) => {
                        assert_eq!((error.code(), due), (ErrorCode::InvalidArgument, Due::Invalid));
                    }
                },
            }
        }
        for (ticket, due, made) in waiting {
            assert_eq!(outcome_of(ticket.wait()), due, "{made:?}");
        }
        if random.below(12) == 0 {
            check(&store, &model);
            store = reopen(store);
            check(&store, &model);
        }
    }
    check(&store, &model);
}

#[test]
fn random_batches_are_decided_as_the_model_decides() {
    let mut random = Random::new();
    run(&mut random, EventStore::in_memory().unwrap(), |store| store);
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().tail_bytes(1 << 20).journal_bytes(64 << 10);
    let path = RefCell::new(directory.path().join("store"));
    let store = options.open(&*path.borrow()).unwrap();
    let opens = Cell::new(0);
    run(&mut random, store, |store| {
        opens.set(opens.get() + 1);
        if opens.get() % 2 == 0 {
            store.close().unwrap();
        } else {
            // What a process that is killed at this moment leaves.
            let left = directory.path().join(format!("left-{}", opens.get()));
            copy_moment(&path.borrow(), &left);
            drop(store);
            path.replace(left);
        }
        options.open(&*path.borrow()).unwrap()
    });
}
