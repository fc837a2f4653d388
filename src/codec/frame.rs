//! The journal's bytes as they are written: the header of an active file, and frames.
//!
//! ```text
//! file    = header, zeros up to 512, frame*, zeros up to the capacity
//! header  = magic "ANJFILE2", format u32, store id 16, first position u64, capacity u64,
//!           number of the first frame u64, prev_checksum u32, zeros, checksum u32     64 bytes
//! frame   = header, payload, zeros up to a multiple of 64
//! header  = magic "ANFR", kind u8, zero sectors u24, payload length u32, events u32,
//!           first position u64, frame number u64, prev_checksum u32, payload checksum u32,
//!           store id 16, unsynced u32, checksum u32                                   64 bytes
//! payload = (length u32, item)*, 0xA5
//! item    = 1, record | 3, checkpoint
//! ```
//! `prev_checksum` is the checksum in the header of the previous frame, also across files (0 at the
//! very start): it links the frames to one history. Frames are numbered from 1. `unsynced` is how
//! many of the frames directly before this one were not known to be durable when it was written:
//! frame 7 with `unsynced` 2 proves that the frames up to 4 were durable. A header of 64 bytes at a
//! multiple of 64 is within one sector of 512, so it is never torn. The final 0xA5, and the number
//! of sectors of the frame that hold only zeros, distinguish an unfinished write from damage.
//!
//! Kind 1 holds events, and checkpoints of the same group. Kind 4 holds only checkpoints; its count
//! of events is 0, and it has the position of the next event. Kind 2, a marker, is only a header,
//! the last one of its file: the journal continues in another file, which existed before the marker
//! was written. The first frame of that file has the number and the `prev_checksum` of the marker.

use std::ops::Range;

use uuid::Uuid;

use crate::codec::{
    FORMAT_VERSION, Reason,
    checksum::{CHECKSUM_OFFSET, Checksum},
    head::LogEnd,
    u32_at, u64_at, uuid_at,
};

/// Bytes of a file header and of a frame header; frames start at its multiples.
pub(crate) use crate::codec::checksum::HEADER_BYTES;

/// Where the first frame of a file starts: after the sector of the file header.
pub(crate) const FIRST_FRAME_OFFSET: u64 = 512;

/// The largest frame: a group of appends, each within its limits, and their names.
pub(crate) const FRAME_BYTES_MAX: u64 = 256 << 20;

const FILE_MAGIC: &[u8; 8] = b"ANJFILE2";
pub(super) const FRAME_MAGIC: &[u8; 4] = b"ANFR";
pub(crate) const END: u8 = 0xA5;
const SECTOR: usize = 512;
const ITEM_HEADER_BYTES: usize = 4;
/// The most zero sectors that a header can hold; a larger number is stored as this one.
const ZERO_SECTORS_MAX: u32 = 0x00FF_FFFF;

/// The contents of the header of an active journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) format: u32,
    pub(crate) store_id: Uuid,
    pub(crate) first_position: u64,
    pub(crate) capacity: u64,
    /// The number of the file's first frame.
    pub(crate) first_frame: u64,
    pub(crate) prev_checksum: u32,
}

impl FileHeader {
    pub(crate) fn encode(&self, checksum: &Checksum) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(FILE_MAGIC);
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(self.store_id.as_bytes());
        bytes.extend_from_slice(&self.first_position.to_le_bytes());
        bytes.extend_from_slice(&self.capacity.to_le_bytes());
        bytes.extend_from_slice(&self.first_frame.to_le_bytes());
        bytes.extend_from_slice(&self.prev_checksum.to_le_bytes());
        checksum.seal_header(bytes)
    }

    pub(crate) fn decode(bytes: &[u8], checksum: &Checksum) -> Result<FileHeader, Reason> {
        if !bytes.starts_with(FILE_MAGIC) {
            return Err("it does not start with the magic number of a journal file".to_owned());
        }
        if !checksum.fits_header(bytes) {
            return Err("the checksum of its header does not match".to_owned());
        }
        Ok(FileHeader {
            format: u32_at(bytes, 8),
            store_id: uuid_at(bytes, 12),
            first_position: u64_at(bytes, 28),
            capacity: u64_at(bytes, 36),
            first_frame: u64_at(bytes, 44),
            prev_checksum: u32_at(bytes, 52),
        })
    }

    /// The frame before the first one of the file.
    pub(crate) fn before(&self) -> LogEnd {
        LogEnd {
            position: self.first_position.saturating_sub(1),
            frame_number: self.first_frame.saturating_sub(1),
            prev_checksum: self.prev_checksum,
        }
    }
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A group of whole units: events, and checkpoints saved with them.
    Events = 1,
    /// The journal continues in the file that starts at this position.
    Continued = 2,
    /// Checkpoints of consumers alone.
    Checkpoints = 4,
}

impl FrameKind {
    fn of(byte: u8) -> Option<FrameKind> {
        use FrameKind::{Checkpoints, Continued, Events};
        [Events, Continued, Checkpoints].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The contents of a frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    /// The number of the frame's sectors, including that of the header, that hold only zeros.
    pub(crate) zero_sectors: u32,
    pub(crate) payload_len: u32,
    pub(crate) count: u32,
    pub(crate) first_position: u64,
    pub(crate) number: u64,
    pub(crate) prev_checksum: u32,
    pub(crate) payload_checksum: u32,
    pub(crate) store_id: Uuid,
    pub(crate) unsynced: u32,
    /// The header's own checksum: the `prev_checksum` of the next frame.
    pub(crate) checksum: u32,
}

impl FrameHeader {
    /// Returns `None` unless the bytes are a frame header of this store; the payload is not
    /// checked.
    pub(crate) fn decode(bytes: &[u8], checksum: &Checksum) -> Option<FrameHeader> {
        if !bytes.starts_with(FRAME_MAGIC) || !checksum.fits_header(bytes) {
            return None;
        }
        Some(FrameHeader {
            kind: FrameKind::of(*bytes.get(4)?)?,
            zero_sectors: u32_at(bytes, 4) >> 8,
            payload_len: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            first_position: u64_at(bytes, 16),
            number: u64_at(bytes, 24),
            prev_checksum: u32_at(bytes, 32),
            payload_checksum: u32_at(bytes, 36),
            store_id: uuid_at(bytes, 40),
            unsynced: u32_at(bytes, 56),
            checksum: u32_at(bytes, CHECKSUM_OFFSET),
        })
    }

    /// Bytes from the start of the frame to the start of the next.
    pub(crate) fn frame_bytes(&self) -> u64 {
        let bytes = (HEADER_BYTES as u64) + u64::from(self.payload_len);
        bytes.next_multiple_of(HEADER_BYTES as u64)
    }

    /// The last position in the frame, or that of the last event before it.
    pub(crate) fn last_position(&self) -> u64 {
        self.first_position.saturating_add(u64::from(self.count)).saturating_sub(1)
    }

    /// The number of the last frame that was durable when this one was written.
    pub(crate) fn durable_before(&self) -> u64 {
        self.number.saturating_sub(1).saturating_sub(u64::from(self.unsynced))
    }
}

/// The contents of a frame besides its items.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameMeta {
    pub(crate) kind: FrameKind,
    pub(crate) count: u32,
    pub(crate) first_position: u64,
    pub(crate) number: u64,
    pub(crate) prev_checksum: u32,
    pub(crate) store_id: Uuid,
    pub(crate) unsynced: u32,
}

/// The kind of an item in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Record = 1,
    Checkpoint = 3,
}

/// An item and the place of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: ItemKind,
    pub(crate) range: Range<usize>,
}

/// The length before an item: bytes of its kind and its content.
pub(crate) fn item_length(bytes: &[u8]) -> u32 {
    u32_at(bytes, 0)
}

/// Clears `out` and starts a frame in it.
pub(crate) fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER_BYTES, 0);
}

/// Appends an item.
pub(crate) fn put_item(out: &mut Vec<u8>, kind: ItemKind, content: &[u8]) -> Result<(), Reason> {
    let len = u32::try_from(content.len() + 1).map_err(|_| too_long())?;
    out.extend_from_slice(&len.to_le_bytes());
    out.push(kind as u8);
    out.extend_from_slice(content);
    Ok(())
}

/// Completes a frame whose items are in `out`, for its place in the file, and returns its checksum,
/// which the next frame will contain.
pub(crate) fn complete(
    meta: FrameMeta,
    offset: u64,
    checksum: &Checksum,
    out: &mut Vec<u8>,
) -> Result<u32, Reason> {
    out.push(END);
    let payload = out.get(HEADER_BYTES..).unwrap_or_default();
    let payload_len = u32::try_from(payload.len()).map_err(|_| too_long())?;
    let payload_checksum = checksum.of(payload);
    // The header is still all zeros here; its sector must not be counted as zeros.
    if let Some(first) = out.first_mut() {
        *first = 1;
    }
    let zeros = zero_sectors(out, offset);
    let header = encode_header(meta, (payload_len, payload_checksum, zeros), checksum);
    if let Some(place) = out.get_mut(..HEADER_BYTES) {
        place.copy_from_slice(&header);
    }
    out.resize(out.len().next_multiple_of(HEADER_BYTES), 0);
    Ok(u32_at(&header, CHECKSUM_OFFSET))
}

/// A frame that consists of only a header.
pub(crate) fn encode_marker(meta: FrameMeta, checksum: &Checksum) -> Vec<u8> {
    encode_header(meta, (0, 0, 0), checksum)
}

fn encode_header(
    meta: FrameMeta,
    (payload_len, payload_checksum, zero_sectors): (u32, u32, u32),
    checksum: &Checksum,
) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(FRAME_MAGIC);
    let kind = meta.kind as u32 | zero_sectors << 8;
    header.extend_from_slice(&kind.to_le_bytes());
    header.extend_from_slice(&payload_len.to_le_bytes());
    header.extend_from_slice(&meta.count.to_le_bytes());
    header.extend_from_slice(&meta.first_position.to_le_bytes());
    header.extend_from_slice(&meta.number.to_le_bytes());
    header.extend_from_slice(&meta.prev_checksum.to_le_bytes());
    header.extend_from_slice(&payload_checksum.to_le_bytes());
    header.extend_from_slice(meta.store_id.as_bytes());
    header.extend_from_slice(&meta.unsynced.to_le_bytes());
    checksum.seal_header(header)
}

fn too_long() -> Reason {
    "the frame exceeds 4 GiB".to_owned()
}

/// The items of a payload whose checksum is valid.
pub(crate) fn items(payload: &[u8]) -> Result<Vec<Item>, Reason> {
    let end = payload.len().checked_sub(1).filter(|&end| payload.get(end) == Some(&END));
    let end = end.ok_or_else(malformed)?;
    items_between(payload, 0..end)
}

/// The items that fill a range of `bytes`.
pub(crate) fn items_between(bytes: &[u8], range: Range<usize>) -> Result<Vec<Item>, Reason> {
    let whole = bytes.get(..range.end).ok_or_else(malformed)?;
    let (mut at, mut items) = (range.start, Vec::new());
    while at < whole.len() {
        let content = at + ITEM_HEADER_BYTES;
        if content > whole.len() {
            return Err(malformed());
        }
        let end = content.saturating_add(u32_at(whole, at) as usize);
        let kind = match whole.get(content..end).ok_or_else(malformed)?.first() {
            Some(1) => ItemKind::Record,
            Some(3) => ItemKind::Checkpoint,
            _ => return Err("it has an item of an unknown kind".to_owned()),
        };
        items.push(Item { kind, range: content + 1..end });
        at = end;
    }
    Ok(items)
}

fn malformed() -> Reason {
    "its list of items is malformed".to_owned()
}

/// Whether a frame whose payload does not match its checksum looks like an unfinished write: its
/// end is missing, or there are zeros in sectors that were not zeros when it was written. Otherwise
/// it is damage. `frame` holds the bytes at `offset`, from the header to the end of the payload.
pub(crate) fn is_unfinished(header: &FrameHeader, frame: &[u8], offset: u64) -> bool {
    frame.last() == Some(&0) || zero_sectors(frame, offset) > header.zero_sectors
}

/// How many of the sectors touched by a frame at `offset` hold only zeros of the frame.
fn zero_sectors(frame: &[u8], offset: u64) -> u32 {
    let ahead = SECTOR - usize::try_from(offset % SECTOR as u64).unwrap_or(0);
    let (first, rest) = frame.split_at_checked(ahead).unwrap_or((frame, &[]));
    let parts = std::iter::once(first).chain(rest.chunks(SECTOR));
    let zeros = parts.filter(|part| part.iter().all(|&byte| byte == 0)).count();
    u32::try_from(zeros).unwrap_or(ZERO_SECTORS_MAX).min(ZERO_SECTORS_MAX)
}

/// The header of a new active file of this format.
pub(crate) fn new_file_header(
    (store_id, first_position): (Uuid, u64),
    (first_frame, prev_checksum): (u64, u32),
    capacity: u64,
) -> FileHeader {
    let format = FORMAT_VERSION;
    FileHeader { format, store_id, first_position, capacity, first_frame, prev_checksum }
}
