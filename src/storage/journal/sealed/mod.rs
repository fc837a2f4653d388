//! Sealed journal files: a full file of the journal, rewritten once in compressed blocks with an
//! index, and never changed again.
//!
//! A sealed file returns the frames of the original byte for byte, and serves scans, streams and
//! event ids without being read as a whole. Its bytes are described in [`codec::sealed`].
//!
//! [`codec::sealed`]: crate::codec::sealed

mod blocks;
mod file;
mod gather;
mod lookup;
mod output;
mod read;
mod scratch;
mod seal;
#[cfg(test)]
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what should not be"
)]
mod tests;
mod units;
mod verify;

pub(crate) use file::SealedFile;
pub(crate) use lookup::SealedStream;
pub(crate) use seal::{ToSeal, Unpublished, seal};
pub(crate) use verify::Checked;
