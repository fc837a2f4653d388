//! The journal: what makes an append durable, one write and one sync for each group.
//!
//! Invariants:
//! * The files, in the order of their names, hold every position from 1 on without a gap, and
//!   between the events what consumers saved meanwhile.
//! * Only the last file is written to; it has its full length and its sectors allocated before its
//!   name appears, so that a sync has no file-system metadata to write.
//! * Behind the last frame of the last file there are only zeros, or the remains of one write that
//!   never finished.

mod file;
mod recover;
mod walk;
mod write;

pub(crate) use file::{FILE_BYTES_MAX, JournalFile, list, read, read_header};
pub(crate) use recover::{RecoveredFrame, Recovery, last_position, recover};
pub(crate) use walk::{Walked, walk};
pub(crate) use write::{Durable, FullFile, Journal, NewFrame, Place, WriteFailure};
