//! Options for opening a store.

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    Error, EventStore,
    event::Timestamp,
    storage::{Losses, OnProgress, StorageOptions},
    store::Upcasters,
};

/// The smallest journal file: a frame and its header must fit.
const JOURNAL_BYTES_MIN: u64 = 64 << 10;

/// The largest journal file: after a crash, the open reads it.
const JOURNAL_BYTES_MAX: u64 = 1 << 30;

/// The smallest useful page cache.
const CACHE_BYTES_MIN: u64 = 1 << 20;

/// When an append returns.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annals::Durability;
///
/// assert_eq!(Durability::default(), Durability::Sync);
/// let max_delay = Duration::from_millis(10);
/// assert_eq!(Durability::buffered(), Durability::Buffered { max_delay });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The append returns once the events survive a power cut.
    #[default]
    Sync,
    /// The append returns once the events are ordered and visible to the readers of this process. A
    /// crash of the system may lose at most the last `max_delay` of them, always a suffix of whole
    /// appends; a crash of the process alone loses none. [`EventStore::flush`] makes all of them
    /// durable.
    ///
    /// While a drain runs, a sync may be late by one step of the drain, a few milliseconds.
    Buffered {
        /// The longest time that an acknowledged event may wait for its sync; must be more than
        /// zero.
        max_delay: Duration,
    },
}

impl Durability {
    /// [`Durability::Buffered`] with a delay of 10 ms.
    pub fn buffered() -> Durability {
        Durability::Buffered { max_delay: Duration::from_millis(10) }
    }
}

type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Options for opening a store.
///
/// # Examples
/// ```
/// use annals::{Durability, Options};
///
/// let directory = tempfile::tempdir()?;
/// let store = Options::new()
///     .durability(Durability::Sync)
///     .cache_bytes(64 << 20)
///     .open(directory.path().join("orders.annals"))?;
/// assert_eq!(store.head()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Options {
    durability: Durability,
    cache_bytes: u64,
    tail_bytes: u64,
    journal_bytes: u64,
    creates: bool,
    rebuilds: bool,
    on_rebuild: OnProgress,
    losses: Losses,
    ignores_mark: bool,
    rebuilds_large: bool,
    follows_links: bool,
    wait: Duration,
    clock: Clock,
    upcasters: Upcasters,
}

impl Options {
    /// The defaults: `Sync`, a cache of 64 MiB, a tail of 16 MiB, journal files of 16 MiB, the
    /// system's clock, creating the store if it does not exist, and rebuilding damaged trees.
    pub fn new() -> Options {
        Options {
            durability: Durability::Sync,
            cache_bytes: 64 << 20,
            tail_bytes: 16 << 20,
            journal_bytes: 16 << 20,
            creates: true,
            rebuilds: true,
            on_rebuild: OnProgress::default(),
            losses: Losses::None,
            ignores_mark: false,
            rebuilds_large: false,
            follows_links: false,
            wait: Duration::ZERO,
            clock: Arc::new(system_clock),
            upcasters: Upcasters::new(),
        }
    }

    /// Sets when an append returns.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Options {
        self.durability = durability;
        self
    }

    /// Sets the approximate size of the trees' page cache, in bytes. Values below 1 MiB count as 1
    /// MiB. While many streams are read, the cache may take more for a while.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Options {
        self.cache_bytes = bytes.max(CACHE_BYTES_MIN);
        self
    }

    /// Sets roughly how many bytes of the newest events stay in memory. Older events that are not
    /// yet in the trees are read from the journal; only an index of them stays in memory, about 30
    /// bytes per event, 100 per stream and 50 per tag. A drain, which copies events into the trees,
    /// starts at four times this many bytes or at 200 000 events; appends wait for it at sixteen
    /// times this many or at 600 000 events. A larger tail makes the trees smaller, reading their
    /// streams faster, and reopening after a crash slower. 0 counts as 1.
    #[must_use]
    pub fn tail_bytes(mut self, bytes: u64) -> Options {
        // With 0 even an empty tail would be full, and appends would wait forever.
        self.tail_bytes = bytes.max(1);
        self
    }

    /// Sets the size of a journal file, in bytes. Values below 64 KiB count as 64 KiB, and values
    /// above 1 GiB as 1 GiB. A single append that is larger gets a separate file.
    #[must_use]
    pub fn journal_bytes(mut self, bytes: u64) -> Options {
        self.journal_bytes = bytes.clamp(JOURNAL_BYTES_MIN, JOURNAL_BYTES_MAX);
        self
    }

    /// Sets whether [`open`](Self::open) creates the store if it does not exist.
    #[must_use]
    pub fn create(mut self, creates: bool) -> Options {
        self.creates = creates;
        self
    }

    /// Sets how long [`open`](Self::open) waits for a store that is open elsewhere before it
    /// returns [`Error::Locked`]. With zero, the default, it does not wait.
    #[must_use]
    pub fn wait_for_lock(mut self, patience: Duration) -> Options {
        self.wait = patience;
        self
    }

    /// Sets whether [`open`](Self::open) rebuilds unusable trees from the journal. The old trees
    /// are kept as `trees.damaged-<n>`, and [`EventStore::recovery`] reports what happened. If this
    /// is turned off, opening such a store returns [`Error::Corrupted`] and the store stays as it
    /// is.
    #[must_use]
    pub fn rebuild(mut self, rebuilds: bool) -> Options {
        self.rebuilds = rebuilds;
        self
    }

    /// Sets a function that is called from time to time while [`open`](Self::open) rebuilds trees,
    /// on the thread that opens the store. Its arguments are the number of events done and the
    /// total number.
    #[must_use]
    pub fn on_rebuild(mut self, report: impl Fn(u64, u64) + Send + Sync + 'static) -> Options {
        self.on_rebuild = OnProgress(Some(Arc::new(report)));
        self
    }

    /// Sets the clock for events that have no timestamp, in microseconds since the Unix epoch.
    /// Nothing else depends on it, and it may jump; a time outside the years 1 to 9999 is clamped
    /// to them.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Options {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the upcasters that convert events of earlier schema versions to the newest when they
    /// are read.
    ///
    /// # Examples
    /// See [`Upcasters`].
    #[must_use]
    pub fn upcasters(mut self, upcasters: Upcasters) -> Options {
        self.upcasters = upcasters;
        self
    }

    pub(super) fn upcasters_of(&self) -> &Upcasters {
        &self.upcasters
    }

    /// Opens the store in the directory `path`, creating it if necessary. A new directory has the
    /// permissions 0700. If the directory exists and is empty, the files and directories in it
    /// follow its permissions, so that a group can be given access.
    ///
    /// Opening recovers from a crash: an acknowledged append is present, and an unacknowledged one
    /// is present in full or not at all. Damaged trees are rebuilt, see [`EventStore::recovery`]. A
    /// store on a full disk opens for reading: every append to it returns [`Error::Poisoned`] until
    /// there is space and the store is opened again.
    ///
    /// # Errors
    /// * [`Error::Locked`] while the store is open elsewhere.
    /// * [`Error::InvalidArgument`] if the directory is neither a store nor empty, or if a buffered
    ///   store has no delay.
    /// * [`Error::Corrupted`] if events that exist in only one copy are damaged,
    ///   [`Error::UnsupportedFormat`] for a newer format.
    /// * [`Error::Io`] with `NotFound` if the store is missing and [`create(false)`](Self::create)
    ///   is set, and for anything else that the system refuses; [`Error::NoSpace`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<EventStore, Error> {
        EventStore::open_with(path.as_ref(), self)
    }

    /// Opens a store without files: see [`EventStore::in_memory`]. Of the options only the clock is
    /// used.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a buffered store has no delay.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent, Options};
    ///
    /// let store = Options::new().clock(|| 1_700_000_000_000_000).open_in_memory()?;
    /// store.append("s", ExpectedVersion::Any, [NewEvent::json("Opened", &())?])?;
    /// let event = store.read_all().next().ok_or("it was appended")??;
    /// assert_eq!(event.timestamp().to_string(), "2023-11-14T22:13:20+00:00");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_in_memory(&self) -> Result<EventStore, Error> {
        EventStore::in_memory_with(self)
    }

    pub(super) fn storage(&self) -> Result<StorageOptions, Error> {
        let max_delay = match self.durability {
            Durability::Sync => None,
            Durability::Buffered { max_delay } if max_delay.is_zero() => {
                return Err(Error::invalid("max_delay", "it must be more than zero"));
            }
            Durability::Buffered { max_delay } => Some(max_delay),
        };
        Ok(StorageOptions {
            max_delay,
            cache_bytes: self.cache_bytes,
            tail_bytes: self.tail_bytes,
            journal_bytes: self.journal_bytes,
            creates: self.creates,
            rebuilds: self.rebuilds,
            on_rebuild: self.on_rebuild.clone(),
            losses: self.losses,
            ignores_mark: self.ignores_mark,
            rebuilds_large: self.rebuilds_large,
            follows_links: self.follows_links,
            wait: self.wait,
        })
    }

    /// Whether a rebuild may take up to about 1 GB of memory.
    pub(crate) fn large_rebuild(mut self) -> Options {
        self.rebuilds_large = true;
        self
    }

    /// Sets whether the files may be symbolic links, as they are in a private copy.
    pub(crate) fn follow_links(mut self, follows: bool) -> Options {
        self.follows_links = follows;
        self
    }

    /// Sets what a repair may give up.
    pub(crate) fn losses(mut self, losses: Losses) -> Options {
        self.losses = losses;
        self
    }

    /// Opens trees that are marked as damaged, for a repair.
    pub(crate) fn ignores_mark(mut self) -> Options {
        self.ignores_mark = true;
        self
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::utc_clamped((self.clock)())
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("durability", &self.durability)
            .field("cache_bytes", &self.cache_bytes)
            .field("tail_bytes", &self.tail_bytes)
            .field("journal_bytes", &self.journal_bytes)
            .field("create", &self.creates)
            .field("rebuild", &self.rebuilds)
            .field("upcasters", &self.upcasters)
            .finish_non_exhaustive()
    }
}

fn system_clock() -> i64 {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    }
}
