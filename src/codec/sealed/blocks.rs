//! The index of the blocks of a sealed file.
//!
//! ```text
//! blocks = block*                                                                 as varints
//! block  = stored length, raw length, codec u8, checksum u32 in four bytes, lead, events
//! times  = (smallest i64, largest - smallest)*, for each block with events
//! ```
//! Offsets are not stored, because blocks are stored back to back: in the file from the header on,
//! in the frames from 512 on, and their events from the first position of the file on. `lead` is
//! how many bytes of a payload are left where the block starts, including its final byte; 0 if the
//! block starts with a frame. `smallest` and `largest` are the times of its events in microseconds.

use crate::codec::{
    Reason,
    frame::{FIRST_FRAME_OFFSET, HEADER_BYTES},
    sealed::{Place, SealedFacts},
    varint::{self, Reader},
};

/// The minimum size of an entry.
const ENTRY_BYTES_MIN: usize = 9;

/// A block: a part of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) place: Place,
    /// The offset in the frames at which it starts.
    pub(crate) start: u64,
    /// The position of its first event, or of the next event after it.
    pub(crate) first_position: u64,
    pub(crate) count: u32,
    /// How many bytes of a frame's payload are left at its start.
    pub(crate) lead: u32,
}

impl Block {
    /// The offset in the frames at which it ends.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(u64::from(self.place.raw))
    }
}

/// The smallest and the largest time of the events of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockTimes {
    pub(crate) first_position: u64,
    pub(crate) smallest: i64,
    pub(crate) largest: i64,
}

/// Encodes the section for these blocks.
pub(crate) fn encode(blocks: &[Block]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in blocks {
        block.place.put_lengths(&mut out);
        varint::put(&mut out, u64::from(block.lead));
        varint::put(&mut out, u64::from(block.count));
    }
    out
}

/// The blocks of a file, which together must match the facts, before `limit`.
pub(crate) fn decode(
    bytes: &[u8],
    facts: &SealedFacts,
    limit: u64,
) -> Result<Box<[Block]>, Reason> {
    let mut reader = Reader::new(bytes, 0);
    let mut blocks: Vec<Block> = Vec::with_capacity(bytes.len() / ENTRY_BYTES_MIN);
    let mut next = (HEADER_BYTES as u64, FIRST_FRAME_OFFSET, facts.first_position);
    while reader.left() > 0 {
        let block = read(&mut reader, next).filter(|block| block.place.raw > 0);
        let block = block.ok_or_else(|| "its index of blocks is malformed".to_owned())?;
        let position = block.first_position.saturating_add(u64::from(block.count));
        next = (block.place.end(), block.end(), position);
        blocks.push(block);
    }
    let (stored_end, end, position) = next;
    let fits = stored_end <= limit
        && end == facts.end
        && position.checked_sub(1) == Some(facts.last_position);
    match fits {
        true => Ok(blocks.into_boxed_slice()),
        false => Err("its blocks contradict its footer".to_owned()),
    }
}

fn read(
    reader: &mut Reader<'_>,
    (offset, start, first_position): (u64, u64, u64),
) -> Option<Block> {
    let place = Place::read_lengths(reader, offset)?;
    let (lead, count) = (reader.small()?, reader.small()?);
    Some(Block { place, start, first_position, count, lead })
}

/// Appends the times of one block.
pub(crate) fn put_times(out: &mut Vec<u8>, smallest: i64, largest: i64) {
    varint::put_signed(out, smallest);
    varint::put(out, largest.wrapping_sub(smallest).cast_unsigned());
}

/// The times of the blocks with events.
pub(crate) fn decode_times(bytes: &[u8], blocks: &[Block]) -> Result<Vec<BlockTimes>, Reason> {
    let malformed = || "its times are malformed".to_owned();
    let (mut reader, mut times) = (Reader::new(bytes, 0), Vec::new());
    for block in blocks.iter().filter(|block| block.count > 0) {
        let smallest = reader.signed().ok_or_else(malformed)?;
        let span = reader.number().ok_or_else(malformed)?;
        let largest = smallest.checked_add_unsigned(span).ok_or_else(malformed)?;
        times.push(BlockTimes { first_position: block.first_position, smallest, largest });
    }
    reader.finish()?;
    Ok(times)
}
