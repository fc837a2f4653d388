//! Everything that a store has on the disk: its directory, its journal, its trees, and the signals
//! of the thread that moves events from the journal to the trees.
//!
//! Order of locks: the journal, then its sync lock, then those of `Durability` and `Health`.

mod durability;
mod second_thread;
mod signals;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Error,
    codec::head::{Beyond, LogEnd},
    defect::{self, Defect},
    metrics::Meters,
    storage::{
        follow::{Exchanges, Follow},
        heal::Healing,
        home::{Health, Lock, files, head::HeadFile, names},
        journal::{
            Cut, FullFile, Hooks, Identity, Journal, NewFrame, PreparedFile, SealedFiles,
            WriteFailure, WrittenFrame,
        },
        later::Later,
        snapshots::SnapshotFiles,
        trees::{self, Trees},
    },
    sync::{self, Mutex, RwLock},
};

use durability::Durability;
use second_thread::SecondThread;
use signals::Signals;

pub(crate) use second_thread::Use;
pub(crate) use signals::{Patience, Room};

/// The files of an open store.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    pub(super) identity: Identity,
    lock: Mutex<Option<Lock>>,
    /// Whether the store was opened without a lock.
    pub(super) is_reading: bool,
    /// How far the reader of a followed store has got.
    pub(super) follow: Mutex<Option<Follow>>,
    pub(super) exchanges: Exchanges,
    pub(super) head_file: Mutex<Option<HeadFile>>,
    /// Where frames are written; `None` after the close.
    pub(super) journal: Mutex<Option<Journal>>,
    /// Held during a sync of the journal, until its outcome is noted. Whether a sync has failed:
    /// then no later sync proves anything.
    sync: Mutex<bool>,
    pub(super) prepared: Mutex<Option<PreparedFile>>,
    pub(super) durability: Durability,
    /// How long a write may stay unsynced; `None` syncs each before it is acknowledged.
    max_delay: Option<Duration>,
    /// Files that take no more frames but are not sealed yet.
    pub(super) full: Mutex<Vec<FullFile>>,
    pub(super) sealed: SealedFiles,
    /// `None` before they are open and after the close.
    pub(super) trees: RwLock<Option<Trees>>,
    pub(super) snapshots: SnapshotFiles,
    pub(super) later: Later,
    pub(super) signals: Signals,
    pub(super) second_thread: SecondThread,
    pub(super) meters: Arc<Meters>,
    pub(super) healing: Option<Healing>,
    pub(super) cut: Option<Cut>,
}

/// The initial parts of a disk.
#[derive(Debug)]
pub(crate) struct DiskParts {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    /// `None` for a store that is opened only for reading.
    pub(crate) lock: Option<Lock>,
    pub(crate) head_file: Option<HeadFile>,
    pub(crate) journal: Journal,
    pub(crate) full: Vec<FullFile>,
    pub(crate) sealed: SealedFiles,
    pub(crate) trees: Option<Trees>,
    pub(crate) max_delay: Option<Duration>,
    pub(crate) healing: Option<Healing>,
    pub(crate) cut: Option<Cut>,
    pub(crate) follow: Option<Follow>,
}

impl Disk {
    pub(crate) fn new(parts: DiskParts) -> Disk {
        let snapshots = parts.path.join(names::SNAPSHOTS);
        Disk {
            snapshots: SnapshotFiles::new(snapshots, &parts.identity, parts.lock.is_none()),
            later: Later::default(),
            durability: Durability::new(parts.journal.end()),
            path: parts.path,
            identity: parts.identity,
            is_reading: parts.lock.is_none(),
            follow: Mutex::new(parts.follow),
            exchanges: Exchanges::default(),
            lock: Mutex::new(parts.lock),
            head_file: Mutex::new(parts.head_file),
            journal: Mutex::new(Some(parts.journal)),
            sync: Mutex::default(),
            prepared: Mutex::default(),
            max_delay: parts.max_delay,
            full: Mutex::new(parts.full),
            sealed: parts.sealed,
            trees: RwLock::new(parts.trees),
            signals: Signals::default(),
            second_thread: SecondThread::default(),
            meters: Arc::default(),
            healing: parts.healing,
            cut: parts.cut,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a frame as durably as promised.
    pub(crate) fn write(
        &self,
        frame: &NewFrame<'_>,
        health: &Health,
    ) -> Result<WrittenFrame, Error> {
        let mut journal = sync::lock(&self.journal);
        // Check under the lock, so that a close waits for every append that passed this check.
        health.check_not_closed()?;
        health.check_sound()?;
        let writer = journal.as_mut().ok_or(Error::Closed)?;
        let before = writer.end();
        let hooks = JournalHooks { disk: self, health, before };
        let synced = self.durability.synced().frame_number;
        let written = match writer.write(frame, synced, &self.prepared, &hooks) {
            Ok(written) => written,
            Err(WriteFailure::Refused(error)) => return Err(error),
            Err(WriteFailure::Failed(error)) => return Err(health.poison(error)),
        };
        if let Some(full) = &written.full {
            sync::lock(&self.full).push(full.clone());
        }
        if writer.is_half_full() && sync::lock(&self.prepared).is_none() {
            self.signals.request_file();
        }
        let now = Instant::now();
        let oldest = self.durability.wrote(written.end, now);
        if defect::has(Defect::UnsyncedShown) {
            self.publish(written.end);
        }
        let (file, path) = writer.to_sync().ok_or(Error::Closed)?;
        match self.max_delay {
            // The journal stays locked: no thread writes before the outcome is known.
            None => self.sync_to(written.end, &file, &path, health)?,
            Some(max_delay) => {
                drop(journal);
                // Half of the delay is for the sync itself. If the deadline is past the largest
                // `Instant`, no sync is due: then only a flush or a close syncs.
                if let Some(due) = oldest.checked_add(max_delay / 2) {
                    self.signals.request_sync(due);
                }
                // The thread or the disk is too slow, so this append must wait: first for a sync
                // that is in progress, which may be sufficient.
                if now.duration_since(oldest) > max_delay {
                    drop(sync::lock(&self.sync));
                    let oldest = self.durability.oldest_unsynced();
                    if oldest.is_some_and(|oldest| oldest.elapsed() > max_delay) {
                        self.sync_to(written.end, &file, &path, health)?;
                    }
                }
            }
        }
        Ok(written)
    }

    /// Makes everything written durable.
    pub(crate) fn sync_journal(&self, health: &Health) -> Result<(), Error> {
        if !self.durability.has_unsynced() {
            return Ok(());
        }
        let (end, to_sync) = match sync::lock(&self.journal).as_ref() {
            Some(journal) => (journal.end(), journal.to_sync()),
            // A close has taken the journal, and reports the outcome.
            None => return Err(Error::Closed),
        };
        match to_sync {
            Some((file, path)) => self.sync_to(end, &file, &path, health),
            None => Ok(()),
        }
    }

    /// Syncs the file that holds the frame `end`, unless the frame is durable by now.
    ///
    /// The kernel reports a failed write-back once per open file, to the next sync. So only one
    /// thread syncs at a time, and it poisons the store before it lets the next one in. A store
    /// that is poisoned for another reason still syncs what it has acknowledged.
    fn sync_to(&self, end: LogEnd, file: &File, path: &Path, health: &Health) -> Result<(), Error> {
        let mut has_failed = sync::lock(&self.sync);
        if *has_failed {
            return health.check_sound();
        }
        if self.durability.synced().frame_number >= end.frame_number {
            return Ok(());
        }
        let started = Instant::now();
        let mut synced = match defect::has(Defect::AckBeforeSync) && self.max_delay.is_none() {
            true => Ok(()),
            false => sync::sync_data(file),
        };
        if defect::has(Defect::RetriedSync) {
            synced = synced.or_else(|_| sync::sync_data(file));
        }
        match synced {
            Ok(()) => {
                self.meters.sync.record_since(started);
                self.durability.note_synced(end, started);
                // Before the next sync, so that records are published in order.
                self.publish(end);
                Ok(())
            }
            Err(source) if defect::has(Defect::NotPoisoned) => Err(Error::io("sync", path, source)),
            Err(source) => {
                *has_failed = true;
                Err(health.poison(Error::io("sync", path, source)))
            }
        }
    }

    /// Publishes to readers in other processes what is durable.
    fn publish(&self, end: LogEnd) {
        if let Some(head) = sync::lock(&self.head_file).as_mut() {
            head.publish(end);
        }
    }

    /// Syncs the journal if a buffered write has waited long enough.
    pub(crate) fn sync_journal_if_due(&self, health: &Health) -> Result<(), Error> {
        let Some(max_delay) = self.max_delay else { return Ok(()) };
        let oldest = self.durability.oldest_unsynced();
        let is_due = oldest.is_some_and(|since| since.elapsed() >= max_delay / 2);
        if is_due { self.sync_journal(health) } else { Ok(()) }
    }

    /// Poisons a store whose directory was moved or replaced. Checked before a file is created,
    /// named or removed, because such calls go by the path, where another store may be by now.
    pub(crate) fn check_in_place(&self, health: &Health) -> Result<(), Error> {
        let lock = sync::lock(&self.lock);
        let checked = lock.as_ref().map_or(Ok(()), |lock| lock.check_in_place(&self.path));
        checked.map_err(|error| health.poison(error))
    }

    /// Prepares the next journal file. If this fails, the append that needs the file reports it.
    pub(crate) fn prepare_file(&self, health: &Health) {
        if self.check_in_place(health).is_err() {
            return;
        }
        let capacity = match sync::lock(&self.journal).as_ref() {
            Some(journal) if journal.is_half_full() => journal.next_capacity(),
            _ => return,
        };
        if sync::lock(&self.prepared).is_some() {
            return;
        }
        // On a nearly full disk the space is left to others: an attempt would fill the disk, and
        // each append would request another file.
        if files::available_bytes(&self.path) / 2 < capacity {
            return;
        }
        // No lock is held meanwhile: an append that needs a file at once creates one itself.
        let step = |file: &File| {
            // The sync of an append waits for everything on its way to the disk: with a sync here,
            // for one step of this file instead of all of it.
            file.sync_data()?;
            // A failure has poisoned the store, and the next write reports it.
            let _ = self.sync_journal_if_due(health);
            Ok(())
        };
        let made = PreparedFile::make(&self.identity.directory, capacity, step).ok();
        let replaced = std::mem::replace(&mut *sync::lock(&self.prepared), made);
        if let Some(unused) = replaced {
            unused.discard();
        }
    }

    /// The last frame of the log that this process knows.
    pub(super) fn end_of_log(&self) -> LogEnd {
        match sync::lock(&self.follow).as_ref() {
            Some(follow) => follow.end(),
            None => self.durability.written(),
        }
    }

    /// Waits for an append that has passed the check for a closed store.
    pub(crate) fn wait_for_writer(&self) {
        drop(sync::lock(&self.journal));
    }

    /// Takes the journal out, so that nothing more is written.
    pub(crate) fn take_journal(&self) -> Option<Journal> {
        sync::lock(&self.journal).take()
    }

    /// Releases the directory, so that it can be opened again.
    pub(crate) fn unlock(&self) {
        self.sealed.close();
        sync::lock(&self.head_file).take();
        sync::lock(&self.lock).take();
    }

    /// Makes the next open rebuild the trees, because they failed.
    pub(crate) fn mark_trees_damaged(&self, failure: &Error) {
        trees::mark_damaged(&self.path.join(names::TREES), &failure.chain());
    }

    /// The size in bytes of a directory of the store.
    pub(crate) fn bytes_of(&self, name: &str) -> Result<u64, Error> {
        let path = self.path.join(name);
        files::bytes_below(&path).map_err(|source| Error::io("measure", &path, source))
    }
}

/// What the journal needs from the disk while it writes after the frame `before`.
struct JournalHooks<'a> {
    disk: &'a Disk,
    health: &'a Health,
    before: LogEnd,
}

impl Hooks for JournalHooks<'_> {
    fn check_in_place(&self) -> Result<(), Error> {
        self.disk.check_in_place(self.health)
    }

    fn sync_full(&self, file: &File, path: &Path) -> Result<(), Error> {
        if defect::has(Defect::FullFileUnsynced) {
            return Ok(());
        }
        self.disk.sync_to(self.before, file, path, self.health)
    }

    fn made(&self, beyond: Beyond, end: LogEnd) -> Result<(), Error> {
        match sync::lock(&self.disk.head_file).as_mut() {
            Some(head) => head.made(beyond, end),
            None => Ok(()),
        }
    }
}
