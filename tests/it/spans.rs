//! The spans of the feature `tracing`.

use std::sync::Mutex;

use annals::{EventStore, ExpectedVersion::Any, NewEvent};
use tracing::{Event, Metadata, Subscriber, span};

/// The names of the spans that any thread of this process has entered, with their fields.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Names;

impl Subscriber for Names {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "annals"
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let text = format!("{} {}", attributes.metadata().name(), attributes.values());
        SEEN.lock().unwrap().push(text);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn what_a_store_does_has_spans() {
    // For the whole process, because a drain has a thread of its own.
    tracing::subscriber::set_global_default(Names).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spans.annals");
    let store = EventStore::open(&path).unwrap();
    store.append("s", Any, [NewEvent::json("T", &1).unwrap()]).unwrap();
    assert!(store.verify().unwrap().findings.is_empty());
    store.close().unwrap();
    let seen = SEEN.lock().unwrap();
    for name in ["open", "append", "commit", "verify", "drain"] {
        assert!(seen.iter().any(|span| span.starts_with(&format!("{name} "))), "{name}: {seen:?}");
    }
    assert!(seen.iter().any(|span| span.starts_with("open ") && span.contains("spans.annals")));
}
