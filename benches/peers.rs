//! The peers: a bare file, and SQLite with a write-ahead log that it syncs at every commit.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
};

use rusqlite::Connection;

/// A file that grows by each append.
pub(crate) struct BareFile(File);

impl BareFile {
    pub(crate) fn create(path: &Path) -> BareFile {
        BareFile(OpenOptions::new().create(true).append(true).open(path).unwrap())
    }

    pub(crate) fn append_and_sync(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.sync_data().unwrap();
    }
}

/// A table of events with the unique index that optimistic concurrency needs.
pub(crate) struct Sqlite(Mutex<Connection>);

impl Sqlite {
    pub(crate) fn create(path: &Path) -> Sqlite {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "synchronous", "FULL").unwrap();
        connection
            .execute_batch(
                "CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT, version INTEGER,
                 type TEXT, data BLOB, time INTEGER, UNIQUE (stream, version))",
            )
            .unwrap();
        Sqlite(Mutex::new(connection))
    }

    /// One transaction of `count` events for a stream.
    pub(crate) fn append(&self, stream: &str, data: &str, count: u64) {
        let mut connection = self.0.lock().unwrap();
        let transaction = connection.transaction().unwrap();
        let version: i64 = transaction
            .prepare_cached("SELECT COALESCE(MAX(version), 0) FROM events WHERE stream = ?1")
            .unwrap()
            .query_row([stream], |row| row.get(0))
            .unwrap();
        for number in 1..=count {
            let version = version + i64::try_from(number).unwrap();
            transaction
                .prepare_cached(
                    "INSERT INTO events (stream, version, type, data, time)
                     VALUES (?1, ?2, 'Happened', ?3, 0)",
                )
                .unwrap()
                .execute((stream, version, data))
                .unwrap();
        }
        transaction.commit().unwrap();
    }

    /// Reads every event in order and returns how many bytes of data they have.
    pub(crate) fn scan(&self) -> usize {
        let connection = self.0.lock().unwrap();
        let mut select = connection
            .prepare("SELECT stream, version, type, data, time FROM events ORDER BY position")
            .unwrap();
        let mut rows = select.query([]).unwrap();
        let mut bytes = 0;
        while let Some(row) = rows.next().unwrap() {
            bytes += row.get_ref(3).unwrap().as_str().unwrap().len();
        }
        bytes
    }
}
