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
mod saved;
mod superblock;
mod tail;
mod trees;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::FrameKind,
        record::Record,
        saved::{Checkpoint, StoredSnapshot},
    },
};

use checkpoint::{Patience, Room, SharedTrees, Signals};
use health::Health;
use journal::{Durable, FullFile, Journal, NewFrame, WriteFailure};
use lock::Lock;
use tail::{FrameEnd, Tail};

pub(crate) use audit::JournalAudit;
pub(crate) use tail::{TailEntry, TailRecord};

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
    /// What tells a store that is made from every other; unset, one is chosen at random.
    pub(crate) store_id: Option<Uuid>,
}

/// Makes the name of what is at `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Error> {
    files::sync_directory(files::parent_of(path))
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
    /// The record of the tail that was read last.
    last_decoded: Mutex<Option<Record>>,
    /// `None` in memory and after the close.
    journal: Mutex<Option<Journal>>,
    full_files: Mutex<Vec<FullFile>>,
    head: AtomicU64,
    /// The last position that is durable.
    durable: AtomicU64,
    /// The number of the last frame written.
    written: AtomicU64,
    /// The number of the last frame that is durable.
    synced: AtomicU64,
    /// Held across each sync of the journal, and until its outcome is noted.
    syncing: Mutex<()>,
    /// When the oldest frame was written that no sync takes in; set and cleared by who holds the
    /// journal.
    oldest_unsynced: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Home {
    path: PathBuf,
    lock: Mutex<Option<Lock>>,
}

/// What is written as one: it is there as a whole after a crash, or not at all.
pub(crate) enum Frame<'a> {
    /// A group of whole units, numbered and encoded.
    Events { records: Vec<TailRecord>, entries: Vec<TailEntry<'a>> },
    /// Checkpoints, later ones of a name behind earlier ones.
    Checkpoints(Vec<Checkpoint>),
    /// One snapshot.
    Snapshot(StoredSnapshot),
}

/// Why frames were not written.
#[derive(Debug)]
pub(crate) struct CommitFailure {
    /// How many frames were written all the same, and published.
    pub(crate) written: usize,
    /// On [`Error::Poisoned`] the outcome of all the others is unknown; on any other error they
    /// were not written.
    pub(crate) error: Error,
}

impl Frame<'_> {
    fn event_count(&self) -> u64 {
        match self {
            Frame::Events { records, .. } => records.iter().map(|record| record.count).sum(),
            Frame::Checkpoints(_) | Frame::Snapshot(_) => 0,
        }
    }
}

impl Storage {
    /// The last position that readers see.
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::SeqCst)
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

    /// Whether this is a forked child of the process that opened the store.
    pub(crate) fn is_forked(&self) -> bool {
        self.health.is_forked()
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

    /// As [`check_open`](Self::check_open), for each single event of a read.
    pub(crate) fn check_not_closed(&self) -> Result<(), Error> {
        self.health.check_not_closed()
    }

    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        self.health.check_writable()
    }

    /// As [`check_writable`](Self::check_writable), of a store that was seen to be open.
    pub(crate) fn check_sound(&self) -> Result<(), Error> {
        self.health.check_sound()
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
        let mut patience = Patience::default();
        while self.tail.bytes() > self.options.tail_bytes {
            self.health.check_writable()?;
            match self.signals.wait_for_room(&mut patience) {
                Room::LookAgain => {}
                Room::NoSpace => {
                    let what = "the trees, which have to take in earlier events first".to_owned();
                    return Err(Error::NoSpace { what, source: None });
                }
                Room::Hung => {
                    // The thread has ended because the store was closed meanwhile.
                    self.health.check_not_closed()?;
                    let reason = "moving events into the trees makes no progress";
                    return Err(self.poison(Error::corrupted("the directory trees", None, reason)));
                }
            }
        }
        Ok(())
    }

    /// Writes frames and publishes them, with one sync for all of them.
    pub(crate) fn commit(&self, frames: Vec<Frame<'_>>) -> Result<(), CommitFailure> {
        let (ends, failure) = match self.home.is_some() {
            true => match self.write_journal(&frames) {
                Ok(written) => written,
                Err(error) => return Err(CommitFailure { written: 0, error }),
            },
            false => (vec![FrameEnd::default(); frames.len()], None),
        };
        let written = ends.len();
        let mut head = self.head();
        for (frame, end) in frames.into_iter().zip(ends) {
            head += frame.event_count();
            self.keep(frame, end, head);
        }
        self.head.store(head, Ordering::SeqCst);
        // A refusal for lack of space may end once files have been sealed.
        let is_due = self.tail.backlog() >= self.options.tail_bytes / 2 || failure.is_some();
        if self.home.is_some() && is_due {
            self.signals.request_checkpoint();
        }
        failure.map_or(Ok(()), |error| Err(CommitFailure { written, error }))
    }

    /// Puts a frame into the tail; `head` is the last position behind it.
    fn keep(&self, frame: Frame<'_>, end: FrameEnd, head: u64) {
        match frame {
            Frame::Events { records, entries } => self.tail.push(end, records, entries),
            Frame::Checkpoints(checkpoints) => self.tail.push_checkpoints(end, head, checkpoints),
            Frame::Snapshot(snapshot) => self.tail.push_snapshot(end, head, snapshot),
        }
    }

    /// Writes frames as durably as promised and returns their places, and why there are not more
    /// of them.
    fn write_journal(&self, frames: &[Frame<'_>]) -> Result<(Vec<FrameEnd>, Option<Error>), Error> {
        let mut writer = self.writer();
        // Behind the lock, so that a close sees every append that got past it.
        self.health.check_not_closed()?;
        self.health.check_sound()?;
        let journal = writer.as_mut().ok_or(Error::Closed)?;
        let (mut ends, mut refused) = (Vec::new(), None);
        for frame in frames {
            match self.write_frame(journal, frame) {
                Ok(end) => ends.push(end),
                Err(WriteFailure::Refused(error)) => {
                    refused = Some(error);
                    break;
                }
                Err(WriteFailure::Failed(error)) => return Err(self.poison(error)),
            }
        }
        if ends.is_empty() {
            return Ok((ends, refused));
        }
        let (last, sequence) = (journal.last_position(), journal.sequence());
        self.written.store(sequence, Ordering::Release);
        if let Some(max_delay) = self.options.max_delay {
            let now = Instant::now();
            // With the writer locked, so that no sync of these frames comes before it.
            let oldest = *self.unsynced_since().get_or_insert(now);
            drop(writer);
            self.sync_later(max_delay, oldest, now)?;
            return Ok((ends, refused));
        }
        let (file, path) = journal.to_sync();
        // The writer stays locked: nobody writes before the outcome of these is known.
        self.sync_file(&file, &path, Durable { position: last, sequence })?;
        Ok((ends, refused))
    }

    fn write_frame(
        &self,
        journal: &mut Journal,
        frame: &Frame<'_>,
    ) -> Result<FrameEnd, WriteFailure> {
        let refused = |reason: String| WriteFailure::Refused(Error::invalid("events", reason));
        let checkpoints: Vec<Vec<u8>>;
        let (kind, records): (_, Vec<&[u8]>) = match frame {
            Frame::Events { records, .. } => {
                (FrameKind::Events, records.iter().map(|record| &*record.bytes).collect())
            }
            Frame::Checkpoints(all) => {
                let encoded = all.iter().map(|checkpoint| checkpoint.encode(&self.checksum));
                checkpoints = encoded.collect::<Result<_, _>>().map_err(refused)?;
                (FrameKind::Checkpoints, checkpoints.iter().map(Vec::as_slice).collect())
            }
            Frame::Snapshot(snapshot) => (FrameKind::Snapshot, vec![&*snapshot.bytes]),
        };
        let count = u32::try_from(frame.event_count())
            .map_err(|_| refused("a group is past 2^32 events".to_owned()))?;
        let durable =
            Durable { position: self.durable(), sequence: self.synced.load(Ordering::Acquire) };
        let sync = |file: &File, path: &Path, end| {
            *self.unsynced_since() = None;
            self.sync_file(file, path, end)
        };
        if let Some(full) = journal.write(&NewFrame { kind, count, records }, durable, sync)? {
            self.full_files.lock().unwrap_or_else(PoisonError::into_inner).push(full);
        }
        Ok(FrameEnd { chain: journal.chain(), sequence: journal.sequence() })
    }

    fn note_synced(&self, position: u64, sequence: u64) {
        self.durable.fetch_max(position, Ordering::AcqRel);
        self.synced.fetch_max(sequence, Ordering::AcqRel);
    }

    /// Arranges the sync of a buffered write; does it at once when the thread is too busy to.
    fn sync_later(&self, max_delay: Duration, oldest: Instant, now: Instant) -> Result<(), Error> {
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
        if self.synced.load(Ordering::Acquire) >= self.written.load(Ordering::Acquire) {
            return Ok(());
        }
        self.health.check_sound()?;
        let (file, path, last, sequence) = {
            let writer = self.writer();
            let Some(journal) = writer.as_ref() else { return Ok(()) };
            *self.unsynced_since() = None;
            let (file, path) = journal.to_sync();
            (file, path, journal.last_position(), journal.sequence())
        };
        self.sync_file(&file, &path, Durable { position: last, sequence })
    }

    /// Makes a file of the journal durable up to `end`.
    ///
    /// Linux reports data that it could not write once for each open file, to the first sync after
    /// it. So one thread syncs at a time, and a failure poisons the store before the next one may:
    /// the error may concern frames of others, whose own syncs would answer that all is well.
    fn sync_file(&self, file: &File, path: &Path, end: Durable) -> Result<(), Error> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.health.check_sound()?;
        if self.synced.load(Ordering::Acquire) >= end.sequence {
            return Ok(());
        }
        file.sync_data().map_err(|source| self.poison(Error::io("sync", path, source)))?;
        self.note_synced(end.position, end.sequence);
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
        let has_ended = self.signals.stop();
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
