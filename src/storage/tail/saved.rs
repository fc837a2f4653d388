//! What consumers saved and the trees do not have yet.
//!
//! A save replaces what was saved before under the same name. A checkpoint of the trees that takes
//! in what is left makes all of it durable before it moves on, so that no save is lost for a newer
//! one that still can be.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use crate::{
    codec::saved::{Checkpoint, StoredSnapshot},
    event::{SnapshotKey, SnapshotOwner},
};

/// What an entry takes in memory besides its bytes, about.
const ENTRY_BYTES: usize = 128;

/// How many snapshots are kept for each key: the newest, and one in case that is damaged.
pub(crate) const SNAPSHOTS_KEPT: usize = 2;

#[derive(Debug, Default)]
pub(super) struct SavedTail {
    /// Positions by name, each with the number of its frame.
    checkpoints: BTreeMap<Arc<str>, (u64, u64)>,
    /// By key and position, each with the number of its frame.
    snapshots: BTreeMap<(SnapshotKey, u64), (StoredSnapshot, u64)>,
    bytes: usize,
    /// Bytes of the saves that others have replaced.
    replaced_bytes: usize,
}

impl SavedTail {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn replaced_bytes(&self) -> usize {
        self.replaced_bytes
    }

    /// Adds a checkpoint of the frame with the number `sequence`.
    pub(super) fn push_checkpoint(&mut self, new: Checkpoint, sequence: u64) {
        let bytes = new.name.len() + ENTRY_BYTES;
        match self.checkpoints.insert(new.name, (new.position, sequence)) {
            Some(_) => self.replaced_bytes += bytes,
            None => self.bytes += bytes,
        }
    }

    /// Adds a snapshot, and drops those that are not kept beside it.
    pub(super) fn push_snapshot(&mut self, new: StoredSnapshot, sequence: u64) {
        self.bytes += size_of(&new);
        let key = new.key.clone();
        if let Some((old, _)) = self.snapshots.insert((key.clone(), new.position), (new, sequence))
        {
            self.replace(&old);
        }
        let surplus = self.of(&key).count().saturating_sub(SNAPSHOTS_KEPT);
        let dropped: Vec<u64> = self.of(&key).take(surplus).collect();
        for position in dropped {
            if let Some((old, _)) = self.snapshots.remove(&(key.clone(), position)) {
                self.replace(&old);
            }
        }
    }

    fn replace(&mut self, old: &StoredSnapshot) {
        self.bytes = self.bytes.saturating_sub(size_of(old));
        self.replaced_bytes += size_of(old);
    }

    /// The positions of a key's snapshots, in order.
    fn of(&self, key: &SnapshotKey) -> impl Iterator<Item = u64> {
        let range = (key.clone(), 0)..=(key.clone(), u64::MAX);
        self.snapshots.range(range).map(|((_, position), _)| *position)
    }

    pub(super) fn checkpoint(&self, name: &str) -> Option<u64> {
        self.checkpoints.get(name).map(|&(position, _)| position)
    }

    pub(super) fn snapshot(&self, key: &SnapshotKey, position: u64) -> Option<&StoredSnapshot> {
        self.snapshots.get(&(key.clone(), position)).map(|(snapshot, _)| snapshot)
    }

    /// The keys and positions of the snapshots of a name.
    pub(super) fn snapshots_of(&self, owner: SnapshotOwner, name: &str) -> Vec<(SnapshotKey, u64)> {
        let start = SnapshotKey { owner, name: name.to_owned(), version: 0 };
        let end = SnapshotKey { version: u32::MAX, ..start.clone() };
        self.snapshots.range((start, 0)..=(end, u64::MAX)).map(|(key, _)| key.clone()).collect()
    }

    /// The first name of a snapshot behind `after`.
    pub(super) fn snapshot_name_after(
        &self,
        after: Option<(SnapshotOwner, &str)>,
    ) -> Option<(SnapshotOwner, String)> {
        let start = match after {
            None => Bound::Unbounded,
            Some((owner, name)) => {
                let last = SnapshotKey { owner, name: name.to_owned(), version: u32::MAX };
                Bound::Excluded((last, u64::MAX))
            }
        };
        let next = self.snapshots.range((start, Bound::Unbounded)).next();
        next.map(|((key, _), _)| (key.owner, key.name.clone()))
    }

    pub(super) fn checkpoint_names(&self) -> BTreeSet<Arc<str>> {
        self.checkpoints.keys().cloned().collect()
    }

    /// The checkpoints in the frames up to `sequence`.
    pub(super) fn checkpoints_through(&self, sequence: u64) -> Vec<Checkpoint> {
        let found = self.checkpoints.iter().filter(|(_, (_, frame))| *frame <= sequence);
        let checkpoint = |(name, &(position, _)): (&Arc<str>, &(u64, u64))| Checkpoint {
            name: Arc::clone(name),
            position,
        };
        found.map(checkpoint).collect()
    }

    /// The snapshots in the frames up to `sequence`, in the order in which they were saved.
    pub(super) fn snapshots_through(&self, sequence: u64) -> Vec<StoredSnapshot> {
        let found = self.snapshots.values().filter(|(_, frame)| *frame <= sequence);
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(_, frame)| *frame);
        found.into_iter().map(|(snapshot, _)| snapshot.clone()).collect()
    }

    /// Drops what stands in the frames up to `sequence`, which the trees serve now.
    pub(super) fn free(&mut self, sequence: u64) {
        let mut freed = 0;
        self.checkpoints.retain(|name, (_, frame)| {
            let stays = *frame > sequence;
            freed += if stays { 0 } else { name.len() + ENTRY_BYTES };
            stays
        });
        self.snapshots.retain(|_, (snapshot, frame)| {
            let stays = *frame > sequence;
            freed += if stays { 0 } else { size_of(snapshot) };
            stays
        });
        self.bytes = self.bytes.saturating_sub(freed);
        self.replaced_bytes = 0;
    }
}

fn size_of(snapshot: &StoredSnapshot) -> usize {
    snapshot.bytes.len() + snapshot.key.name.len() + ENTRY_BYTES
}
