//! Walks over whole trees: the list of streams, and everything for a check.
//!
//! The walks for a check are in key order and use bounded memory. A damaged entry is an `Err` item,
//! after which the walk continues; after an error of sled itself it ends.

use std::{ops::Bound, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::{key, page::Page},
    storage::trees::{
        Trees, guarded,
        read::{damaged_id, damaged_key},
    },
};

/// How many runs of a stream the list of streams reads one by one before it looks up the last.
const RUNS_PASSED: u32 = 8;

/// The key of a run and the position of its first event; `None` for a reserved, empty place.
#[derive(Clone, Debug)]
pub(super) struct RunPlace {
    pub(super) key: sled::IVec,
    pub(super) first_position: Option<u64>,
}

/// The stream and version of each position of a chunk.
pub(crate) type ChunkPlaces = Vec<(u64, Arc<str>, u64)>;

impl Trees {
    /// Up to `limit` streams after `after`, in byte order, with their versions at `head`: one pass
    /// over the headers of the runs, except for streams with many runs.
    pub(crate) fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error> {
        let mut start = match after {
            Bound::Unbounded => Vec::new(),
            Bound::Included(id) => key::run(id, 0),
            Bound::Excluded(id) => after_runs(id),
        };
        let mut found: Vec<(Arc<str>, u64)> = Vec::new();
        'from_start: loop {
            let mut entries = self.streams.range(start..);
            let mut passed = 0;
            while let Some((key, value)) = guarded(|| entries.next().transpose())? {
                let (stream, first_version) = parse_key(&key)?;
                let is_new = found.last().is_none_or(|(last, _)| **last != *stream);
                if is_new && found.len() >= limit {
                    return Ok(found);
                }
                let version = self.version_at((stream, first_version), &value, head)?;
                match (version, found.last_mut()) {
                    // A run above the head, the first of its stream or a later one.
                    (None, _) => continue,
                    (Some(version), Some((_, last))) if !is_new => {
                        *last = version;
                        passed += 1;
                    }
                    (Some(version), _) => {
                        found.push((Arc::from(stream), version));
                        passed = 0;
                    }
                }
                if passed == RUNS_PASSED
                    && let Some((_, last)) = found.last_mut()
                {
                    *last = self.stream_version(stream, head)?;
                    start = after_runs(stream);
                    continue 'from_start;
                }
            }
            return Ok(found);
        }
    }

    /// Every run: its stream, its first version and its events.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Result<(Arc<str>, u64, Page), Error>> {
        let is_run = |entry: &Result<(sled::IVec, sled::IVec), Error>| {
            entry.as_ref().map_or(true, |(_, value)| !value.is_empty())
        };
        entries_of(&self.streams).filter(is_run).map(|entry| {
            let (key, value) = entry?;
            let (stream, first_version) = parse_key(&key)?;
            let page = self.decode_run((stream, first_version), &value, Page::default())?;
            Ok((Arc::from(stream), first_version, page))
        })
    }

    /// The place of every run.
    pub(super) fn run_places(&self) -> impl Iterator<Item = Result<RunPlace, Error>> {
        entries_of(&self.streams).map(|entry| {
            let (key, value) = entry?;
            let place = parse_key(&key)?;
            let first_position = match value.is_empty() {
                true => None,
                false => Some(self.open_run(place, &value)?.0.first_position),
            };
            Ok(RunPlace { key, first_position })
        })
    }

    /// The stream and version of every position, a chunk at a time.
    pub(crate) fn places(&self) -> impl Iterator<Item = Result<ChunkPlaces, Error>> {
        entries_of(&self.events).map(|entry| {
            let (key, value) = entry?;
            let places = self.decode_places(&key, &value)?;
            let owned = places.iter().map(|(at, stream, version)| (at, Arc::from(stream), version));
            Ok(owned.collect())
        })
    }

    /// Every event id with its position.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Result<(Uuid, u64), Error>> {
        entries_of(&self.ids).map(|entry| {
            let (key, value) = entry?;
            let id = Uuid::from_slice(&key).map_err(|_| damaged_id(None))?;
            let position = key::parse_position(&value).ok_or_else(|| damaged_id(Some(id)))?;
            Ok((id, position))
        })
    }

    /// Every checkpoint with its position.
    pub(crate) fn checkpoints(&self) -> impl Iterator<Item = Result<(Arc<str>, u64), Error>> {
        entries_of(&self.checkpoints).map(|entry| {
            let (key, value) = entry?;
            let name = str::from_utf8(&key)
                .map_err(|_| Error::corrupted("the checkpoints", None, "a name is not UTF-8"))?;
            Ok((Arc::from(name), self.decode_checkpoint(name, &value)?))
        })
    }
}

/// A key after all runs of a stream and before those of any later stream.
fn after_runs(stream: &str) -> Vec<u8> {
    [stream.as_bytes(), &[1]].concat()
}

fn parse_key(key: &[u8]) -> Result<(&str, u64), Error> {
    key::parse_run(key).filter(|&(_, version)| version > 0).ok_or_else(|| damaged_key(key))
}

/// The entries of a tree, up to the first error from sled.
fn entries_of(tree: &sled::Tree) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), Error>> {
    let mut entries = Some(tree.iter());
    std::iter::from_fn(move || {
        let open = entries.as_mut()?;
        match guarded(|| open.next().transpose()) {
            Ok(next) => next.map(Ok),
            Err(error) => {
                entries = None;
                Some(Err(error))
            }
        }
    })
}
