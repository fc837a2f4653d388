//! What every store of the comparison does: append under exact expected versions, read everything
//! in order, read one stream.

use std::path::Path;

use crate::stores;

/// An event to append. Its version is known to the caller, who has read the stream: the append
/// must be refused unless the stream is at the version before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) stream: &'a str,
    pub(crate) version: u64,
    pub(crate) kind: &'a str,
    pub(crate) data: &'a str,
    pub(crate) metadata: &'a str,
    /// Microseconds since the Unix epoch.
    pub(crate) time: i64,
}

/// The answer of a store to an append that it refuses.
#[derive(Debug)]
pub(crate) struct Conflict;

/// What a read has seen; the bytes are those of data and metadata, so that they were touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Seen {
    /// Takes an event with all its fields.
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        std::hint::black_box(event);
        self.add(event.data.len(), event.metadata.len());
    }

    pub(crate) fn add(&mut self, data: usize, metadata: usize) {
        self.events += 1;
        self.bytes += (data + metadata) as u64;
    }
}

/// An open store. Any other failure than a conflict ends the program.
pub(crate) trait Store: Send + Sync {
    /// Appends all events or none, each under its exact version. Events of one stream that follow
    /// each other have consecutive versions. The answer to the check is known at return.
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict>;

    /// Reads every event in the order of the global positions, all its fields.
    fn scan(&self) -> Seen;

    /// Reads a stream from its first version on.
    fn read_stream(&self, stream: &str) -> Seen;

    /// Returns once everything is durable and where it stays, and gives the files free.
    fn close(self: Box<Self>);
}

/// The contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Bare,
    Annals,
    Sqlite,
    Lmdb,
    Redb,
    Fjall,
    Umadb,
    Tephra,
    /// Annals, doing the same work as these two.
    AnnalsDcb,
}

/// When an append returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Once the events survive a power cut.
    Durable,
    /// Once the check is answered and the events are visible; `close` makes them durable.
    Buffered,
}

impl Kind {
    pub(crate) const ALL: [Kind; 9] = [
        Kind::Bare,
        Kind::Annals,
        Kind::Sqlite,
        Kind::Lmdb,
        Kind::Redb,
        Kind::Fjall,
        Kind::Umadb,
        Kind::Tephra,
        Kind::AnnalsDcb,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Bare => "bare",
            Kind::Annals => "annals",
            Kind::Sqlite => "sqlite",
            Kind::Lmdb => "lmdb",
            Kind::Redb => "redb",
            Kind::Fjall => "fjall",
            Kind::Umadb => "umadb",
            Kind::Tephra => "tephra",
            Kind::AnnalsDcb => "annals-dcb",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether appends need not wait for the disk; the two event stores know no such mode.
    pub(crate) fn has_buffered(self) -> bool {
        !matches!(self, Kind::Umadb | Kind::Tephra)
    }

    /// Whether it can be read: the bare file is what writing costs at least.
    pub(crate) fn is_store(self) -> bool {
        self != Kind::Bare
    }

    /// Opens the store in the directory `path`, which is made if need be, with a cache of
    /// `cache_bytes` where the store has one.
    pub(crate) fn open(self, path: &Path, mode: Mode, cache_bytes: u64) -> Box<dyn Store> {
        std::fs::create_dir_all(path).unwrap();
        match self {
            Kind::Bare => Box::new(stores::bare::Bare::open(path, mode)),
            Kind::Annals => Box::new(stores::annals::Annals::open(path, mode, cache_bytes)),
            Kind::Sqlite => Box::new(stores::sqlite::Sqlite::open(path, mode, cache_bytes)),
            Kind::Lmdb => Box::new(stores::lmdb::Lmdb::open(path, mode)),
            Kind::Redb => Box::new(stores::redb::Redb::open(path, mode, cache_bytes)),
            Kind::Fjall => Box::new(stores::fjall::Fjall::open(path, mode, cache_bytes)),
            Kind::Umadb => Box::new(stores::umadb::Umadb::open(path, cache_bytes)),
            Kind::Tephra => Box::new(stores::tephra::Tephra::open(path)),
            Kind::AnnalsDcb => {
                Box::new(stores::annals_dcb::AnnalsDcb::open(path, mode, cache_bytes))
            }
        }
    }
}

/// Stops the program unless the store checks versions and returns what was appended.
pub(crate) fn check(kind: Kind, directory: &Path) {
    if !kind.is_store() {
        return;
    }
    let path = directory.join(format!("check-{}", kind.name()));
    let event = |stream, version| Event {
        stream,
        version,
        kind: "Checked",
        data: "{\"checked\": true}",
        metadata: "{}",
        time: 1,
    };
    let bytes = (event("a", 1).data.len() + 2) as u64;
    for mode in [Mode::Durable, Mode::Buffered] {
        if mode == Mode::Buffered && !kind.has_buffered() {
            continue;
        }
        let path = path.join(format!("{mode:?}"));
        let store = kind.open(&path, mode, 8 << 20);
        store.append(&[event("a", 1), event("a", 2), event("b", 1)]).unwrap();
        assert!(store.append(&[event("a", 2)]).is_err(), "{kind:?} takes a version twice");
        assert!(store.append(&[event("b", 2), event("a", 1)]).is_err(), "{kind:?}: all or nothing");
        store.append(&[event("a", 3)]).unwrap();
        store.close();
        let store = kind.open(&path, mode, 8 << 20);
        assert_eq!(store.scan(), Seen { events: 4, bytes: 4 * bytes }, "{kind:?}");
        assert_eq!(store.read_stream("a"), Seen { events: 3, bytes: 3 * bytes }, "{kind:?}");
        assert_eq!(store.read_stream("b"), Seen { events: 1, bytes }, "{kind:?}");
        store.append(&[event("b", 2)]).unwrap();
        assert!(store.append(&[event("b", 2)]).is_err(), "{kind:?} takes a version twice");
        store.close();
    }
}
