//! A record: one or more consecutive events with a checksum, the unit of storage and of reading.
//!
//! ```text
//! record = 0x01, checksum u32 of the body, body
//! body   = bincode { first_position u64, names [bytes], events [event] }
//! event  = bincode { stream u32, version u64, event_type u32, micros i64, zone Option<i16>,
//!                    id Option<[u8; 16]>, is_binary bool, data bytes, metadata Option<bytes> }
//! ```
//! `stream` and `event_type` number a name of the record. Each name ends with a NUL, so that C gets
//! a terminated string without a copy. `zone` is the offset in minutes, or none for a naive time.
//! The n-th event of the record has position `first_position + n`.

use std::{str, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    codec::{self, Bytes, Reason, checksum::Checksum, u32_at},
    event::{EventFields, RecordedEvent, Span, Timestamp, UtcOffset},
};

/// Tells a record from the stub of a split one.
pub(crate) const KIND: u8 = 1;

/// Bytes in front of the body.
const HEADER_BYTES: usize = 5;

/// Bytes of an event apart from its data and metadata, at most and without its names: what it adds
/// to the size of a record.
pub(crate) const EVENT_OVERHEAD_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    first_position: u64,
    #[serde(borrow)]
    names: Vec<Bytes<'a>>,
    #[serde(borrow)]
    events: Vec<Event<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Event<'a> {
    stream: u32,
    version: u64,
    event_type: u32,
    micros: i64,
    zone: Option<i16>,
    id: Option<[u8; 16]>,
    is_binary: bool,
    #[serde(borrow)]
    data: Bytes<'a>,
    #[serde(borrow)]
    metadata: Option<Bytes<'a>>,
}

/// One event on its way into a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventToEncode<'a> {
    /// Without the NUL that ends it in the record.
    pub(crate) stream: &'a str,
    pub(crate) version: u64,
    pub(crate) event_type: &'a str,
    pub(crate) timestamp: Timestamp,
    pub(crate) id: Option<Uuid>,
    pub(crate) is_binary: bool,
    pub(crate) data: &'a [u8],
    pub(crate) metadata: Option<&'a str>,
}

impl<'a> From<&'a RecordedEvent> for EventToEncode<'a> {
    fn from(event: &'a RecordedEvent) -> Self {
        EventToEncode {
            stream: event.stream_id(),
            version: event.version(),
            event_type: event.event_type(),
            timestamp: event.timestamp(),
            id: event.id(),
            is_binary: event.is_binary(),
            data: event.data(),
            metadata: event.metadata(),
        }
    }
}

/// Encodes consecutive events, the first of which has position `first_position`.
pub(crate) fn encode(
    first_position: u64,
    events: &[EventToEncode<'_>],
    checksum: &Checksum,
) -> Result<Vec<u8>, Reason> {
    let mut names = Names::default();
    let numbers: Vec<(u32, u32)> = events
        .iter()
        .map(|event| (names.number_of(event.stream), names.number_of(event.event_type)))
        .collect();
    let body = Body {
        first_position,
        names: names.terminated.iter().map(|name| Bytes(name)).collect(),
        events: events.iter().zip(numbers).map(event_of).collect(),
    };
    let payload: usize = events.iter().map(|e| e.data.len() + EVENT_OVERHEAD_MAX).sum();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload + 512);
    bytes.extend_from_slice(&[KIND, 0, 0, 0, 0]);
    codec::encode(&body, &mut bytes)?;
    let sum = checksum.of(bytes.get(HEADER_BYTES..).unwrap_or_default());
    if let Some(place) = bytes.get_mut(1..HEADER_BYTES) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
    Ok(bytes)
}

fn event_of<'a>((event, (stream, event_type)): (&EventToEncode<'a>, (u32, u32))) -> Event<'a> {
    Event {
        stream,
        version: event.version,
        event_type,
        micros: event.timestamp.micros(),
        zone: match event.timestamp.offset() {
            UtcOffset::Naive => None,
            UtcOffset::Minutes(minutes) => Some(minutes),
        },
        id: event.id.map(Uuid::into_bytes),
        is_binary: event.is_binary,
        data: Bytes(event.data),
        metadata: event.metadata.map(|text| Bytes(text.as_bytes())),
    }
}

/// The names of a record, each once. Records are small, so a search from the end (where the last
/// event's names are) beats a map.
#[derive(Default)]
struct Names {
    terminated: Vec<Vec<u8>>,
}

impl Names {
    fn number_of(&mut self, name: &str) -> u32 {
        let known = |held: &Vec<u8>| held.strip_suffix(&[0]) == Some(name.as_bytes());
        let index = self.terminated.iter().rposition(known).unwrap_or_else(|| {
            self.terminated.push([name.as_bytes(), &[0]].concat());
            self.terminated.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}

/// A decoded record: the shared bytes and where each event lies in them. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    bytes: Arc<[u8]>,
    first_position: u64,
    events: Arc<[EventFields]>,
}

impl Record {
    /// Checks and decodes a record.
    pub(crate) fn decode(bytes: Arc<[u8]>, checksum: &Checksum) -> Result<Record, Reason> {
        let body = body_of(&bytes)?;
        if u32_at(&bytes, 1) != checksum.of(body) {
            return Err("its checksum does not fit".to_owned());
        }
        Record::decode_trusted(bytes)
    }

    /// Decodes a record whose checksum has been checked, or that never left memory.
    pub(crate) fn decode_trusted(bytes: Arc<[u8]>) -> Result<Record, Reason> {
        let body: Body<'_> = codec::decode(body_of(&bytes)?)?;
        let mut spans = Vec::with_capacity(body.names.len());
        for name in &body.names {
            spans.push(name_span(&bytes, name.0)?);
        }
        let first_position = body.first_position;
        let mut events = Vec::with_capacity(body.events.len());
        for (position, event) in (first_position..).zip(&body.events) {
            events.push(fields_of(&bytes, position, event, &spans)?);
        }
        if events.is_empty() || first_position == 0 {
            return Err("it holds no event".to_owned());
        }
        Ok(Record { bytes, first_position, events: Arc::from(events) })
    }

    pub(crate) fn first_position(&self) -> u64 {
        self.first_position
    }

    pub(crate) fn last_position(&self) -> u64 {
        self.first_position + self.events.len() as u64 - 1
    }

    pub(crate) fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The event at a position, if the record holds it.
    pub(crate) fn event_at(&self, position: u64) -> Option<RecordedEvent> {
        let index = usize::try_from(position.checked_sub(self.first_position)?).ok()?;
        let fields = *self.events.get(index)?;
        Some(RecordedEvent::new(Arc::clone(&self.bytes), fields))
    }

    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = RecordedEvent> {
        self.events.iter().map(|fields| RecordedEvent::new(Arc::clone(&self.bytes), *fields))
    }
}

fn body_of(bytes: &[u8]) -> Result<&[u8], Reason> {
    match bytes.split_at_checked(HEADER_BYTES) {
        Some((header, body)) if header.first() == Some(&KIND) => Ok(body),
        _ => Err("it does not start as a record does".to_owned()),
    }
}

/// Where `part`, which was borrowed from `whole`, lies in it.
fn span_in(whole: &[u8], part: &[u8]) -> Result<Span, Reason> {
    let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    let span = (u32::try_from(start).ok()).zip(u32::try_from(part.len()).ok());
    span.map(|(start, len)| Span { start, len }).ok_or_else(|| "it is too long".to_owned())
}

/// The span of a name without its NUL.
fn name_span(whole: &[u8], name: &[u8]) -> Result<Span, Reason> {
    match name.strip_suffix(&[0]) {
        Some(text) if str::from_utf8(text).is_ok() => span_in(whole, text),
        _ => Err("a name in it is not terminated UTF-8".to_owned()),
    }
}

fn fields_of(
    whole: &[u8],
    position: u64,
    event: &Event<'_>,
    names: &[Span],
) -> Result<EventFields, Reason> {
    let name = |number: u32| {
        let known = names.get(number as usize).copied();
        known.ok_or_else(|| "an event in it has no name".to_owned())
    };
    let metadata = match event.metadata {
        Some(Bytes(text)) if str::from_utf8(text).is_ok() => Some(span_in(whole, text)?),
        Some(_) => return Err("metadata in it is not UTF-8".to_owned()),
        None => None,
    };
    let offset = event.zone.map_or(UtcOffset::Naive, UtcOffset::Minutes);
    Ok(EventFields {
        position,
        version: event.version,
        timestamp: Timestamp::new(event.micros, offset).map_err(|error| error.to_string())?,
        id: event.id.map(Uuid::from_bytes),
        is_binary: event.is_binary,
        stream: name(event.stream)?,
        event_type: name(event.event_type)?,
        data: span_in(whole, event.data.0)?,
        metadata,
    })
}
