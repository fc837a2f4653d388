//! A record: events in position order with a table of their names, the unit in which events are
//! encoded. The journal has records of consecutive positions, the trees have records of one stream.
//!
//! ```text
//! record = bincode { first_position u64, streams [stream], types [bytes], tags bytes,
//!                    events [event] }
//! stream = bincode { name bytes, first_version u64 }
//! event  = bincode { stream u32, event_type u32, gap u64, micros i64, zone Option<i16>,
//!                    id Option<[u8; 16]>, is_binary bool, data bytes, metadata Option<bytes>,
//!                    tags bytes }
//! ```
//! `stream` and `event_type` are indexes into the two tables. Each name ends with a NUL, so that C
//! gets a terminated string without a copy. The first event has `first_position`; each later one
//! has the previous position + 1 + `gap`. The events of one stream have consecutive versions from
//! its `first_version` on. `micros` is the difference from the previous event (for the first event,
//! from 0), wrapping. `zone` is the offset in minutes, or none for a naive time. The `tags` of the
//! record are those of all its events, sorted by their bytes, each once and with its NUL. The
//! `tags` of an event are numbers in that table: u16 in two bytes, little-endian, ascending.
//!
//! The bytes are those of bincode 2 with its standard configuration, which a test verifies. The
//! decoder is our own because every read of an event goes through it. A record has no checksum: the
//! frame, block or run that holds it has one. Texts were checked when they were appended; the
//! decoder does not check them again, and a text that is not UTF-8 reads as empty.

use std::ops::Range;

use uuid::Uuid;

use crate::{
    codec::{
        Reason,
        varint::{self, Reader},
    },
    event::{EventFields, Span, TagList, Timestamp, UtcOffset, tags::NUMBER_BYTES},
};

/// The maximum size of an event without its names, data and metadata.
pub(crate) const EVENT_OVERHEAD_MAX: usize = 96;

/// The bytes that a tag takes besides its text: its NUL, and its number in the event.
const TAG_BYTES: usize = 1 + NUMBER_BYTES;

/// An event to be encoded in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventToEncode<'a> {
    pub(crate) position: u64,
    pub(crate) stream: &'a str,
    pub(crate) version: u64,
    pub(crate) event_type: &'a str,
    pub(crate) timestamp: Timestamp,
    pub(crate) id: Option<Uuid>,
    pub(crate) is_binary: bool,
    pub(crate) data: &'a [u8],
    /// Text that was checked when it was appended.
    pub(crate) metadata: Option<&'a [u8]>,
    pub(crate) tags: TagList<'a>,
}

impl EventToEncode<'_> {
    /// The maximum number of bytes that the tags of the event add to a record.
    pub(crate) fn tag_bytes_max(&self) -> usize {
        self.tags.bytes() + self.tags.len() * TAG_BYTES
    }

    /// The maximum number of bytes that the event adds to a record.
    pub(crate) fn encoded_bytes_max(&self) -> usize {
        let names = self.stream.len() + self.event_type.len();
        names
            + self.data.len()
            + self.metadata.map_or(0, <[u8]>::len)
            + self.tag_bytes_max()
            + EVENT_OVERHEAD_MAX
    }
}

/// Appends the record of `events`, which must be in position order, with consecutive versions
/// within each stream. A record without events does not decode.
pub(crate) fn encode(events: &[EventToEncode<'_>], out: &mut Vec<u8>) {
    let first_position = events.first().map_or(0, |event| event.position);
    let mut streams: Vec<(&str, u64)> = Vec::new();
    let mut types: Vec<&str> = Vec::new();
    let mut numbers = Vec::with_capacity(events.len());
    for event in events {
        let known = streams.iter().rposition(|(name, _)| *name == event.stream);
        let stream = known.unwrap_or_else(|| {
            streams.push((event.stream, event.version));
            streams.len() - 1
        });
        let known = types.iter().rposition(|name| *name == event.event_type);
        let event_type = known.unwrap_or_else(|| {
            types.push(event.event_type);
            types.len() - 1
        });
        numbers.push((stream as u64, event_type as u64));
    }
    varint::put(out, first_position);
    varint::put(out, streams.len() as u64);
    for (name, first_version) in streams {
        put_name(out, name);
        varint::put(out, first_version);
    }
    varint::put(out, types.len() as u64);
    types.iter().for_each(|name| put_name(out, name));
    let tags = tags_of(events);
    put_tag_table(out, &tags);
    varint::put(out, events.len() as u64);
    let (mut next, mut micros) = (first_position, 0_i64);
    for (event, (stream, event_type)) in events.iter().zip(numbers) {
        varint::put(out, stream);
        varint::put(out, event_type);
        varint::put(out, event.position.saturating_sub(next));
        next = event.position + 1;
        let time = event.timestamp.micros();
        varint::put_signed(out, time.wrapping_sub(micros));
        micros = time;
        put_rest(out, event);
        put_tags(out, event.tags, &tags);
    }
}

/// The tags of some events, sorted, each once.
fn tags_of<'a>(events: &[EventToEncode<'a>]) -> Vec<&'a str> {
    let mut tags: Vec<&str> = Vec::new();
    for event in events.iter().filter(|event| event.tags.len() > 0) {
        tags.extend(event.tags.iter());
    }
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn put_tag_table(out: &mut Vec<u8>, tags: &[&str]) {
    let bytes: usize = tags.iter().map(|tag| tag.len() + 1).sum();
    varint::put(out, bytes as u64);
    for tag in tags {
        out.extend_from_slice(tag.as_bytes());
        out.push(0);
    }
}

/// Appends the numbers of an event's tags in `table`, which has fewer than 65 536 entries: a record
/// ends at some KiB, or holds one event.
fn put_tags(out: &mut Vec<u8>, tags: TagList<'_>, table: &[&str]) {
    varint::put(out, (tags.len() * NUMBER_BYTES) as u64);
    for tag in tags.iter() {
        let number = table.partition_point(|known| *known < tag);
        out.extend_from_slice(&u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes());
    }
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    varint::put(out, name.len() as u64 + 1);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
}

fn put_rest(out: &mut Vec<u8>, event: &EventToEncode<'_>) {
    match event.timestamp.offset() {
        UtcOffset::Naive => out.push(0),
        UtcOffset::Minutes(minutes) => {
            out.push(1);
            varint::put_signed(out, i64::from(minutes));
        }
    }
    match event.id {
        None => out.push(0),
        Some(id) => {
            out.push(1);
            out.extend_from_slice(id.as_bytes());
        }
    }
    out.push(u8::from(event.is_binary));
    varint::put_bytes(out, event.data);
    match event.metadata {
        None => out.push(0),
        Some(text) => {
            out.push(1);
            varint::put_bytes(out, text);
        }
    }
}

/// The tables of a record during decoding; kept between records to save allocations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    /// Each stream with the version of its next event.
    streams: Vec<(Span, u64)>,
    types: Vec<Span>,
    /// Where the table of tags starts, and the number of tags in it.
    tags: (u32, usize),
}

/// Decodes the record in `range` of `bytes` and appends the places of its events to `out`. After an
/// error, `out` may contain some of them.
pub(crate) fn decode(
    bytes: &[u8],
    range: Range<usize>,
    tables: &mut Tables,
    out: &mut Vec<EventFields>,
) -> Result<(), Reason> {
    let whole = bytes.get(..range.end).ok_or_else(malformed)?;
    let mut reader = Reader::new(whole, range.start);
    let mut position = reader.number().ok_or_else(malformed)?;
    decode_tables(&mut reader, tables)?;
    let count = reader.small().ok_or_else(malformed)?;
    if count == 0 || position == 0 {
        return Err("it has no events".to_owned());
    }
    // An event takes at least ten bytes, so a wrong count does not allocate much.
    out.reserve((count as usize).min(reader.left() / 10 + 1));
    let mut micros = 0;
    for index in 0..count {
        let fields = decode_event(&mut reader, tables, &mut position, &mut micros);
        let fields = fields.ok_or_else(|| format!("event {index} is malformed"))?;
        out.push(fields);
    }
    reader.finish()
}

fn malformed() -> Reason {
    "it is malformed".to_owned()
}

fn decode_tables(reader: &mut Reader<'_>, tables: &mut Tables) -> Result<(), Reason> {
    tables.streams.clear();
    tables.types.clear();
    for _ in 0..reader.small().ok_or_else(malformed)? {
        let name = decode_name(reader)?;
        let first_version = reader.number().filter(|&version| version > 0);
        tables.streams.push((name, first_version.ok_or_else(malformed)?));
    }
    for _ in 0..reader.small().ok_or_else(malformed)? {
        let name = decode_name(reader)?;
        tables.types.push(name);
    }
    tables.tags = decode_tag_table(reader).ok_or_else(malformed)?;
    Ok(())
}

/// Returns where the table of tags starts, and the number of tags in it.
fn decode_tag_table(reader: &mut Reader<'_>) -> Option<(u32, usize)> {
    let table = reader.bytes()?;
    let start = u32::try_from(reader.at() - table.len()).ok()?;
    match table.last() {
        None => Some((start, 0)),
        Some(0) => Some((start, table.iter().filter(|byte| **byte == 0).count())),
        Some(_) => None,
    }
}

/// Whether these are ascending numbers within a table of `count` tags.
fn are_tags(numbers: &[u8], count: usize) -> bool {
    let (numbers, rest) = numbers.as_chunks::<NUMBER_BYTES>();
    let numbers = || numbers.iter().map(|bytes| u16::from_le_bytes(*bytes));
    rest.is_empty()
        && numbers().is_sorted_by(|one, next| one < next)
        && numbers().next_back().is_none_or(|last| usize::from(last) < count)
}

/// The span of a name without its NUL.
fn decode_name(reader: &mut Reader<'_>) -> Result<Span, Reason> {
    let name = reader.bytes().ok_or_else(malformed)?;
    match name.split_last() {
        Some((0, text)) => span(reader.at() - name.len(), text.len()).ok_or_else(malformed),
        _ => Err("a name in it is not terminated".to_owned()),
    }
}

#[inline]
fn span(start: usize, len: usize) -> Option<Span> {
    Some(Span { start: u32::try_from(start).ok()?, len: u32::try_from(len).ok()? })
}

#[inline]
fn decode_event(
    reader: &mut Reader<'_>,
    tables: &mut Tables,
    position: &mut u64,
    micros: &mut i64,
) -> Option<EventFields> {
    let (stream, next_version) = tables.streams.get_mut(reader.small()? as usize)?;
    let version = *next_version;
    *next_version = version.checked_add(1)?;
    let event_type = *tables.types.get(reader.small()? as usize)?;
    let at = position.checked_add(reader.number()?)?;
    *position = at.checked_add(1)?;
    *micros = micros.wrapping_add(reader.signed()?);
    let offset = match reader.byte()? {
        0 => UtcOffset::Naive,
        1 => UtcOffset::Minutes(i16::try_from(reader.signed()?).ok()?),
        _ => return None,
    };
    let id = match reader.byte()? {
        0 => None,
        1 => {
            let start = reader.at();
            reader.array::<16>()?;
            Some(span(start, 16)?)
        }
        _ => return None,
    };
    let is_binary = match reader.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let data = reader.bytes()?;
    let data = span(reader.at() - data.len(), data.len())?;
    let metadata = match reader.byte()? {
        0 => None,
        1 => {
            let text = reader.bytes()?;
            Some(span(reader.at() - text.len(), text.len())?)
        }
        _ => return None,
    };
    let tags = reader.bytes()?;
    let (tag_table, count) = tables.tags;
    if !tags.is_empty() && !are_tags(tags, count) {
        return None;
    }
    let tags = span(reader.at() - tags.len(), tags.len())?;
    Some(EventFields {
        position: at,
        version,
        timestamp: Timestamp::new(*micros, offset).ok()?,
        stream: *stream,
        event_type,
        data,
        metadata: metadata.unwrap_or(Span::NONE),
        id: id.unwrap_or(Span::NONE),
        tags,
        tag_table,
        is_binary,
    })
}
