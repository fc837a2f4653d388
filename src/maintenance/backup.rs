//! Copying a store while it is in use.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    Error, EventStore,
    maintenance::beside,
    storage::{Backup, BackupSite, CopyMode, Storage},
};

/// The end of the name of a copy that is not finished.
const ENDING: &str = ".unfinished";

/// Options for a backup.
///
/// # Examples
/// See [`backup`].
#[derive(Clone, Debug)]
pub struct BackupOptions {
    mode: CopyMode,
}

impl BackupOptions {
    /// The default: files are copied, so that the backup shares nothing with the store. On file
    /// systems that support it, the copies share blocks on the disk.
    pub fn new() -> BackupOptions {
        BackupOptions { mode: CopyMode::Copy }
    }

    /// Sets whether sealed journal files are hard-linked into the backup instead of copied. This is
    /// fast and takes no space, but damage to such a file affects both. The backup must be on the
    /// same file system.
    #[must_use]
    pub fn link(mut self, links: bool) -> BackupOptions {
        self.mode = if links { CopyMode::Link } else { CopyMode::Copy };
        self
    }
}

impl Default for BackupOptions {
    fn default() -> BackupOptions {
        BackupOptions::new()
    }
}

/// The result of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// The number of events in the backup.
    pub events: u64,
    /// The total size of the files that were copied or linked, in bytes.
    pub bytes: u64,
}

impl EventStore {
    /// Copies the store to a directory: every event that is durable when the call begins, or
    /// becomes durable right away, with checkpoints and snapshots. Appends and reads may go on
    /// meanwhile.
    ///
    /// If the directory is missing or empty, a new backup is created. It appears under its name
    /// once it is complete and durable; until then it has a name in the same parent directory that
    /// starts with a dot and ends in `.unfinished`. What a killed call leaves there is removed by
    /// the next one. If the directory has an earlier backup of the same store, new data is added to
    /// it. Anything else is never overwritten. All copied data is checked.
    ///
    /// The backup is a store with the same id. It has no trees: the first open builds them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the path has no name or is inside the store, if an earlier
    /// backup is of another history of the store or has files that the store no longer has, because
    /// it was compacted or repaired since, and for a store in memory; [`Error::Io`] with
    /// `AlreadyExists` if something else is at the path; [`Error::Locked`] while the backup is
    /// open; [`Error::Corrupted`] if events cannot be read, because a copy without them would hide
    /// that; [`Error::NoSpace`], [`Error::Io`]; [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let store = EventStore::open(directory.path().join("orders.annals"))?;
    /// let event = || NewEvent::json("OrderPlaced", &1);
    /// store.append("order-7", ExpectedVersion::Any, [event()?])?;
    /// let copy = directory.path().join("copy.annals");
    /// store.backup(&copy)?;
    /// store.append("order-7", ExpectedVersion::Any, [event()?])?;
    /// store.backup(&copy)?;
    /// assert_eq!(EventStore::open(&copy)?.head()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup(&self, directory: impl AsRef<Path>) -> Result<(), Error> {
        self.backup_with(directory, &BackupOptions::new()).map(drop)
    }

    /// Like [`backup`](Self::backup), with options.
    ///
    /// # Errors
    /// Same as for [`backup`](Self::backup); with [`BackupOptions::link`] also [`Error::Io`] if the
    /// backup is on another file system.
    pub fn backup_with(
        &self,
        directory: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> Result<BackupReport, Error> {
        let (storage, target) = (self.storage(), directory.as_ref());
        storage.check_open()?;
        if storage.contains(target) {
            return Err(Error::invalid("path", "it is inside the store that is copied"));
        }
        let done = storage.across_exchange(|| match BackupSite::earlier(target, storage)? {
            Some(site) => storage.back_up(&site, options.mode),
            None => new_backup(storage, target, options.mode),
        });
        let Backup { head, bytes } = done?;
        Ok(BackupReport { events: head, bytes })
    }
}

/// Like [`EventStore::backup_with`], for the store in the directory `path`, which may be open
/// elsewhere. Only its journal is read, and nothing in it is changed.
///
/// # Errors
/// Same as for [`EventStore::backup_with`]; [`Error::Corrupted`] also if only the trees have some
/// events: [`repair`](crate::repair) restores the journal. [`Error::Io`] with `NotFound` if there
/// is no store.
///
/// # Examples
/// ```
/// use annals::{BackupOptions, EventStore, backup};
///
/// let directory = tempfile::tempdir()?;
/// let store = EventStore::open(directory.path().join("orders.annals"))?;
/// let copy = directory.path().join("copy.annals");
/// let report = backup(directory.path().join("orders.annals"), &copy, &BackupOptions::new())?;
/// assert_eq!(report.events, store.head()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn backup(
    path: impl AsRef<Path>,
    directory: impl AsRef<Path>,
    options: &BackupOptions,
) -> Result<BackupReport, Error> {
    EventStore::open_reading(path.as_ref())?.backup_with(directory, options)
}

fn new_backup(storage: &Storage, target: &Path, mode: CopyMode) -> Result<Backup, Error> {
    check_free(target)?;
    remove_leftovers(target);
    let unfinished = Unfinished::beside(target)?;
    let site = BackupSite::empty(&unfinished.path)?;
    let _lock = lock(&unfinished.path);
    let done = storage.back_up(&site, mode)?;
    unfinished.publish(target)?;
    Ok(done)
}

/// Checks that the path is free, or is an empty directory.
fn check_free(target: &Path) -> Result<(), Error> {
    let taken = |what: &str| {
        let reason = format!("{what}, and nothing is overwritten");
        let source = io::Error::new(io::ErrorKind::AlreadyExists, reason);
        Error::Io { action: "create", path: target.to_owned(), source: Arc::new(source) }
    };
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io("create", target, source)),
        Ok(metadata) if metadata.is_dir() => {
            let mut entries =
                fs::read_dir(target).map_err(|source| Error::io("create", target, source))?;
            let reason = "it is not a backup of this store";
            if entries.next().is_none() { Ok(()) } else { Err(taken(reason)) }
        }
        Ok(_) => Err(taken("it already exists")),
    }
}

/// Shows other processes that an unfinished copy is in progress, without a file in it. Where there
/// are no such locks, what a killed call leaves is not removed.
fn lock(path: &Path) -> Option<File> {
    let directory = File::open(path).ok()?;
    directory.try_lock().ok()?;
    Some(directory)
}

/// Removes what killed calls for this target have left. It is in nobody's way, so failures do not
/// matter.
fn remove_leftovers(target: &Path) {
    for left in beside::unfinished(target, ENDING).unwrap_or_default() {
        if let Some(_lock) = lock(&left) {
            let _ = fs::remove_dir_all(left);
        }
    }
}

/// An unfinished copy. It is removed unless it is published.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn beside(target: &Path) -> Result<Unfinished, Error> {
        Ok(Unfinished { path: beside::unused(target, ENDING)? })
    }

    fn publish(self, target: &Path) -> Result<(), Error> {
        let renamed = fs::rename(&self.path, target);
        renamed.map_err(|source| Error::io("rename to", target, source))?;
        crate::storage::sync_parent(target)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is already gone if it was published.
        let _ = fs::remove_dir_all(&self.path);
    }
}
