//! LMDB: events by position, put at the right edge, and an index from stream and version to
//! position. Buffered is `NO_SYNC`, with one sync when it is closed. It maps its file and has no
//! cache of its own.

use std::path::Path;

use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, PutFlags, RwTxn,
    byteorder::BigEndian,
    types::{Bytes, U64},
};

use crate::{
    store::{Conflict, Event, Mode, Seen, Store},
    stores::value,
};

/// Address space, not memory: the map must have room for what is to come.
const MAP_BYTES: usize = 64 << 30;

type Position = U64<BigEndian>;
type Events = Database<'static, Position, Bytes>;
type Index = Database<'static, Bytes, Position>;

pub(crate) struct Lmdb {
    env: Env,
    events: Events,
    index: Index,
}

impl Lmdb {
    pub(crate) fn open(path: &Path, mode: Mode) -> Lmdb {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_dbs(2);
        // SAFETY: nobody else has the file, and what a crash of the system leaves of it is not
        // read.
        let env = unsafe {
            if mode == Mode::Buffered {
                options.flags(EnvFlags::NO_SYNC);
            }
            options.open(path).unwrap()
        };
        let transaction = env.write_txn().unwrap();
        let (events, index): (Events, Index) = env
            .create_databases_and_commit(transaction, |opener, transaction| {
                let events = opener.create_database(transaction, Some("events"))?;
                let index = opener.create_database(transaction, Some("streams"))?;
                heed::Result::Ok(CommitOrAbort::<_, ()>::Commit((events, index)))
            })
            .unwrap()
            .unwrap_commit();
        Lmdb { env, events, index }
    }

    fn put(&self, transaction: &mut RwTxn<'_>, events: &[Event<'_>]) -> Result<(), Conflict> {
        let (mut key, mut bytes) = (Vec::new(), Vec::new());
        let last = self.events.last(transaction).unwrap();
        let mut position = last.map_or(0, |(position, _)| position);
        for event in events {
            if event.version > 1 {
                value::stream_key(event.stream, event.version - 1, &mut key);
                self.index.get(transaction, &key).unwrap().ok_or(Conflict)?;
            }
            position += 1;
            value::stream_key(event.stream, event.version, &mut key);
            let flags = PutFlags::NO_OVERWRITE;
            match self.index.put_with_flags(transaction, flags, &key, &position) {
                Ok(()) => {}
                Err(heed::Error::Mdb(MdbError::KeyExist)) => return Err(Conflict),
                Err(error) => panic!("{error}"),
            }
            bytes.clear();
            value::encode(event, &mut bytes);
            self.events.put_with_flags(transaction, PutFlags::APPEND, &position, &bytes).unwrap();
        }
        Ok(())
    }
}

impl Store for Lmdb {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let mut transaction = self.env.write_txn().unwrap();
        self.put(&mut transaction, events)?;
        transaction.commit().unwrap();
        Ok(())
    }

    fn scan(&self) -> Seen {
        let transaction = self.env.read_txn().unwrap();
        let mut seen = Seen::default();
        for entry in self.events.iter(&transaction).unwrap() {
            seen.event(&value::decode(entry.unwrap().1));
        }
        seen
    }

    fn read_stream(&self, stream: &str) -> Seen {
        let transaction = self.env.read_txn().unwrap();
        let mut seen = Seen::default();
        let prefix = [stream.as_bytes(), &[0]].concat();
        for entry in self.index.prefix_iter(&transaction, &prefix).unwrap() {
            let position = entry.unwrap().1;
            let bytes = self.events.get(&transaction, &position).unwrap().unwrap();
            seen.event(&value::decode(bytes));
        }
        seen
    }

    fn close(self: Box<Self>) {
        self.env.force_sync().unwrap();
        self.env.prepare_for_closing().wait();
    }
}
