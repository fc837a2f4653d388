//! The engine: an open store that can be appended to and read from.

mod append;
mod batch;
mod checkpoints;
mod cursor;
mod filter;
mod live;
mod options;
mod query;
mod read;
mod recovery;
mod stats;
mod streams;
mod upcast;
#[cfg(feature = "testing")]
mod testing;

use std::{fmt, path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    event::{RecordedEvent, name},
    storage::{Storage, StorageOptions},
    sync::thread,
    trace::{note, span},
};

#[cfg(feature = "capi")]
pub(crate) use append::OwnThread;
pub(crate) use append::{Contents, Unit, Written};
use append::{GroupCommit, Versions};
pub use batch::{Batch, Committed, Ticket};
pub(crate) use filter::Filter;
use live::Followers;
pub(crate) use live::{Arrivals, Follower, Waits};
pub use options::{Durability, Options};
pub use query::Found;
pub use read::Events;
pub use recovery::Recovery;
pub use stats::Stats;
pub use streams::{StreamInfo, Streams};
#[cfg(feature = "testing")]
pub use testing::Fault;
pub use upcast::{Upcast, Upcasters};

/// An open event store. Clones are cheap and share one store; any number of threads may use it at
/// once. The store is closed by [`close`](Self::close), or when its last clone is dropped.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent};
///
/// let directory = tempfile::tempdir()?;
/// let store = EventStore::open(directory.path().join("orders.annals"))?;
/// store.append("order-7", ExpectedVersion::NoStream, [NewEvent::json("OrderPlaced", &42)?])?;
/// for event in store.read_stream("order-7") {
///     println!("{}", event?.event_type());
/// }
/// store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct EventStore {
    inner: Arc<Inner>,
}

/// Names the store, without its events: they may be many, and secret.
impl fmt::Debug for EventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let storage = &self.inner.storage;
        let mut store = f.debug_struct("EventStore");
        store.field("path", &storage.path()).field("head", &storage.head()).finish_non_exhaustive()
    }
}

struct Inner {
    storage: Arc<Storage>,
    commits: Arc<GroupCommit>,
    versions: Versions,
    arrivals: Arc<Arrivals>,
    followers: Followers,
    options: Options,
    /// The errors with which the next appends fail.
    #[cfg(feature = "testing")]
    faults: testing::Faults,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.storage.is_forked() {
            // No submitted batch can be waiting here: waiting batches keep the store open.
            let _ = self.commits.finish(false);
        }
        // There is no caller left to receive an error; the journal has every acknowledged event
        // anyway.
        drop(self.storage.close());
    }
}

impl EventStore {
    /// Opens the store in the directory `path` with the default [`Options`], creating it if it does
    /// not exist.
    ///
    /// # Errors
    /// See [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<EventStore, Error> {
        Options::new().open(path)
    }

    /// Creates a store without files, for tests and for events that need not be kept: they exist
    /// only as long as the store.
    ///
    /// # Errors
    /// None at present; the `Result` leaves room for future checks.
    pub fn in_memory() -> Result<EventStore, Error> {
        Options::new().open_in_memory()
    }

    pub(super) fn in_memory_with(options: &Options) -> Result<EventStore, Error> {
        let storage = Storage::in_memory(options.storage()?);
        Ok(EventStore::new(storage, options.clone()))
    }

    pub(super) fn open_with(path: &Path, options: &Options) -> Result<EventStore, Error> {
        let span = span!("open", path = %path.display(), head = Empty, rebuilt_events = Empty);
        let storage_options: StorageOptions = options.storage()?;
        let storage = Storage::open(path, storage_options)?;
        note!(span, "head", storage.head());
        note!(
            span,
            "rebuilt_events",
            storage.healing().map_or(0, |healing| healing.rebuilt_events)
        );
        Ok(EventStore::new(storage, options.clone()))
    }

    /// Opens the journal of a store for reading, even if another process has the store open.
    pub(crate) fn open_reading(path: &Path) -> Result<EventStore, Error> {
        EventStore::open_reading_with(path, &Options::new())
    }

    pub(crate) fn open_reading_with(path: &Path, options: &Options) -> Result<EventStore, Error> {
        let span = span!("open_reader", path = %path.display(), head = Empty);
        let storage = Storage::open_reading(path, options.storage()?)?;
        note!(span, "head", storage.head());
        Ok(EventStore::new(storage, options.clone()))
    }

    fn new(storage: Arc<Storage>, options: Options) -> EventStore {
        let inner = Inner {
            storage,
            commits: Arc::default(),
            versions: Versions::default(),
            arrivals: Arc::default(),
            followers: Followers::default(),
            options,
            #[cfg(feature = "testing")]
            faults: testing::Faults::default(),
        };
        EventStore { inner: Arc::new(inner) }
    }

    /// The position of the last event; 0 if there is none.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn head(&self) -> Result<u64, Error> {
        self.storage().check_open()?;
        self.look()?;
        Ok(self.storage().head())
    }

    /// The number of events in a stream, which is also the version of its last event; 0 if the
    /// stream does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::LimitExceeded`] if the stream id is invalid,
    /// [`Error::Corrupted`], [`Error::Io`], [`Error::Closed`].
    pub fn stream_version(&self, stream: impl AsRef<str>) -> Result<u64, Error> {
        let stream = stream.as_ref();
        name::check_stream_id(stream)?;
        self.look()?;
        self.storage().stream_version(stream, self.storage().head())
    }

    /// The event with the given [id](crate::NewEvent::id); `None` if no event has it.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Io`], [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    /// use uuid::Uuid;
    ///
    /// let store = EventStore::in_memory()?;
    /// let id = Uuid::from_u128(7);
    /// assert!(store.event_by_id(id)?.is_none());
    /// let placed = NewEvent::json("OrderPlaced", &1)?.id(id);
    /// store.append("order-7", ExpectedVersion::Any, [placed])?;
    /// let found = store.event_by_id(id)?.ok_or("it was appended")?;
    /// assert_eq!((found.stream_id(), found.position()), ("order-7", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_by_id(&self, id: Uuid) -> Result<Option<RecordedEvent>, Error> {
        self.storage().check_open()?;
        self.look()?;
        let head = self.storage().head();
        let position = self.storage().position_of(id)?;
        // An event that is being appended is in the tail before it is visible.
        let position = position.filter(|position| *position <= head);
        let event = position.map(|position| self.storage().event_at(position)).transpose()?;
        event.map(|event| self.upcasters().apply(event)).transpose()
    }

    /// Returns once every event appended so far survives a power cut. In a store with
    /// [`Durability::Sync`] they already do.
    ///
    /// # Errors
    /// [`Error::Poisoned`] if this sync or an earlier one fails; [`Error::Closed`].
    pub fn flush(&self) -> Result<(), Error> {
        self.storage().flush()
    }

    /// Completes the [submitted](crate::Batch::submit) batches, makes everything durable, drains it
    /// into the trees, and releases the directory so that it can be opened again. Every later call
    /// on the store, its clones and iterators returns [`Error::Closed`]; closing again does
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Busy`] inside a handler of a live projection while submitted batches wait: the
    /// store stays open. Otherwise the error of the last sync, or [`Error::Poisoned`]: the store is
    /// closed all the same, and no acknowledged event depends on the outcome.
    pub fn close(&self) -> Result<(), Error> {
        self.finish_submitted()?;
        let closed = self.storage().close();
        self.inner.arrivals.announce();
        closed
    }

    /// The first part of a close: completes the submitted batches, and accepts no more.
    ///
    /// # Errors
    /// [`Error::Busy`] as for [`close`](Self::close).
    pub(crate) fn finish_submitted(&self) -> Result<(), Error> {
        if self.storage().is_forked() {
            return Ok(());
        }
        let is_inside = self.inner.followers.is_inside(thread::current().id());
        self.inner.commits.finish(is_inside)
    }

    /// Accepts batches again after [`finish_submitted`](Self::finish_submitted): the store is not
    /// closed after all.
    #[cfg(feature = "capi")]
    pub(crate) fn accept_submitted(&self) {
        if !self.storage().is_forked() {
            self.inner.commits.accept();
        }
    }

    /// Whether this is a reader in the form that C uses for stores and readers.
    #[cfg(feature = "capi")]
    pub(crate) fn is_reader(&self) -> bool {
        self.storage().is_reading()
    }

    /// The thread that commits submitted batches and runs handlers for them.
    #[cfg(feature = "capi")]
    pub(crate) fn own_thread(&self) -> OwnThread {
        OwnThread::of(&self.inner.commits)
    }

    /// Looks for new events in a store that another process writes. Every other store is up to
    /// date.
    pub(crate) fn look(&self) -> Result<(), Error> {
        self.storage().refresh()?;
        self.storage().damage_after_head().map_or(Ok(()), Err)
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.inner.storage
    }

    /// The upcasters that are applied to events when they are read.
    pub(crate) fn upcasters(&self) -> &Upcasters {
        self.inner.options.upcasters_of()
    }

    /// Where readers wait for new events, and for the store to close.
    pub(crate) fn arrivals(&self) -> &Arc<Arrivals> {
        &self.inner.arrivals
    }

    /// The followers that every append brings up to date.
    pub(crate) fn followers(&self) -> &Followers {
        &self.inner.followers
    }
}
