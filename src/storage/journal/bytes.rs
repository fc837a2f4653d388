//! The frames of one journal file as a range of bytes, however the file stores them.
//!
//! Offsets are those of the file as it was written: the first frame is at 512. A sealed file hands
//! out the same bytes at the same offsets.

use std::path::Path;

use crate::{Error, codec::frame::FIRST_FRAME_OFFSET};

/// Random access to the frames of a journal file, so that no caller holds a whole file in memory.
pub(crate) trait FrameBytes {
    /// The path of the file, for messages.
    fn path(&self) -> &Path;

    /// Where the bytes end: frames lie between [`FIRST_FRAME_OFFSET`] and here.
    fn end(&self) -> u64;

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// `Corrupted` for bytes past the end and for stored bytes that are wrong, `Io`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error>;
}

const _: () = assert!(FIRST_FRAME_OFFSET == 512);
