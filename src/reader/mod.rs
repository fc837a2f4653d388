//! Reading a store that another process may write.

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

/// A store that is open for reading, beside the program that writes it, or with nobody writing it.
///
/// A reader takes no lock that a writer or another reader could meet, writes nothing, and needs
/// only read permission, so that it works on a read-only file system and as another user. It uses
/// the journal alone. It never holds up the writer, however long it stays open.
///
/// It never shows what is not durable. While a writer runs, the head is the last position that the
/// writer has made durable and published, in a buffered store up to `max_delay` after the append;
/// without a writer, it is where a recovery would end the log. Every call sees the head of its own
/// moment; an iterator sees the head of its creation; a subscription follows.
///
/// Where the journal is damaged, reads return everything before it and then [`Error::Corrupted`],
/// even if the trees still have the events: [`repair`](crate::repair) makes the journal whole from
/// them.
///
/// When [`compact`](crate::compact) writes the store anew, its readers go on in the new one, in the
/// middle of a read too. When the path leads to anything else that does not continue the store that
/// was opened, calls return [`Error::Closed`].
///
/// Clones are cheap; any number of threads may use one. In memory it takes an index of the files
/// that are not sealed yet, at most about what the tail of a writer takes.
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
    /// [`Error::Io`], with `NotFound` when there is no store; [`Error::Corrupted`] for a damaged
    /// superblock or a missing journal; [`Error::UnsupportedFormat`].
    pub fn open(path: impl AsRef<Path>) -> Result<Reader, Error> {
        Reader::open_with(path, &Options::new())
    }

    /// As [`open`](Self::open), with options, of which the [upcasters](Options::upcasters) count.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Reader, Error> {
        EventStore::open_reading_with(path.as_ref(), options).map(|store| Reader { store })
    }

    /// As the handle that the C ABI has for both: its calls that write return
    /// [`Error::ReadOnly`].
    #[cfg(feature = "capi")]
    pub(crate) fn into_store(self) -> EventStore {
        self.store
    }

    /// The position of the last event that is durable; 0 when there is none.
    ///
    /// # Errors
    /// [`Error::Corrupted`] when events after it are known and cannot be read; [`Error::Io`],
    /// [`Error::Closed`].
    pub fn head(&self) -> Result<u64, Error> {
        self.store.head()
    }

    /// As [`EventStore::stream_version`].
    ///
    /// # Errors
    /// As for [`EventStore::stream_version`].
    pub fn stream_version(&self, stream: impl AsRef<str>) -> Result<u64, Error> {
        self.store.stream_version(stream)
    }

    /// As [`EventStore::event_by_id`].
    ///
    /// # Errors
    /// As for [`EventStore::event_by_id`].
    pub fn event_by_id(&self, id: Uuid) -> Result<Option<RecordedEvent>, Error> {
        self.store.event_by_id(id)
    }

    /// As [`EventStore::read_all`].
    pub fn read_all(&self) -> Events {
        self.store.read_all()
    }

    /// As [`EventStore::read_stream`].
    pub fn read_stream(&self, stream: impl AsRef<str>) -> Events {
        self.store.read_stream(stream)
    }

    /// As [`EventStore::query`].
    pub fn query(&self, query: &Query) -> Found {
        self.store.query(query)
    }

    /// As [`EventStore::streams`].
    pub fn streams(&self) -> Streams {
        self.store.streams()
    }

    /// As [`EventStore::subscribe`]: history, and then what any process appends.
    ///
    /// # Errors
    /// As for [`EventStore::subscribe`].
    pub fn subscribe(&self, position: u64) -> Result<Subscription, Error> {
        self.store.subscribe(position)
    }

    /// As [`EventStore::reconstruct_state`].
    ///
    /// # Errors
    /// As for [`EventStore::reconstruct_state`].
    pub fn reconstruct_state<S>(
        &self,
        stream: impl AsRef<str>,
        state: S,
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<S, Error> {
        self.store.reconstruct_state(stream, state, handlers, up_to)
    }

    /// As [`EventStore::load`].
    ///
    /// # Errors
    /// As for [`EventStore::load`].
    pub fn load<S>(
        &self,
        stream: impl AsRef<str>,
        initial: S,
        handlers: &Handlers<S>,
    ) -> Result<Loaded<S>, Error> {
        self.store.load(stream, initial, handlers)
    }

    /// As [`EventStore::load_from`].
    ///
    /// # Errors
    /// As for [`EventStore::load_from`].
    pub fn load_from<S: DeserializeOwned>(
        &self,
        key: impl Into<SnapshotKey>,
        stream: impl AsRef<str>,
        initial: S,
        handlers: &Handlers<S>,
    ) -> Result<Loaded<S>, Error> {
        self.store.load_from(key, stream, initial, handlers)
    }

    /// As [`EventStore::checkpoint`].
    ///
    /// # Errors
    /// As for [`EventStore::checkpoint`].
    pub fn checkpoint(&self, name: impl AsRef<str>) -> Result<u64, Error> {
        self.store.checkpoint(name)
    }

    /// The checkpoints of all consumers, in byte order of their names.
    ///
    /// # Errors
    /// As for [`EventStore::checkpoints`].
    pub fn checkpoints(&self) -> Result<Vec<(String, u64)>, Error> {
        self.store.checkpoints()
    }

    /// As [`EventStore::load_snapshot`].
    ///
    /// # Errors
    /// As for [`EventStore::load_snapshot`].
    pub fn load_snapshot(&self, key: impl Into<SnapshotKey>) -> Result<Option<Snapshot>, Error> {
        self.store.load_snapshot(key)
    }

    /// As [`EventStore::snapshots`].
    pub fn snapshots(&self) -> Snapshots {
        self.store.snapshots()
    }

    /// As [`EventStore::export_ndjson`].
    ///
    /// # Errors
    /// As for [`EventStore::export_ndjson`].
    pub fn export_ndjson(
        &self,
        writer: impl std::io::Write,
        options: &ExportOptions,
    ) -> Result<ExportReport, Error> {
        self.store.export_ndjson(writer, options)
    }

    /// As [`EventStore::export_ndjson_file`].
    ///
    /// # Errors
    /// As for [`EventStore::export_ndjson_file`].
    pub fn export_ndjson_file(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<ExportReport, Error> {
        self.store.export_ndjson_file(path, options)
    }

    /// As [`EventStore::stats`], with the process that writes the store.
    ///
    /// # Errors
    /// As for [`EventStore::stats`].
    pub fn stats(&self) -> Result<Stats, Error> {
        self.store.stats()
    }

    /// As [`EventStore::metrics`].
    pub fn metrics(&self) -> Metrics {
        self.store.metrics()
    }

    /// As [`EventStore::event_types`].
    ///
    /// # Errors
    /// As for [`EventStore::event_types`].
    pub fn event_types(&self) -> Result<Vec<(String, u64)>, Error> {
        self.store.event_types()
    }

    /// As [`EventStore::verify`], without the trees.
    ///
    /// # Errors
    /// As for [`EventStore::verify`].
    pub fn verify(&self) -> Result<Report, Error> {
        self.store.verify()
    }

    /// As [`EventStore::backup_with`].
    ///
    /// # Errors
    /// As for [`backup`](crate::backup).
    pub fn backup(
        &self,
        directory: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> Result<BackupReport, Error> {
        self.store.backup_with(directory, options)
    }
}
