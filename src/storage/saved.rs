//! What consumers save: checkpoints, which are part of the log, and snapshots, which are a cache.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    Error,
    codec::saved::{Checkpoint, StoredSnapshot},
    event::{SnapshotKey, SnapshotOwner},
    storage::{Place, Storage, disk::Disk, journal::FileKey},
};

impl Storage {
    /// The checkpoint of a name; 0 when there is none.
    pub(crate) fn checkpoint_of(&self, name: &str) -> Result<u64, Error> {
        self.check_open()?;
        if let Some(position) = self.tail.checkpoint(name) {
            return Ok(position);
        }
        Ok(self.ask_trees(None, |source| source.checkpoint(name))?.unwrap_or(0))
    }

    /// The names of all checkpoints.
    pub(crate) fn checkpoint_names(&self) -> Result<BTreeSet<Arc<str>>, Error> {
        self.check_open()?;
        let mut names = self.tail.checkpoint_names();
        names.extend(self.ask_trees(Vec::new(), |source| source.checkpoint_names())?);
        Ok(names)
    }

    /// Saves a snapshot for a published position, once that position is durable.
    pub(crate) fn save_snapshot(&self, new: &StoredSnapshot) -> Result<(), Error> {
        self.health.check_writable()?;
        self.check_reached(new.position)?;
        // In the order of the calls: a snapshot of another version removes this one.
        self.save_waiting_snapshots(|| {});
        self.save_now(new, || {})
    }

    /// Like [`save_snapshot`](Self::save_snapshot), also while the store is being closed. `beat` is
    /// called before each part of the file is written.
    pub(super) fn save_now(&self, new: &StoredSnapshot, beat: impl Fn()) -> Result<(), Error> {
        self.health.check_sound()?;
        match &self.place {
            Place::Memory(snapshots) => snapshots.save(new, self.head()),
            Place::Disk(disk) => {
                disk.check_in_place(&self.health)?;
                if disk.durability.position() < new.position {
                    disk.sync_journal(&self.health)?;
                }
                let step = || {
                    beat();
                    // A failure has poisoned the store, and the next write reports it.
                    let _ = disk.sync_journal_if_due(&self.health);
                };
                disk.snapshots.save(new, self.head(), step)?;
            }
        }
        Ok(())
    }

    /// The keys and positions of the snapshots of a name, the newest first.
    pub(crate) fn snapshots_of(
        &self,
        owner: SnapshotOwner,
        name: &str,
    ) -> Result<Vec<(SnapshotKey, u64)>, Error> {
        self.check_open()?;
        self.save_waiting_snapshots(|| {});
        let mut found = match &self.place {
            Place::Memory(snapshots) => snapshots.of_name(owner, name),
            Place::Disk(disk) => disk.snapshots.of_name(owner, name)?,
        };
        found.sort_unstable_by(|one, other| other.cmp(one));
        Ok(found)
    }

    /// The snapshots of all names, in the order of the names; those of each name as
    /// [`snapshots_of`](Self::snapshots_of) lists them.
    pub(crate) fn all_snapshots(&self) -> Result<VecDeque<Vec<(SnapshotKey, u64)>>, Error> {
        self.check_open()?;
        self.save_waiting_snapshots(|| {});
        let all = match &self.place {
            Place::Memory(snapshots) => snapshots.all(),
            Place::Disk(disk) => disk.snapshots.all()?,
        };
        let newest_first = |mut of_name: Vec<(SnapshotKey, u64)>| {
            of_name.sort_unstable_by(|one, other| other.cmp(one));
            of_name
        };
        Ok(all.into_values().map(newest_first).collect())
    }

    /// Sets aside a snapshot that is damaged or past the head, and returns its new path.
    pub(crate) fn set_snapshot_aside(
        &self,
        key: &SnapshotKey,
        position: u64,
    ) -> Result<PathBuf, Error> {
        self.check_open()?;
        match self.disk() {
            Some(disk) => disk.snapshots.set_aside(key, position),
            None => Err(Error::invalid("snapshot", "a store in memory has no files")),
        }
    }

    /// A listed snapshot; `None` if newer ones have replaced it meanwhile.
    pub(crate) fn snapshot(
        &self,
        key: &SnapshotKey,
        position: u64,
    ) -> Result<Option<StoredSnapshot>, Error> {
        self.check_open()?;
        match &self.place {
            Place::Memory(snapshots) => Ok(snapshots.read(key, position)),
            Place::Disk(disk) => disk.snapshots.read(key, position),
        }
    }
}

impl Disk {
    /// The checkpoints as of a position, where the journal has lost some that were saved after the
    /// last sealed file before `key`: those of that file, and those that the trees have up to the
    /// position. They never go back, so a later value up to there is as good.
    pub(super) fn checkpoints_at(
        &self,
        key: FileKey,
        position: u64,
    ) -> Result<Vec<Checkpoint>, Error> {
        let before = self.sealed.keys().into_iter().rev().find(|sealed| *sealed < key);
        let before = before.and_then(|before| self.sealed.open(before).ok());
        let before = before.and_then(|file| file.checkpoints().ok()).unwrap_or_default();
        let mut found: BTreeMap<_, _> =
            before.into_iter().map(|one| (one.name, one.position)).collect();
        let in_trees =
            self.with_trees(|trees| trees.checkpoints().collect::<Result<Vec<_>, _>>())?;
        found.extend(in_trees.into_iter().filter(|(_, saved)| *saved <= position));
        Ok(found.into_iter().map(|(name, position)| Checkpoint { name, position }).collect())
    }
}
