//! A stored event: a view into the page that holds it.

use std::{fmt, str, sync::Arc};

use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    Error,
    event::{TagList, Tags, Timestamp},
};

/// An event as it was recorded. It is immutable, shares the buffer of the page that it was read
/// with, and is cheap to clone. Keeping one alive keeps its whole page: at most 64 KiB, or one
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

/// Where one event's parts lie in the bytes of its page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventFields {
    pub(crate) position: u64,
    pub(crate) version: u64,
    pub(crate) timestamp: Timestamp,
    pub(crate) stream: Span,
    pub(crate) event_type: Span,
    pub(crate) data: Span,
    /// [`Span::NONE`] without metadata.
    pub(crate) metadata: Span,
    /// [`Span::NONE`] without an id, else 16 bytes.
    pub(crate) id: Span,
    /// The numbers of its tags.
    pub(crate) tags: Span,
    /// Where the table of tags starts that these are numbers in.
    pub(crate) tag_table: u32,
    pub(crate) is_binary: bool,
}

impl EventFields {
    /// The table of tags and the numbers in it, of an event that lies in these bytes.
    fn tag_parts<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        (bytes.get(self.tag_table as usize..).unwrap_or_default(), self.tags.of(bytes))
    }

    /// The tags of an event that lies in these bytes.
    pub(crate) fn tag_list<'a>(&self, bytes: &'a [u8]) -> TagList<'a> {
        let (table, numbers) = self.tag_parts(bytes);
        TagList::Stored { table, numbers }
    }
}

/// A range of bytes of a page. A page is at most some MiB long, so that 32 bits are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// What stands for no range.
    pub(crate) const NONE: Span = Span { start: u32::MAX, len: 0 };

    /// The range, unless it stands for none.
    pub(crate) fn some(self) -> Option<Span> {
        (self != Span::NONE).then_some(self)
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.len as usize).unwrap_or_default()
    }

    /// A name, with the NUL that every name in a record has after it.
    fn with_nul(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..=start + self.len as usize).unwrap_or(&[0])
    }
}

impl RecordedEvent {
    /// The spans of `fields` lie within `bytes`, and names are followed by a NUL: the decoder of
    /// records has checked both.
    pub(crate) fn new(bytes: Arc<[u8]>, fields: EventFields) -> RecordedEvent {
        RecordedEvent { bytes, fields }
    }

    /// The global position: 1 for the first event of the store, without gaps.
    pub fn position(&self) -> u64 {
        self.fields.position
    }

    /// The stream that the event belongs to.
    pub fn stream_id(&self) -> &str {
        str::from_utf8(self.fields.stream.of(&self.bytes)).unwrap_or_default()
    }

    /// The stream id with a NUL after it, for C.
    pub fn stream_id_with_nul(&self) -> &[u8] {
        self.fields.stream.with_nul(&self.bytes)
    }

    /// The version of the event in its stream: 1 for the first, without gaps.
    pub fn version(&self) -> u64 {
        self.fields.version
    }

    /// The name of the fact.
    pub fn event_type(&self) -> &str {
        str::from_utf8(self.fields.event_type.of(&self.bytes)).unwrap_or_default()
    }

    /// The event type with a NUL after it, for C.
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

    /// Reads the payload as a `T`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the payload is binary or does not have the form of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if self.is_binary() {
            return Err(self.wrong_form("data", "it is binary, not JSON"));
        }
        read_json(self.data()).map_err(|error| self.wrong_form("data", error))
    }

    /// The metadata: the text of a JSON object, or `None` where the event has none.
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

    /// Reads the metadata as a `T`; `None` where the event has none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the metadata does not have the form of a `T`.
    pub fn metadata_json<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let Some(text) = self.metadata() else { return Ok(None) };
        let value = read_json(text.as_bytes());
        value.map(Some).map_err(|error| self.wrong_form("metadata", error))
    }

    /// When the event happened, as it was written: see [`Timestamp`].
    pub fn timestamp(&self) -> Timestamp {
        self.fields.timestamp
    }

    /// The id that the caller gave the event, if it gave one.
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
            reason: format!("of the event at position {}: {reason}", self.position()),
        }
    }
}

/// Reads a stored value, whose depth was bounded when it was appended.
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

/// Two events are equal when everything recorded about them is.
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
