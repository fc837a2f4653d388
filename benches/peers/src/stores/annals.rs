//! Annals, with its default options but for durability and cache. The JSON is checked as for any
//! caller.

use std::path::Path;

use annals::{
    AppendError, Batch, Durability, Error, EventStore, ExpectedVersion, NewEvent, Options,
    RecordedEvent, Timestamp,
};

use crate::store::{Conflict, Event, Mode, Seen, Store};

pub(crate) struct Annals(EventStore);

impl Annals {
    pub(crate) fn open(path: &Path, mode: Mode, cache_bytes: u64) -> Annals {
        let durability = match mode {
            Mode::Durable => Durability::Sync,
            Mode::Buffered => Durability::buffered(),
        };
        let options = Options::new().durability(durability).cache_bytes(cache_bytes);
        Annals(options.open(path.join("store")).unwrap())
    }
}

impl Store for Annals {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let runs = events.chunk_by(|a, b| a.stream == b.stream);
        let mut units = runs.map(|run| (run[0].stream, before(run), run.iter().map(new_event)));
        let answer = match (units.next(), units.next()) {
            (Some((stream, expected, events)), None) => {
                self.0.append(stream, expected, events).map(drop)
            }
            (first, second) => {
                let units = first.into_iter().chain(second).chain(units);
                let batch = units.fold(Batch::new(), |batch, (stream, expected, events)| {
                    batch.append(stream, expected, events)
                });
                batch.commit(&self.0).map(drop)
            }
        };
        match answer {
            Ok(()) => Ok(()),
            Err(AppendError::Conflict(_)) => Err(Conflict),
            Err(error) => panic!("{error}"),
        }
    }

    fn scan(&self) -> Seen {
        seen(self.0.read_all())
    }

    fn read_stream(&self, stream: &str) -> Seen {
        seen(self.0.read_stream(stream))
    }

    fn close(self: Box<Self>) {
        self.0.close().unwrap();
    }
}

fn before(run: &[Event<'_>]) -> ExpectedVersion {
    ExpectedVersion::Exact(run[0].version - 1)
}

pub(super) fn new_event(event: &Event<'_>) -> NewEvent {
    NewEvent::raw_json(event.kind, event.data)
        .and_then(|new| new.raw_metadata(event.metadata))
        .and_then(|new| Ok(new.timestamp(Timestamp::utc(event.time)?)))
        .unwrap()
}

pub(super) fn seen(events: impl Iterator<Item = Result<RecordedEvent, Error>>) -> Seen {
    let mut seen = Seen::default();
    for event in events {
        let event = event.unwrap();
        // As bytes, like what the other stores return: `metadata` would check that it is UTF-8.
        seen.add(event.data().len(), event.metadata_bytes().map_or(0, <[u8]>::len));
    }
    seen
}
