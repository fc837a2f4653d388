//! The journal of a store that is copied while it may be in use, so that files may be sealed
//! meanwhile.

use std::{io, sync::Arc};

use crate::{
    Error,
    codec::{
        frame::{FIRST_FRAME_OFFSET, FileHeader},
        head::LogEnd,
    },
    storage::{
        journal::{self, FileKey, FrameBytes, Identity, OpenFile, RawFile, SealedFile, Step, Walk},
        open::{end_of, start_of},
    },
};

/// The store must have the frame that an earlier backup ends with.
pub(super) fn check_continues(
    identity: &Identity,
    before: LogEnd,
    end: LogEnd,
) -> Result<(), Error> {
    let refused = |reason: String| Err(Error::invalid("path", reason));
    if before.frame_number > end.frame_number {
        return refused(format!(
            "the backup ends at position {}, but the store ends at {}: it is a backup of another \
             history",
            before.position, end.position
        ));
    }
    match frame_end(identity, before)? {
        Some(found) if found == before => Ok(()),
        Some(_) => refused("it is a backup of another history of the store".to_owned()),
        None => refused(
            "the last file of the backup has been rewritten since: make a new backup".to_owned(),
        ),
    }
}

/// The frame with the number of `wanted`; `None` in a file whose frames are not the original ones.
pub(crate) fn frame_end(identity: &Identity, wanted: LogEnd) -> Result<Option<LogEnd>, Error> {
    if wanted.frame_number == 0 {
        return Ok(Some(LogEnd::default()));
    }
    let of_store = (identity.store_id, &identity.checksum);
    for key in keys(identity)?.into_iter().rev() {
        let file = open(identity, key)?;
        let start = file.start();
        if start.frame_number >= wanted.frame_number {
            continue;
        }
        let (bytes, is_rebuilt): (&dyn FrameBytes, bool) = match &file {
            Open::Sealed(file) if end_of(file.facts()).frame_number == wanted.frame_number => {
                return Ok(Some(end_of(file.facts())));
            }
            Open::Sealed(file) => (&**file, file.facts().is_rebuilt),
            Open::Raw(raw, _) => (raw, false),
        };
        let mut walk = Walk::new(bytes, of_store, FIRST_FRAME_OFFSET, start);
        return walk_to(&mut walk, wanted.frame_number, is_rebuilt);
    }
    Ok(None)
}

fn walk_to(walk: &mut Walk<'_>, number: u64, is_rebuilt: bool) -> Result<Option<LogEnd>, Error> {
    while !is_rebuilt && walk.last().frame_number < number {
        match walk.step()? {
            Step::Frame(_) => {}
            _ => return Ok(None),
        }
    }
    Ok((!is_rebuilt).then(|| walk.last()))
}

/// A journal file of a store that may be in use.
pub(super) enum Open {
    Sealed(Arc<SealedFile>),
    Raw(RawFile, FileHeader),
}

impl Open {
    /// The frame before its first one.
    pub(super) fn start(&self) -> LogEnd {
        match self {
            Open::Sealed(file) => start_of(file.facts()),
            Open::Raw(_, header) => header.before(),
        }
    }
}

/// Every file of the journal, in order.
pub(super) fn keys(identity: &Identity) -> Result<Vec<FileKey>, Error> {
    let listing = journal::list(&identity.directory)?;
    let mut keys = [listing.sealed, listing.unsealed].concat();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Opens a file in its current form. An unsealed file stays readable after it is removed.
pub(super) fn open(identity: &Identity, key: FileKey) -> Result<Open, Error> {
    let Identity { directory, store_id, checksum } = identity;
    let sealed = || SealedFile::open(&key.sealed_path(directory), *store_id, checksum);
    if let Ok(file) = sealed() {
        return Ok(Open::Sealed(Arc::new(file)));
    }
    match journal::open(directory, key, checksum) {
        Ok(OpenFile { header, raw, .. }) => Ok(Open::Raw(raw, header)),
        // It has been sealed meanwhile.
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            sealed().map(|file| Open::Sealed(Arc::new(file)))
        }
        Err(error) => Err(error),
    }
}
