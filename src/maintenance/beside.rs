//! Directories that are built beside the one that they become, in the same parent directory: their
//! names have a dot, the final name, an unused id and an ending, as in
//! `.orders.annals.67e5504410b1426f9247bb680e5fe0c8.compacted`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::{Error, storage::parent_of};

/// An unused path beside `path`.
///
/// # Errors
/// `InvalidArgument` if the path has no name.
pub(super) fn unused(path: &Path, ending: &str) -> Result<PathBuf, Error> {
    let id = Uuid::new_v4().simple();
    Ok(path.with_file_name(format!("{}{id}{ending}", prefix(path)?)))
}

/// The directories for `path` that killed calls have left, and those of calls that are running.
///
/// # Errors
/// `InvalidArgument` if the path has no name, and `Io`.
pub(super) fn unfinished(path: &Path, ending: &str) -> Result<Vec<PathBuf>, Error> {
    let (parent, prefix) = (parent_of(path), prefix(path)?);
    let failed = |source| Error::io("read the directory", parent, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(ending));
        if id.is_some_and(|id| Uuid::try_parse(id).is_ok()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn prefix(path: &Path) -> Result<String, Error> {
    match path.file_name() {
        Some(name) => Ok(format!(".{}.", name.to_string_lossy())),
        None => Err(Error::invalid("path", "the path has no file name")),
    }
}
