//! One line as an object of known keys, each with the raw text of its value.
//!
//! Values are slices of the line, so that the column of every fault is exact.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::json::{self, Fault};

/// The values of a line's keys: slices of the line, each a complete JSON value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) event_id: Option<&'a str>,
    pub(super) stream_id: Option<&'a str>,
    pub(super) event_type: Option<&'a str>,
    pub(super) data: Option<&'a str>,
    pub(super) timestamp: Option<&'a str>,
    pub(super) metadata: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) tags: Option<&'a str>,
    pub(super) data_base64: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Reads a line. Keys may come in any order, but each at most once.
    pub(super) fn parse(line: &'a str) -> Result<Envelope<'a>, Fault> {
        let start = line.len() - line.trim_start_matches([' ', '\t', '\r']).len();
        if !line.as_bytes().get(start..).unwrap_or_default().starts_with(b"{") {
            return Err(Fault { offset: start, reason: "a line must be a JSON object".to_owned() });
        }
        let mut fault = None;
        let mut deserializer = serde_json::Deserializer::from_str(line);
        let parsed = EnvelopeSeed { line, fault: &mut fault }.deserialize(&mut deserializer);
        let parsed = parsed.and_then(|envelope| deserializer.end().map(|()| envelope));
        parsed.map_err(|error| fault.unwrap_or_else(|| json::syntax_fault(line, &error)))
    }

    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
            "event_id" => &mut self.event_id,
            "stream_id" => &mut self.stream_id,
            "event_type" => &mut self.event_type,
            "data" => &mut self.data,
            "timestamp" => &mut self.timestamp,
            "metadata" => &mut self.metadata,
            "id" => &mut self.id,
            "tags" => &mut self.tags,
            "data_base64" => &mut self.data_base64,
            _ => return None,
        })
    }
}

/// The offset of `part`, which is a slice of `line`, in `line`.
pub(super) fn offset_in(line: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(line.as_ptr().addr())
}

/// Reads the map; a fault of ours goes to `fault`, because serde's error type cannot hold its
/// place.
struct EnvelopeSeed<'a, 'f> {
    line: &'a str,
    fault: &'f mut Option<Fault>,
}

impl<'a> DeserializeSeed<'a> for EnvelopeSeed<'a, '_> {
    type Value = Envelope<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Envelope<'a>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for EnvelopeSeed<'a, '_> {
    type Value = Envelope<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Envelope<'a>, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(raw_key) = map.next_key::<&'a RawValue>()? {
            let key = decode_key(raw_key.get());
            let reason = match envelope.slot(&key) {
                Some(slot @ None) => {
                    *slot = Some(map.next_value::<&'a RawValue>()?.get());
                    continue;
                }
                Some(Some(_)) => format!("the key {key:?} occurs twice"),
                None => format!("unknown key {key:?}"),
            };
            let offset = offset_in(self.line, raw_key.get());
            *self.fault = Some(Fault { offset, reason });
            return Err(A::Error::custom("refused"));
        }
        Ok(envelope)
    }
}

/// A key without its quotes and escapes. A key that cannot be decoded stays as it is: it is
/// unknown.
fn decode_key(raw: &str) -> Cow<'_, str> {
    if raw.contains('\\')
        && let Ok(decoded) = serde_json::from_str::<String>(raw)
    {
        return Cow::Owned(decoded);
    }
    Cow::Borrowed(raw.trim_matches('"'))
}
