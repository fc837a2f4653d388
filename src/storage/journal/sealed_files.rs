//! The sealed files of a store: a list of all, and a few that are kept open.

use std::{collections::BTreeMap, mem, ops::RangeInclusive, path::PathBuf, sync::Arc};

use crate::{
    Error,
    codec::sealed::SealedFacts,
    storage::{
        Direction,
        journal::{FileKey, Identity, SealedFile},
    },
    sync::{
        self, Mutex, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many files are kept open. Each uses a descriptor and about 20 KB.
const OPEN_FILES: usize = 64;

/// The sealed files, in order.
#[derive(Debug)]
pub(crate) struct SealedFiles {
    identity: Identity,
    keys: RwLock<Vec<FileKey>>,
    /// Facts noted about files when they were sealed.
    noted: RwLock<BTreeMap<FileKey, SealedFacts>>,
    /// All files together, including those sealed later, reach at least to this position.
    reached: AtomicU64,
    /// The most recently used files, the latest first.
    open: Mutex<Vec<(FileKey, Arc<SealedFile>)>>,
}

impl SealedFiles {
    pub(crate) fn new(
        identity: Identity,
        keys: Vec<FileKey>,
        noted: BTreeMap<FileKey, SealedFacts>,
        reached: u64,
    ) -> SealedFiles {
        let (keys, noted) = (RwLock::new(keys), RwLock::new(noted));
        let reached = AtomicU64::new(reached);
        SealedFiles { identity, keys, noted, reached, open: Mutex::default() }
    }

    /// Adds a file that was just sealed.
    pub(crate) fn add(&self, key: FileKey, facts: SealedFacts) {
        sync::write(&self.noted).insert(key, facts);
        let mut keys = sync::write(&self.keys);
        let index = keys.partition_point(|known| *known < key);
        if keys.get(index) != Some(&key) {
            keys.insert(index, key);
        }
    }

    /// Forgets files that are replaced by one file made from all of them.
    pub(crate) fn remove(&self, is_gone: impl Fn(FileKey) -> bool) {
        sync::write(&self.noted).retain(|known, _| !is_gone(*known));
        sync::write(&self.keys).retain(|known| !is_gone(*known));
        sync::lock(&self.open).retain(|(known, _)| !is_gone(*known));
    }

    /// Replaces this list with that of `other`.
    pub(crate) fn replace(&self, other: &SealedFiles) {
        self.reached.store(other.reached(), Ordering::SeqCst);
        *sync::write(&self.noted) = mem::take(&mut *sync::write(&other.noted));
        *sync::write(&self.keys) = other.keys();
        // Last: a file opened meanwhile is in the cache, or does not match the facts noted now.
        sync::lock(&self.open).clear();
    }

    /// Notes that the files reached at least to this position, whether or not they still exist.
    pub(crate) fn reach(&self, position: u64) {
        self.reached.fetch_max(position, Ordering::SeqCst);
    }

    /// The position that the files reach at least.
    pub(crate) fn reached(&self) -> u64 {
        self.reached.load(Ordering::SeqCst)
    }

    /// Whether a file is in the list.
    pub(crate) fn has(&self, key: FileKey) -> bool {
        sync::read(&self.keys).binary_search(&key).is_ok()
    }

    /// Every file, in order.
    pub(crate) fn keys(&self) -> Vec<FileKey> {
        sync::read(&self.keys).clone()
    }

    pub(crate) fn path(&self, key: FileKey) -> PathBuf {
        key.sealed_path(&self.identity.directory)
    }

    /// The last file that starts at or before a position: if any file holds the position, it is
    /// this one.
    pub(crate) fn holder(&self, position: u64) -> Result<Option<Arc<SealedFile>>, Error> {
        let key = {
            let keys = sync::read(&self.keys);
            let after = keys.partition_point(|key| key.first_position <= position);
            after.checked_sub(1).and_then(|index| keys.get(index).copied())
        };
        key.map(|key| self.open(key)).transpose()
    }

    /// Opens a file, unless it is already open.
    pub(crate) fn open(&self, key: FileKey) -> Result<Arc<SealedFile>, Error> {
        let mut open = sync::lock(&self.open);
        if let Some(index) = open.iter().position(|(known, _)| *known == key) {
            if let Some(front) = open.get_mut(..=index) {
                front.rotate_right(1);
            }
            return open.first().map(|(_, file)| Arc::clone(file)).ok_or(Error::Closed);
        }
        drop(open);
        let Identity { store_id, checksum, .. } = &self.identity;
        let path = self.path(key);
        let file = Arc::new(SealedFile::open(&path, *store_id, checksum)?);
        let is_other = |noted: &SealedFacts| noted.edges() != file.facts().edges();
        open = sync::lock(&self.open);
        if sync::read(&self.noted).get(&key).is_some_and(is_other) {
            let (place, position) = (path.display().to_string(), Some(key.first_position));
            let reason = "it is not the file that was sealed here: it is of another history";
            return Err(Error::corrupted(place, position, reason));
        }
        open.insert(0, (key, Arc::clone(&file)));
        open.truncate(OPEN_FILES);
        Ok(file)
    }

    /// The files that overlap a range of positions, in this direction. A missing file is an error:
    /// without it, the others cannot show that something is absent.
    pub(crate) fn over(
        &self,
        range: &RangeInclusive<u64>,
        direction: Direction,
    ) -> impl Iterator<Item = Result<Arc<SealedFile>, Error>> {
        let keys = self.keys();
        let first = keys.partition_point(|key| key.first_position <= *range.start());
        let end = keys.partition_point(|key| key.first_position <= *range.end());
        let mut keys = keys.get(first.saturating_sub(1)..end).unwrap_or_default().to_vec();
        // Where the files so far ended.
        let (start, end) = (*range.start(), (*range.end()).min(self.reached()));
        let mut next = start;
        if direction == Direction::Backward {
            keys.reverse();
            next = end;
        }
        let mut keys = keys.into_iter();
        let mut has_ended = false;
        std::iter::from_fn(move || {
            if has_ended {
                return None;
            }
            let Some(key) = keys.next() else {
                has_ended = true;
                let is_whole = match direction {
                    Direction::Forward => next > end,
                    Direction::Backward => next < start,
                };
                return (!is_whole).then(|| Err(self.missing(next)));
            };
            let file = self.open(key).and_then(|file| {
                let (first, last) = (file.facts().first_position, file.facts().last_position);
                let follows = match direction {
                    Direction::Forward => first <= next,
                    Direction::Backward => last >= next,
                };
                match direction {
                    Direction::Forward => next = next.max(last.saturating_add(1)),
                    Direction::Backward => next = next.min(first.saturating_sub(1)),
                }
                if follows { Ok(file) } else { Err(self.missing(next)) }
            });
            has_ended = file.is_err();
            Some(file)
        })
    }

    /// The files, the newest first. A missing file is an error: without it, the others cannot show
    /// that something is absent.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = Result<Arc<SealedFile>, Error>> {
        let mut newer: Option<SealedFacts> = None;
        let mut keys = self.keys().into_iter().rev();
        let mut has_ended = false;
        std::iter::from_fn(move || {
            if has_ended {
                return None;
            }
            let Some(key) = keys.next() else {
                has_ended = true;
                let first = newer.map_or(self.reached() + 1, |newer| newer.first_position);
                return (first > 1).then(|| Err(self.missing(1)));
            };
            let next = self.open(key).and_then(|file| {
                let facts = *file.facts();
                let follows = match newer {
                    None => facts.last_position >= self.reached(),
                    Some(newer) => facts.last_frame + 1 == newer.first_frame,
                };
                newer = Some(facts);
                if follows { Ok(file) } else { Err(self.missing(facts.last_position + 1)) }
            });
            has_ended = next.is_err();
            Some(next)
        })
    }

    fn missing(&self, position: u64) -> Error {
        let place = self.identity.directory.display().to_string();
        Error::corrupted(place, Some(position), "a sealed file is missing")
    }

    /// Closes every file.
    pub(crate) fn close(&self) {
        sync::lock(&self.open).clear();
    }
}
