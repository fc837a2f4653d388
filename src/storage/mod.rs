//! Storage: where the bytes are. What each file of the code does:
//!
//! * `commit`: room, then journal, then tail, then the head that readers see.
//! * `read/`, `saved`: the tail first, then the copy that serves the question. `source` is what the
//!   two copies have in common.
//! * `open/`, `replay`: from a directory to an open store. `close`: back.
//! * `follow`: a store that another process writes.
//! * `heal/`: what one copy has lost, from the other. `copy/`: backups, and private copies.
//! * `drain`: the background thread, from the tail to trees and sealed files. `disk/signals`: what
//!   it and the others say to each other.
//! * `disk`: everything of a store that is on the disk. `disk/durability`: how far that is durable.
//! * `home/`, `journal/`, `tail/`, `trees/`, `snapshots`: the parts.
//!
//! Invariants:
//! * A position is written once, by one writer at a time, and is published only when it is as
//!   durable as the store promises.
//! * An event is in the tail or in a sealed file; the trees have everything that the tail lacks.
//! * The trees never hold what the journal does not hold durably.
//! * A failed write or sync is never repeated: it poisons the store, which goes on serving reads.

mod audit;
mod close;
mod commit;
mod copy;
mod disk;
mod drain;
mod follow;
mod heal;
mod home;
mod journal;
mod later;
mod open;
mod read;
mod replay;
mod saved;
mod snapshots;
mod tail;
mod trees;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    Error,
    codec::checksum::Checksum,
    metrics::{Meters, Metrics},
    sync::atomic::{AtomicU64, Ordering},
};

use disk::{Disk, Use};
use home::{Health, files, names};
use snapshots::SnapshotMap;
use tail::Tail;

pub(crate) use audit::{Audit, DAMAGED_RUN};
pub(crate) use commit::Frame;
pub(crate) use copy::{Backup, BackupSite, CopyMode, exchange_directories, inherit, take_along};
pub(crate) use heal::{CopiedSite, Healing, Site};
pub(crate) use home::{Changes, Lock as StoreLock, files::parent_of};
pub(crate) use journal::Cut;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use journal::fuzzing;
pub(crate) use later::SaveOutcome;
#[cfg(test)]
pub(crate) use read::SpoiledTree;
pub(crate) use read::{Batch, Hit};
pub(crate) use trees::RunsAhead;

/// How to open the engine.
#[derive(Clone, Debug)]
pub(crate) struct StorageOptions {
    /// How long a write may stay unsynced; `None` syncs each before it is acknowledged.
    pub(crate) max_delay: Option<Duration>,
    pub(crate) cache_bytes: u64,
    pub(crate) tail_bytes: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) creates: bool,
    /// Whether to rebuild trees that cannot be used.
    pub(crate) rebuilds: bool,
    pub(crate) on_rebuild: OnProgress,
    pub(crate) losses: Losses,
    /// Whether to open trees that are marked as damaged.
    pub(crate) ignores_mark: bool,
    /// Whether a rebuild may use much memory to put the trees into better order.
    pub(crate) rebuilds_large: bool,
    /// Whether files may be symbolic links, as they are in a private copy.
    pub(crate) follows_links: bool,
    /// How long to wait for the lock.
    pub(crate) wait: Duration,
}

/// The direction of a search through the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// What an open may give up so that the rest can be used. Only a repair gives anything up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Losses {
    #[default]
    None,
    /// Positions that are in neither copy: trees are rebuilt without them.
    Gaps,
    /// Those positions, and everything after damage in a part that only the journal has.
    Cut,
}

/// Receives the progress of a rebuild: how many events are done, and how many there are.
#[derive(Clone, Default)]
pub(crate) struct OnProgress(pub(crate) Option<Arc<dyn Fn(u64, u64) + Send + Sync>>);

impl OnProgress {
    pub(crate) fn report(&self, done: u64, total: u64) {
        if let Some(report) = &self.0 {
            report(done, total);
        }
    }
}

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnProgress").field(&self.0.is_some()).finish()
    }
}

/// Makes the name of the entry at `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Error> {
    files::sync_directory(files::parent_of(path))
}

/// The storage of an open store.
pub(crate) struct Storage {
    store_id: Uuid,
    checksum: Checksum,
    options: StorageOptions,
    health: Health,
    tail: Tail,
    meters: Arc<Meters>,
    /// The last position that readers see.
    head: AtomicU64,
    place: Place,
}

/// Without what it holds, which may be much, and secret.
impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}

/// Where a store keeps what does not stay in the tail.
#[derive(Debug)]
enum Place {
    /// Nowhere: everything stays in the tail.
    Memory(SnapshotMap),
    Disk(Box<Disk>),
}

impl Storage {
    fn new(store_id: Uuid, options: StorageOptions, place: Place) -> Storage {
        Storage {
            store_id,
            checksum: Checksum::of_store(store_id),
            health: Health::new(),
            tail: Tail::new(options.tail_bytes),
            meters: match &place {
                Place::Memory(_) => Arc::default(),
                Place::Disk(disk) => Arc::clone(&disk.meters),
            },
            head: AtomicU64::new(0),
            options,
            place,
        }
    }

    /// The directory of the store, if it is not in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.disk().map(Disk::path)
    }

    fn disk(&self) -> Option<&Disk> {
        match &self.place {
            Place::Memory(_) => None,
            Place::Disk(disk) => Some(disk),
        }
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// What has been counted and measured since the open.
    pub(crate) fn metrics(&self) -> Metrics {
        self.meters.metrics(self.tail.memory_bytes())
    }

    /// Whether the store was opened only for reading.
    pub(crate) fn is_reading(&self) -> bool {
        self.disk().is_some_and(|disk| disk.is_reading)
    }

    /// Where a repair cut off the log.
    pub(crate) fn cut(&self) -> Option<&Cut> {
        self.disk().and_then(|disk| disk.cut.as_ref())
    }

    /// What had to be healed when the store was opened.
    pub(crate) fn healing(&self) -> Option<&Healing> {
        self.disk().and_then(|disk| disk.healing.as_ref())
    }

    /// The last position that readers see.
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::SeqCst)
    }

    pub(crate) fn store_id(&self) -> Uuid {
        self.store_id
    }

    pub(crate) fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        self.health.check_open()
    }

    /// Takes the second thread of the store, to commit submitted batches, unless it is sealing.
    pub(crate) fn try_take_second_thread(&self) -> bool {
        self.disk().is_none_or(|disk| disk.second_thread.try_take(Use::Committing))
    }

    pub(crate) fn return_second_thread(&self) {
        if let Some(disk) = self.disk() {
            disk.second_thread.give_back();
        }
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.disk().is_none()
    }

    /// Whether this is a forked child of the process that opened the store.
    pub(crate) fn is_forked(&self) -> bool {
        self.health.is_forked()
    }

    /// Makes everything up to a position visible to readers.
    fn show(&self, position: u64) {
        self.head.store(position, Ordering::SeqCst);
    }

    /// Refuses a position that readers do not see yet.
    pub(crate) fn check_reached(&self, position: u64) -> Result<(), Error> {
        let head = self.head();
        if position > head {
            let reason = format!("{position} is past the head of the store, which is {head}");
            return Err(Error::invalid("position", reason));
        }
        Ok(())
    }

    /// Like [`check_open`](Self::check_open), for each single event of a read.
    pub(crate) fn check_not_closed(&self) -> Result<(), Error> {
        self.health.check_not_closed()
    }

    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        self.health.check_writable()
    }

    /// Like [`check_writable`](Self::check_writable), for a store that was just seen to be open.
    pub(crate) fn check_sound(&self) -> Result<(), Error> {
        self.health.check_sound()
    }

    /// Refuses all further writes, because the outcome of a write is unknown.
    pub(crate) fn poison(&self, cause: Error) -> Error {
        self.health.poison(cause)
    }

    /// Makes everything published durable.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.health.check_writable()?;
        self.disk().map_or(Ok(()), |disk| disk.sync_journal(&self.health))
    }

    /// The items set aside as damaged, by their paths in the store's directory, in order.
    pub(crate) fn set_aside(&self) -> Result<Vec<String>, Error> {
        self.disk().map_or(Ok(Vec::new()), |disk| names::set_aside(disk.path()))
    }

    /// The sizes in bytes of the journal, the trees and the snapshots on disk, and roughly how much
    /// memory the tail uses.
    pub(crate) fn sizes(&self) -> Result<Sizes, Error> {
        self.check_open()?;
        let of = |name| self.disk().map_or(Ok(0), |disk| disk.bytes_of(name));
        Ok(Sizes {
            journal: of(names::JOURNAL)?,
            trees: of(names::TREES)?,
            snapshots: of(names::SNAPSHOTS)?,
            tail: self.tail.memory_bytes(),
        })
    }
}

/// The sizes of the parts of a store, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) journal: u64,
    pub(crate) trees: u64,
    pub(crate) snapshots: u64,
    pub(crate) tail: u64,
}
