//! A stored event: a view into the page that contains it.

use std::{fmt, str, sync::Arc};

use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    Error,
    event::{TagList, Tags, Timestamp},
};

/// A recorded event. It is immutable, shares the buffer of the page that it was read with, and is
/// cheap to clone. Keeping an event alive keeps its whole page in memory: at most 64 KiB, or one
/// large event.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// store.append("order-7", ExpectedVersion::NoStream, [NewEvent::json("ItemAdded", &["tea"])?])?;
/// let event = store.read_all().next().expect("one event")?;
/// assert_eq!((event.position(), event.stream_id(), event.version()), (1, "order-7", 1));
/// assert_eq!(event.data(), br#"["tea"]"#);
/// assert_eq!(event.json::<Vec<String>>()?, ["tea"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RecordedEvent {
    bytes: Arc<[u8]>,
    fields: EventFields,
}

/// The places of one event's parts within the bytes of its page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventFields {
    pub(crate) position: u64,
    pub(crate) version: u64,
    pub(crate) timestamp: Timestamp,
    pub(crate) stream: Span,
    pub(crate) event_type: Span,
    pub(crate) data: Span,
    /// [`Span::NONE`] if there is no metadata.
    pub(crate) metadata: Span,
    /// [`Span::NONE`] if there is no id, otherwise 16 bytes.
    pub(crate) id: Span,
    /// The numbers of its tags.
    pub(crate) tags: Span,
    /// The start of the table of tags that these numbers index.
    pub(crate) tag_table: u32,
    pub(crate) is_binary: bool,
}

impl EventFields {
    /// The table of tags and the event's numbers in it, for an event within these bytes.
    fn tag_parts<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        (bytes.get(self.tag_table as usize..).unwrap_or_default(), self.tags.of(bytes))
    }

    /// The tags of an event within these bytes.
    pub(crate) fn tag_list<'a>(&self, bytes: &'a [u8]) -> TagList<'a> {
        let (table, numbers) = self.tag_parts(bytes);
        TagList::Stored { table, numbers }
    }
}

/// A range of bytes in a page. A page is at most a few MiB long, so 32 bits are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// Stands for the absence of a range.
    pub(crate) const NONE: Span = Span { start: u32::MAX, len: 0 };

    /// The range, or `None` for [`Span::NONE`].
    pub(crate) fn some(self) -> Option<Span> {
        (self != Span::NONE).then_some(self)
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.len as usize).unwrap_or_default()
    }

    /// A name, with the NUL that follows every name in a record.
    fn with_nul(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..=start + self.len as usize).unwrap_or(&[0])
    }
}

impl RecordedEvent {
    /// The spans of `fields` are within `bytes`, and names are followed by a NUL: the decoder of
    /// records has checked both.
    pub(crate) fn new(bytes: Arc<[u8]>, fields: EventFields) -> RecordedEvent {
        RecordedEvent { bytes, fields }
    }

    /// The global position. The first event of the store has position 1, and there are no gaps.
    pub fn position(&self) -> u64 {
        self.fields.position
    }

    /// The stream that the event belongs to.
    pub fn stream_id(&self) -> &str {
        str::from_utf8(self.fields.stream.of(&self.bytes)).unwrap_or_default()
    }

    /// The stream id followed by a NUL, for C.
    pub fn stream_id_with_nul(&self) -> &[u8] {
        self.fields.stream.with_nul(&self.bytes)
    }

    /// The version of the event in its stream. The first event has version 1, and there are no
    /// gaps.
    pub fn version(&self) -> u64 {
        self.fields.version
    }

    /// The type of the event.
    pub fn event_type(&self) -> &str {
        str::from_utf8(self.fields.event_type.of(&self.bytes)).unwrap_or_default()
    }

    /// The event type followed by a NUL, for C.
    pub fn event_type_with_nul(&self) -> &[u8] {
        self.fields.event_type.with_nul(&self.bytes)
    }

    /// The payload, byte for byte as it was appended: JSON text unless
    /// [`is_binary`](Self::is_binary).
    pub fn data(&self) -> &[u8] {
        self.fields.data.of(&self.bytes)
    }

    /// Whether the payload was appended as bytes rather than as JSON.
    pub fn is_binary(&self) -> bool {
        self.fields.is_binary
    }

    /// Deserializes the payload as a `T`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the payload is binary or does not have the form of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if self.is_binary() {
            return Err(self.wrong_form("data", "it is binary, not JSON"));
        }
        read_json(self.data()).map_err(|error| self.wrong_form("data", error))
    }

    /// The metadata: the text of a JSON object, or `None` if the event has none.
    pub fn metadata(&self) -> Option<&str> {
        self.fields
            .metadata
            .some()
            .map(|span| str::from_utf8(span.of(&self.bytes)).unwrap_or_default())
    }

    /// The metadata as the bytes of its text.
    pub fn metadata_bytes(&self) -> Option<&[u8]> {
        self.fields.metadata.some().map(|span| span.of(&self.bytes))
    }

    /// Deserializes the metadata as a `T`; `None` if the event has none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the metadata does not have the form of a `T`.
    pub fn metadata_json<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let Some(text) = self.metadata() else { return Ok(None) };
        let value = read_json(text.as_bytes());
        value.map(Some).map_err(|error| self.wrong_form("metadata", error))
    }

    /// The time at which the event happened, in the form in which it was written: see
    /// [`Timestamp`].
    pub fn timestamp(&self) -> Timestamp {
        self.fields.timestamp
    }

    /// The id that the caller gave the event, if any.
    pub fn id(&self) -> Option<Uuid> {
        let id = self.fields.id.some()?.of(&self.bytes);
        Uuid::from_slice(id).ok()
    }

    /// The tags of the event, in byte order.
    pub fn tags(&self) -> Tags<'_> {
        let (table, numbers) = self.fields.tag_parts(&self.bytes);
        Tags::new(table, numbers)
    }

    /// The tags, for an index.
    pub(crate) fn tag_list(&self) -> TagList<'_> {
        self.fields.tag_list(&self.bytes)
    }

    pub(super) fn wrong_form(&self, what: &'static str, reason: impl fmt::Display) -> Error {
        Error::InvalidArgument {
            argument: what,
            reason: format!("event at position {}: {reason}", self.position()),
        }
    }
}

/// Deserializes a stored value, whose depth was checked when it was appended.
fn read_json<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.disable_recursion_limit();
    T::deserialize(&mut deserializer)
}

impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedEvent")
            .field("position", &self.position())
            .field("stream_id", &self.stream_id())
            .field("version", &self.version())
            .field("event_type", &self.event_type())
            .field("data", &String::from_utf8_lossy(self.data()))
            .field("metadata", &self.metadata())
            .field("timestamp", &self.timestamp())
            .field("id", &self.id())
            .field("tags", &self.tags())
            .finish()
    }
}

/// Two events are equal if everything recorded about them is equal.
impl PartialEq for RecordedEvent {
    fn eq(&self, other: &Self) -> bool {
        self.position() == other.position()
            && self.version() == other.version()
            && self.is_binary() == other.is_binary()
            && self.timestamp() == other.timestamp()
            && self.id() == other.id()
            && self.stream_id() == other.stream_id()
            && self.event_type() == other.event_type()
            && self.data() == other.data()
            && self.metadata() == other.metadata()
            && self.tags().eq(other.tags())
    }
}

impl Eq for RecordedEvent {}
