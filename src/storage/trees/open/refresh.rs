//! Refreshes sled's snapshot, so that the next open is fast.
//!
//! sled writes a snapshot of its page table only when it is opened, and then reads everything
//! logged since the last one. So a close after much was logged opens sled once more: the log is
//! then still in the page cache.

use std::{fs::File, path::Path};

use crate::{
    Error,
    storage::trees::{
        close,
        open::{open_sled, preflight, sync_files},
    },
};

/// A log with fewer unread bytes is left to the next open.
const UNREAD_BYTES_MAX: u64 = 64 << 20;

/// sled's cache during the refresh: only the log is read.
const CACHE_BYTES: u64 = 1 << 20;

/// Makes sled write a snapshot if the next open would have to read much of its log. The trees must
/// not be open. If there is something to do, `before` is called first; the refresh may take as long
/// as an open.
pub(in crate::storage::trees) fn refresh(
    directory: &Path,
    before: impl FnOnce(),
) -> Result<(), Error> {
    if preflight::unread_bytes(directory)? < UNREAD_BYTES_MAX {
        return Ok(());
    }
    before();
    let segment_bytes = preflight::check(directory)?;
    let db = open_sled(directory, segment_bytes, CACHE_BYTES)?;
    let data = directory.join("db");
    match File::open(&data) {
        Ok(data) => {
            close(db, &data)?;
            sync_files(directory)
        }
        Err(source) => {
            // Without a descriptor it is unknown whether sled's destructor would panic.
            std::mem::forget(db);
            Err(Error::io("open", &data, source))
        }
    }
}
