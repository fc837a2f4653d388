//! The sealed files of a store: the list of them, and a few that are kept open.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, RwLock},
};

use crate::{
    Error,
    storage::journal::{FileKey, Identity, SealedFile},
    sync,
};

/// How many files are kept open. Each takes a descriptor and about 20 KB.
const OPEN_FILES: usize = 64;

/// The sealed files, in order.
#[derive(Debug)]
pub(crate) struct SealedFiles {
    identity: Identity,
    keys: RwLock<Vec<FileKey>>,
    /// The most recently used files, the newest use first.
    open: Mutex<Vec<(FileKey, Arc<SealedFile>)>>,
}

impl SealedFiles {
    pub(crate) fn new(identity: Identity, keys: Vec<FileKey>) -> SealedFiles {
        SealedFiles { identity, keys: RwLock::new(keys), open: Mutex::default() }
    }

    /// Adds a file that was just sealed.
    pub(crate) fn add(&self, key: FileKey) {
        let mut keys = sync::write(&self.keys);
        let index = keys.partition_point(|known| *known < key);
        if keys.get(index) != Some(&key) {
            keys.insert(index, key);
        }
    }

    /// Every file, in order.
    pub(crate) fn keys(&self) -> Vec<FileKey> {
        sync::read(&self.keys).clone()
    }

    pub(crate) fn path(&self, key: FileKey) -> PathBuf {
        key.sealed_path(&self.identity.directory)
    }

    /// The last file that starts at or before a position: the one that holds it, if one does.
    pub(crate) fn holder(&self, position: u64) -> Result<Option<Arc<SealedFile>>, Error> {
        let key = {
            let keys = sync::read(&self.keys);
            let after = keys.partition_point(|key| key.first_position <= position);
            after.checked_sub(1).and_then(|index| keys.get(index).copied())
        };
        key.map(|key| self.open(key)).transpose()
    }

    /// Opens a file, unless it is open.
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
        let file = Arc::new(SealedFile::open(&self.path(key), *store_id, checksum)?);
        open = sync::lock(&self.open);
        open.insert(0, (key, Arc::clone(&file)));
        open.truncate(OPEN_FILES);
        Ok(file)
    }

    /// Closes every file.
    pub(crate) fn close(&self) {
        sync::lock(&self.open).clear();
    }
}
