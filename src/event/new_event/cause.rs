//! The cause of an event, recorded in its metadata.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::event::{NewEvent, RecordedEvent};

/// The key of the id that all events caused by one request share.
const CORRELATION: &str = "correlation_id";
/// The key of the id of the event that directly caused this one.
const CAUSATION: &str = "causation_id";
/// The keys of a W3C trace context, which are copied unchanged.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

impl NewEvent {
    /// Records in the metadata that `event` caused this event. The following members are added,
    /// unless the metadata already has them:
    /// * `causation_id`: the [id](RecordedEvent::id) of `event`, or its position if it has none, as
    ///   text;
    /// * `correlation_id`: the `correlation_id` of `event`, or, if `event` starts the chain, the
    ///   same text as `causation_id`;
    /// * `traceparent` and `tracestate` of a W3C trace context, if `event` has them.
    ///
    /// A member of `event` that is `null` counts as absent.
    ///
    /// Call it after [`metadata`](Self::metadata), which replaces all metadata. If a process
    /// manager passes the correlation on, every step of one request can be found:
    /// `annals read orders.annals --correlation ID`.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    /// use serde_json::json;
    ///
    /// let store = EventStore::in_memory()?;
    /// let placed = NewEvent::json("OrderPlaced", &1)?
    ///     .metadata(&json!({"correlation_id": "r-1"}))?;
    /// store.append("order-7", ExpectedVersion::Any, [placed])?;
    /// let placed = store.read_all().next().ok_or("it was appended")??;
    ///
    /// let paid = NewEvent::json("PaymentRequested", &1)?.caused_by(&placed);
    /// store.append("payment-7", ExpectedVersion::Any, [paid])?;
    /// let paid = store.read_stream("payment-7").next().ok_or("it was appended")??;
    /// assert_eq!(paid.metadata(), Some(r#"{"causation_id":"1","correlation_id":"r-1"}"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn caused_by(mut self, event: &RecordedEvent) -> NewEvent {
        let text = event.metadata().unwrap_or("{}");
        let mut known: HashMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
        // Many programs write a member that has no value as null.
        known.retain(|_, value| value.get() != "null");
        let own = event.id().map_or_else(|| event.position().to_string(), |id| id.to_string());
        // A number or a UUID: nothing in it needs escaping.
        let own = format!("\"{own}\"");
        self.note_if_absent(CAUSATION, &own);
        self.note_if_absent(CORRELATION, known.get(CORRELATION).map_or(&own, |known| known.get()));
        for key in TRACE {
            if let Some(value) = known.get(key) {
                self.note_if_absent(key, value.get());
            }
        }
        self
    }

    /// Adds a member to the metadata if it is absent.
    fn note_if_absent(&mut self, key: &str, json: &str) {
        let text = self.metadata.take().unwrap_or_else(|| "{}".to_owned());
        let known: HashMap<String, &RawValue> = serde_json::from_str(&text).unwrap_or_default();
        let members = text.strip_suffix('}').filter(|_| !known.contains_key(key));
        self.metadata = Some(match members {
            Some(members) => {
                let comma = if known.is_empty() { "" } else { "," };
                format!("{members}{comma}\"{key}\":{json}}}")
            }
            None => text,
        });
    }
}
