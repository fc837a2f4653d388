//! The journal: a write-ahead log that makes an append durable with one write and one sync per
//! group. Its sealed files are the copy of every event in global order.
//!
//! Invariants:
//! * The files, in the order of their keys, hold every position from 1 on without a gap.
//! * Frames are added to the last file only. Its bytes are allocated before its name appears (or,
//!   after a close cut it, before the next frame), so that a sync writes no file-system metadata.
//! * After the last frame of the last file there are only zeros, or the remains of one unfinished
//!   write.
//! * A sealed file holds the frames of a full one, compressed. It never changes.

mod bytes;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod raw;
mod recover;
mod sealed;
mod sealed_files;
mod walk;
mod write;

pub(crate) use bytes::FrameBytes;
pub(crate) use file::{
    CAPACITY_MAX, FileKey, Listing, OpenFile, PreparedFile, list, open, remove_unfinished,
};
pub(crate) use raw::RawFile;
pub(crate) use recover::{Cut, Recovery, Replay, Source, TreesEnd, recover};
pub(crate) use sealed::{Checked, SealedFile, SealedStream, ToSeal, Unpublished, seal};
pub(crate) use sealed_files::SealedFiles;
pub(crate) use walk::{Frame, Step, Walk};
pub(crate) use write::{FullFile, Hooks, Identity, Journal, NewFrame, WriteFailure, WrittenFrame};
