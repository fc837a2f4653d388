//! Reads blocks, as pages of events and as the bytes of frames.

use std::{path::Path, sync::Arc};

use crate::{
    Error,
    codec::{page::Page, sealed::blocks::Block, sealed::parts},
    storage::journal::{
        bytes::FrameBytes,
        sealed::{
            blocks::BLOCK_BYTES,
            file::SealedFile,
            scratch::{self, Scratch},
        },
    },
};

/// The size of the buffer shared by pages of blocks of the usual size. The bytes after the items of
/// a frame may extend past the bound of a block.
const PAGE_BYTES: usize = BLOCK_BYTES + 64;

impl SealedFile {
    /// The events of the block that holds a position, in the allocations of `spare`; `None` if the
    /// file does not hold the position. The positions before and after the page are in the
    /// neighbouring blocks.
    ///
    /// # Errors
    /// `Corrupted` with the first position of the block, `Io`.
    pub(crate) fn page(&self, position: u64, spare: Page) -> Result<Option<Page>, Error> {
        if !(self.facts.first_position..=self.facts.last_position).contains(&position) {
            return Ok(None);
        }
        let next = self.blocks.partition_point(|block| block.first_position <= position);
        let Some(block) = next.checked_sub(1).and_then(|index| self.blocks.get(index)) else {
            return Ok(None);
        };
        let mut scratch = self.scratches.take(None);
        let page = self.page_of(block, spare, &mut scratch);
        self.scratches.keep(scratch);
        page.map(Some)
    }

    /// The events of a block.
    pub(super) fn page_of(
        &self,
        block: &Block,
        mut spare: Page,
        scratch: &mut Scratch,
    ) -> Result<Page, Error> {
        let position = block.first_position;
        let len = usize::try_from(block.place.raw).unwrap_or(0);
        // All pages, except those of a small file, share buffers of one size.
        let shared = if self.blocks.len() > 1 { PAGE_BYTES } else { 0 };
        let mut bytes = spare.take_buffer(len.max(shared));
        let raw = Arc::get_mut(&mut bytes).and_then(|bytes| bytes.get_mut(..len));
        self.unpack(block, raw.unwrap_or_default(), &mut scratch.stored)?;
        scratch.records.clear();
        let records =
            parts::records(block, bytes.get(..len).unwrap_or_default(), &mut scratch.records);
        records.map_err(|reason| self.damaged(position, reason))?;
        let page = spare.reuse(bytes, scratch.records.drain(..));
        let page = page.map_err(|reason| self.damaged(position, reason))?;
        let count = block.count as usize;
        let last = position.saturating_add(u64::from(block.count)).saturating_sub(1);
        let is_whole = page.len() == count
            && (count == 0 || (page.first_position(), page.last_position()) == (position, last));
        match is_whole {
            true => Ok(page),
            false => Err(self.damaged(position, "a block contradicts its index")),
        }
    }

    /// Fills `raw`, which has the raw length of the block, with its bytes.
    pub(super) fn unpack(
        &self,
        block: &Block,
        raw: &mut [u8],
        stored: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let position = block.first_position;
        stored.resize(usize::try_from(block.place.stored).unwrap_or(0), 0);
        self.fill(block.place.offset, stored, position)?;
        let unpacked = block.place.unpack(stored, raw, &self.checksum);
        unpacked.map_err(|reason| self.damaged(position, format!("of a block, {reason}")))
    }

    /// Compares the frames of the file with those of another, and reads all of this file to do so.
    pub(super) fn compare(
        &self,
        other: &dyn FrameBytes,
        progress: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut scratch, mut expected) = (Scratch::default(), Vec::new());
        for block in &self.blocks {
            let len = usize::try_from(block.place.raw).unwrap_or(0);
            scratch.raw.resize(len, 0);
            self.unpack(block, &mut scratch.raw, &mut scratch.stored)?;
            expected.resize(len, 0);
            other.read_at(block.start, &mut expected)?;
            scratch.records.clear();
            let parsed = parts::records(block, &scratch.raw, &mut scratch.records);
            parsed.map_err(|reason| self.damaged(block.first_position, reason))?;
            if scratch.raw != expected {
                let reason = "a block does not read back as it was written";
                return Err(self.damaged(block.first_position, reason));
            }
            progress()?;
        }
        self.check_index(&mut |_, error| Err(error))
    }

    /// Makes sure that the scratch holds the raw bytes of a block.
    fn hold(&self, index: usize, block: &Block, scratch: &mut Scratch) -> Result<(), Error> {
        if scratch.block != Some(index) {
            scratch.block = None;
            scratch.raw.clear();
            scratch.raw.shrink_to(scratch::BYTES_MAX);
            scratch.raw.resize(usize::try_from(block.place.raw).unwrap_or(0), 0);
            self.unpack(block, &mut scratch.raw, &mut scratch.stored)?;
            scratch.block = Some(index);
        }
        Ok(())
    }

    /// Copies the start of `buffer` out of the block that contains `offset`, and returns how many
    /// bytes were copied.
    fn copy_part(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let next = self.blocks.partition_point(|block| block.start <= offset);
        let index = next.checked_sub(1).unwrap_or(self.blocks.len());
        let block = self.blocks.get(index).filter(|block| offset < block.end());
        let block = block.ok_or_else(|| {
            let reason = "a read goes past the end of its frames";
            self.damaged(self.facts.last_position, reason)
        })?;
        let mut scratch = self.scratches.take(Some(index));
        let held = self.hold(index, block, &mut scratch);
        let at = usize::try_from(offset - block.start).unwrap_or(usize::MAX);
        let part = scratch.raw.get(at..).unwrap_or_default();
        let len = part.len().min(buffer.len());
        if let (Ok(()), Some(to), Some(from)) = (&held, buffer.get_mut(..len), part.get(..len)) {
            to.copy_from_slice(from);
        }
        if len == part.len() && scratch.raw.len() > scratch::BYTES_MAX {
            // A reader that continues past the large block no longer needs it.
            scratch.block = None;
            scratch.raw = Vec::new();
        }
        self.scratches.keep(scratch);
        held.map(|()| len)
    }
}

impl FrameBytes for SealedFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn end(&self) -> u64 {
        self.facts.end
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), Error> {
        while !buffer.is_empty() {
            let done = self.copy_part(offset, buffer)?;
            offset += done as u64;
            buffer = std::mem::take(&mut buffer).get_mut(done..).unwrap_or_default();
        }
        Ok(())
    }
}
