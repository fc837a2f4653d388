//! SQLite with a write-ahead log, a connection that writes and one that reads, and prepared
//! statements. Durable is `synchronous = FULL`, buffered is `NORMAL`. The unique index on stream
//! and version is what optimistic concurrency needs; the SELECT before the first INSERT of a run
//! keeps gaps out.

use std::{path::Path, sync::Mutex};

use rusqlite::{Connection, ErrorCode, Row, Statement, params};

use crate::store::{Conflict, Event, Mode, Seen, Store};

const FIELDS: &str = "SELECT stream, version, type, data, metadata, time FROM events";

/// In this mode a reader and the writer do not wait for each other.
pub(crate) struct Sqlite {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, mode: Mode, cache_bytes: u64) -> Sqlite {
        let synchronous = if mode == Mode::Durable { "FULL" } else { "NORMAL" };
        let cache_kib = cache_bytes >> 10;
        let pragmas = format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = MEMORY;
             PRAGMA mmap_size = {cache_bytes}; PRAGMA wal_autocheckpoint = 10000;"
        );
        let connect = || {
            let connection = Connection::open(path.join("events.sqlite")).unwrap();
            connection.execute_batch(&pragmas).unwrap();
            connection.set_prepared_statement_cache_capacity(32);
            connection
        };
        let writer = connect();
        writer
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, stream TEXT,
                 version INTEGER, type TEXT, data TEXT, metadata TEXT, time INTEGER,
                 UNIQUE (stream, version))",
            )
            .unwrap();
        Sqlite { writer: Mutex::new(writer), reader: Mutex::new(connect()) }
    }
}

impl Store for Sqlite {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let connection = self.writer.lock().unwrap();
        let prepare = |sql| connection.prepare_cached(sql).unwrap();
        prepare("BEGIN IMMEDIATE").execute([]).unwrap();
        let inserted = insert(
            events,
            &mut prepare("SELECT COALESCE(MAX(version), 0) FROM events WHERE stream = ?1"),
            &mut prepare(
                "INSERT INTO events (stream, version, type, data, metadata, time)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            ),
        );
        let end = if inserted.is_ok() { "COMMIT" } else { "ROLLBACK" };
        prepare(end).execute([]).unwrap();
        inserted
    }

    fn scan(&self) -> Seen {
        let connection = self.reader.lock().unwrap();
        let mut select = connection.prepare_cached(&format!("{FIELDS} ORDER BY position")).unwrap();
        let mut rows = select.query([]).unwrap();
        let mut seen = Seen::default();
        while let Some(row) = rows.next().unwrap() {
            read(row, &mut seen);
        }
        seen
    }

    fn read_stream(&self, stream: &str) -> Seen {
        let connection = self.reader.lock().unwrap();
        let sql = "SELECT stream, version, type, data, metadata, time FROM events
                   WHERE stream = ?1 ORDER BY version";
        let mut select = connection.prepare_cached(sql).unwrap();
        let mut rows = select.query([stream]).unwrap();
        let mut seen = Seen::default();
        while let Some(row) = rows.next().unwrap() {
            read(row, &mut seen);
        }
        seen
    }

    fn close(self: Box<Self>) {
        // The last connection to be closed moves the log into the database.
        self.reader.into_inner().unwrap().close().unwrap();
        self.writer.into_inner().unwrap().close().unwrap();
    }
}

fn insert(
    events: &[Event<'_>],
    version: &mut Statement<'_>,
    insert: &mut Statement<'_>,
) -> Result<(), Conflict> {
    for run in events.chunk_by(|a, b| a.stream == b.stream) {
        let last: i64 = version.query_row([run[0].stream], |row| row.get(0)).unwrap();
        if last + 1 != run[0].version.cast_signed() {
            return Err(Conflict);
        }
        for event in run {
            let Event { stream, kind, data, metadata, time, .. } = event;
            let version = event.version.cast_signed();
            match insert.execute(params![stream, version, kind, data, metadata, time]) {
                Ok(_) => {}
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    return Err(Conflict);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    Ok(())
}

/// Looks at every column without copying it.
fn read(row: &Row<'_>, seen: &mut Seen) {
    let text = |column| row.get_ref(column).unwrap().as_bytes().unwrap();
    let numbers = (row.get_ref(1).unwrap(), row.get_ref(5).unwrap());
    std::hint::black_box((text(0), text(2), numbers));
    seen.add(text(3).len(), text(4).len());
}
