//! The spans of the feature `tracing`.

use std::{fs, sync::Mutex};

use annals::{EventStore, ExpectedVersion::Any, NewEvent, Reader};
use tracing::{Event, Metadata, Subscriber, span};

/// The names of the spans that any thread of this process has entered, with their fields; and the
/// fields that they got later.
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

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        SEEN.lock().unwrap().push(format!("{values:?}"));
    }

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
    assert_eq!(Reader::open(&path).unwrap().head().unwrap(), 1);
    store.close().unwrap();
    fs::remove_dir_all(path.join("trees")).unwrap();
    EventStore::open(&path).unwrap().close().unwrap();
    let seen = SEEN.lock().unwrap().clone();
    for name in ["open", "open_reader", "append", "commit", "verify", "drain"] {
        assert!(seen.iter().any(|span| span.starts_with(&format!("{name} "))), "{name}: {seen:?}");
    }
    for name in ["open ", "open_reader "] {
        let has_path = |span: &String| span.starts_with(name) && span.contains("spans.annals");
        assert!(seen.iter().any(has_path), "{name}: {seen:?}");
    }
    for (begin, field) in [
        ("append ", "units: 1, streams: 1, events: 1, bytes: 3"),
        ("commit ", "requests: 1, events: 1, bytes: 3"),
        ("drain ", "head: 1, events: 1, bytes: "),
    ] {
        let has_field = |span: &String| span.starts_with(begin) && span.contains(field);
        assert!(seen.iter().any(has_field), "{begin}: {seen:?}");
    }
    for field in ["head: 0", "head: 1", "rebuilt_events: 0", "events: 1", "findings: 0"] {
        assert!(seen.iter().any(|values| values.contains(field)), "{field}: {seen:?}");
    }
}
