//! The bytes of a sealed journal file: its fixed parts, and where the other parts are.
//!
//! ```text
//! file      = header, block*, chunk*, section*, directory, footer
//! header    = magic "ANSEALD1", format u32, store id 16, first position u64, number of the first
//!             frame u64, prev_checksum u32, flags u32, zeros, checksum u32              64 bytes
//! directory = (name bytes, place)*                                                   as varints
//! place     = offset, stored length, raw length, codec u8, checksum u32 in four bytes
//! footer    = magic "ANSEALFT", offset of the directory u64, its length u32, its checksum u32,
//!             checksum in the header u32, flags u32, first position u64, last position u64,
//!             number of the first frame u64, number of the last frame u64, prev_checksum u32,
//!             checksum in the last frame's header u32, end of the frames u64, zeros,
//!             checksum u32                                                             128 bytes
//! codec     = 0, stored as it is | 1, an LZ4 block
//! flags     = bit 0: the frames were written anew from the trees
//! ```
//! The checksum of a place covers the stored bytes and then the raw length as u32. The parts are
//! stored back to back. The footer covers the directory, the directory covers the sections, and the
//! sections cover the blocks and chunks. So the checksum of the footer covers the whole file.
//!
//! The frames of the file are a range of bytes from 512 on, at the offsets that they had in the
//! active file. Blocks divide this range before an item of a frame or before a frame. What follows
//! the last item of a frame belongs to the block of that item, and the header of a frame to the
//! block of its first item. The sections are `blocks` and `times` ([`blocks`]), and the tables
//! `streams`, `ids`, `tags` and `checkpoints` ([`table`]), whose entries are in the chunks. A
//! reader skips sections with unknown names.

pub(crate) mod blocks;
pub(crate) mod parts;
pub(crate) mod table;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codec::{
    self, FORMAT_VERSION, Reason,
    checksum::Checksum,
    compress,
    frame::HEADER_BYTES,
    u32_at, u64_at, uuid_at,
    varint::{self, Reader},
};

/// Bytes of the footer, the end of the file.
pub(crate) const FOOTER_BYTES: usize = 128;

/// The maximum raw size of a place, which limits the memory needed for reading it.
pub(crate) const RAW_BYTES_MAX: u32 = 32 << 20;

const MAGIC: &[u8; 8] = b"ANSEALD1";
const FOOTER_MAGIC: &[u8; 8] = b"ANSEALFT";
const FOOTER_CHECKSUM_OFFSET: usize = FOOTER_BYTES - 4;
const REBUILT: u32 = 1;
/// LZ4 expands one byte to at most this many.
const RATIO_MAX: u64 = 255;
const NAME_BYTES_MAX: usize = 32;

/// The contents of the header, which are known before the frames are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedHeader {
    pub(crate) format: u32,
    pub(crate) store_id: Uuid,
    pub(crate) first_position: u64,
    /// The number of the first frame.
    pub(crate) first_frame: u64,
    /// The `prev_checksum` of the first frame.
    pub(crate) prev_checksum: u32,
    /// Whether the frames were rewritten from the trees.
    pub(crate) is_rebuilt: bool,
}

impl SealedHeader {
    pub(crate) fn encode(&self, checksum: &Checksum) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(self.store_id.as_bytes());
        bytes.extend_from_slice(&self.first_position.to_le_bytes());
        bytes.extend_from_slice(&self.first_frame.to_le_bytes());
        bytes.extend_from_slice(&self.prev_checksum.to_le_bytes());
        bytes.extend_from_slice(&flags(self.is_rebuilt).to_le_bytes());
        checksum.seal_header(bytes)
    }

    /// The header, and its checksum. For a later format only `format` is meaningful.
    pub(crate) fn decode(bytes: &[u8], checksum: &Checksum) -> Result<(Self, u32), Reason> {
        if !bytes.starts_with(MAGIC) {
            let reason = "it does not start with the magic number of a sealed journal file";
            return Err(reason.to_owned());
        }
        if !checksum.fits_header(bytes) {
            return Err("the checksum of its header does not match".to_owned());
        }
        let header = SealedHeader {
            format: u32_at(bytes, 8),
            store_id: uuid_at(bytes, 12),
            first_position: u64_at(bytes, 28),
            first_frame: u64_at(bytes, 36),
            prev_checksum: u32_at(bytes, 44),
            is_rebuilt: u32_at(bytes, 48) & REBUILT != 0,
        };
        Ok((header, SealedHeader::checksum_in(bytes)))
    }

    /// The checksum at the end of a header.
    pub(crate) fn checksum_in(bytes: &[u8]) -> u32 {
        u32_at(bytes, HEADER_BYTES - 4)
    }
}

/// The header of a new sealed file of this format.
pub(crate) fn new_sealed_header(
    (store_id, first_position): (Uuid, u64),
    (first_frame, prev_checksum): (u64, u32),
    is_rebuilt: bool,
) -> SealedHeader {
    let format = FORMAT_VERSION;
    SealedHeader { format, store_id, first_position, first_frame, prev_checksum, is_rebuilt }
}

/// The facts about a sealed file, in its footer and in the trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedFacts {
    pub(crate) first_position: u64,
    /// The last position; in a file without events, the position of the last event before it.
    pub(crate) last_position: u64,
    /// The number of the first frame.
    pub(crate) first_frame: u64,
    /// The number of the last frame, not counting a marker.
    pub(crate) last_frame: u64,
    /// The `prev_checksum` of the first frame.
    pub(crate) prev_checksum: u32,
    /// The `prev_checksum` of the first frame in the next file.
    pub(crate) last_checksum: u32,
    /// Where the frames end, as an offset in the active file.
    pub(crate) end: u64,
    pub(crate) file_len: u64,
    /// The checksum that covers the whole file.
    pub(crate) checksum: u32,
    pub(crate) is_rebuilt: bool,
}

impl SealedFacts {
    /// Appends the facts as bincode, for storage by the caller.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Reason> {
        codec::encode(self, out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<SealedFacts, Reason> {
        codec::decode(bytes)
    }

    /// What links the file to its history, independently of its bytes: the numbers and checksums at
    /// its start and at its end.
    pub(crate) fn edges(&self) -> [(u64, u64, u32); 2] {
        [
            (self.first_position, self.first_frame, self.prev_checksum),
            (self.last_position, self.last_frame, self.last_checksum),
        ]
    }
}

/// The footer: the facts, and what links them to the header and the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) directory_offset: u64,
    pub(crate) directory_len: u32,
    pub(crate) directory_checksum: u32,
    pub(crate) header_checksum: u32,
    /// The footer's bytes contain all of these except the length and the checksum of the file.
    pub(crate) facts: SealedFacts,
}

impl Footer {
    /// The encoded footer, and the checksum of the file.
    pub(crate) fn encode(&self, checksum: &Checksum) -> (Vec<u8>, u32) {
        let facts = &self.facts;
        let mut bytes = Vec::with_capacity(FOOTER_BYTES);
        bytes.extend_from_slice(FOOTER_MAGIC);
        bytes.extend_from_slice(&self.directory_offset.to_le_bytes());
        bytes.extend_from_slice(&self.directory_len.to_le_bytes());
        bytes.extend_from_slice(&self.directory_checksum.to_le_bytes());
        bytes.extend_from_slice(&self.header_checksum.to_le_bytes());
        bytes.extend_from_slice(&flags(facts.is_rebuilt).to_le_bytes());
        for number in [facts.first_position, facts.last_position, facts.first_frame] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&facts.last_frame.to_le_bytes());
        bytes.extend_from_slice(&facts.prev_checksum.to_le_bytes());
        bytes.extend_from_slice(&facts.last_checksum.to_le_bytes());
        bytes.extend_from_slice(&facts.end.to_le_bytes());
        bytes.resize(FOOTER_CHECKSUM_OFFSET, 0);
        let sum = checksum.of(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        (bytes, sum)
    }

    /// The footer of a file of this length.
    pub(crate) fn decode(
        bytes: &[u8],
        file_len: u64,
        checksum: &Checksum,
    ) -> Result<Footer, Reason> {
        if bytes.len() != FOOTER_BYTES || !bytes.starts_with(FOOTER_MAGIC) {
            return Err("it does not end with the magic number of a sealed journal file".to_owned());
        }
        let sum = u32_at(bytes, FOOTER_CHECKSUM_OFFSET);
        if bytes.get(..FOOTER_CHECKSUM_OFFSET).map(|covered| checksum.of(covered)) != Some(sum) {
            return Err("the checksum of its footer does not match".to_owned());
        }
        let facts = SealedFacts {
            first_position: u64_at(bytes, 32),
            last_position: u64_at(bytes, 40),
            first_frame: u64_at(bytes, 48),
            last_frame: u64_at(bytes, 56),
            prev_checksum: u32_at(bytes, 64),
            last_checksum: u32_at(bytes, 68),
            end: u64_at(bytes, 72),
            file_len,
            checksum: sum,
            is_rebuilt: u32_at(bytes, 28) & REBUILT != 0,
        };
        let footer = Footer {
            directory_offset: u64_at(bytes, 8),
            directory_len: u32_at(bytes, 16),
            directory_checksum: u32_at(bytes, 20),
            header_checksum: u32_at(bytes, 24),
            facts,
        };
        let directory_end = footer.directory_offset.checked_add(u64::from(footer.directory_len));
        let file_end = directory_end.and_then(|end| end.checked_add(FOOTER_BYTES as u64));
        let positions = facts.first_position.checked_sub(1);
        let is_ordered = positions.is_some_and(|before| before <= facts.last_position);
        match file_end == Some(file_len) && is_ordered && footer.directory_len <= RAW_BYTES_MAX {
            true => Ok(footer),
            false => Err("its footer contradicts itself or the length of the file".to_owned()),
        }
    }
}

fn flags(is_rebuilt: bool) -> u32 {
    if is_rebuilt { REBUILT } else { 0 }
}

/// How the bytes of a place are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Raw = 0,
    Lz4 = 1,
}

/// Where bytes are in the file, and what they decode to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) stored: u32,
    pub(crate) raw: u32,
    pub(crate) codec: Codec,
    pub(crate) checksum: u32,
}

impl Place {
    /// Replaces `stored` with the stored form of `raw` for this offset of the file: compressed if
    /// that is smaller.
    pub(crate) fn pack(
        raw: &[u8],
        (offset, checksum): (u64, &Checksum),
        stored: &mut Vec<u8>,
    ) -> Result<Place, Reason> {
        let len = u32::try_from(raw.len()).ok().filter(|&len| len <= RAW_BYTES_MAX);
        let len = len.ok_or_else(|| format!("{} bytes exceed the limit of a block", raw.len()))?;
        *stored = compress::compress(raw, None);
        let codec = if stored.len() < raw.len() { Codec::Lz4 } else { Codec::Raw };
        if codec == Codec::Raw {
            stored.clear();
            stored.extend_from_slice(raw);
        }
        let stored_len = u32::try_from(stored.len()).unwrap_or(len);
        let checksum = checksum_of(stored, len, checksum);
        Ok(Place { offset, stored: stored_len, raw: len, codec, checksum })
    }

    /// Checks the stored bytes and decodes them into `raw`, which must have the raw length.
    pub(crate) fn unpack(
        &self,
        stored: &[u8],
        raw: &mut [u8],
        checksum: &Checksum,
    ) -> Result<(), Reason> {
        self.check(stored, checksum)?;
        match self.codec {
            Codec::Lz4 => compress::decompress(stored, raw, None),
            Codec::Raw if stored.len() == raw.len() => {
                raw.copy_from_slice(stored);
                Ok(())
            }
            Codec::Raw => Err("its length does not match".to_owned()),
        }
    }

    /// Checks only the stored bytes.
    pub(crate) fn check(&self, stored: &[u8], checksum: &Checksum) -> Result<(), Reason> {
        match checksum_of(stored, self.raw, checksum) == self.checksum {
            true => Ok(()),
            false => Err("its checksum does not match".to_owned()),
        }
    }

    /// Where the stored bytes end.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.stored))
    }

    fn put(&self, out: &mut Vec<u8>) {
        varint::put(out, self.offset);
        self.put_lengths(out);
    }

    fn put_lengths(&self, out: &mut Vec<u8>) {
        varint::put(out, u64::from(self.stored));
        varint::put(out, u64::from(self.raw));
        out.push(self.codec as u8);
        out.extend_from_slice(&self.checksum.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Option<Place> {
        let offset = reader.number()?;
        Place::read_lengths(reader, offset)
    }

    /// Also returns `None` for lengths that no place has, so that the memory for a place is
    /// limited.
    fn read_lengths(reader: &mut Reader<'_>, offset: u64) -> Option<Place> {
        let (stored, raw) = (reader.small()?, reader.small()?);
        let codec = match reader.byte()? {
            0 if stored == raw => Codec::Raw,
            1 if stored < raw && u64::from(raw) <= RATIO_MAX * u64::from(stored) => Codec::Lz4,
            _ => return None,
        };
        let checksum = u32::from_le_bytes(reader.array()?);
        let is_bounded = raw <= RAW_BYTES_MAX && offset.checked_add(u64::from(stored)).is_some();
        is_bounded.then_some(Place { offset, stored, raw, codec, checksum })
    }
}

fn checksum_of(stored: &[u8], raw: u32, checksum: &Checksum) -> u32 {
    checksum.start().and(stored).and(&raw.to_le_bytes()).finish()
}

/// Appends a section to a directory.
pub(crate) fn put_section(out: &mut Vec<u8>, name: &str, place: &Place) {
    varint::put_bytes(out, name.as_bytes());
    place.put(out);
}

/// The sections of a directory with a valid checksum. Their stored bytes must end at or before
/// `end`.
pub(crate) fn sections(directory: &[u8], end: u64) -> Result<Vec<(String, Place)>, Reason> {
    let (mut reader, mut found) = (Reader::new(directory, 0), Vec::new());
    while reader.left() > 0 {
        let section = section(&mut reader).filter(|(_, place)| place.end() <= end);
        found.push(section.ok_or_else(|| "its directory is malformed".to_owned())?);
    }
    Ok(found)
}

fn section(reader: &mut Reader<'_>) -> Option<(String, Place)> {
    let name = reader.bytes().filter(|name| name.len() <= NAME_BYTES_MAX && name.is_ascii())?;
    Some((str::from_utf8(name).ok()?.to_owned(), Place::read(reader)?))
}
