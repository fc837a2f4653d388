//! A chunk of the tree `events`: the stream and version for each of a number of consecutive
//! positions. Using it and the runs, a journal file can be rebuilt in order.
//!
//! ```text
//! key    = first position u64 big-endian
//! raw    = count of streams, streams [stream], for each position: index of its stream
//! stream = name bytes, first version                        (all numbers are varints)
//! ```
//! It is stored as `codec::stored` says, with the count of positions in the header. The positions
//! of one stream have consecutive versions from its first version on.

use std::{ops::Range, str};

use foldhash::HashMap;

use crate::codec::{
    Reason,
    checksum::Checksum,
    key,
    stored::{self, Body, Dictionary, Extent, Kind},
    varint::{self, Reader},
};

/// Positions in a chunk, unless a drain ends earlier or the names are long.
pub(crate) const CHUNK_POSITIONS: usize = 1_000;

/// Bytes of streams in a chunk: its value never becomes large enough to be split.
const STREAM_BYTES_MAX: usize = 24 << 10;

/// The maximum number of bytes for a stream besides its name.
const STREAM_OVERHEAD: usize = 12;

/// A chunk that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Gathered<'e> {
    first_position: u64,
    numbers: HashMap<&'e str, usize>,
    /// Each stream with its first version and the version of its next event.
    streams: Vec<(&'e str, u64, u64)>,
    stream_bytes: usize,
    indexes: Vec<usize>,
}

impl<'e> Gathered<'e> {
    pub(crate) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Adds the next position; returns false if a new chunk must start there.
    pub(crate) fn push(&mut self, position: u64, stream: &'e str, version: u64) -> bool {
        if self.indexes.is_empty() {
            self.first_position = position;
        }
        let len = self.indexes.len();
        let is_full = len == CHUNK_POSITIONS || self.stream_bytes > STREAM_BYTES_MAX;
        if is_full || position != self.first_position + len as u64 {
            return false;
        }
        let index = *self.numbers.entry(stream).or_insert_with(|| {
            self.streams.push((stream, version, version));
            self.stream_bytes += stream.len() + STREAM_OVERHEAD;
            self.streams.len() - 1
        });
        match self.streams.get_mut(index) {
            Some((_, _, next)) if *next == version => *next += 1,
            _ => return false,
        }
        self.indexes.push(index);
        true
    }

    /// Encodes the chunk with its key and empties it.
    pub(crate) fn take(
        &mut self,
        dictionary: Option<&Dictionary>,
        checksum: &Checksum,
    ) -> Option<([u8; 8], Vec<u8>)> {
        let mut raw = Vec::new();
        varint::put(&mut raw, self.streams.len() as u64);
        for (name, first_version, _) in &self.streams {
            varint::put_bytes(&mut raw, name.as_bytes());
            varint::put(&mut raw, *first_version);
        }
        self.indexes.iter().for_each(|&index| varint::put(&mut raw, index as u64));
        let count = self.indexes.len();
        let extent = Extent {
            first_position: self.first_position,
            last_position: self.first_position + (count as u64).saturating_sub(1),
            count: u32::try_from(count).ok()?,
        };
        let key = key::position(self.first_position);
        self.numbers.clear();
        self.streams.clear();
        self.stream_bytes = 0;
        self.indexes.clear();
        let encoded = stored::encode((Kind::Places, &key), extent, &raw, dictionary, checksum)?;
        encoded.split_body.is_empty().then_some((key, encoded.value))
    }
}

/// A decoded chunk.
#[derive(Debug)]
pub(crate) struct Places {
    first_position: u64,
    raw: Vec<u8>,
    names: Vec<Range<usize>>,
    /// For each position, the index of its stream's name, and its version.
    places: Vec<(usize, u64)>,
}

impl Places {
    /// Decodes the stored value of the chunk that starts at `first_position`.
    pub(crate) fn decode(
        first_position: u64,
        value: &[u8],
        dictionary: Option<&Dictionary>,
        checksum: &Checksum,
    ) -> Result<Places, Reason> {
        let key = key::position(first_position);
        let (header, body) = stored::open((Kind::Places, &key), value, checksum)?;
        let Body::Whole(body) = body else { return Err("it is split into parts".to_owned()) };
        let room = (header.last_position - header.first_position).checked_add(1);
        if header.first_position != first_position || room != Some(u64::from(header.count)) {
            return Err("its positions do not match its key".to_owned());
        }
        let mut raw = vec![0; header.raw_len()];
        header.decompress(body, &mut raw, dictionary)?;
        let mut reader = Reader::new(&raw, 0);
        let malformed = || "it is malformed".to_owned();
        let (names, mut next) = read_streams(&mut reader).ok_or_else(malformed)?;
        let count = header.count as usize;
        let mut places = Vec::with_capacity(count.min(raw.len()));
        for _ in 0..count {
            let place = read_place(&mut reader, &mut next).ok_or_else(malformed)?;
            places.push(place);
        }
        reader.finish()?;
        Ok(Places { first_position, raw, names, places })
    }

    /// The stream and version of the event at a position, if the chunk holds it.
    pub(crate) fn place(&self, position: u64) -> Option<(&str, u64)> {
        let index = usize::try_from(position.checked_sub(self.first_position)?).ok()?;
        let (name, version) = *self.places.get(index)?;
        let name = self.raw.get(self.names.get(name)?.clone())?;
        Some((str::from_utf8(name).ok()?, version))
    }

    /// Each position with its stream and version.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &str, u64)> {
        (self.first_position..).take(self.places.len()).filter_map(|position| {
            let (stream, version) = self.place(position)?;
            Some((position, stream, version))
        })
    }
}

type Streams = (Vec<Range<usize>>, Vec<u64>);

/// The names of the streams, and the version of each stream's next event.
fn read_streams(reader: &mut Reader<'_>) -> Option<Streams> {
    let count = reader.small()? as usize;
    // A stream takes at least two bytes, so a wrong count does not allocate much.
    let room = count.min(reader.left() / 2);
    let (mut names, mut versions) = (Vec::with_capacity(room), Vec::with_capacity(room));
    for _ in 0..count {
        let name = reader.bytes()?;
        str::from_utf8(name).ok()?;
        names.push(reader.at() - name.len()..reader.at());
        versions.push(reader.number().filter(|&version| version > 0)?);
    }
    Some((names, versions))
}

fn read_place(reader: &mut Reader<'_>, next: &mut [u64]) -> Option<(usize, u64)> {
    let index = reader.small()? as usize;
    let next = next.get_mut(index)?;
    let version = *next;
    *next = version.checked_add(1)?;
    Some((index, version))
}
