//! The schema version of an event's data, recorded in its metadata.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::event::{NewEvent, RecordedEvent};

/// The key in the metadata.
const KEY: &str = "schema_version";

impl NewEvent {
    /// Records in the metadata, as `schema_version`, the version of the data's schema. The default
    /// is 1. Call it after [`metadata`](Self::metadata), which replaces all metadata.
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
    /// The version of the data's schema: `schema_version` in the metadata. It is 1 if the metadata
    /// has no such member, or one that is not an integer from 0 to 4294967295.
    pub fn schema_version(&self) -> u32 {
        let members: Option<BTreeMap<String, &RawValue>> =
            self.metadata().and_then(|text| serde_json::from_str(text).ok());
        let version = members.and_then(|members| members.get(KEY)?.get().parse().ok());
        version.unwrap_or(1)
    }
}

/// Metadata with another schema version. Other members keep their text, and are ordered by key.
pub(crate) fn with_schema_version(metadata: Option<&str>, version: u32) -> String {
    let text = metadata.unwrap_or("{}");
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let number = version.to_string();
    if let Ok(number) = serde_json::from_str::<&RawValue>(&number) {
        members.insert(KEY.to_owned(), number);
    }
    serde_json::to_string(&members).unwrap_or_else(|_| text.to_owned())
}
