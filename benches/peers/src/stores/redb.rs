//! redb: events by position, and an index from stream and version to position. Durable is
//! `Durability::Immediate`, buffered `Durability::None` with one durable commit when it is closed.

use std::path::Path;

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};

use crate::{
    store::{Conflict, Event, Mode, Seen, Store},
    stores::value,
};

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const INDEX: TableDefinition<'_, &[u8], u64> = TableDefinition::new("streams");

pub(crate) struct Redb {
    mode: Mode,
    database: Database,
}

impl Redb {
    pub(crate) fn open(path: &Path, mode: Mode, cache_bytes: u64) -> Redb {
        let cache_bytes = usize::try_from(cache_bytes).unwrap();
        let database =
            Database::builder().set_cache_size(cache_bytes).create(path.join("events.redb"));
        Redb { mode, database: database.unwrap() }
    }
}

impl Store for Redb {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let mut transaction = self.database.begin_write().unwrap();
        if self.mode == Mode::Buffered {
            transaction.set_durability(Durability::None).unwrap();
        }
        match put(&transaction, events) {
            Ok(()) => transaction.commit().unwrap(),
            Err(conflict) => {
                transaction.abort().unwrap();
                return Err(conflict);
            }
        }
        Ok(())
    }

    fn scan(&self) -> Seen {
        let transaction = self.database.begin_read().unwrap();
        let table = transaction.open_table(EVENTS).unwrap();
        let mut seen = Seen::default();
        for entry in table.iter().unwrap() {
            seen.event(&value::decode(entry.unwrap().1.value()));
        }
        seen
    }

    fn read_stream(&self, stream: &str) -> Seen {
        let transaction = self.database.begin_read().unwrap();
        let mut seen = Seen::default();
        let index = match transaction.open_table(INDEX) {
            Ok(index) => index,
            Err(TableError::TableDoesNotExist(_)) => return seen,
            Err(error) => panic!("{error}"),
        };
        let table = transaction.open_table(EVENTS).unwrap();
        let (mut first, mut last) = (Vec::new(), Vec::new());
        value::stream_key(stream, 0, &mut first);
        value::stream_key(stream, u64::MAX, &mut last);
        for entry in index.range(first.as_slice()..=last.as_slice()).unwrap() {
            let position = entry.unwrap().1.value();
            let event = table.get(position).unwrap().unwrap();
            seen.event(&value::decode(event.value()));
        }
        seen
    }

    fn close(self: Box<Self>) {
        // An empty durable commit makes those before it durable.
        self.database.begin_write().unwrap().commit().unwrap();
    }
}

fn put(transaction: &WriteTransaction, events: &[Event<'_>]) -> Result<(), Conflict> {
    let mut table = transaction.open_table(EVENTS).unwrap();
    let mut index = transaction.open_table(INDEX).unwrap();
    let (mut key, mut bytes) = (Vec::new(), Vec::new());
    let mut position = table.last().unwrap().map_or(0, |(position, _)| position.value());
    for event in events {
        if event.version > 1 {
            value::stream_key(event.stream, event.version - 1, &mut key);
            index.get(key.as_slice()).unwrap().ok_or(Conflict)?;
        }
        position += 1;
        value::stream_key(event.stream, event.version, &mut key);
        if index.insert(key.as_slice(), position).unwrap().is_some() {
            return Err(Conflict);
        }
        bytes.clear();
        value::encode(event, &mut bytes);
        table.insert(position, bytes.as_slice()).unwrap();
    }
    Ok(())
}
