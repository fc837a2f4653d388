//! A store of numbered events, and every question that it answers.

use std::{ops::RangeInclusive, path::Path};

use annals::{EventStore, ExpectedVersion::Any, NewEvent, Options};
use uuid::Uuid;

use crate::support::files::{active, sealed};

pub(crate) const EVENTS: u64 = 1_000;
pub(crate) const STREAMS: u64 = 3;

pub(crate) fn data(position: u64) -> String {
    format!("{position:0>200}")
}

pub(crate) fn stream(position: u64) -> String {
    format!("s-{}", position % STREAMS)
}

pub(crate) fn id(position: u64) -> Option<Uuid> {
    position.is_multiple_of(7).then(|| Uuid::from_u128(u128::from(position)))
}

pub(crate) fn append(store: &EventStore, positions: RangeInclusive<u64>) {
    for position in positions {
        let mut event = NewEvent::json("T", &data(position)).unwrap();
        if let Some(id) = id(position) {
            event = event.id(id);
        }
        store.append(stream(position), Any, [event]).unwrap();
    }
}

/// A closed store whose last file alone is not sealed.
pub(crate) fn closed(path: &Path, options: &Options) {
    let store = options.open(path).unwrap();
    append(&store, 1..=EVENTS);
    store.close().unwrap();
    assert!(sealed(path).len() > 1 && active(path).len() == 1);
}

/// Every question that a store answers, each with the answer that is due.
#[track_caller]
pub(crate) fn check_everything(store: &EventStore, what: &str) {
    assert_eq!(store.head().unwrap(), EVENTS, "{what}");
    for (position, event) in (1..).zip(store.read_all()) {
        let event = event.unwrap();
        assert_eq!((event.position(), event.stream_id()), (position, &*stream(position)), "{what}");
        assert_eq!(event.data(), format!("\"{}\"", data(position)).as_bytes(), "{what}");
        assert_eq!(event.id(), id(position), "{what}");
    }
    assert_eq!(store.read_all().count() as u64, EVENTS, "{what}");
    let backward = store.read_all().backward().map(|event| event.unwrap().position());
    assert!(backward.eq((1..=EVENTS).rev()), "{what}");
    for number in 0..STREAMS {
        let due = || (1..=EVENTS).filter(|position| position % STREAMS == number);
        let name = format!("s-{number}");
        let read = store.read_stream(&name).map(|event| event.unwrap().position());
        assert!(read.eq(due()), "{what}: {name}");
        let read = store.read_stream(&name).backward().map(|event| event.unwrap().position());
        assert!(read.eq(due().rev()), "{what}: {name}, backward");
        assert_eq!(store.stream_version(&name).unwrap(), due().count() as u64, "{what}");
    }
    for position in (1..=EVENTS).filter(|position| id(*position).is_some()) {
        let again = NewEvent::json("T", &data(position)).unwrap().id(id(position).unwrap());
        let again = store.append(stream(position), Any, [again]).unwrap();
        assert!(again.is_replay(), "{what}: {position}");
        assert_eq!(again.positions(), position..=position, "{what}");
    }
    let streams = store.streams().map(|stream| stream.unwrap().version());
    assert_eq!(streams.sum::<u64>(), EVENTS, "{what}");
}
