//! The frames of one journal file as a range of bytes, however the file stores them.
//!
//! Offsets refer to the file as it was originally written: the first frame is at 512. A sealed file
//! returns the same bytes at the same offsets.

use std::path::Path;

use crate::{Error, codec::frame::FIRST_FRAME_OFFSET};

/// Random access to the frames of a journal file, so that no caller holds a whole file in memory.
pub(crate) trait FrameBytes {
    /// The path of the file, for messages.
    fn path(&self) -> &Path;

    /// Where the bytes end: frames are between [`FIRST_FRAME_OFFSET`] and this offset.
    fn end(&self) -> u64;

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// `Corrupted` for bytes past the end and for stored bytes that fail their check; `Io`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error>;
}

const _: () = assert!(FIRST_FRAME_OFFSET == 512);
