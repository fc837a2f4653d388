//! What consumers saved: checkpoints and snapshots, each through a transaction.
//!
//! They need not wait for the head of the trees: what they rest on is durable in the journal before
//! they come here, and a checkpoint that is interrupted takes them in again.

use std::{ops::Bound, sync::Arc};

use crate::{
    Error,
    codec::{
        key,
        saved::{Checkpoint, StoredSnapshot},
        split::{self, PART_BYTES, Stub, WHOLE_BYTES_MAX},
    },
    event::{SnapshotKey, SnapshotOwner},
    storage::{
        tail::SNAPSHOTS_KEPT,
        trees::{Staging, Trees, guarded},
    },
};

/// A transaction holds readers up, so it takes no more than this at once.
const TRANSACTION_ENTRIES: usize = 64;

impl Trees {
    /// The checkpoint of a name.
    pub(crate) fn checkpoint(&self, name: &str) -> Result<Option<u64>, Error> {
        let Some(value) = guarded(|| self.checkpoints.get(name.as_bytes()))? else {
            return Ok(None);
        };
        let damaged =
            |reason: String| Error::corrupted(format!("the checkpoint {name:?}"), None, reason);
        let found = Checkpoint::decode(&value, &self.checksum).map_err(damaged)?;
        match &*found.name == name {
            true => Ok(Some(found.position)),
            false => Err(damaged(format!("it says it is that of {:?}", found.name))),
        }
    }

    /// The names of all checkpoints, for a check.
    pub(crate) fn checkpoint_names(&self) -> impl Iterator<Item = Result<Arc<str>, Error>> {
        let mut entries = self.checkpoints.iter().keys();
        std::iter::from_fn(move || {
            guarded(|| entries.next().transpose()).transpose().map(|key| {
                let key = key?;
                str::from_utf8(&key)
                    .map(Arc::from)
                    .map_err(|_| Error::corrupted("the checkpoints", None, "a name is not UTF-8"))
            })
        })
    }

    /// The keys and positions of the snapshots of a name, whatever their version.
    pub(crate) fn snapshots_of(
        &self,
        owner: SnapshotOwner,
        name: &str,
    ) -> Result<Vec<(SnapshotKey, u64)>, Error> {
        let prefix = key::snapshot_name(owner, name);
        let (mut found, mut after) = (Vec::new(), Bound::Included(prefix.clone()));
        while let Some((snapshot, position)) = self.next_snapshot(after)? {
            if (snapshot.owner, snapshot.name.as_str()) != (owner, name) {
                break;
            }
            // Behind its parts.
            after = Bound::Excluded(key::snapshot(&snapshot, position, u32::MAX));
            found.push((snapshot, position));
        }
        Ok(found)
    }

    /// The first name of a snapshot behind `after`.
    pub(crate) fn snapshot_name_after(
        &self,
        after: Option<(SnapshotOwner, &str)>,
    ) -> Result<Option<(SnapshotOwner, String)>, Error> {
        let after = match after {
            None => Bound::Unbounded,
            Some((owner, name)) => {
                let last = SnapshotKey { owner, name: name.to_owned(), version: u32::MAX };
                Bound::Excluded(key::snapshot(&last, u64::MAX, u32::MAX))
            }
        };
        let next = self.next_snapshot(after)?;
        Ok(next.map(|(snapshot, _)| (snapshot.owner, snapshot.name)))
    }

    fn next_snapshot(&self, after: Bound<Vec<u8>>) -> Result<Option<(SnapshotKey, u64)>, Error> {
        let mut behind = self.snapshots.range((after, Bound::Unbounded)).keys();
        let Some(key) = guarded(|| behind.next().transpose())? else { return Ok(None) };
        let parsed = key::parse_snapshot(&key);
        let (snapshot, position, _) = parsed.ok_or_else(|| {
            Error::corrupted("the snapshots in the trees", None, "a key is malformed")
        })?;
        Ok(Some((snapshot, position)))
    }

    /// The stored bytes of a snapshot.
    pub(crate) fn snapshot(&self, of: &SnapshotKey, at: u64) -> Result<Option<Arc<[u8]>>, Error> {
        let Some(value) = guarded(|| self.snapshots.get(key::snapshot(of, at, 0)))? else {
            return Ok(None);
        };
        if value.first() != Some(&split::KIND) {
            return Ok(Some(Arc::from(&*value)));
        }
        let damaged = |reason: String| Error::corrupted(of.place(), Some(at), reason);
        let stub = Stub::decode(&value, at, &self.checksum).map_err(damaged)?;
        let mut bytes = Vec::new();
        for part in 1..=stub.parts {
            let found = guarded(|| self.snapshots.get(key::snapshot(of, at, part)))?;
            let found = found.ok_or_else(|| damaged(format!("part {part} is missing")))?;
            bytes.extend_from_slice(&found);
        }
        Ok(Some(Arc::from(bytes)))
    }
}

impl<B: FnMut() -> Result<(), Error>> Staging<'_, B> {
    /// Takes in checkpoints.
    pub(crate) fn checkpoints(&mut self, checkpoints: &[Checkpoint]) -> Result<(), Error> {
        for batch in checkpoints.chunks(TRANSACTION_ENTRIES) {
            let mut entries = Vec::new();
            for checkpoint in batch {
                let value = checkpoint.encode(&self.trees.checksum);
                let value = value.map_err(|reason| self.trees.damaged(&reason))?;
                entries.push((checkpoint.name.as_bytes().to_vec(), value.into()));
            }
            self.insert_all(&self.trees.checkpoints, &entries)?;
        }
        Ok(())
    }

    /// Takes in a snapshot, and then drops those of its name that are not kept beside it: older
    /// ones, those of other versions, and any past `head`, which the log does not bear out.
    pub(crate) fn snapshot(&mut self, new: &StoredSnapshot, head: u64) -> Result<(), Error> {
        let StoredSnapshot { key: of, position, bytes, .. } = new;
        let others = self.trees.snapshots_of(of.owner, &of.name)?;
        let is_kept = |(key, at): &&(SnapshotKey, u64)| key == of && *at <= head;
        let mut kept: Vec<u64> = others.iter().filter(is_kept).map(|(_, at)| *at).collect();
        kept.push(*position);
        kept.sort_unstable_by(|one, other| other.cmp(one));
        kept.dedup();
        kept.truncate(SNAPSHOTS_KEPT);
        if kept.contains(position) {
            let value = match bytes.len() <= WHOLE_BYTES_MAX {
                true => sled::IVec::from(&**bytes),
                false => self.snapshot_parts(new)?,
            };
            self.insert_all(&self.trees.snapshots, &[(key::snapshot(of, *position, 0), value)])?;
        }
        for (key, at) in &others {
            if key != of || !kept.contains(at) {
                self.remove_snapshot(key, *at)?;
            }
        }
        Ok(())
    }

    /// Removes all parts of a snapshot, the first one first, so that what is left is no snapshot.
    fn remove_snapshot(&mut self, of: &SnapshotKey, at: u64) -> Result<(), Error> {
        let range = key::snapshot(of, at, 0)..=key::snapshot(of, at, u32::MAX);
        let mut keys = self.trees.snapshots.range(range).keys();
        while let Some(key) = guarded(|| keys.next().transpose())? {
            self.remove(&self.trees.snapshots, &key, PART_BYTES)?;
        }
        Ok(())
    }

    /// Writes the parts of a large snapshot and returns the stub that stands for it.
    fn snapshot_parts(&mut self, new: &StoredSnapshot) -> Result<sled::IVec, Error> {
        let StoredSnapshot { key: of, position, bytes, .. } = new;
        let stub = Stub::for_record(bytes)
            .ok_or_else(|| self.trees.damaged("a snapshot is past 4 GiB, which no limit allows"))?;
        for (number, part) in (1..).zip(bytes.chunks(PART_BYTES)) {
            self.put(&self.trees.snapshots, &key::snapshot(of, *position, number), part)?;
        }
        Ok(stub.encode(*position, &self.trees.checksum).into())
    }
}
