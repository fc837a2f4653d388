//! Where a reader starts, and where it continues when another directory has replaced its store.
//!
//! A compaction exchanges two directories in one step, so that the path always leads to a whole
//! store. The new store must have the last frame that was read: then everything that was shown is
//! the same there, at the same positions, and calls and iterators in progress continue in its
//! files.
//!
//! Order of an exchange: the list of sealed files first, then the tail. The new list reaches at
//! least as far as the old one, so a read between the two steps finds an event in one of them.

use std::path::Path;

use crate::{
    Error,
    codec::{head::LogEnd, superblock::Superblock},
    storage::{
        Storage,
        copy::frame_end,
        disk::Disk,
        follow::{Follow, Target, gap},
        home::{
            head::{HeadWatch, Look},
            names, superblock,
        },
        journal::{FileKey, Identity, SealedFiles},
        open::{Noted, end_of, linked, resolve},
        tail::Tail,
    },
    sync,
};

/// Starts to read the store at `path` after its sealed files; retries if it is exchanged meanwhile.
pub(in crate::storage) fn begin(
    path: &Path,
    identity: &Identity,
) -> Result<(SealedFiles, Follow), Error> {
    names::refuse_links(path)?;
    loop {
        let mut watch = HeadWatch::new(path, &identity.checksum)?;
        let known = match watch.look()? {
            Look::Running(end) | Look::Closed(end) | Look::Unknown(end) => end,
            Look::Gone => continue,
        };
        let found = sealed_files(identity, known);
        if watch.is_gone() {
            continue;
        }
        let (sealed, last, end) = found?;
        return Ok((sealed, Follow::new(watch, last, end)));
    }
}

/// The sealed files of a log that reaches at least to `known`, the last of them, and its last
/// frame.
fn sealed_files(
    identity: &Identity,
    known: LogEnd,
) -> Result<(SealedFiles, Option<FileKey>, LogEnd), Error> {
    if !identity.directory.is_dir() {
        let place = identity.directory.display().to_string();
        return Err(Error::corrupted(place, Some(1), "the directory is missing"));
    }
    let keys = resolve(identity, &Noted::new(), false)?.sealed;
    let mut noted = linked(identity, &keys)?;
    let keys = gap::of_log(keys, &noted, identity, known)?;
    noted.retain(|key, _| keys.binary_search(key).is_ok());
    let last = noted.last_key_value();
    let end = last.map(|(_, facts)| end_of(facts)).unwrap_or_default();
    let last = last.map(|(key, _)| *key);
    Ok((SealedFiles::new(identity.clone(), keys, noted, end.position), last, end))
}

impl Storage {
    /// Runs a read, and repeats it if it fails because the store was exchanged meanwhile.
    pub(crate) fn across_exchange<T>(
        &self,
        mut read: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(disk) = self.disk().filter(|disk| disk.is_reading) else { return read() };
        loop {
            let before = disk.exchanges.count();
            match read() {
                Err(_) if self.exchanges()? != before => {}
                read => return read,
            }
        }
    }

    /// Fails if the number of exchanges is no longer `before`: what was read from the store's files
    /// is then a mixture.
    pub(crate) fn check_exchanges(&self, before: u64) -> Result<(), Error> {
        if self.exchanges()? == before { Ok(()) } else { Err(Error::Closed) }
    }

    /// How often the store has been exchanged while its reader had it open; the reader continues in
    /// the current one.
    ///
    /// # Errors
    /// `Closed` if the path no longer leads to the store.
    pub(crate) fn exchanges(&self) -> Result<u64, Error> {
        let Some(disk) = self.disk().filter(|disk| disk.is_reading) else { return Ok(0) };
        if let Some(follow) = sync::lock(&disk.follow).as_mut()
            && follow.watch.is_gone()
        {
            follow.reopen(self, disk)?;
        }
        Ok(disk.exchanges.count())
    }
}

impl Follow {
    /// Continues in the directory that the path leads to now, if it is the same store and has what
    /// was read. Returns what its `HEAD` says.
    ///
    /// # Errors
    /// `Closed` for another store, and for one that does not continue this one. Then nothing has
    /// changed, and a later call looks again.
    pub(super) fn reopen(&mut self, storage: &Storage, disk: &Disk) -> Result<Look, Error> {
        loop {
            let (sealed, mut next) = match self.successor(disk) {
                Err(_) if !disk.path().is_dir() => return Err(Error::Closed),
                found => found?,
            };
            let tail = Tail::new(storage.options.tail_bytes);
            let target = Target { identity: &disk.identity, sealed: &sealed, tail: &tail };
            let joined = next.join(self, target);
            // It was exchanged again: what was read is a mixture.
            if next.watch.is_gone() {
                continue;
            }
            let look = joined?;
            if sealed.reached() < disk.sealed.reached() {
                return Err(Error::Closed);
            }
            *self = next;
            disk.sealed.replace(&sealed);
            storage.tail.replace(&tail);
            disk.exchanges.note();
            return Ok(look);
        }
    }

    /// Starts to read the store that the path leads to now.
    fn successor(&self, disk: &Disk) -> Result<(SealedFiles, Follow), Error> {
        let identity = &disk.identity;
        match superblock::read(disk.path())? {
            Some(Superblock { store_id, .. }) if store_id == identity.store_id => {}
            _ => return Err(Error::Closed),
        }
        begin(disk.path(), identity)
    }

    /// Reads what is durable, which must include the last frame that was read before.
    fn join(&mut self, before: &Follow, target: Target<'_>) -> Result<Look, Error> {
        let look = self.watch.look()?;
        self.read_to(look, target)?;
        let reaches = self.end.frame_number >= before.end.frame_number;
        let found = if reaches { frame_end(target.identity, before.end)? } else { None };
        match (reaches, found) {
            (true, found) if found.is_none_or(|end| end == before.end) => Ok(look),
            _ => Err(self.failure.take().map_or(Error::Closed, |(failure, _)| failure)),
        }
    }
}
