//! Rewriting a store so that it is smaller and better ordered.

use std::{fs, path::Path};

use crate::{
    Error, EventStore, Options,
    maintenance::{beside, not_poisoned},
    storage::{BackupSite, CopyMode, Site, StoreLock, exchange_directories, inherit, take_along},
};

/// The end of the name of the directory in which the new store is built.
const ENDING: &str = ".compacted";

/// Rewrites the store in the directory `path` and replaces it with the result: small sealed files
/// are merged, and the trees are built in one pass, so that the events of a stream are stored close
/// together. No event is removed; positions, versions, event ids, checkpoints, snapshots and the id
/// of the store stay the same, and so do owner and permissions. What repairs have set aside and
/// files that are not part of the store stay in the directory.
///
/// The new store is built in the same parent directory, in a directory whose name starts with a
/// dot. It is checked and then exchanged with the old store in one step, after which the old one is
/// removed. If the process is killed at any point, there is a complete store at `path`; leftovers
/// in the parent directory are removed by the next call.
///
/// It needs as much additional disk space as the store takes, and up to about 1 GB of memory for a
/// large store.
///
/// # Errors
/// [`Error::Locked`] while the store is open elsewhere; [`Error::Corrupted`] if the store is
/// damaged: [`repair`](crate::repair) it first; [`Error::NoSpace`]; [`Error::Io`], with `NotFound`
/// if there is no store, and if the file system cannot exchange two directories or the owner of the
/// store cannot be kept.
///
/// # Examples
/// ```
/// use annals::{EventStore, compact};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("orders.annals");
/// EventStore::open(&path)?.close()?;
/// compact(&path)?;
/// assert_eq!(EventStore::open(&path)?.head()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compact(path: impl AsRef<Path>) -> Result<(), Error> {
    let site = Site::of(path.as_ref())?;
    let options = Options::new().create(false);
    // Closing moves everything into trees and sealed files.
    let store = options.open(site.path())?;
    check(&store)?;
    let head = store.head()?;
    store.close()?;
    let lock = StoreLock::take(site.path())?;
    remove_leftovers(site.path())?;
    let beside = beside::unused(site.path(), ENDING)?;
    let made = make(site.path(), &beside, head)
        .and_then(|()| inherit(site.path(), &beside))
        .and_then(|()| take_along(site.path(), &beside));
    let exchanged = made.and_then(|()| exchange_directories(&beside, site.path()));
    drop(lock);
    // The directory now contains the old store, or the unfinished new one.
    let removed = fs::remove_dir_all(&beside);
    exchanged?;
    removed.map_err(|source| Error::io("remove", &beside, source))
}

/// Builds the new store from one that is closed and locked.
fn make(path: &Path, beside: &Path, head: u64) -> Result<(), Error> {
    let source = EventStore::open_reading(path)?;
    let site = BackupSite::empty(beside)?;
    source.storage().back_up(&site, CopyMode::Merge)?;
    if source.head()? != head {
        let place = path.display().to_string();
        return Err(Error::corrupted(
            place,
            Some(head),
            "the store changed while it was compacted",
        ));
    }
    // Opening builds the trees.
    let store = Options::new().create(false).large_rebuild().open(beside)?;
    check(&store)?;
    let is_whole = store.head()? == head;
    store.close()?;
    match is_whole {
        true => Ok(()),
        false => Err(Error::internal("the compacted copy has another head")),
    }
}

/// Refuses a damaged store.
fn check(store: &EventStore) -> Result<(), Error> {
    refuse_poisoned(store)?;
    let report = store.verify()?;
    refuse_poisoned(store)?;
    match report.findings.into_iter().find(|found| found.code != "snapshot-damaged") {
        None => Ok(()),
        Some(found) => {
            let reason = format!("{}: run `annals repair` first", found.message);
            Err(Error::corrupted(found.place, found.position, reason))
        }
    }
}

/// A store that is not writable, because its disk is full for example, is not damaged.
fn refuse_poisoned(store: &EventStore) -> Result<(), Error> {
    store.storage().check_writable().map_err(not_poisoned)
}

/// Removes what a killed call left. None is running: the store is locked.
fn remove_leftovers(path: &Path) -> Result<(), Error> {
    for left in beside::unfinished(path, ENDING)? {
        fs::remove_dir_all(&left).map_err(|source| Error::io("remove", &left, source))?;
    }
    Ok(())
}
