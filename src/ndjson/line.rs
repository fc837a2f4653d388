//! One line as an event: every value checked, every fault with its location.

use std::borrow::Cow;

use base64::{DecodeError, Engine, prelude::BASE64_STANDARD};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    Error, NewEvent, RecordedEvent, Timestamp,
    event::{
        Payload,
        json::{self, Fault},
        limits::{self, EVENT_BYTES_MAX, TAGS_MAX},
        name, tags,
    },
    ndjson::{
        ImportMode,
        envelope::{Envelope, offset_in},
    },
};

/// An event as a line describes it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    text: &'a str,
    raw: Envelope<'a>,
    /// `None` only where the mode ignores it.
    pub(super) event_id: Option<u64>,
    pub(super) stream_id: Cow<'a, str>,
    event_type: Cow<'a, str>,
    data: Data<'a>,
    metadata: Option<Cow<'a, str>>,
    timestamp: Timestamp,
    id: Option<Uuid>,
    /// Sorted, each once.
    tags: Vec<String>,
}

#[derive(Debug)]
enum Data<'a> {
    /// Normalized JSON text.
    Json(Cow<'a, str>),
    Binary(Vec<u8>),
}

impl Data<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Data::Json(text) => text.as_bytes(),
            Data::Binary(bytes) => bytes,
        }
    }
}

impl<'a> Line<'a> {
    /// Parses `text`, a line that is not blank, without its line end.
    pub(super) fn parse(text: &'a str, mode: ImportMode) -> Result<Line<'a>, Fault> {
        let raw = Envelope::parse(text)?;
        let values = Values { text };
        let event_id = match raw.event_id {
            None if mode == ImportMode::Append => None,
            None => {
                let reason = "the key \"event_id\" is missing, which only the mode append accepts";
                return Err(Fault { offset: values.end(), reason: reason.to_owned() });
            }
            event_id => event_id,
        };
        let stream_id = values.required("stream_id", raw.stream_id)?;
        let event_type = values.required("event_type", raw.event_type)?;
        let data = values.required("data", raw.data)?;
        let timestamp = values.required("timestamp", raw.timestamp)?;
        let line = Line {
            text,
            raw,
            event_id: event_id.map(|raw| values.event_id(raw)).transpose()?,
            stream_id: values.name("stream_id", "stream id (bytes)", stream_id)?,
            event_type: values.name("event_type", "event type (bytes)", event_type)?,
            data: values.data(data, raw.data_base64)?,
            timestamp: values.timestamp(timestamp)?,
            metadata: raw.metadata.map_or(Ok(None), |raw| values.metadata(raw))?,
            id: raw.id.map(|raw| values.id(raw)).transpose()?,
            tags: raw.tags.map_or(Ok(Vec::new()), |raw| values.tags(raw))?,
        };
        line.check_size()?;
        Ok(line)
    }

    /// A fault of the `event_id`, which only the importer can check.
    pub(super) fn event_id_fault(&self, reason: String) -> Fault {
        self.fault_at(self.raw.event_id, reason)
    }

    /// The event to append, and its stream from `stream_id`.
    pub(super) fn into_event(self) -> (Cow<'a, str>, NewEvent) {
        let payload = match self.data {
            Data::Json(text) => Payload::Json(text.into_owned()),
            Data::Binary(bytes) => Payload::Binary(bytes),
        };
        let mut event = NewEvent::from_normalized(self.event_type.into_owned(), payload);
        event.metadata = self.metadata.map(Cow::into_owned);
        event.id = self.id;
        event.timestamp = Some(self.timestamp);
        event.tags = self.tags;
        (self.stream_id, event)
    }

    /// The first difference from the event that is stored at this position.
    pub(super) fn difference(&self, stored: &RecordedEvent) -> Option<Fault> {
        let differs = |key: &str, raw| {
            let reason = format!("the stored event {} differs in {key}", stored.position());
            Some(self.fault_at(raw, reason))
        };
        let is_binary = matches!(self.data, Data::Binary(_));
        if *self.stream_id != *stored.stream_id() {
            return differs("stream_id", self.raw.stream_id);
        }
        if *self.event_type != *stored.event_type() {
            return differs("event_type", self.raw.event_type);
        }
        if is_binary != stored.is_binary() || self.data.bytes() != stored.data() {
            return differs("data", self.raw.data_base64.or(self.raw.data));
        }
        if self.timestamp != stored.timestamp() {
            return differs("timestamp", self.raw.timestamp);
        }
        if self.metadata.as_deref() != stored.metadata() {
            return differs("metadata", self.raw.metadata);
        }
        if self.id != stored.id() {
            return differs("id", self.raw.id);
        }
        if !stored.tags().eq(&self.tags) {
            return differs("tags", self.raw.tags);
        }
        None
    }

    /// A fault at a value, or at the end of the object if the key is missing.
    fn fault_at(&self, raw: Option<&str>, reason: String) -> Fault {
        let values = Values { text: self.text };
        Fault { offset: raw.map_or(values.end(), |raw| offset_in(self.text, raw)), reason }
    }

    fn check_size(&self) -> Result<(), Fault> {
        let metadata = self.metadata.as_ref().map_or(0, |text| text.len());
        let names = self.stream_id.len() + self.event_type.len();
        let tags: usize = self.tags.iter().map(String::len).sum();
        let actual = names + self.data.bytes().len() + metadata + tags;
        limits::check("event (bytes)", actual, EVENT_BYTES_MAX)
            .map_err(|past| self.fault_at(self.raw.data_base64.or(self.raw.data), past.to_string()))
    }
}

/// Turns the raw values of one line into checked ones.
struct Values<'a> {
    text: &'a str,
}

impl<'a> Values<'a> {
    fn fault<T>(&self, raw: &str, reason: impl Into<String>) -> Result<T, Fault> {
        Err(Fault { offset: offset_in(self.text, raw), reason: reason.into() })
    }

    /// The closing brace.
    fn end(&self) -> usize {
        self.text.trim_end_matches([' ', '\t', '\r']).len().saturating_sub(1)
    }

    fn required(&self, key: &str, raw: Option<&'a str>) -> Result<&'a str, Fault> {
        raw.ok_or_else(|| Fault {
            offset: self.end(),
            reason: format!("the key {key:?} is missing"),
        })
    }

    fn event_id(&self, raw: &str) -> Result<u64, Fault> {
        match raw.parse() {
            Ok(event_id) if event_id > 0 => Ok(event_id),
            _ => self.fault(raw, format!("event_id must be a whole number from 1 to {}", u64::MAX)),
        }
    }

    /// A JSON string, decoded.
    fn string(&self, key: &str, raw: &'a str) -> Result<Cow<'a, str>, Fault> {
        let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return self.fault(raw, format!("{key} must be a string"));
        };
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        // Its grammar was checked with the line; this finds an unpaired surrogate.
        self.normalized(key, raw, json::normalize(raw))?;
        match serde_json::from_str(raw) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(error) => self.fault(raw, format!("{key}: {error}")),
        }
    }

    /// A stream id, an event type or a tag.
    fn name(&self, key: &str, what: &'static str, raw: &'a str) -> Result<Cow<'a, str>, Fault> {
        let text = self.string(key, raw)?;
        let argument = match key {
            "stream_id" => "stream id",
            "event_type" => "event type",
            _ => "tag",
        };
        name::check_form(argument, &text)
            .and_then(|()| name::check_length(what, &text))
            .or_else(|error| self.fault(raw, error.to_string()))?;
        Ok(text)
    }

    fn data(&self, raw: &'a str, base64: Option<&'a str>) -> Result<Data<'a>, Fault> {
        let Some(base64) = base64 else {
            return self.normalized("data", raw, json::normalize(raw)).map(Data::Json);
        };
        if raw != "null" {
            return self.fault(raw, "data must be null when data_base64 is given");
        }
        let text = self.string("data_base64", base64)?;
        match BASE64_STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Data::Binary(bytes)),
            Err(error) => {
                // Offsets in a decoded text with escapes do not match offsets in the line.
                let inside =
                    if matches!(text, Cow::Borrowed(_)) { base64_offset(&error) } else { 0 };
                let offset = offset_in(self.text, base64) + inside;
                Err(Fault { offset, reason: format!("data_base64 is not padded base64: {error}") })
            }
        }
    }

    fn metadata(&self, raw: &'a str) -> Result<Option<Cow<'a, str>>, Fault> {
        match raw.as_bytes().first() {
            Some(b'{') => {}
            _ if raw == "null" => return Ok(None),
            _ => return self.fault(raw, "metadata must be an object or null"),
        }
        self.normalized("metadata", raw, json::normalize_object(raw)).map(Some)
    }

    fn timestamp(&self, raw: &'a str) -> Result<Timestamp, Fault> {
        let text = self.string("timestamp", raw)?;
        text.parse().or_else(|error: Error| self.fault(raw, error.to_string()))
    }

    fn id(&self, raw: &'a str) -> Result<Uuid, Fault> {
        let text = self.string("id", raw)?;
        Uuid::try_parse(&text).or_else(|_| self.fault(raw, format!("id {text:?} is not a UUID")))
    }

    /// The tags in order, without repeats.
    fn tags(&self, raw: &'a str) -> Result<Vec<String>, Fault> {
        let Ok(items) = serde_json::from_str::<Vec<&'a RawValue>>(raw) else {
            return self.fault(raw, "tags must be an array of strings");
        };
        let mut found = Vec::new();
        for item in items {
            found.push(self.name("a tag", "tag (bytes)", item.get())?.into_owned());
        }
        let mut all = Vec::new();
        tags::add(&mut all, found);
        limits::check("event (tags)", all.len(), TAGS_MAX)
            .or_else(|past| self.fault(raw, past.to_string()))?;
        Ok(all)
    }

    /// Converts the offset of a fault in a value to an offset in the line, and names the value.
    fn normalized(
        &self,
        key: &str,
        raw: &str,
        value: Result<Cow<'a, str>, Fault>,
    ) -> Result<Cow<'a, str>, Fault> {
        value.map_err(|Fault { offset, reason }| Fault {
            offset: offset_in(self.text, raw) + offset,
            reason: format!("{key}: {reason}"),
        })
    }
}

/// Where in the string, including its opening quote, the decoder stopped; 0 for the string as a
/// whole.
fn base64_offset(error: &DecodeError) -> usize {
    match error {
        DecodeError::InvalidByte(offset, _) | DecodeError::InvalidLastSymbol(offset, _) => {
            offset + 1
        }
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => 0,
    }
}
