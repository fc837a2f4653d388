//! NDJSON texts and the stores they make.

use annals::{Error, EventStore, ExportOptions, ImportError, ImportOptions, ImportReport};

/// The keys of a line and their values, in the order of the format.
const DEFAULTS: [(&str, &str); 6] = [
    ("event_id", "1"),
    ("stream_id", "\"order-7\""),
    ("event_type", "\"ItemAdded\""),
    ("data", "{\"sku\": \"tea\"}"),
    ("timestamp", "\"2024-05-01T12:30:00.250000\""),
    ("metadata", "null"),
];

/// A line without its line end, with the raw text of some values changed. An empty text takes the
/// key out, and a key that is not among the six comes after them.
pub(crate) fn line(changes: &[(&str, &str)]) -> String {
    let mut fields: Vec<(&str, &str)> = DEFAULTS.to_vec();
    for &(key, text) in changes {
        match fields.iter_mut().find(|(name, _)| *name == key) {
            Some(field) => field.1 = text,
            None => fields.push((key, text)),
        }
    }
    fields.retain(|(_, text)| !text.is_empty());
    let fields: Vec<String> =
        fields.iter().map(|(key, text)| format!("\"{key}\": {text}")).collect();
    format!("{{{}}}", fields.join(", "))
}

/// Lines with consecutive event ids and their line ends, spread over a few streams.
pub(crate) fn numbered(event_ids: std::ops::RangeInclusive<u64>) -> String {
    let one = |event_id: u64| {
        let stream = format!("\"stream-{}\"", event_id % 3);
        line(&[("event_id", &event_id.to_string()), ("stream_id", &stream)]) + "\n"
    };
    event_ids.map(one).collect()
}

pub(crate) fn import(
    store: &EventStore,
    text: impl AsRef<[u8]>,
    options: &ImportOptions,
) -> Result<ImportReport, ImportError> {
    store.import_ndjson(text.as_ref(), options)
}

/// A store in memory that has imported `text`.
#[track_caller]
pub(crate) fn store_of(text: impl AsRef<[u8]>) -> EventStore {
    let store = EventStore::in_memory().unwrap();
    import(&store, text, &ImportOptions::new()).unwrap();
    store
}

#[track_caller]
pub(crate) fn export(store: &EventStore) -> String {
    let mut text = Vec::new();
    store.export_ndjson(&mut text, &ExportOptions::new()).unwrap();
    String::from_utf8(text).unwrap()
}

/// Imports `text` into an empty store and expects it to come back as `expected`.
#[track_caller]
pub(crate) fn check_export(text: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(export(&store_of(text)), expected);
}

/// The place where `check_fault` expects the fault: it is cut out of the text first.
pub(crate) const HERE: &str = "<!>";

/// Imports `text` and expects a fault at the marked place, with a reason that contains `reason`.
#[track_caller]
pub(crate) fn check_fault(text: &str, reason: &str) {
    check_fault_in(&EventStore::in_memory().unwrap(), text, reason, &ImportOptions::new());
}

/// As `check_fault`, with a store and options.
#[track_caller]
pub(crate) fn check_fault_in(
    store: &EventStore,
    text: &str,
    reason: &str,
    options: &ImportOptions,
) {
    let offset = text.find(HERE).expect("the text has a marked place");
    let before = &text[..offset];
    let line = before.matches('\n').count() as u64 + 1;
    let column = (offset - before.rfind('\n').map_or(0, |end| end + 1)) as u64 + 1;
    let head = store.head().unwrap();
    let failure = import(store, text.replacen(HERE, "", 1), options).unwrap_err();
    assert_fault(&failure, line, column, reason);
    assert_eq!(
        store.head().unwrap(),
        head + failure.report.events,
        "events of the bad batch are in"
    );
}

#[track_caller]
pub(crate) fn assert_fault(failure: &ImportError, line: u64, column: u64, reason: &str) {
    let Error::Parse { line: at_line, column: at_column, reason: why } = &failure.error else {
        panic!("a parse error was due, not {:?}", failure.error);
    };
    assert!(why.contains(reason), "{why:?} does not say {reason:?}");
    assert_eq!((*at_line, *at_column), (line, column), "{why}");
    assert_eq!((failure.report.lines, failure.line), (line, Some(line)));
}
