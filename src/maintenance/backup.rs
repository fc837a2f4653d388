//! Copying a store while it is in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use uuid::Uuid;

use crate::{
    Error, EventStore,
    storage::{Backup, BackupSite, CopyMode, Storage},
};

/// How a store is copied.
///
/// # Examples
/// See [`backup`].
#[derive(Clone, Debug)]
pub struct BackupOptions {
    mode: CopyMode,
}

impl BackupOptions {
    /// Files are copied, so that the backup shares nothing with the store. On file systems that
    /// can, copies share the blocks on the disk.
    pub fn new() -> BackupOptions {
        BackupOptions { mode: CopyMode::Copy }
    }

    /// Whether sealed journal files get a second name in the backup instead of a copy. That is fast
    /// and takes no space, but damage of such a file is damage of both. The backup must be on the
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

/// What a backup did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// How many events the backup has.
    pub events: u64,
    /// Bytes of the files that were copied or linked.
    pub bytes: u64,
}

impl EventStore {
    /// Copies the store to a directory: every event that is durable when the call begins, or
    /// becomes so at once, with checkpoints and snapshots. Appends and reads may go on meanwhile.
    ///
    /// A directory that is missing or empty becomes a new backup; it appears under its name once it
    /// is complete and durable, and until then has a name beside it that starts with a dot and ends
    /// in `.unfinished`. An earlier backup of the same store is continued: what is new is added.
    /// Anything else is never overwritten. Everything that is copied is checked.
    ///
    /// The backup is a store with the same id. It has no trees: the first open builds them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a path without a name or inside of the store, for an earlier
    /// backup of another history of the store, and for a store in memory; [`Error::Io`] with
    /// `AlreadyExists` when something else is there; [`Error::Locked`] while the backup is open;
    /// [`Error::Corrupted`] when events cannot be read: a copy without them would hide that;
    /// [`Error::NoSpace`], [`Error::Io`]; [`Error::Closed`].
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

    /// As [`backup`](Self::backup), with options.
    ///
    /// # Errors
    /// As for [`backup`](Self::backup); with [`BackupOptions::link`] also [`Error::Io`] on another
    /// file system.
    pub fn backup_with(
        &self,
        directory: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> Result<BackupReport, Error> {
        let (storage, target) = (self.storage(), directory.as_ref());
        storage.check_open()?;
        if storage.contains(target) {
            return Err(Error::invalid("path", "it lies in the store that is copied"));
        }
        let done = storage.across_exchange(|| match BackupSite::earlier(target, storage)? {
            Some(site) => storage.back_up(&site, options.mode),
            None => new_backup(storage, target, options.mode),
        });
        let Backup { head, bytes } = done?;
        Ok(BackupReport { events: head, bytes })
    }
}

/// As [`EventStore::backup_with`], of the store in the directory `path`, which may be open
/// elsewhere. It is read through its journal alone, and nothing of it is changed.
///
/// # Errors
/// As for [`EventStore::backup_with`]; [`Error::Corrupted`] also where only the trees have the
/// events: [`repair`](crate::repair) makes the journal whole. [`Error::Io`] with `NotFound` when
/// there is no store.
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
    let unfinished = Unfinished::beside(target)?;
    let site = BackupSite::empty(&unfinished.path)?;
    let done = storage.back_up(&site, mode)?;
    unfinished.publish(target)?;
    Ok(done)
}

/// Checks that the name is unused, or that of an empty directory.
fn check_free(target: &Path) -> Result<(), Error> {
    let taken = || {
        let reason = "it exists already, and nothing is overwritten";
        let source = io::Error::new(io::ErrorKind::AlreadyExists, reason);
        Error::Io { action: "create", path: target.to_owned(), source: Arc::new(source) }
    };
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io("create", target, source)),
        Ok(metadata) if metadata.is_dir() => {
            let mut entries =
                fs::read_dir(target).map_err(|source| Error::io("create", target, source))?;
            if entries.next().is_none() { Ok(()) } else { Err(taken()) }
        }
        Ok(_) => Err(taken()),
    }
}

/// A copy in the making; it is removed unless it is published.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn beside(target: &Path) -> Result<Unfinished, Error> {
        let Some(name) = target.file_name() else {
            return Err(Error::invalid("path", "it has no name"));
        };
        let unique = Uuid::new_v4().simple();
        let name = format!(".{}.{unique}.unfinished", name.to_string_lossy());
        Ok(Unfinished { path: target.with_file_name(name) })
    }

    fn publish(self, target: &Path) -> Result<(), Error> {
        let renamed = fs::rename(&self.path, target);
        renamed.map_err(|source| Error::io("rename to", target, source))?;
        crate::storage::sync_parent(target)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it was published.
        let _ = fs::remove_dir_all(&self.path);
    }
}
