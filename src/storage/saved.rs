//! Reading what consumers saved: the tail first, then the trees, as for events.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    Error,
    codec::saved::StoredSnapshot,
    event::{SnapshotKey, SnapshotOwner},
    storage::{Storage, tail::SNAPSHOTS_KEPT},
};

impl Storage {
    /// The checkpoint of a name; 0 when there is none.
    pub(crate) fn checkpoint_of(&self, name: &str) -> Result<u64, Error> {
        self.check_open()?;
        if let Some(position) = self.tail.checkpoint(name) {
            return Ok(position);
        }
        let found = self
            .or_journal(self.with_trees_or(None, |trees| trees.checkpoint(name)), || {
                self.checkpoint_in_journal(name)
            })?;
        Ok(found.unwrap_or(0))
    }

    /// The names of all checkpoints, for a check.
    pub(crate) fn checkpoint_names(&self) -> Result<BTreeSet<Arc<str>>, Error> {
        self.check_open()?;
        let mut names = self.tail.checkpoint_names();
        names.extend(self.with_trees_or(Vec::new(), |trees| trees.checkpoint_names().collect())?);
        Ok(names)
    }

    /// The keys and positions of the snapshots of a name: of each version those that are kept, the
    /// newest first, and any past the head, which hide none of these.
    pub(crate) fn snapshots_of(
        &self,
        owner: SnapshotOwner,
        name: &str,
    ) -> Result<Vec<(SnapshotKey, u64)>, Error> {
        self.check_open()?;
        let mut found = self.tail.snapshots_of(owner, name);
        found.extend(
            self.or_none(self.with_trees_or(Vec::new(), |trees| trees.snapshots_of(owner, name)))?,
        );
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.dedup();
        let mut kept = Vec::<(SnapshotKey, u64)>::new();
        let head = self.head();
        for snapshot in found {
            let is_newer = |(key, at): &&(SnapshotKey, u64)| *key == snapshot.0 && *at <= head;
            if kept.iter().filter(is_newer).count() < SNAPSHOTS_KEPT {
                kept.push(snapshot);
            }
        }
        Ok(kept)
    }

    /// The first name of a snapshot behind `after`.
    pub(crate) fn snapshot_name_after(
        &self,
        after: Option<(SnapshotOwner, &str)>,
    ) -> Result<Option<(SnapshotOwner, String)>, Error> {
        self.check_open()?;
        let in_tail = self.tail.snapshot_name_after(after);
        let in_trees =
            self.or_none(self.with_trees_or(None, |trees| trees.snapshot_name_after(after)))?;
        Ok(in_tail.into_iter().chain(in_trees).min())
    }

    /// A snapshot that is listed; `None` when it has made room for newer ones meanwhile.
    pub(crate) fn snapshot(
        &self,
        key: &SnapshotKey,
        position: u64,
    ) -> Result<Option<StoredSnapshot>, Error> {
        self.check_open()?;
        match self.read_snapshot(key, position) {
            // Its parts may have been removed or replaced while they were read.
            Err(Error::Corrupted { .. }) if !self.has_snapshot(key, position)? => Ok(None),
            Err(Error::Corrupted { .. }) => self.read_snapshot(key, position),
            read => read,
        }
    }

    fn read_snapshot(
        &self,
        key: &SnapshotKey,
        position: u64,
    ) -> Result<Option<StoredSnapshot>, Error> {
        if let Some(found) = self.tail.snapshot(key, position) {
            return Ok(Some(found));
        }
        let answer = self.with_trees_or(None, |trees| trees.snapshot(key, position));
        let Some(bytes) = answer? else { return Ok(None) };
        let damaged = |reason: String| Error::corrupted(key.place(), Some(position), reason);
        let found =
            StoredSnapshot::decode(bytes, (self.store_id, &self.checksum)).map_err(damaged)?;
        if (&found.key, found.position) != (key, position) {
            let reason = format!("it says it is {:?} at {}", found.key.name, found.position);
            return Err(damaged(reason));
        }
        Ok(Some(found))
    }

    fn has_snapshot(&self, key: &SnapshotKey, position: u64) -> Result<bool, Error> {
        let listed = self.snapshots_of(key.owner, &key.name)?;
        Ok(listed.iter().any(|(listed, at)| (listed, *at) == (key, position)))
    }

    /// Takes the answer of the trees, or nothing when they have failed: a snapshot can be had from
    /// the events again.
    fn or_none<T: Default>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        match answer {
            Err(Error::Closed) => Err(Error::Closed),
            Err(_) if self.check_writable().is_err() => Ok(T::default()),
            answer => answer,
        }
    }
}
