//! An event to append.

mod cause;
mod schema;

pub(crate) use schema::with_schema_version;

use serde::Serialize;
use uuid::Uuid;

use crate::{
    Error,
    event::{
        RecordedEvent, TagList, Timestamp,
        json::{self, Fault},
        tags,
    },
};

/// An event as the caller creates it, before it has a position and a version.
///
/// The constructors check the payload; the append checks sizes and names.
///
/// # Examples
/// ```
/// use annals::{NewEvent, Timestamp};
///
/// let event = NewEvent::json("ItemAdded", &serde_json::json!({"sku": "tea", "quantity": 2}))?
///     .metadata(&serde_json::json!({"user": "ada"}))?
///     .timestamp(Timestamp::utc(1_700_000_000_000_000)?);
/// assert_eq!(event.event_type(), "ItemAdded");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub(crate) event_type: String,
    pub(crate) data: Payload,
    pub(crate) metadata: Option<String>,
    pub(crate) id: Option<Uuid>,
    pub(crate) timestamp: Option<Timestamp>,
    /// Sorted, without repeats.
    pub(crate) tags: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Checked and normalized JSON text.
    Json(String),
    Binary(Vec<u8>),
}

impl Payload {
    pub(crate) fn is_binary(&self) -> bool {
        matches!(self, Payload::Binary(_))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Payload::Json(text) => text.as_bytes(),
            Payload::Binary(bytes) => bytes,
        }
    }
}

impl NewEvent {
    /// An event whose payload is `data` as JSON, as `serde_json` writes it.
    ///
    /// JSON has no NaN and no infinities: `serde_json` writes such a float as `null`, without an
    /// error, and `null` cannot be read as a float again. Check floats before you record them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `data` has no JSON form, or nests deeper than
    /// [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX).
    pub fn json(
        event_type: impl Into<String>,
        data: &(impl Serialize + ?Sized),
    ) -> Result<NewEvent, Error> {
        let text = to_json("data", data)?;
        NewEvent::raw_json(event_type, &text)
    }

    /// An event whose payload is JSON text. The text is kept byte for byte, so numbers never lose
    /// digits. Only the surrounding white space is removed, and each CR and LF between tokens
    /// becomes a space.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the text is not valid JSON, nests deeper than
    /// [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX), or escapes half a surrogate pair.
    ///
    /// # Examples
    /// ```
    /// let event = annals::NewEvent::raw_json("Measured", " 0.10000000000000000000001\n")?;
    /// assert_eq!(event.data(), b"0.10000000000000000000001");
    /// assert!(annals::NewEvent::raw_json("Measured", "NaN").is_err());
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn raw_json(event_type: impl Into<String>, text: &str) -> Result<NewEvent, Error> {
        let text = json::normalize(text).map_err(|fault| invalid("data", &fault))?;
        Ok(NewEvent::from_normalized(event_type.into(), Payload::Json(text.into_owned())))
    }

    /// An event whose payload is a sequence of bytes, which may be empty.
    ///
    /// # Errors
    /// None at present; the `Result` leaves room for future checks.
    ///
    /// # Examples
    /// ```
    /// let event = annals::NewEvent::binary("Photographed", [0xFF, 0xD8])?;
    /// assert_eq!(event.data(), [0xFF, 0xD8]);
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn binary(
        event_type: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<NewEvent, Error> {
        Ok(NewEvent::from_normalized(event_type.into(), Payload::Binary(bytes.into())))
    }

    /// Sets the metadata, which must serialize to a JSON object.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `metadata` has no JSON form, is not an object, or nests too
    /// deeply.
    pub fn metadata(self, metadata: &(impl Serialize + ?Sized)) -> Result<NewEvent, Error> {
        let text = to_json("metadata", metadata)?;
        self.raw_metadata(&text)
    }

    /// Sets the metadata to the text of a JSON object, kept as [`raw_json`](Self::raw_json) keeps
    /// data.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the text is not a valid JSON object, or nests too deeply.
    pub fn raw_metadata(mut self, text: &str) -> Result<NewEvent, Error> {
        let text = json::normalize_object(text).map_err(|fault| invalid("metadata", &fault))?;
        self.metadata = Some(text.into_owned());
        Ok(self)
    }

    /// Gives the event an id, which makes it safe to repeat its append: see
    /// [`EventStore::append`](crate::EventStore::append).
    #[must_use]
    pub fn id(mut self, id: Uuid) -> NewEvent {
        self.id = Some(id);
        self
    }

    /// Sets the time at which the event happened. The default is the time of the append, in UTC.
    #[must_use]
    pub fn timestamp(mut self, timestamp: Timestamp) -> NewEvent {
        self.timestamp = Some(timestamp);
        self
    }

    /// Adds a tag by which the event can be found: see [`Query`](crate::Query). Tags are part of
    /// the content: a retry must have the same tags. A repeated tag counts once.
    ///
    /// The append checks the tags: each is 1 to 255 bytes of UTF-8 without a NUL, and an event has
    /// at most [`TAGS_MAX`](crate::limits::TAGS_MAX) tags.
    #[must_use]
    pub fn tag(self, tag: impl Into<String>) -> NewEvent {
        self.tags([tag])
    }

    /// Adds several tags: see [`tag`](Self::tag).
    ///
    /// # Examples
    /// See [`Tags`](crate::Tags).
    #[must_use]
    pub fn tags(mut self, more: impl IntoIterator<Item = impl Into<String>>) -> NewEvent {
        tags::add(&mut self.tags, more.into_iter().map(Into::into));
        self
    }

    /// The type of the event.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The payload as it will be stored.
    pub fn data(&self) -> &[u8] {
        self.data.bytes()
    }

    /// Creates an event from a payload that is already normalized. Metadata that the caller sets
    /// later must be normalized too.
    pub(crate) fn from_normalized(event_type: String, data: Payload) -> NewEvent {
        NewEvent { event_type, data, metadata: None, id: None, timestamp: None, tags: Vec::new() }
    }

    /// Whether a stored event has the same type, data, metadata and tags; the time is not compared.
    pub(crate) fn has_content_of(&self, stored: &RecordedEvent) -> bool {
        self.event_type == stored.event_type()
            && self.data.is_binary() == stored.is_binary()
            && self.data.bytes() == stored.data()
            && self.metadata.as_deref() == stored.metadata()
            && self.tags.iter().map(String::as_str).eq(stored.tags())
    }

    pub(crate) fn tag_list(&self) -> TagList<'_> {
        TagList::Given(&self.tags)
    }

    /// The bytes that the event and its stream id count against the limits of an event and of an
    /// append.
    pub(crate) fn counted_bytes(&self, stream: &str) -> usize {
        let metadata = self.metadata.as_ref().map_or(0, String::len);
        let tags = self.tag_list().bytes();
        stream.len() + self.event_type.len() + self.data.bytes().len() + metadata + tags
    }
}

fn to_json(what: &'static str, value: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::invalid(what, error.to_string()))
}

fn invalid(what: &'static str, fault: &Fault) -> Error {
    Error::invalid(what, format!("{} at byte {}", fault.reason, fault.offset + 1))
}
