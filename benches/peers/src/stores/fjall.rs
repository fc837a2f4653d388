//! fjall: events by position, and an index from stream and version to position, in two keyspaces
//! with its default compression (lz4). A lock makes check and write one step. Durable is a batch
//! with `PersistMode::SyncData`, buffered is one with `PersistMode::Buffer`.

use std::{path::Path, sync::Mutex};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::{
    store::{Conflict, Event, Mode, Seen, Store},
    stores::value,
};

pub(crate) struct Fjall {
    mode: Mode,
    database: Database,
    events: Keyspace,
    index: Keyspace,
    /// The last position.
    head: Mutex<u64>,
}

impl Fjall {
    pub(crate) fn open(path: &Path, mode: Mode, cache_bytes: u64) -> Fjall {
        let database = Database::builder(path).cache_size(cache_bytes).open().unwrap();
        // Every position that is looked up exists: those of the index.
        let options = || KeyspaceCreateOptions::default().expect_point_read_hits(true);
        let events = database.keyspace("events", options).unwrap();
        let index = database.keyspace("streams", KeyspaceCreateOptions::default).unwrap();
        let head = events
            .last_key_value()
            .map_or(0, |last| u64::from_be_bytes(last.key().unwrap().as_ref().try_into().unwrap()));
        Fjall { mode, database, events, index, head: Mutex::new(head) }
    }

    fn check(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let mut key = Vec::new();
        let mut has = |stream, version| {
            value::stream_key(stream, version, &mut key);
            self.index.contains_key(&key).unwrap()
        };
        // The last version of each stream by what this batch has put so far.
        let mut put: Vec<(&str, u64)> = Vec::new();
        for run in events.chunk_by(|a, b| a.stream == b.stream) {
            let (first, last) = (run[0].version, run[run.len() - 1].version);
            if let Some(known) = put.iter_mut().find(|(stream, _)| *stream == run[0].stream) {
                if known.1 + 1 != first {
                    return Err(Conflict);
                }
                known.1 = last;
            } else {
                let follows = first == 1 || has(run[0].stream, first - 1);
                if !follows || has(run[0].stream, first) {
                    return Err(Conflict);
                }
                put.push((run[0].stream, last));
            }
        }
        Ok(())
    }
}

impl Store for Fjall {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let mut head = self.head.lock().unwrap();
        self.check(events)?;
        let persist = match self.mode {
            Mode::Durable => PersistMode::SyncData,
            Mode::Buffered => PersistMode::Buffer,
        };
        let mut batch = self.database.batch().durability(Some(persist));
        let mut key = Vec::new();
        for event in events {
            *head += 1;
            let position = head.to_be_bytes();
            value::stream_key(event.stream, event.version, &mut key);
            batch.insert(&self.index, key.as_slice(), position);
            let mut bytes = Vec::with_capacity(event.data.len() + 256);
            value::encode(event, &mut bytes);
            batch.insert(&self.events, position, bytes);
        }
        batch.commit().unwrap();
        Ok(())
    }

    fn scan(&self) -> Seen {
        let mut seen = Seen::default();
        for entry in self.events.iter() {
            seen.event(&value::decode(&entry.value().unwrap()));
        }
        seen
    }

    fn read_stream(&self, stream: &str) -> Seen {
        let mut seen = Seen::default();
        let prefix = [stream.as_bytes(), &[0]].concat();
        for entry in self.index.prefix(&prefix) {
            let position = entry.value().unwrap();
            seen.event(&value::decode(&self.events.get(position).unwrap().unwrap()));
        }
        seen
    }

    fn close(self: Box<Self>) {
        self.database.persist(PersistMode::SyncAll).unwrap();
    }
}
