//! The parts of the frames in one block of a sealed file.
//!
//! A block may start and end between two items of a frame; see [`sealed`](super).

use std::ops::Range;

use crate::codec::{
    Reason,
    frame::{END, FRAME_MAGIC, HEADER_BYTES},
    sealed::blocks::Block,
    u32_at,
};

/// The size of an item's length field, which is its header.
pub(crate) const ITEM_LENGTH_BYTES: usize = 4;

const RECORD: u8 = 1;
const CHECKPOINT: u8 = 3;

/// Appends the ranges of the records in the raw bytes of a block to `out`. Frame headers are
/// skipped unchecked, because the checksum of the block covers them.
pub(crate) fn records(
    block: &Block,
    raw: &[u8],
    out: &mut Vec<Range<usize>>,
) -> Result<(), Reason> {
    let (mut at, mut left) = (0, block.lead as usize);
    while at < raw.len() {
        if left == 0 {
            (at, left) = step_into_frame(raw, at)?;
            continue;
        }
        if left == 1 {
            at = step_out_of_frame(raw, at, block.start)?;
            left = 0;
            continue;
        }
        let content = at.saturating_add(ITEM_LENGTH_BYTES);
        let end = content.saturating_add(u32_at(raw, at) as usize);
        left = left.checked_sub(end - at).filter(|&left| left > 0).ok_or_else(malformed)?;
        match raw.get(content..end).and_then(<[u8]>::first) {
            Some(&RECORD) => out.push(content + 1..end),
            Some(&CHECKPOINT) => {}
            _ => return Err(malformed()),
        }
        at = end;
    }
    // A block never ends between the last item of a frame and the end of the frame.
    if left == 1 { Err(malformed()) } else { Ok(()) }
}

/// The start of the payload of the frame at `at`, and its length.
fn step_into_frame(raw: &[u8], at: usize) -> Result<(usize, usize), Reason> {
    let header = raw.get(at..at + HEADER_BYTES).filter(|header| header.starts_with(FRAME_MAGIC));
    let payload_len = u32_at(header.ok_or_else(malformed)?, 8);
    Ok((at + HEADER_BYTES, payload_len as usize))
}

/// The end of the frame whose final byte is at `at`; `start` is the offset of the block.
fn step_out_of_frame(raw: &[u8], at: usize, start: u64) -> Result<usize, Reason> {
    if raw.get(at) != Some(&END) {
        return Err(malformed());
    }
    let next = (start + at as u64 + 1).next_multiple_of(HEADER_BYTES as u64) - start;
    let next = usize::try_from(next).ok().filter(|&next| next <= raw.len());
    next.ok_or_else(malformed)
}

fn malformed() -> Reason {
    "its frames are malformed".to_owned()
}
