//! Reading a store while another process may be writing to it.

mod read_events;

use std::path::Path;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    BackupOptions, BackupReport, Error, EventStore, Events, ExportOptions, ExportReport, Found,
    Handlers, Loaded, Metrics, Options, Query, RecordedEvent, Report, Snapshot, SnapshotKey,
    Snapshots, Stats, Streams, Subscription, UpTo,
};

pub use read_events::ReadEvents;

/// A store that is open for reading, whether or not another process is writing to it.
///
/// A reader takes no lock that could block a writer or another reader, writes nothing, and needs
/// only read permission, so it works on a read-only file system and as another user. It uses only
/// the journal. It never delays the writer, however long it stays open.
///
/// It never shows events that are not durable. While a writer runs, the head is the last position
/// that the writer has made durable and published; in a buffered store this may be up to
/// `max_delay` after the append. Without a writer, the head is where a recovery would end the log.
/// Every call sees the current head; an iterator sees the head at its creation; a subscription
/// follows the head.
///
/// If the journal is damaged, reads return everything before the damage and then
/// [`Error::Corrupted`], even if the trees still have the events: [`repair`](crate::repair)
/// restores the journal from them, and the reader continues. A read that ends before the damage
/// does not concern it.
///
/// When [`compact`](crate::compact) rewrites the store, its readers continue in the new one, even
/// in the middle of a read. If the path leads to anything else that does not continue the store
/// that was opened, calls return [`Error::Closed`].
///
/// Clones are cheap, and any number of threads may use one. A reader keeps in memory an index of
/// the files that are not sealed yet, which takes at most about as much as the tail of a writer.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent, Reader};
///
/// let directory = tempfile::tempdir()?;
/// let store = EventStore::open(directory.path().join("orders.annals"))?;
/// let reader = Reader::open(directory.path().join("orders.annals"))?;
/// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("OrderPlaced", &1)?])?;
/// assert_eq!(reader.head()?, 1);
/// for event in reader.read_stream("order-7") {
///     println!("{}", event?.event_type());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader {
    store: EventStore,
}

impl Reader {
    /// Opens the store in the directory `path` for reading.
    ///
    /// # Errors
    /// [`Error::Io`], with `NotFound` if there is no store; [`Error::Corrupted`] if the superblock
    /// is damaged or the journal is missing; [`Error::UnsupportedFormat`].
    pub fn open(path: impl AsRef<Path>) -> Result<Reader, Error> {
        Reader::open_with(path, &Options::new())
    }

    /// Like [`open`](Self::open), with options. Only the [upcasters](Options::upcasters) are used.
    ///
    /// # Errors
    /// Same as for [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Reader, Error> {
        EventStore::open_reading_with(path.as_ref(), options).map(|store| Reader { store })
    }

    /// Converts the reader to the handle type that the C ABI uses for both. Calls on it that would
    /// write return [`Error::ReadOnly`].
    #[cfg(feature = "capi")]
    pub(crate) fn into_store(self) -> EventStore {
        self.store
    }

    /// The position of the last durable event; 0 if there is none.
    ///
    /// # Errors
    /// [`Error::Corrupted`] if there are known to be events after it that cannot be read;
    /// [`Error::Io`], [`Error::Closed`].
    pub fn head(&self) -> Result<u64, Error> {
        self.store.head()
    }

    /// Like [`EventStore::stream_version`].
    ///
    /// # Errors
    /// Same as for [`EventStore::stream_version`].
    pub fn stream_version(&self, stream: impl AsRef<str>) -> Result<u64, Error> {
        self.store.stream_version(stream)
    }

    /// Like [`EventStore::event_by_id`].
    ///
    /// # Errors
    /// Same as for [`EventStore::event_by_id`].
    pub fn event_by_id(&self, id: Uuid) -> Result<Option<RecordedEvent>, Error> {
        self.store.event_by_id(id)
    }

    /// Like [`EventStore::read_all`].
    pub fn read_all(&self) -> Events {
        self.store.read_all()
    }

    /// Like [`EventStore::read_stream`].
    pub fn read_stream(&self, stream: impl AsRef<str>) -> Events {
        self.store.read_stream(stream)
    }

    /// Like [`EventStore::query`].
    pub fn query(&self, query: &Query) -> Found {
        self.store.query(query)
    }

    /// Like [`EventStore::streams`].
    pub fn streams(&self) -> Streams {
        self.store.streams()
    }

    /// Like [`EventStore::subscribe`]: returns past events, then new ones from any process.
    ///
    /// # Errors
    /// Same as for [`EventStore::subscribe`].
    pub fn subscribe(&self, position: u64) -> Result<Subscription, Error> {
        self.store.subscribe(position)
    }

    /// Like [`EventStore::reconstruct_state`].
    ///
    /// # Errors
    /// Same as for [`EventStore::reconstruct_state`].
    pub fn reconstruct_state<S>(
        &self,
        stream: impl AsRef<str>,
        state: S,
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<S, Error> {
        self.store.reconstruct_state(stream, state, handlers, up_to)
    }

    /// Like [`EventStore::load`].
    ///
    /// # Errors
    /// Same as for [`EventStore::load`].
    pub fn load<S>(
        &self,
        stream: impl AsRef<str>,
        initial: S,
        handlers: &Handlers<S>,
    ) -> Result<Loaded<S>, Error> {
        self.store.load(stream, initial, handlers)
    }

    /// Like [`EventStore::load_from`].
    ///
    /// # Errors
    /// Same as for [`EventStore::load_from`].
    pub fn load_from<S: DeserializeOwned>(
        &self,
        key: impl Into<SnapshotKey>,
        stream: impl AsRef<str>,
        initial: S,
        handlers: &Handlers<S>,
    ) -> Result<Loaded<S>, Error> {
        self.store.load_from(key, stream, initial, handlers)
    }

    /// Like [`EventStore::checkpoint`].
    ///
    /// # Errors
    /// Same as for [`EventStore::checkpoint`].
    pub fn checkpoint(&self, name: impl AsRef<str>) -> Result<u64, Error> {
        self.store.checkpoint(name)
    }

    /// The checkpoints of all consumers, in byte order of their names.
    ///
    /// # Errors
    /// Same as for [`EventStore::checkpoints`].
    pub fn checkpoints(&self) -> Result<Vec<(String, u64)>, Error> {
        self.store.checkpoints()
    }

    /// Like [`EventStore::load_snapshot`].
    ///
    /// # Errors
    /// Same as for [`EventStore::load_snapshot`].
    pub fn load_snapshot(&self, key: impl Into<SnapshotKey>) -> Result<Option<Snapshot>, Error> {
        self.store.load_snapshot(key)
    }

    /// Like [`EventStore::snapshots`].
    pub fn snapshots(&self) -> Snapshots {
        self.store.snapshots()
    }

    /// Like [`EventStore::export_ndjson`].
    ///
    /// # Errors
    /// Same as for [`EventStore::export_ndjson`].
    pub fn export_ndjson(
        &self,
        writer: impl std::io::Write,
        options: &ExportOptions,
    ) -> Result<ExportReport, Error> {
        self.store.export_ndjson(writer, options)
    }

    /// Like [`EventStore::export_ndjson_file`].
    ///
    /// # Errors
    /// Same as for [`EventStore::export_ndjson_file`].
    pub fn export_ndjson_file(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<ExportReport, Error> {
        self.store.export_ndjson_file(path, options)
    }

    /// Like [`EventStore::stats`], and reports the process that is writing to the store.
    ///
    /// # Errors
    /// Same as for [`EventStore::stats`].
    pub fn stats(&self) -> Result<Stats, Error> {
        self.store.stats()
    }

    /// Like [`EventStore::metrics`].
    pub fn metrics(&self) -> Metrics {
        self.store.metrics()
    }

    /// Like [`EventStore::event_types`].
    ///
    /// # Errors
    /// Same as for [`EventStore::event_types`].
    pub fn event_types(&self) -> Result<Vec<(String, u64)>, Error> {
        self.store.event_types()
    }

    /// Like [`EventStore::verify`], but does not check the trees.
    ///
    /// # Errors
    /// Same as for [`EventStore::verify`].
    pub fn verify(&self) -> Result<Report, Error> {
        self.store.verify()
    }

    /// Like [`EventStore::backup`].
    ///
    /// # Errors
    /// Same as for [`backup`](crate::backup).
    pub fn backup(&self, directory: impl AsRef<Path>) -> Result<(), Error> {
        self.store.backup(directory)
    }

    /// Like [`EventStore::backup_with`].
    ///
    /// # Errors
    /// Same as for [`backup`](crate::backup).
    pub fn backup_with(
        &self,
        directory: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> Result<BackupReport, Error> {
        self.store.backup_with(directory, options)
    }
}
