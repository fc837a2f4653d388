//! The directory of a backup.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    codec::{
        head::{HeadRecord, HeadState},
        superblock::Superblock,
    },
    storage::{
        Storage, files,
        home::{Lock, head, names, superblock},
        journal::{self, Identity, SealedFile},
    },
};

/// The directory of a backup.
#[derive(Debug)]
pub(crate) struct BackupSite {
    pub(super) path: PathBuf,
    /// Where an existing backup ends.
    pub(super) before: Option<HeadRecord>,
    _lock: Option<Lock>,
}

impl BackupSite {
    /// Uses a directory that is empty or does not exist yet.
    pub(crate) fn empty(path: &Path) -> Result<BackupSite, Error> {
        files::create_store_directory(path)?;
        for name in [names::JOURNAL, names::SNAPSHOTS] {
            files::create_directory(&path.join(name))?;
        }
        Ok(BackupSite { path: path.to_owned(), before: None, _lock: None })
    }

    /// Uses an earlier backup of a store; returns `None` if the directory is something else.
    ///
    /// # Errors
    /// `Locked` while the backup is open, `Corrupted`, `Io`.
    pub(crate) fn earlier(path: &Path, of: &Storage) -> Result<Option<BackupSite>, Error> {
        match superblock::read(path) {
            Ok(Some(Superblock { store_id, .. })) if store_id == of.store_id => {}
            _ => return Ok(None),
        }
        let lock = Lock::take(path)?;
        let before = head::read(path, &of.checksum)?;
        let before = before.filter(|before| before.state == HeadState::Closed);
        let Some(before) = before else {
            let reason = "it does not record where it ends: make a new backup";
            let place = path.join(head::FILE).display().to_string();
            return Err(Error::corrupted(place, None, reason));
        };
        for name in [names::JOURNAL, names::SNAPSHOTS] {
            files::create_directory(&path.join(name))?;
            // A file left by a killed backup may be a second name of a file of the store.
            journal::remove_unfinished(&path.join(name))?;
        }
        Ok(Some(BackupSite { path: path.to_owned(), before: Some(before), _lock: Some(lock) }))
    }

    /// Removes the trees of an earlier backup that was opened, if they end before its last sealed
    /// file does now: they would count as damaged. The next open builds others.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn remove_stale_trees(&self, of: &Identity) -> Result<(), Error> {
        let trees = self.path.join(names::TREES);
        let Some(before) = self.before.filter(|_| trees.symlink_metadata().is_ok()) else {
            return Ok(());
        };
        let directory = self.path.join(names::JOURNAL);
        let Some(last) = journal::list(&directory)?.sealed.pop() else { return Ok(()) };
        let last = SealedFile::open(&last.sealed_path(&directory), of.store_id, &of.checksum)?;
        if last.facts().last_frame <= before.end.frame_number {
            return Ok(());
        }
        // Under this name an open removes what a killed call leaves of them.
        let unfinished = self.path.join(names::TREES_UNFINISHED);
        files::remove_directory(&unfinished)?;
        fs::rename(&trees, &unfinished)
            .map_err(|source| Error::io("rename to", &unfinished, source))?;
        files::sync_directory(&self.path)?;
        files::remove_directory(&unfinished)
    }
}
