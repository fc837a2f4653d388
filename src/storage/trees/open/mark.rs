//! Marks trees that failed while they were open: the next open rebuilds them.
//!
//! sled reads its pages only when they are needed, so a successful open says little about them.

use std::path::Path;

use crate::{
    Error,
    storage::{files, home::names::DAMAGE_MARK as FILE},
};

/// An upper bound for the size of a reason.
const REASON_BYTES_MAX: u64 = 4 << 10;

/// Marks the trees in a directory. If this fails, the next open tries them again.
pub(crate) fn mark_damaged(directory: &Path, reason: &str) {
    if directory.is_dir() {
        let _ = files::publish(&directory.join(FILE), reason.as_bytes());
    }
}

/// The text of the mark once a repair has tried the trees.
const TRIED: &str = "a repair has tried them: ";

/// Whether a repair should try marked trees. It does so only once, and updates the mark before the
/// attempt, because the trees may hang or end the process again.
pub(crate) fn begin_try(directory: &Path) -> Result<bool, Error> {
    let path = directory.join(FILE);
    if path.symlink_metadata().is_err() {
        return Ok(false);
    }
    let reason = files::read_bounded(&path, REASON_BYTES_MAX).unwrap_or_default();
    if reason.starts_with(TRIED.as_bytes()) {
        return Ok(false);
    }
    files::publish(&path, &[TRIED.as_bytes(), &reason].concat())?;
    Ok(true)
}

/// Returns an error for trees that are marked.
pub(super) fn check(directory: &Path) -> Result<(), Error> {
    let path = directory.join(FILE);
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let reason = files::read_bounded(&path, REASON_BYTES_MAX).unwrap_or_default();
    let reason = String::from_utf8_lossy(&reason);
    let reason = format!("an earlier attempt to use them failed: {reason}");
    Err(Error::corrupted(directory.display().to_string(), None, reason))
}
