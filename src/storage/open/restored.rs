//! Seals files of the journal that were damaged when those after them were sealed, and are intact
//! again because somebody has restored them.
//!
//! Until then only the trees serve their events: a reader, a backup and a rebuild of the trees
//! expect sealed files to follow on each other.

use std::fs;

use crate::{
    Error,
    codec::{
        frame::{FIRST_FRAME_OFFSET, HEADER_BYTES},
        head::LogEnd,
        sealed::new_sealed_header,
    },
    storage::{
        journal::{self, FileKey, Identity, OpenFile, SealedFile, Step, ToSeal, Walk, seal},
        open::resolve::{end_of, start_of},
    },
};

/// Seals each intact file that belongs between a sealed file and the next one.
pub(super) fn seal_restored(identity: &Identity) -> Result<(), Error> {
    let listing = journal::list(&identity.directory)?;
    let mut sealed = listing.sealed;
    for key in listing.unsealed {
        let Err(index) = sealed.binary_search(&key) else { continue };
        let Some(&next) = sealed.get(index) else { break };
        let before = index.checked_sub(1).and_then(|index| sealed.get(index)).copied();
        match seal_between(identity, key, (before, next)) {
            Ok(true) => sealed.insert(index, key),
            // It stays as it is.
            Ok(false) | Err(Error::Corrupted { .. } | Error::NoSpace { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Seals a file that is intact, follows on `before`, and is continued by `next`; returns false for
/// any other file.
fn seal_between(
    identity: &Identity,
    key: FileKey,
    (before, next): (Option<FileKey>, FileKey),
) -> Result<bool, Error> {
    let Identity { directory, store_id, checksum } = identity;
    let open = |key: FileKey| SealedFile::open(&key.sealed_path(directory), *store_id, checksum);
    let (end, checkpoints) = match before.map(open).transpose()? {
        Some(before) => (end_of(before.facts()), before.checkpoints()?),
        None => (LogEnd::default(), Vec::new()),
    };
    let OpenFile { header, raw: mut source, .. } = journal::open(directory, key, checksum)?;
    let start = header.before();
    if start != end {
        return Ok(false);
    }
    let (end, last) = {
        let mut walk = Walk::new(&source, (*store_id, checksum), FIRST_FRAME_OFFSET, start);
        loop {
            match walk.step()? {
                Step::Frame(_) => {}
                Step::Continued => break (walk.offset() + HEADER_BYTES as u64, walk.last()),
                Step::End => break (walk.offset(), walk.last()),
                Step::Damaged(_) => return Ok(false),
            }
        }
    };
    if last != start_of(open(next)?.facts()) {
        return Ok(false);
    }
    source.end = end;
    let place = (header.first_frame, header.prev_checksum);
    let to_seal = ToSeal {
        source: &source,
        header: new_sealed_header((*store_id, key.first_position), place, false),
        number: key.number,
        checkpoints: &checkpoints,
        end: None,
    };
    seal(&to_seal, directory, checksum, &mut || Ok(()))?.publish(directory)?;
    let path = &source.path;
    fs::remove_file(path).map_err(|source| Error::io("remove", path, source))?;
    Ok(true)
}
