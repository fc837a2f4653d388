//! Refreshing sled's snapshot, so that the next open is fast.
//!
//! sled writes a snapshot of its page table only when it is opened, and then reads everything that
//! was logged since the last one. A close after much was logged therefore opens sled once more:
//! the log is still in the page cache then.

use std::{fs::File, path::Path};

use crate::{
    Error,
    storage::trees::{
        close,
        open::{open_sled, preflight, sync_files},
    },
};

/// A log of fewer bytes is read by the next open.
const UNREAD_BYTES_MAX: u64 = 64 << 20;

/// sled's cache meanwhile: nothing is read but the log.
const CACHE_BYTES: u64 = 1 << 20;

/// Has sled write a snapshot if the next open would have to read much of its log. Nobody has the
/// trees open. `before` is called first if there is something to do, which may take as long as an
/// open.
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
            close(db, &data);
            sync_files(directory)
        }
        Err(source) => {
            // Without a descriptor we cannot know whether sled's destructor would panic.
            std::mem::forget(db);
            Err(Error::io("open", &data, source))
        }
    }
}
