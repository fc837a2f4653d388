//! The current versions of recently used streams, so that an append does not look up a stream
//! twice, and the leader of a group reads nothing from the disk.
//!
//! Invariant: an entry is the version of its stream at the head. Before it hands on the lead, the
//! leader overwrites the entries of the streams that it wrote. Other threads only add missing
//! entries; if an entry was written and dropped again while such a thread looked up the version,
//! the changed turn of the cache reveals it.

use std::mem;

use foldhash::{HashMap, HashMapExt as _};

use crate::{
    Error,
    storage::Storage,
    sync::{self, Mutex},
};

/// Entries of one half: both halves together take some 10 to 20 MB.
const ENTRIES: usize = 64 << 10;

/// A bounded map from streams to versions.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    halves: Mutex<Halves>,
}

/// When the newer half is full it becomes the older one, and the old contents of that are dropped.
#[derive(Debug)]
struct Halves {
    newer: HashMap<Box<str>, u64>,
    older: HashMap<Box<str>, u64>,
    turn: u64,
}

impl Default for Halves {
    fn default() -> Halves {
        Halves { newer: HashMap::new(), older: HashMap::new(), turn: 0 }
    }
}

impl Halves {
    fn get(&self, stream: &str) -> Option<u64> {
        self.newer.get(stream).or_else(|| self.older.get(stream)).copied()
    }

    fn put(&mut self, stream: &str, version: u64) {
        if let Some(known) = self.newer.get_mut(stream) {
            *known = version;
            return;
        }
        if self.newer.len() >= ENTRIES {
            self.older = mem::take(&mut self.newer);
            self.turn += 1;
        }
        self.newer.insert(Box::from(stream), version);
    }
}

impl Versions {
    /// The version of a stream at the head, for the leader: the head does not move.
    pub(super) fn of(&self, storage: &Storage, stream: &str) -> Result<u64, Error> {
        if let Some(version) = sync::lock(&self.halves).get(stream) {
            return Ok(version);
        }
        let version = storage.stored_version(stream, storage.head())?;
        sync::lock(&self.halves).put(stream, version);
        Ok(version)
    }

    /// Looks up a stream before an append queues.
    pub(crate) fn prefetch(&self, storage: &Storage, stream: &str) -> Result<(), Error> {
        let turn = {
            let halves = sync::lock(&self.halves);
            if halves.get(stream).is_some() {
                storage.meters().version_hits.add(1);
                return Ok(());
            }
            halves.turn
        };
        storage.meters().version_misses.add(1);
        let version = storage.stored_version(stream, storage.head())?;
        let mut halves = sync::lock(&self.halves);
        if halves.turn == turn && halves.get(stream).is_none() {
            halves.put(stream, version);
        }
        Ok(())
    }

    /// Records the versions that the leader wrote.
    pub(super) fn wrote<'a>(&self, written: impl IntoIterator<Item = (&'a str, u64)>) {
        let mut halves = sync::lock(&self.halves);
        for (stream, version) in written {
            halves.put(stream, version);
        }
    }
}
