//! Where the bytes are: the journal that makes appends durable, the tail in memory, and the trees.
//!
//! Invariants:
//! * A position is written once, by one writer at a time, and is published only when it is as
//!   durable as the store promises.
//! * What is published is in the tail or in the trees, and a reader looks in that order.
//! * The trees never hold what the journal does not hold durably.
//! * A failed write or sync is never repeated: it poisons the store, which goes on serving reads.

mod audit;
mod checkpoint;
mod fallback;
mod files;
mod health;
mod journal;
mod lock;
mod open;
mod read;
mod superblock;
mod tail;
mod trees;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{Error, codec::checksum::Checksum};

use checkpoint::{Room, SharedTrees, Signals};
use health::Health;
use journal::{FullFile, Journal, WriteFailure};
use lock::Lock;
use tail::Tail;

pub(crate) use audit::JournalAudit;
pub(crate) use tail::{TailEntry, TailRecord};

/// How long a close waits for a checkpoint step that does not end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(25);

/// What the engine is opened with.
#[derive(Clone, Debug)]
pub(crate) struct StorageOptions {
    /// How long a write may stay unsynced; `None` syncs each before it is acknowledged.
    pub(crate) max_delay: Option<Duration>,
    pub(crate) cache_bytes: u64,
    pub(crate) tail_bytes: usize,
    pub(crate) journal_bytes: u64,
    pub(crate) keeps_archive: bool,
    pub(crate) creates: bool,
}

/// An open store's bytes.
#[derive(Debug)]
pub(crate) struct Storage {
    /// `None` in memory.
    home: Option<Home>,
    store_id: Uuid,
    checksum: Checksum,
    options: StorageOptions,
    health: Health,
    signals: Signals,
    trees: SharedTrees,
    tail: Tail,
    /// `None` in memory and after the close.
    journal: Mutex<Option<Journal>>,
    full_files: Mutex<Vec<FullFile>>,
    head: AtomicU64,
    durable: AtomicU64,
    oldest_unsynced: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Home {
    path: PathBuf,
    lock: Mutex<Option<Lock>>,
}

/// A group of whole units, numbered and encoded.
pub(crate) struct Group<'a> {
    pub(crate) records: Vec<TailRecord>,
    pub(crate) entries: Vec<TailEntry<'a>>,
}

impl Storage {
    /// The last position that readers see.
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// The last position that is durable.
    fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
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

    /// As [`check_open`](Self::check_open), for each single event of a read.
    pub(crate) fn check_not_closed(&self) -> Result<(), Error> {
        self.health.check_not_closed()
    }

    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        self.health.check_writable()
    }

    /// Refuses all further writes because of an outcome that is unknown.
    pub(crate) fn poison(&self, cause: Error) -> Error {
        self.health.poison(cause)
    }

    fn directory(&self) -> Option<&Path> {
        self.home.as_ref().map(|home| home.path.as_path())
    }

    fn keeps_archive(&self) -> bool {
        self.options.keeps_archive
    }

    /// Waits until the tail takes more. Called before a group is numbered, so that a refusal leaves
    /// nothing behind.
    pub(crate) fn wait_for_room(&self) -> Result<(), Error> {
        if self.home.is_none() {
            return Ok(());
        }
        while self.tail.bytes() > self.options.tail_bytes {
            self.health.check_writable()?;
            match self.signals.wait_for_room() {
                Room::LookAgain => {}
                Room::NoSpace => {
                    let what = "the trees, which have to take in earlier events first".to_owned();
                    return Err(Error::NoSpace { what, source: None });
                }
                Room::Hung => {
                    let reason = "moving events into the trees makes no progress";
                    return Err(self.poison(Error::corrupted("the directory trees", None, reason)));
                }
            }
        }
        Ok(())
    }

    /// Writes a group and publishes it. On [`Error::Poisoned`] its outcome is unknown; on any other
    /// error nothing was written.
    pub(crate) fn commit(&self, group: Group<'_>) -> Result<(), Error> {
        let count: u64 = group.records.iter().map(|record| record.count).sum();
        let head = self.head() + count;
        let chain = match self.home.is_some() {
            true => self.write_journal(&group, count)?,
            false => 0,
        };
        self.tail.push(chain, group.records, group.entries);
        self.head.store(head, Ordering::Release);
        if self.home.is_some() && self.tail.bytes() >= self.options.tail_bytes / 2 {
            self.signals.request_checkpoint();
        }
        Ok(())
    }

    /// Writes a group's frame, as durably as promised, and returns its checksum.
    fn write_journal(&self, group: &Group<'_>, count: u64) -> Result<u32, Error> {
        let count = u32::try_from(count)
            .map_err(|_| Error::invalid("events", "a group is past 2^32 events"))?;
        let mut writer = self.writer();
        // Behind the lock, so that a close sees every append that got past it.
        self.health.check_writable()?;
        let journal = writer.as_mut().ok_or(Error::Closed)?;
        let records = group.records.iter().map(|record| &*record.bytes);
        match journal.write(count, self.durable(), records) {
            Ok(None) => {}
            Ok(Some(full)) => {
                self.durable.fetch_max(full.last_position, Ordering::AcqRel);
                self.full_files.lock().unwrap_or_else(PoisonError::into_inner).push(full);
            }
            Err(WriteFailure::Refused(error)) => return Err(error),
            Err(WriteFailure::Failed(error)) => return Err(self.poison(error)),
        }
        let (last, chain) = (journal.last_position(), journal.chain());
        if let Some(max_delay) = self.options.max_delay {
            drop(writer);
            self.sync_later(max_delay)?;
            return Ok(chain);
        }
        let (file, path) = journal.to_sync();
        // The writer stays locked: nobody writes before this group's outcome is known.
        file.sync_data().map_err(|source| self.poison(Error::io("sync", path, source)))?;
        self.durable.fetch_max(last, Ordering::AcqRel);
        Ok(chain)
    }

    /// Arranges the sync of a buffered write; does it at once when the thread is too busy to.
    fn sync_later(&self, max_delay: Duration) -> Result<(), Error> {
        let now = Instant::now();
        let oldest = *self.unsynced_since().get_or_insert(now);
        // A delay past the end of time is never due: then only a flush or the close syncs.
        if let Some(due) = oldest.checked_add(max_delay) {
            self.signals.request_sync(due);
        }
        if now.duration_since(oldest) > max_delay { self.sync_journal() } else { Ok(()) }
    }

    /// Makes everything published durable.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.health.check_writable()?;
        self.sync_journal()
    }

    /// Syncs the journal if a buffered write has waited for its time.
    fn sync_journal_if_due(&self) -> Result<(), Error> {
        let Some(max_delay) = self.options.max_delay else { return Ok(()) };
        let oldest = *self.unsynced_since();
        let is_due = oldest.is_some_and(|since| since.elapsed() >= max_delay);
        if is_due { self.sync_journal() } else { Ok(()) }
    }

    fn sync_journal(&self) -> Result<(), Error> {
        if self.durable() >= self.head() {
            return Ok(());
        }
        self.health.check_sound()?;
        let (file, path, last) = {
            let writer = self.writer();
            let Some(journal) = writer.as_ref() else { return Ok(()) };
            *self.unsynced_since() = None;
            let (file, path) = journal.to_sync();
            (file, path, journal.last_position())
        };
        file.sync_data().map_err(|source| self.poison(Error::io("sync", path, source)))?;
        self.durable.fetch_max(last, Ordering::AcqRel);
        Ok(())
    }

    /// Moves the tail into the trees, closes every file and gives the lock back. Idempotent.
    pub(crate) fn close(&self) -> Result<(), Error> {
        if self.health.is_forked() {
            // Everything of the store is the parent's.
            return Err(Error::Forked);
        }
        if !self.health.close() {
            return Ok(());
        }
        let Some(home) = &self.home else { return Ok(()) };
        // An append that has passed the check holds the writer until it is done.
        drop(self.writer());
        let synced = self.sync_journal();
        let has_ended = self.signals.stop(CLOSE_PATIENCE);
        let journal = self.writer().take();
        let marked = match journal.filter(|_| !self.health.is_poisoned()) {
            Some(journal) => journal.close().map_err(|error| self.poison(error)),
            None => Ok(()),
        };
        if !has_ended {
            // sled still holds its files, so the lock must stay with them.
            let reason = "closing them makes no progress";
            return Err(self.poison(Error::corrupted("the directory trees", None, reason)));
        }
        home.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        synced.and(marked).and(self.health.check_sound())
    }

    fn writer(&self) -> MutexGuard<'_, Option<Journal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsynced_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.oldest_unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
