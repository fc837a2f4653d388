//! A stored value of the trees: a header that can be read without the body, then the body.
//!
//! ```text
//! value  = checksum u32, header, body
//! header = kind u8, first_position, last_position - first_position, count, codec u8, dictionary,
//!          raw_len                                          (varints where no type is given)
//! codec  = 0: the body is the raw bytes
//!          1: the body is an LZ4 block
//!          2: the body is an LZ4 block that needs the dictionary of this number
//! split  = checksum u32, header, len, parts, checksum of the body u32
//! ```
//! The checksum covers the key of the value and everything after the checksum, including the raw
//! length. It is verified before anything else is used, and the raw length is limited before memory
//! is allocated for it.
//!
//! A value whose body exceeds [`WHOLE_BYTES_MAX`] is split: its header stays under its key with the
//! length of the body, and the body is stored in parts of [`PART_BYTES`] in another tree. The kind
//! says whether a value is split.

use crate::codec::{
    Reason,
    checksum::Checksum,
    compress,
    varint::{self, Reader},
};

/// The maximum size of a value that is not split.
pub(crate) const WHOLE_BYTES_MAX: usize = 32 << 10;

/// The size of each part of a split body, except the last.
pub(crate) const PART_BYTES: usize = 32 << 10;

/// The maximum size of a decompressed value: more than an event at its limit.
const RAW_BYTES_MAX: u32 = 32 << 20;

/// A dictionary, and the number by which values refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dictionary {
    pub(crate) number: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The contents of a value. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events of one stream.
    Run = 5,
    /// Streams and versions of consecutive positions.
    Places = 6,
    /// Positions of events with one tag.
    Tagged = 7,
}

/// Added to the number of the kind in a split value.
const SPLIT: u8 = 0x80;

/// The header of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    /// The number of events or positions in it.
    pub(crate) count: u32,
    codec: BodyCodec,
    raw_len: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyCodec {
    Raw,
    Lz4,
    Lz4With(u32),
}

/// The extent of a value: the part of its header that its writer knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    pub(crate) count: u32,
}

/// A value to be stored in the trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// What is stored under the key.
    pub(crate) value: Vec<u8>,
    /// The body of a split value, to be stored in parts; otherwise empty.
    pub(crate) split_body: Vec<u8>,
}

/// Compresses `raw` into a value, using the dictionary if there is one; bytes that do not get
/// smaller are stored as they are. Returns `None` if `raw` exceeds every limit.
pub(crate) fn encode(
    (kind, key): (Kind, &[u8]),
    extent: Extent,
    raw: &[u8],
    dictionary: Option<&Dictionary>,
    checksum: &Checksum,
) -> Option<Encoded> {
    let raw_len = u32::try_from(raw.len()).ok().filter(|&len| len <= RAW_BYTES_MAX)?;
    let compressed = compress::compress(raw, dictionary.map(|dictionary| &*dictionary.bytes));
    let (codec, body) = match dictionary {
        _ if compressed.len() >= raw.len() => (BodyCodec::Raw, raw),
        None => (BodyCodec::Lz4, &*compressed),
        Some(dictionary) => (BodyCodec::Lz4With(dictionary.number), &*compressed),
    };
    let Extent { first_position, last_position, count } = extent;
    let header = Header { first_position, last_position, count, codec, raw_len };
    let mut value = Vec::with_capacity(body.len().min(WHOLE_BYTES_MAX) + 48);
    value.extend_from_slice(&[0; 4]);
    if body.len() <= WHOLE_BYTES_MAX {
        header.put(kind as u8, &mut value);
        value.extend_from_slice(body);
        seal(key, &mut value, checksum);
        return Some(Encoded { value, split_body: Vec::new() });
    }
    header.put(kind as u8 | SPLIT, &mut value);
    varint::put(&mut value, body.len() as u64);
    varint::put(&mut value, body.len().div_ceil(PART_BYTES) as u64);
    value.extend_from_slice(&checksum.of(body).to_le_bytes());
    seal(key, &mut value, checksum);
    let split_body = if codec == BodyCodec::Raw { raw.to_vec() } else { compressed };
    Some(Encoded { value, split_body })
}

fn seal(key: &[u8], value: &mut [u8], checksum: &Checksum) {
    if let Some((sum, covered)) = value.split_first_chunk_mut::<4>() {
        *sum = checksum.of_entry(key, covered).to_le_bytes();
    }
}

/// The body of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    Whole(&'a [u8]),
    /// Split into this many parts; joined they have this length and this checksum.
    Split {
        len: u32,
        parts: u32,
        sum: u32,
    },
}

/// Checks a value of this kind and reads its header; the body is not decoded.
pub(crate) fn open<'a>(
    (kind, key): (Kind, &[u8]),
    value: &'a [u8],
    checksum: &Checksum,
) -> Result<(Header, Body<'a>), Reason> {
    let (sum, covered) = value.split_first_chunk::<4>().ok_or_else(malformed)?;
    if checksum.of_entry(key, covered) != u32::from_le_bytes(*sum) {
        return Err("its checksum does not match".to_owned());
    }
    let mut reader = Reader::new(covered, 0);
    let found = reader.byte().ok_or_else(malformed)?;
    let header = Header::read(&mut reader).ok_or_else(malformed)?;
    let body = covered.get(reader.at()..).unwrap_or_default();
    if found == kind as u8 {
        return Ok((header, Body::Whole(body)));
    }
    if found != kind as u8 | SPLIT {
        return Err(format!("it is of kind {found}, not {}", kind as u8));
    }
    let split = read_split(reader).ok_or_else(malformed)?;
    Ok((header, split))
}

fn malformed() -> Reason {
    "it is malformed".to_owned()
}

fn read_split<'a>(mut reader: Reader<'_>) -> Option<Body<'a>> {
    let len = reader.small().filter(|&len| len <= RAW_BYTES_MAX)?;
    let parts = reader.small().filter(|&parts| parts > 0 && parts <= len)?;
    let sum = u32::from_le_bytes(reader.array()?);
    reader.finish().ok()?;
    Some(Body::Split { len, parts, sum })
}

impl Header {
    fn put(&self, kind: u8, out: &mut Vec<u8>) {
        out.push(kind);
        varint::put(out, self.first_position);
        varint::put(out, self.last_position.saturating_sub(self.first_position));
        varint::put(out, u64::from(self.count));
        let (codec, dictionary) = match self.codec {
            BodyCodec::Raw => (0, 0),
            BodyCodec::Lz4 => (1, 0),
            BodyCodec::Lz4With(number) => (2, number),
        };
        out.push(codec);
        varint::put(out, u64::from(dictionary));
        varint::put(out, u64::from(self.raw_len));
    }

    fn read(reader: &mut Reader<'_>) -> Option<Header> {
        let first_position = reader.number().filter(|&position| position > 0)?;
        let last_position = first_position.checked_add(reader.number()?)?;
        let count = reader.small()?;
        let codec = match (reader.byte()?, reader.small()?) {
            (0, 0) => BodyCodec::Raw,
            (1, 0) => BodyCodec::Lz4,
            (2, number) => BodyCodec::Lz4With(number),
            _ => return None,
        };
        let raw_len = reader.small().filter(|&len| len <= RAW_BYTES_MAX)?;
        let room = (last_position - first_position).checked_add(1)?;
        let is_sound = count > 0 && u64::from(count) <= room;
        is_sound.then_some(Header { first_position, last_position, count, codec, raw_len })
    }

    /// The size of the decompressed body in bytes.
    pub(crate) fn raw_len(&self) -> usize {
        self.raw_len as usize
    }

    /// Fills `raw`, which is [`raw_len`](Self::raw_len) bytes long, from the body.
    pub(crate) fn decompress(
        &self,
        body: &[u8],
        raw: &mut [u8],
        dictionary: Option<&Dictionary>,
    ) -> Result<(), Reason> {
        match self.codec {
            BodyCodec::Raw if body.len() == raw.len() => {
                raw.copy_from_slice(body);
                Ok(())
            }
            BodyCodec::Raw => Err(format!("it has {} bytes, not {}", body.len(), raw.len())),
            BodyCodec::Lz4 => compress::decompress(body, raw, None),
            BodyCodec::Lz4With(number) => {
                let found = dictionary.filter(|dictionary| dictionary.number == number);
                let found = found.ok_or_else(|| format!("dictionary {number} is missing"))?;
                compress::decompress(body, raw, Some(&found.bytes))
            }
        }
    }
}
