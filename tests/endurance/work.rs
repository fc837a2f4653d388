//! What the threads of one life do with a store. The contents of an event follow from its stream
//! and version, so that every read can be checked.

use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use annals::{
    AppendError, BackupOptions, Batch, EventStore, ExpectedVersion, Handlers, NewEvent, Projection,
    Query, QueryItem, ReadEvents, Reader, RecordedEvent, Ticket, uuid::Uuid,
};

use crate::seed::Random;

const STREAMS: u64 = 300;

/// One life of a store: what its threads share.
pub struct Life<'a> {
    pub store: &'a EventStore,
    pub path: &'a Path,
    pub backup: &'a Path,
    pub random: &'a Mutex<Random>,
    /// Units of work for each thread that writes.
    pub units: u64,
    /// How many events have been acknowledged since the store was created.
    pub acknowledged: &'a AtomicU64,
}

fn tag(stream: &str) -> String {
    format!("of:{stream}")
}

/// The event at a version of a stream, some 20 to 600 bytes long.
fn event(stream: &str, version: u64) -> NewEvent {
    let text = format!("{stream} {version};").repeat(1 + (version % 40) as usize);
    NewEvent::json("Counted", &(version, text)).unwrap().tag(tag(stream)).id(id(stream, version))
}

/// The version and the ten bytes of the stream's name at most.
fn id(stream: &str, version: u64) -> Uuid {
    let bits = stream.bytes().fold(u128::from(version), |id, byte| id << 8 | u128::from(byte));
    Uuid::from_u128(bits)
}

/// Checks that an event is the one that was appended at its version.
pub fn check(event: &RecordedEvent) {
    let expected = self::event(event.stream_id(), event.version());
    assert_eq!(event.data(), expected.data(), "{event:?}");
    assert_eq!(event.id(), Some(id(event.stream_id(), event.version())));
    assert!(event.tags().eq([tag(event.stream_id()).as_str()]), "{event:?}");
}

impl Life<'_> {
    /// Writes, reads, follows and copies, until every writer has done its units.
    pub fn live(&self) {
        let is_over = AtomicBool::new(false);
        let counted = Projection::new("counted", self.store, 0, count()).live().unwrap();
        thread::scope(|scope| {
            let writers = [
                scope.spawn(|| self.append_singly()),
                scope.spawn(|| self.commit_batches()),
                scope.spawn(|| self.submit_tickets()),
            ];
            scope.spawn(|| self.read(self.store, &is_over));
            scope.spawn(|| self.read(&Reader::open(self.path).unwrap(), &is_over));
            scope.spawn(|| self.subscribe(&is_over));
            scope.spawn(|| self.derive());
            scope.spawn(|| self.copy());
            let ends = writers.map(thread::ScopedJoinHandle::join);
            is_over.store(true, Ordering::Relaxed);
            ends.into_iter().for_each(|end| end.unwrap());
        });
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        assert_eq!((self.store.head().unwrap(), *counted.state()), (acknowledged, acknowledged));
    }

    fn below(&self, limit: u64) -> u64 {
        self.random.lock().unwrap().below(limit)
    }

    fn stream(&self, writer: &str) -> (String, u64) {
        let stream = format!("{writer}-{}", self.below(STREAMS));
        let version = self.store.stream_version(&stream).unwrap();
        (stream, version)
    }

    fn acknowledge(&self, events: u64) {
        self.acknowledged.fetch_add(events, Ordering::Relaxed);
    }

    fn append_singly(&self) {
        for _ in 0..self.units {
            let (stream, version) = self.stream("single");
            let events = || [event(&stream, version + 1), event(&stream, version + 2)];
            let stale = ExpectedVersion::Exact(version + 1);
            let refused = self.store.append(&stream, stale, events());
            assert!(matches!(refused, Err(AppendError::Conflict(_))), "{refused:?}");
            self.store.append(&stream, ExpectedVersion::Exact(version), events()).unwrap();
            self.acknowledge(2);
        }
    }

    fn commit_batches(&self) {
        for _ in 0..self.units {
            let ((stream, version), after) = (self.stream("batch"), self.store.head().unwrap());
            let mine = Query::new().item(QueryItem::new().tags([tag(&stream)]));
            let at = |version| {
                let expected = ExpectedVersion::Exact(version);
                Batch::new()
                    .append(&stream, expected, [event(&stream, version + 1)])
                    .checkpoint("batches", after)
                    .require_none(&mine, after)
            };
            at(version).commit(self.store).unwrap();
            self.acknowledge(1);
            assert!(at(version).commit(self.store).unwrap().is_replay());
            let refused = at(version + 1).commit(self.store);
            assert!(matches!(refused, Err(AppendError::Condition(_))), "{refused:?}");
        }
    }

    fn submit_tickets(&self) {
        let mut left = self.units;
        while left > 0 {
            let size = (1 + self.below(64)).min(left);
            left -= size;
            let (stream, version) = self.stream("ticket");
            let tickets: Vec<Ticket> = (version..version + size)
                .map(|version| {
                    let expected = ExpectedVersion::Exact(version);
                    let events = [event(&stream, version + 1)];
                    Batch::new().append(&stream, expected, events).submit(self.store).unwrap()
                })
                .collect();
            tickets.iter().for_each(|ticket| drop(ticket.wait().unwrap()));
            self.acknowledge(size);
        }
    }

    /// Reads in every way, from the store or beside it.
    fn read(&self, source: &impl ReadEvents, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let head = source.head().unwrap();
            let from = self.below(head) + 1;
            for (event, position) in source.read_all().from_position(from).limit(500).zip(from..) {
                let event = event.unwrap();
                check(&event);
                assert_eq!(event.position(), position);
            }
            let (stream, _) = self.stream(["single", "batch", "ticket"][self.below(3) as usize]);
            let versions = source.read_stream(&stream).map(|event| {
                let event = event.unwrap();
                check(&event);
                event.version()
            });
            let versions: Vec<u64> = versions.collect();
            assert!(versions.iter().copied().eq(1..=versions.len() as u64), "{stream}");
            let tagged = Query::new().item(QueryItem::new().tags([tag(&stream)]));
            let found = source.query(&tagged).limit(versions.len() as u64).map(|event| {
                let event = event.unwrap();
                check(&event);
                let id = event.id().unwrap();
                assert_eq!(source.event_by_id(id).unwrap().as_ref(), Some(&event));
                event.version()
            });
            assert!(found.eq(versions), "{stream} by its tag");
        }
    }

    /// Follows every event from a checkpoint on, which it saves as it goes.
    fn subscribe(&self, is_over: &AtomicBool) {
        let start = self.store.checkpoint("subscriber").unwrap() + 1;
        let mut events = self.store.subscribe(start).unwrap();
        for position in start.. {
            let event = loop {
                let ends = is_over.load(Ordering::Relaxed);
                match events.next_timeout(Duration::from_millis(5)).unwrap() {
                    None if ends => return,
                    None => {}
                    Some(event) => break event,
                }
            };
            check(&event);
            assert_eq!(event.position(), position);
            if position % 512 == 0 {
                self.store.save_checkpoint("subscriber", position).unwrap();
            }
        }
    }

    /// Derives states, with and without a snapshot.
    fn derive(&self) {
        for _ in 0..self.units / 50 {
            let mut all = Projection::new("saved", self.store, 0, count());
            all.load_snapshot().unwrap();
            all.catch_up().unwrap();
            assert_eq!(*all.state(), all.position());
            all.save_snapshot().unwrap();
            let (stream, version) = self.stream("single");
            let loaded = self.store.load(&stream, 0, &count()).unwrap();
            assert!(loaded.version >= version && loaded.state == loaded.version);
            self.store.save_snapshot(stream.as_str(), all.position(), &stream).unwrap();
        }
    }

    /// Brings the backup up to date and opens it.
    fn copy(&self) {
        self.store.backup_with(self.backup, &BackupOptions::new().link(true)).unwrap();
        let copy = Reader::open(self.backup).unwrap();
        let newest = copy.read_all().backward().limit(1000);
        newest.for_each(|event| check(&event.unwrap()));
    }
}

fn count() -> Handlers<u64> {
    Handlers::new().otherwise(|count: &mut u64, _| {
        *count += 1;
        Ok(())
    })
}
