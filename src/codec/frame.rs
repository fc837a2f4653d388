//! The journal's bytes: file headers and frames.
//!
//! ```text
//! file   = header, zeros up to 512, frame*, zeros up to the capacity
//! header = magic "ANJFILE1", format u32, store id 16, first position u64, capacity u64,
//!          chain u32, zeros, checksum u32                                            64 bytes
//! frame  = header, payload, zeros up to a multiple of 64
//! header = magic "ANFR", kind u8, follows durable u8, zeros 2, payload length u32, events u32,
//!          first position u64, durable u64, chain u32, payload checksum u32, store id 16,
//!          zero sectors u32, checksum u32
//! payload = (length u32, record)*, 0xA5
//! ```
//! `chain` is the checksum in the header of the frame before, or for a file that of the last frame
//! of the file before (0 at the very start): it ties the frames to one history. `durable` is the
//! last position known to be durable when the frame was written; `follows durable` is 1 when the
//! whole frame before was. A header of 64 bytes at a multiple of 64 lies in one sector of 512, so
//! that it is never torn. The final 0xA5, and the number of sectors of the frame that hold nothing
//! but zeros, tell a write that never finished from damage.
//!
//! All but frames of events have 0 events, and the position that the next event will have. Frames
//! of checkpoints and of a snapshot hold what `saved.rs` describes. Two kinds are headers alone:
//! one says that the journal goes on in another file, which was there before; the other that the
//! store was closed here. The next frame takes the latter's place.
//!
//! A snapshot is a cache, and may be large: once the trees have it, the journal may give its
//! payload back, which then reads as zeros. Such a frame is skipped, and so is a damaged one.

use uuid::Uuid;

use crate::codec::{FORMAT_VERSION, Reason, checksum::Checksum, u32_at, u64_at};

/// Bytes of a file header and of a frame header; frames start at its multiples.
pub(crate) const HEADER_BYTES: usize = 64;

/// Where the first frame of a file starts: behind the sector of the file header.
pub(crate) const FIRST_FRAME_OFFSET: u64 = 512;

const FILE_MAGIC: &[u8; 8] = b"ANJFILE1";
const FRAME_MAGIC: &[u8; 4] = b"ANFR";
const END: u8 = 0xA5;
const SECTOR: usize = 512;
const FOLLOWS_DURABLE_OFFSET: usize = 5;
const CHECKSUM_OFFSET: usize = 60;

/// What the header of a journal file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) format: u32,
    pub(crate) store_id: Uuid,
    pub(crate) first_position: u64,
    pub(crate) capacity: u64,
    pub(crate) chain: u32,
}

impl FileHeader {
    pub(crate) fn encode(&self, checksum: &Checksum) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(FILE_MAGIC);
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(self.store_id.as_bytes());
        bytes.extend_from_slice(&self.first_position.to_le_bytes());
        bytes.extend_from_slice(&self.capacity.to_le_bytes());
        bytes.extend_from_slice(&self.chain.to_le_bytes());
        seal_header(bytes, checksum)
    }

    pub(crate) fn decode(bytes: &[u8], checksum: &Checksum) -> Result<FileHeader, Reason> {
        if !bytes.starts_with(FILE_MAGIC) {
            return Err("it does not start as a journal file does".to_owned());
        }
        if !header_fits(bytes, checksum) {
            return Err("the checksum of its header does not fit".to_owned());
        }
        Ok(FileHeader {
            format: u32_at(bytes, 8),
            store_id: uuid_at(bytes, 12),
            first_position: u64_at(bytes, 28),
            capacity: u64_at(bytes, 36),
            chain: u32_at(bytes, 44),
        })
    }

    pub(crate) fn new(store_id: Uuid, first_position: u64, capacity: u64, chain: u32) -> Self {
        FileHeader { format: FORMAT_VERSION, store_id, first_position, capacity, chain }
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A group of whole appends.
    Events = 1,
    /// The journal goes on in the file that starts at this position.
    Continued = 2,
    /// The store was closed when this was the next position.
    Closed = 3,
    /// Checkpoints of consumers.
    Checkpoints = 4,
    /// A snapshot.
    Snapshot = 5,
}

impl FrameKind {
    fn of(byte: u8) -> Option<FrameKind> {
        use FrameKind::{Checkpoints, Closed, Continued, Events, Snapshot};
        let all = [Events, Continued, Closed, Checkpoints, Snapshot];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Whether a frame of this kind is a header alone.
    pub(crate) fn is_mark(self) -> bool {
        matches!(self, FrameKind::Continued | FrameKind::Closed)
    }
}

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    /// Whether the frame before was durable when this one was written.
    pub(crate) follows_durable: bool,
    pub(crate) payload_len: u32,
    pub(crate) count: u32,
    pub(crate) first_position: u64,
    pub(crate) durable: u64,
    pub(crate) chain: u32,
    pub(crate) payload_checksum: u32,
    pub(crate) store_id: Uuid,
    /// Sectors of the frame, header included, that hold nothing but zeros.
    pub(crate) zero_sectors: u32,
    /// The header's own checksum: the `chain` of the next frame.
    pub(crate) checksum: u32,
}

impl FrameHeader {
    /// `None` when the bytes are no header of this store; the payload is not looked at.
    pub(crate) fn decode(bytes: &[u8], checksum: &Checksum) -> Option<FrameHeader> {
        if !bytes.starts_with(FRAME_MAGIC) || !header_fits(bytes, checksum) {
            return None;
        }
        Some(FrameHeader {
            kind: FrameKind::of(*bytes.get(4)?)?,
            follows_durable: bytes.get(FOLLOWS_DURABLE_OFFSET) == Some(&1),
            payload_len: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            first_position: u64_at(bytes, 16),
            durable: u64_at(bytes, 24),
            chain: u32_at(bytes, 32),
            payload_checksum: u32_at(bytes, 36),
            store_id: uuid_at(bytes, 40),
            zero_sectors: u32_at(bytes, 56),
            checksum: u32_at(bytes, CHECKSUM_OFFSET),
        })
    }

    /// Bytes from the start of the frame to the start of the next.
    pub(crate) fn frame_bytes(&self) -> u64 {
        let bytes = (HEADER_BYTES as u64) + u64::from(self.payload_len);
        bytes.next_multiple_of(HEADER_BYTES as u64)
    }

    /// The last position in the frame.
    pub(crate) fn last_position(&self) -> u64 {
        self.first_position.saturating_add(u64::from(self.count)).saturating_sub(1)
    }
}

/// What a frame says besides its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameMeta {
    pub(crate) kind: FrameKind,
    pub(crate) follows_durable: bool,
    pub(crate) first_position: u64,
    pub(crate) count: u32,
    pub(crate) durable: u64,
    pub(crate) chain: u32,
    pub(crate) store_id: Uuid,
}

/// Encodes the payload of a frame into `out`, which is cleared, behind room for the header.
pub(crate) fn encode_payload<'a>(
    records: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    out.clear();
    out.resize(HEADER_BYTES, 0);
    for record in records {
        let len = u32::try_from(record.len()).map_err(|_| too_long())?;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(record);
    }
    out.push(END);
    Ok(())
}

/// Completes a frame whose payload is encoded, for its place in the file, and returns the checksum
/// that the next frame chains to.
pub(crate) fn complete(
    meta: FrameMeta,
    offset: u64,
    checksum: &Checksum,
    out: &mut Vec<u8>,
) -> Result<u32, Reason> {
    let payload = out.get(HEADER_BYTES..).unwrap_or_default();
    let payload_len = u32::try_from(payload.len()).map_err(|_| too_long())?;
    let payload_checksum = checksum.of(payload);
    // The header is no zeros, whatever it will say.
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

/// A frame that is a header alone.
pub(crate) fn encode_mark(meta: FrameMeta, checksum: &Checksum) -> Vec<u8> {
    encode_header(meta, (0, 0, 0), checksum)
}

fn encode_header(
    meta: FrameMeta,
    (payload_len, payload_checksum, zero_sectors): (u32, u32, u32),
    checksum: &Checksum,
) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(FRAME_MAGIC);
    header.extend_from_slice(&[meta.kind as u8, u8::from(meta.follows_durable), 0, 0]);
    header.extend_from_slice(&payload_len.to_le_bytes());
    header.extend_from_slice(&meta.count.to_le_bytes());
    header.extend_from_slice(&meta.first_position.to_le_bytes());
    header.extend_from_slice(&meta.durable.to_le_bytes());
    header.extend_from_slice(&meta.chain.to_le_bytes());
    header.extend_from_slice(&payload_checksum.to_le_bytes());
    header.extend_from_slice(meta.store_id.as_bytes());
    header.extend_from_slice(&zero_sectors.to_le_bytes());
    seal_header(header, checksum)
}

fn too_long() -> Reason {
    "the frame is past 4 GiB".to_owned()
}

/// The records of a payload whose checksum fits.
pub(crate) fn records(payload: &[u8]) -> Result<Vec<&[u8]>, Reason> {
    let malformed = || "its list of records is malformed".to_owned();
    let mut rest = payload.strip_suffix(&[END]).ok_or_else(malformed)?;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (len, tail) = rest.split_at_checked(4).ok_or_else(malformed)?;
        let (record, tail) =
            tail.split_at_checked(u32_at(len, 0) as usize).ok_or_else(malformed)?;
        records.push(record);
        rest = tail;
    }
    Ok(records)
}

/// Whether a frame whose payload does not fit looks like a write that never finished, rather than
/// like damage: its end is missing, or sectors are zeros that were not zeros when it was written.
/// `frame` is what lies at `offset`, from the header to the end of the payload.
pub(crate) fn is_unfinished(header: &FrameHeader, frame: &[u8], offset: u64) -> bool {
    frame.last() == Some(&0) || zero_sectors(frame, offset) > header.zero_sectors
}

/// Whether bytes that are no header look like a header that was never finished. It lies in one
/// sector, so only a short write can cut it, and behind that there is nothing: `rest` is the file
/// from there on.
pub(crate) fn is_unwritten(rest: &[u8]) -> bool {
    let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    let (header, behind) = rest.split_at_checked(HEADER_BYTES).unwrap_or((rest, &[]));
    is_zero(header) || (header.last() == Some(&0) && is_zero(behind))
}

/// Whether a first journal file holds more than a store without events leaves in it, for a look at
/// files whose store id is not known.
pub(crate) fn may_hold_events(file: &[u8]) -> bool {
    let start = usize::try_from(FIRST_FRAME_OFFSET).unwrap_or(usize::MAX);
    let frames = file.get(start..).unwrap_or_default();
    let (first, behind) = frames.split_at_checked(HEADER_BYTES).unwrap_or((frames, &[]));
    let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    let is_closed = first.get(4) == Some(&(FrameKind::Closed as u8)) && u64_at(first, 16) == 1;
    !is_zero(behind) || !(is_zero(first) || is_closed)
}

/// How many of the sectors that a frame at `offset` touches hold nothing of it but zeros.
fn zero_sectors(frame: &[u8], offset: u64) -> u32 {
    let ahead = SECTOR - usize::try_from(offset % SECTOR as u64).unwrap_or(0);
    let (first, rest) = frame.split_at_checked(ahead).unwrap_or((frame, &[]));
    let parts = std::iter::once(first).chain(rest.chunks(SECTOR));
    let zeros = parts.filter(|part| part.iter().all(|&byte| byte == 0)).count();
    u32::try_from(zeros).unwrap_or(u32::MAX)
}

/// Pads a header with zeros and ends it with its checksum.
fn seal_header(mut bytes: Vec<u8>, checksum: &Checksum) -> Vec<u8> {
    bytes.resize(CHECKSUM_OFFSET, 0);
    let sum = checksum.of(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn header_fits(bytes: &[u8], checksum: &Checksum) -> bool {
    let covered = bytes.get(..CHECKSUM_OFFSET);
    bytes.len() >= HEADER_BYTES
        && covered.is_some_and(|covered| checksum.of(covered) == u32_at(bytes, CHECKSUM_OFFSET))
}

fn uuid_at(bytes: &[u8], offset: usize) -> Uuid {
    let id = bytes.get(offset..offset + 16).and_then(|id| id.try_into().ok());
    Uuid::from_bytes(id.unwrap_or_default())
}
