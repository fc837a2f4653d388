//! The file `ANNALS`: written last when a store is created, so that a directory is either a store
//! or not.

use std::{io, path::Path};

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        superblock::{Superblock, UNRELEASED_FORMAT},
    },
    storage::home::files,
};

pub(crate) const FILE: &str = "ANNALS";

/// An upper bound for the size of a superblock.
const BYTES_MAX: u64 = 4 << 10;

/// Reads the superblock; `None` if there is none.
pub(crate) fn read(store: &Path) -> Result<Option<Superblock>, Error> {
    let path = store.join(FILE);
    let bytes = match files::read_bounded(&path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::stored("read", &path, source)),
    };
    let superblock = Superblock::decode(&bytes)
        .map_err(|reason| Error::corrupted(path.display().to_string(), None, reason))?;
    if superblock.format > FORMAT_VERSION || superblock.format == UNRELEASED_FORMAT {
        let (found, supported) = (superblock.format, FORMAT_VERSION);
        return Err(Error::UnsupportedFormat { path, found, supported });
    }
    Ok(Some(superblock))
}

/// Makes the directory a store.
pub(crate) fn write(store: &Path, superblock: &Superblock) -> Result<(), Error> {
    files::publish(&store.join(FILE), &superblock.encode())
}
