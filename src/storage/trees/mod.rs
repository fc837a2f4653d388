//! The trees: sled, in the store's `trees` directory, behind the few calls that Annals makes of it.
//!
//! Invariants:
//! * One thread alone writes, and leaves nothing for sled to tidy up when others read. Readers take
//!   no lock of ours.
//! * What a reader is served lies at or below the head that it was given; entries above the trees'
//!   own head may be staged parts of a checkpoint that is not finished.
//! * No page image comes near a quarter of a segment, past which sled would leave its log for files
//!   that it never syncs.
//! * sled's `flush` leaves data in the drive's cache, so each is followed by an fdatasync of the
//!   data file through a second descriptor, long before a segment's worth has been logged.
//! * sled may panic on damaged files. Every call is guarded, and a panic is an error like any
//!   other.

mod open;
mod preflight;
mod read;
mod saved;
mod write;

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use crate::{Error, codec::checksum::Checksum};

pub(crate) use open::{OpenTrees, deadline};
pub(crate) use write::{Head, Staging};

/// sled's unit of allocation for new stores. Larger ones overflow a counter of sled's; smaller ones
/// would narrow the margin to page images that leave the log.
const SEGMENT_BYTES: usize = 8 << 20;

/// The open trees.
#[derive(Debug)]
pub(crate) struct Trees {
    db: sled::Db,
    /// Records by the position of their first event.
    events: sled::Tree,
    /// The parts of records too large for one value.
    parts: sled::Tree,
    /// Runs by stream and version.
    streams: sled::Tree,
    /// Positions by event id.
    ids: sled::Tree,
    /// Snapshots by owner, name, version and position, the large ones in parts.
    snapshots: sled::Tree,
    /// Checkpoints of consumers by name.
    checkpoints: sled::Tree,
    /// Format, store id, head.
    meta: sled::Tree,
    /// A second descriptor of sled's data file, for the sync that sled does not do.
    data: File,
    directory: PathBuf,
    checksum: Checksum,
}

impl Trees {
    /// Drops sled, on the thread that opened it, because that may hang.
    pub(crate) fn close(self) {
        let Trees { db, events, parts, streams, ids, snapshots, checkpoints, meta, data, .. } =
            self;
        close((db, events, parts, streams, ids, snapshots, checkpoints, meta), &data);
    }

    /// Hands the trees on if what was done with them went well.
    fn keep_if(self, done: Result<(), Error>) -> Result<Trees, Error> {
        match done {
            Ok(()) => Ok(self),
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }
}

/// Drops what holds sled, whose data file is `data`.
///
/// Its destructor syncs that file and panics when it cannot. Whether it could is tried first, which
/// also takes up an error that the system tells only once; if the file cannot be synced at all,
/// sled stays as it is until the process ends. No acknowledged event depends on it.
fn close<T>(handles: T, data: &File) {
    let is_syncable = data.sync_all().is_ok() || data.sync_all().is_ok();
    if is_syncable {
        drop(catch_unwind(AssertUnwindSafe(move || drop(handles))));
    } else {
        std::mem::forget(handles);
    }
}

/// Runs a call of sled's and turns its errors and panics into ours.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(error_of),
        Err(payload) => Err(error_of_panic(&panic_text(payload.as_ref()))),
    }
}

fn error_of(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(source) => Error::io("read or write", "the directory trees", source),
        other => Error::corrupted("the directory trees", None, other.to_string()),
    }
}

/// sled unwraps some I/O errors: what the system said stands in the text of the panic.
fn error_of_panic(text: &str) -> Error {
    let code = text.split_once("Os { code: ").and_then(|(_, rest)| rest.split(',').next());
    match code.and_then(|code| code.parse().ok()) {
        Some(code) => Error::io(
            "read or write",
            "the directory trees",
            std::io::Error::from_raw_os_error(code),
        ),
        None => {
            let reason = format!("the storage engine stopped: {text}");
            Error::corrupted("the directory trees", None, reason)
        }
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it gave no reason".to_owned())
}
