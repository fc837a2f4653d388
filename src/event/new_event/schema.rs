//! The version of the shape of an event's data, in its metadata.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::event::{NewEvent, RecordedEvent};

/// The key in the metadata.
const KEY: &str = "schema_version";

impl NewEvent {
    /// Notes in the metadata, as `schema_version`, which version of its type's shape the data has.
    /// Without it the version is 1. Call it after [`metadata`](Self::metadata), which replaces all
    /// metadata.
    ///
    /// # Examples
    /// See [`Upcasters`](crate::Upcasters).
    #[must_use]
    pub fn schema_version(mut self, version: u32) -> NewEvent {
        self.metadata = Some(with_schema_version(self.metadata.as_deref(), version));
        self
    }
}

impl RecordedEvent {
    /// Which version of its type's shape the data has: `schema_version` of the metadata, or 1.
    pub fn schema_version(&self) -> u32 {
        let members: Option<BTreeMap<String, &RawValue>> =
            self.metadata().and_then(|text| serde_json::from_str(text).ok());
        let version = members.and_then(|members| members.get(KEY)?.get().parse().ok());
        version.unwrap_or(1)
    }
}

/// Metadata with another schema version. Other members keep their text, in the order of their keys.
pub(crate) fn with_schema_version(metadata: Option<&str>, version: u32) -> String {
    let text = metadata.unwrap_or("{}");
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let number = version.to_string();
    if let Ok(number) = serde_json::from_str::<&RawValue>(&number) {
        members.insert(KEY.to_owned(), number);
    }
    serde_json::to_string(&members).unwrap_or_else(|_| text.to_owned())
}
