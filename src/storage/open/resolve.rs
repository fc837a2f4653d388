//! Determines which files of the journal count, and what is known about the sealed ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use crate::{
    Error,
    codec::{frame::FIRST_FRAME_OFFSET, head::LogEnd, sealed::SealedFacts},
    storage::{
        files,
        journal::{self, Checked, FileKey, Identity, OpenFile, SealedFile, Step, TreesEnd, Walk},
        trees::Trees,
    },
};

/// The files of a journal, each list in order.
#[derive(Debug)]
pub(in crate::storage) struct Resolved {
    pub(in crate::storage) sealed: Vec<FileKey>,
    /// The files after the last sealed one that is known to belong to this store.
    pub(in crate::storage) unsealed: Vec<FileKey>,
}

/// What is known about sealed files.
pub(in crate::storage) type Noted = BTreeMap<FileKey, SealedFacts>;

/// The sealed and the unsealed files. If a file exists in both forms, the sealed form wins,
/// provided that it is intact and has what the other form has.
pub(in crate::storage) fn resolve(
    identity: &Identity,
    noted: &Noted,
    writes: bool,
) -> Result<Resolved, Error> {
    let mut listing = journal::list(&identity.directory)?;
    let sealed: BTreeSet<FileKey> = listing.sealed.iter().copied().collect();
    let both: Vec<FileKey> =
        listing.unsealed.iter().copied().filter(|key| sealed.contains(key)).collect();
    for key in both {
        let path = key.sealed_path(&identity.directory);
        if is_whole(identity, key)? {
            listing.unsealed.retain(|unsealed| *unsealed != key);
            if writes {
                let path = key.active_path(&identity.directory);
                fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
            }
            continue;
        }
        listing.sealed.retain(|sealed| *sealed != key);
        if writes {
            files::set_aside(&path)?;
        }
    }
    // A file before a sealed one was not sealed because it is damaged. The trees have its events,
    // and it stays as it is. This does not apply to a file that merely has such a name: a file of
    // another store hides nothing.
    let mut last = None;
    if !listing.unsealed.is_empty() {
        for &key in listing.sealed.iter().rev() {
            if noted.contains_key(&key) || is_of_store(identity, key)? {
                last = Some(key);
                break;
            }
        }
    }
    listing.unsealed.retain(|key| last.is_none_or(|last| *key > last));
    Ok(Resolved { sealed: listing.sealed, unsealed: listing.unsealed })
}

fn is_of_store(identity: &Identity, key: FileKey) -> Result<bool, Error> {
    let path = key.sealed_path(&identity.directory);
    match SealedFile::open(&path, identity.store_id, &identity.checksum) {
        Ok(_) => Ok(true),
        Err(Error::Corrupted { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_whole(identity: &Identity, key: FileKey) -> Result<bool, Error> {
    let mut has_damage = false;
    let path = key.sealed_path(&identity.directory);
    let opened = SealedFile::open(&path, identity.store_id, &identity.checksum);
    let checked = opened.and_then(|file| {
        file.verify(&mut |part| {
            has_damage |= matches!(part, Checked::Damage { .. });
            Ok(())
        })?;
        Ok(!has_damage && has_frames_of_unsealed(identity, key, &file)?)
    });
    match checked {
        Err(Error::Corrupted { .. }) => Ok(false),
        checked => checked,
    }
}

/// Whether a sealed file has the intact frames of the unsealed one. A file copied from another
/// history of the store does not.
fn has_frames_of_unsealed(
    identity: &Identity,
    key: FileKey,
    sealed: &SealedFile,
) -> Result<bool, Error> {
    let Identity { directory, store_id, checksum } = identity;
    let facts = sealed.facts();
    let OpenFile { header, raw, .. } = match journal::open(directory, key, checksum) {
        // The unsealed file says nothing.
        Err(Error::Corrupted { .. }) => return Ok(true),
        // A writer that runs beside this reader was about to remove it.
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(true);
        }
        opened => opened?,
    };
    let start = header.before();
    if start != start_of(facts) || facts.is_rebuilt {
        return Ok(start == start_of(facts));
    }
    let mut walk = Walk::new(&raw, (*store_id, checksum), FIRST_FRAME_OFFSET, start);
    while let Step::Frame(_) = walk.step()? {}
    let last = walk.last();
    let mut walk = Walk::new(sealed, (*store_id, checksum), FIRST_FRAME_OFFSET, start);
    while walk.last().frame_number < last.frame_number
        && let Step::Frame(_) = walk.step()?
    {}
    Ok(walk.last() == last)
}

/// The frame before the first one of a sealed file.
pub(in crate::storage) fn start_of(facts: &SealedFacts) -> LogEnd {
    LogEnd {
        position: facts.first_position.saturating_sub(1),
        frame_number: facts.first_frame.saturating_sub(1),
        prev_checksum: facts.prev_checksum,
    }
}

/// The last frame of a sealed file.
pub(in crate::storage) fn end_of(facts: &SealedFacts) -> LogEnd {
    LogEnd {
        position: facts.last_position,
        frame_number: facts.last_frame,
        prev_checksum: facts.last_checksum,
    }
}

/// What the trees know about sealed files.
pub(super) fn noted(trees: &Trees) -> Noted {
    let mut noted = BTreeMap::new();
    // Damaged entries are missing, and a check reports them.
    for entry in trees.sealed_facts().flatten() {
        let (first_position, number) = (entry.first_position, entry.file_number);
        if let Ok(facts) = SealedFacts::decode(&entry.facts) {
            noted.insert(FileKey { first_position, number }, facts);
        }
    }
    noted
}

/// The facts of the sealed files. Each file must follow on the one before, if that exists and is
/// intact.
pub(in crate::storage) fn linked(identity: &Identity, sealed: &[FileKey]) -> Result<Noted, Error> {
    let mut found = Noted::new();
    for &key in sealed {
        let path = key.sealed_path(&identity.directory);
        let facts = match SealedFile::open(&path, identity.store_id, &identity.checksum) {
            Ok(file) => *file.facts(),
            Err(Error::Corrupted { .. }) => continue,
            Err(error) => return Err(error),
        };
        let before = found.last_key_value().map(|(_, before)| *before);
        let before = before.filter(|before| before.last_frame + 1 == facts.first_frame);
        if before.is_some_and(|before| before.last_checksum != facts.prev_checksum) {
            let reason = "it does not continue the file before it: it is of another history";
            let place = path.display().to_string();
            return Err(Error::corrupted(place, Some(key.first_position), reason));
        }
        found.insert(key, facts);
    }
    Ok(found)
}

/// The frame before the first unsealed file, if that file has an intact header.
pub(super) fn unsealed_start(
    identity: &Identity,
    files: &Resolved,
) -> Result<Option<LogEnd>, Error> {
    let Some(&first) = files.unsealed.first() else { return Ok(None) };
    match journal::open(&identity.directory, first, &identity.checksum) {
        Ok(open) => Ok(Some(open.header.before())),
        Err(Error::Corrupted { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The last frame of the sealed files. If the last file is damaged or missing, the trees know it.
pub(super) fn sealed_end(
    identity: &Identity,
    files: &Resolved,
    noted: Option<(FileKey, LogEnd)>,
    trees: Option<TreesEnd>,
) -> Result<Option<LogEnd>, Error> {
    let Resolved { sealed, unsealed } = files;
    // A noted file may have been set aside if it or an earlier file exists unsealed.
    let noted = noted.filter(|(key, _)| unsealed.first().is_none_or(|first| first > key));
    // Files after an unsealed file are of another store.
    let is_own = |key: &&FileKey| unsealed.first().is_none_or(|first| first > *key);
    let Some(&last) = sealed.iter().rev().find(is_own) else {
        return Ok(noted.map(|(_, end)| end).or(Some(LogEnd::default())));
    };
    if let Some((_, end)) = noted.filter(|(key, _)| *key > last) {
        return Ok(Some(end));
    }
    let path = last.sealed_path(&identity.directory);
    match SealedFile::open(&path, identity.store_id, &identity.checksum) {
        Ok(file) => Ok(Some(end_of(file.facts()))),
        Err(Error::Corrupted { .. }) => {
            let noted = noted.filter(|(key, _)| *key == last).map(|(_, end)| end);
            let of_trees = trees.filter(|_| unsealed.is_empty()).map(|trees| trees.end);
            Ok(noted.or(of_trees))
        }
        Err(error) => Err(error),
    }
}
