//! The tables of a sealed file: entries sorted by a key, in chunks of some KiB. Each chunk is
//! stored and checked separately, so that a lookup reads only one.
//!
//! ```text
//! table      = (place, first key bytes)*, for each chunk                            as varints
//! chunk      = entry*
//! stream     = id bytes, first version, events, blocks bytes
//! blocks     = number of the first block with it, the difference to each later one
//! tag        = tag bytes, first position, events, blocks bytes
//! id         = id 16, position - first position of the file u32                       20 bytes
//! checkpoint = name bytes, position
//! ```
//! `first version` is that of the first event of the stream in this file, `first position` that of
//! the first event with the tag. The checkpoints are all those as of the end of the file.

use crate::codec::{
    Reason,
    sealed::Place,
    u32_at,
    varint::{self, Reader},
};

/// The size of an entry in the table of ids.
const ID_ENTRY_BYTES: usize = 20;
const ID_BYTES: usize = 16;

/// Some entries of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) place: Place,
    pub(crate) first_key: Box<[u8]>,
}

/// Encodes the section for a table with these chunks.
pub(crate) fn encode(chunks: &[Chunk]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in chunks {
        chunk.place.put(&mut out);
        varint::put_bytes(&mut out, &chunk.first_key);
    }
    out
}

/// The chunks of a table. Their stored bytes must end at or before `end`, and their keys must
/// ascend.
pub(crate) fn decode(bytes: &[u8], end: u64) -> Result<Box<[Chunk]>, Reason> {
    let (mut reader, mut chunks) = (Reader::new(bytes, 0), Vec::<Chunk>::new());
    while reader.left() > 0 {
        let chunk = read_chunk(&mut reader).filter(|chunk| {
            let before = chunks.last().map(|last| &*last.first_key).unwrap_or_default();
            chunk.place.end() <= end && before <= &*chunk.first_key
        });
        chunks.push(chunk.ok_or_else(|| "one of its tables is malformed".to_owned())?);
    }
    Ok(chunks.into_boxed_slice())
}

fn read_chunk(reader: &mut Reader<'_>) -> Option<Chunk> {
    let place = Place::read(reader)?;
    Some(Chunk { place, first_key: reader.bytes()?.into() })
}

/// The index of the only chunk that may hold a key.
pub(crate) fn chunk_of(chunks: &[Chunk], key: &[u8]) -> Option<usize> {
    chunks.partition_point(|chunk| &*chunk.first_key <= key).checked_sub(1)
}

/// The entry of a file for one stream; or for one tag, with the first position instead of the first
/// version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamInFile<'a> {
    pub(crate) id: &'a str,
    pub(crate) first_version: u64,
    pub(crate) count: u64,
    blocks: &'a [u8],
}

impl<'a> StreamInFile<'a> {
    /// `blocks` are the encoded numbers of its blocks.
    pub(crate) fn new(id: &'a str, (first_version, count): (u64, u64), blocks: &'a [u8]) -> Self {
        StreamInFile { id, first_version, count, blocks }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        varint::put_bytes(out, self.id.as_bytes());
        varint::put(out, self.first_version);
        varint::put(out, self.count);
        varint::put_bytes(out, self.blocks);
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let id = str::from_utf8(reader.bytes()?).ok()?;
        let (first_version, count) = (reader.number()?, reader.number()?);
        Some(StreamInFile { id, first_version, count, blocks: reader.bytes()? })
    }

    /// The numbers of its blocks, in order.
    pub(crate) fn blocks(&self) -> Result<Vec<u32>, Reason> {
        let (mut reader, mut blocks, mut number) = (Reader::new(self.blocks, 0), Vec::new(), 0_u32);
        while reader.left() > 0 {
            let next = reader.small().and_then(|more| number.checked_add(more));
            let next = next.filter(|&next| blocks.is_empty() || next > number);
            number = next.ok_or_else(malformed)?;
            blocks.push(number);
        }
        Ok(blocks)
    }
}

/// Appends the number of a block with the stream; `last` is the previous block's number, or 0.
pub(crate) fn put_block(out: &mut Vec<u8>, last: u32, number: u32) {
    varint::put(out, u64::from(number.saturating_sub(last)));
}

/// The streams of a chunk.
pub(crate) fn streams(chunk: &[u8]) -> impl Iterator<Item = Result<StreamInFile<'_>, Reason>> {
    entries(chunk, StreamInFile::read)
}

/// Appends an event id and the distance of its position from the first one of the file.
pub(crate) fn put_id(out: &mut Vec<u8>, id: &[u8; 16], ahead: u32) {
    out.extend_from_slice(id);
    out.extend_from_slice(&ahead.to_le_bytes());
}

/// The distance of an event id's position from the first one of the file, if the chunk has the id.
pub(crate) fn find_id(chunk: &[u8], id: &[u8; 16]) -> Result<Option<u32>, Reason> {
    if !chunk.len().is_multiple_of(ID_ENTRY_BYTES) {
        return Err(malformed());
    }
    let (mut low, mut high) = (0, chunk.len() / ID_ENTRY_BYTES);
    while low < high {
        let middle = low.midpoint(high);
        let at = middle * ID_ENTRY_BYTES;
        match chunk.get(at..at + ID_BYTES).unwrap_or_default().cmp(id) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return Ok(Some(u32_at(chunk, at + ID_BYTES))),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Ok(None)
}

/// Appends a checkpoint.
pub(crate) fn put_checkpoint(out: &mut Vec<u8>, name: &str, position: u64) {
    varint::put_bytes(out, name.as_bytes());
    varint::put(out, position);
}

/// The checkpoints of a chunk.
pub(crate) fn checkpoints(chunk: &[u8]) -> impl Iterator<Item = Result<(&str, u64), Reason>> {
    entries(chunk, |reader| Some((str::from_utf8(reader.bytes()?).ok()?, reader.number()?)))
}

fn entries<'a, T>(
    chunk: &'a [u8],
    read: impl Fn(&mut Reader<'a>) -> Option<T>,
) -> impl Iterator<Item = Result<T, Reason>> {
    let mut reader = Reader::new(chunk, 0);
    std::iter::from_fn(move || {
        (reader.left() > 0).then(|| {
            read(&mut reader).ok_or_else(|| {
                // Nothing is read after a malformed entry.
                reader = Reader::new(&[], 0);
                malformed()
            })
        })
    })
}

fn malformed() -> Reason {
    "an entry of a table is malformed".to_owned()
}
