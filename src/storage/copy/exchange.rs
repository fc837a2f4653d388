//! Exchanges two directories in one step.

use std::{io, path::Path};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{Error, storage::home::files};

/// Swaps the names of two directories, atomically and durably.
pub(crate) fn exchange_directories(one: &Path, other: &Path) -> Result<(), Error> {
    let exchanged = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    exchanged.map_err(|error| Error::io("exchange", other, io::Error::from(error)))?;
    files::sync_directory(files::parent_of(one))?;
    files::sync_directory(files::parent_of(other))
}
