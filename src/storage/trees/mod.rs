//! The trees: the second copy of the events, clustered by stream, in sled.
//!
//! Invariants:
//! * One thread alone writes. Readers take no lock of ours.
//! * A reader is bounded by the head that it passes; entries above the trees' own head are staged
//!   by a drain that has not finished.
//! * No page image comes near a quarter of a segment, past which sled would leave its log for files
//!   that it never syncs.
//! * sled's `flush` leaves data in the drive's cache. The data file is synced through a second
//!   descriptor, long before a segment's worth has been logged: see `pace`.
//! * Readers do not write. sled splits a leaf that is too full on the next visit, so the writer
//!   visits each key that it wrote.
//! * sled may panic on damaged files. Every call is guarded, and a panic is an error like any
//!   other.

mod ahead;
mod discard;
mod list;
mod meta;
mod open;
mod pace;
mod places;
mod read;
mod space;
mod stage;
mod tags;
#[cfg(test)]
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at what should not be"
)]
mod tests;

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::OnceLock,
    time::Duration,
};

use crate::{
    Error,
    codec::{checksum::Checksum, stored::Dictionary},
};

pub(crate) use crate::codec::meta::Head;
pub(crate) use ahead::RunsAhead;
pub(crate) use open::{OpenTrees, begin_try, deadline, mark_damaged};
pub(crate) use stage::Staging;

/// sled's allocation unit for new stores. Larger segments overflow a counter in sled; smaller ones
/// would reduce the margin before page images leave the log.
const SEGMENT_BYTES: usize = 8 << 20;

/// The open trees.
#[derive(Debug)]
pub(crate) struct Trees {
    db: sled::Db,
    /// Runs by stream and first version.
    streams: sled::Tree,
    /// The parts of runs too large for one value.
    parts: sled::Tree,
    /// Streams and versions by position.
    events: sled::Tree,
    /// Positions by event id.
    ids: sled::Tree,
    /// Positions by tag.
    tags: sled::Tree,
    /// Checkpoints of consumers by name.
    checkpoints: sled::Tree,
    /// Format, store id, head, dictionary, facts of sealed journal files.
    meta: sled::Tree,
    /// The dictionary for new values, once there was enough data to train it on. It never changes.
    dictionary: OnceLock<Dictionary>,
    /// A second descriptor of sled's data file, for the sync that sled omits.
    data: File,
    directory: PathBuf,
    checksum: Checksum,
}

impl Trees {
    /// Drops sled on the thread that opened it, because the drop may hang.
    ///
    /// If the next open would take long, sled's snapshot is refreshed then. `before` is called with
    /// the longest time that the refresh may take.
    ///
    /// # Errors
    /// `Io`, `NoSpace` and `Corrupted` if sled's file cannot be synced or sled's destructor fails.
    /// No event depends on that: each drain syncs the trees.
    pub(crate) fn close(self, before: impl FnOnce(Duration)) -> Result<(), Error> {
        let Trees {
            db, streams, parts, events, ids, tags, checkpoints, meta, data, directory, ..
        } = self;
        close((db, streams, parts, events, ids, tags, checkpoints, meta), &data)?;
        // A failure of either only costs time or space.
        let _ = open::refresh(&directory, || before(deadline(&directory)));
        let _ = space::punch_zeros(&directory.join("db"));
        Ok(())
    }

    /// Like [`close`](Self::close), but leaves the files as they are.
    pub(crate) fn abandon(self) {
        let Trees { db, streams, parts, events, ids, tags, checkpoints, meta, data, .. } = self;
        let _ = close((db, streams, parts, events, ids, tags, checkpoints, meta), &data);
    }

    /// The trees after their directory was renamed: sled's files are still open.
    pub(crate) fn moved_to(self, directory: PathBuf) -> Trees {
        Trees { directory, ..self }
    }

    /// Returns the trees if the work on them succeeded, and drops them otherwise.
    pub(crate) fn keep_if(self, done: Result<(), Error>) -> Result<Trees, Error> {
        match done {
            Ok(()) => Ok(self),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }
}

/// Drops the handles that keep sled open. `data` is its data file.
///
/// sled's destructor syncs that file and panics if it cannot. So this syncs it first, which also
/// consumes an error that the system reports only once: that is returned, and a second sync shows
/// whether the destructor's would succeed. If not, sled stays open until the process ends.
fn close<T>(handles: T, data: &File) -> Result<(), Error> {
    let sync = || data.sync_all();
    let synced = sync().map_err(|source| Error::io("sync", "the directory trees", source));
    if synced.is_err() && sync().is_err() {
        std::mem::forget(handles);
        return synced;
    }
    let dropped = catch_unwind(AssertUnwindSafe(move || drop(handles)));
    synced.and(dropped.map_err(|payload| error_of_panic(&panic_text(payload.as_ref()))))
}

/// Runs a call to sled and turns its errors and panics into our errors.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(error_of),
        Err(payload) => Err(error_of_panic(&panic_text(payload.as_ref()))),
    }
}

fn error_of(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(source) => failed(match source.raw_os_error() {
            // A clone of sled's error has only the text of the system's error.
            None if !is_held_lock(&source) => system_error(&source.to_string()).unwrap_or(source),
            _ => source,
        }),
        other => Error::corrupted("the directory trees", None, other.to_string()),
    }
}

/// sled unwraps some I/O errors: the text of the panic contains the system's message.
fn error_of_panic(text: &str) -> Error {
    match system_error(text) {
        Some(source) => failed(source),
        None => {
            let reason = format!("the storage engine stopped: {text}");
            Error::corrupted("the directory trees", None, reason)
        }
    }
}

/// Whether the file is locked: sled reports that only in the text of the error.
fn is_held_lock(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn failed(source: io::Error) -> Error {
    Error::io("read or write", "the directory trees", source)
}

/// The system's error in the debug text of an error.
fn system_error(text: &str) -> Option<io::Error> {
    let (_, rest) = text.split_once("Os { code: ")?;
    let code = rest.split(',').next()?.parse().ok()?;
    Some(io::Error::from_raw_os_error(code))
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it gave no reason".to_owned())
}
