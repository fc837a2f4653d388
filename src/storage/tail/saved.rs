//! What consumers saved and the trees do not have yet.
//!
//! A save replaces what was saved before under the same name, but an older checkpoint stays until a
//! newer one is durable: the trees may take in the one while the other can still be lost.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
    /// Positions by name, the newest last, each with the number of its frame.
    checkpoints: BTreeMap<Arc<str>, VecDeque<(u64, u64)>>,
    /// By key and position, each with the number of its frame.
    snapshots: BTreeMap<(SnapshotKey, u64), (StoredSnapshot, u64)>,
    bytes: usize,
}

impl SavedTail {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a checkpoint of the frame with the number `sequence`; frames up to `durable` are so.
    pub(super) fn push_checkpoint(&mut self, new: Checkpoint, sequence: u64, durable: u64) {
        let added = new.name.len() + ENTRY_BYTES;
        let known = self.checkpoints.entry(new.name).or_default();
        known.push_back((new.position, sequence));
        self.bytes += added;
        while known.get(1).is_some_and(|&(_, next)| next <= durable) {
            known.pop_front();
            self.bytes = self.bytes.saturating_sub(added);
        }
    }

    /// Adds a snapshot, and drops those that are not kept beside it.
    pub(super) fn push_snapshot(&mut self, new: StoredSnapshot, sequence: u64) {
        self.bytes += size_of(&new);
        let key = new.key.clone();
        if let Some((old, _)) = self.snapshots.insert((key.clone(), new.position), (new, sequence))
        {
            self.bytes = self.bytes.saturating_sub(size_of(&old));
        }
        let surplus = self.of(&key).count().saturating_sub(SNAPSHOTS_KEPT);
        let dropped: Vec<u64> = self.of(&key).take(surplus).collect();
        for position in dropped {
            if let Some((old, _)) = self.snapshots.remove(&(key.clone(), position)) {
                self.bytes = self.bytes.saturating_sub(size_of(&old));
            }
        }
    }

    /// The positions of a key's snapshots, in order.
    fn of(&self, key: &SnapshotKey) -> impl Iterator<Item = u64> {
        let range = (key.clone(), 0)..=(key.clone(), u64::MAX);
        self.snapshots.range(range).map(|((_, position), _)| *position)
    }

    pub(super) fn checkpoint(&self, name: &str) -> Option<u64> {
        self.checkpoints.get(name)?.back().map(|&(position, _)| position)
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

    /// The newest checkpoint of each name in the frames up to `sequence`.
    pub(super) fn checkpoints_through(&self, sequence: u64) -> Vec<Checkpoint> {
        let newest = |(name, known): (&Arc<str>, &VecDeque<(u64, u64)>)| {
            let (position, _) = known.iter().rev().find(|(_, frame)| *frame <= sequence)?;
            Some(Checkpoint { name: Arc::clone(name), position: *position })
        };
        self.checkpoints.iter().filter_map(newest).collect()
    }

    /// The snapshots in the frames up to `sequence`, in the order of their keys.
    pub(super) fn snapshots_through(&self, sequence: u64) -> Vec<StoredSnapshot> {
        let found = self.snapshots.values().filter(|(_, frame)| *frame <= sequence);
        found.map(|(snapshot, _)| snapshot.clone()).collect()
    }

    /// Drops what stands in the frames up to `sequence`, which the trees serve now.
    pub(super) fn free(&mut self, sequence: u64) {
        self.checkpoints.retain(|name, known| {
            let before = known.len();
            known.retain(|(_, frame)| *frame > sequence);
            let freed = (before - known.len()) * (name.len() + ENTRY_BYTES);
            self.bytes = self.bytes.saturating_sub(freed);
            !known.is_empty()
        });
        self.snapshots.retain(|_, (snapshot, frame)| {
            let stays = *frame > sequence;
            if !stays {
                self.bytes = self.bytes.saturating_sub(size_of(snapshot));
            }
            stays
        });
    }
}

fn size_of(snapshot: &StoredSnapshot) -> usize {
    snapshot.bytes.len() + snapshot.key.name.len() + ENTRY_BYTES
}
