//! The exact form of an exported line.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use annals::{Error, EventStore, ExpectedVersion, ExportOptions, NewEvent, Timestamp, UtcOffset};
use uuid::Uuid;

use crate::support::{
    lines::{export, numbered, store_of},
    system::has_program,
};

/// Texts that need each kind of escape.
const ODD_TEXTS: [&str; 13] = [
    "plain, with / and ' and ~",
    "\"quoted\" \\ back",
    "\u{1}\u{2}\u{7}\u{b}\u{e}\u{1f}",
    "\u{8}\u{9}\u{a}\u{c}\u{d}",
    "\u{7f}",
    "\u{80}\u{9f}\u{a0}",
    "\u{e9}\u{f1}\u{fc}",
    "\u{4eac}\u{90fd}",
    "\u{1f381}\u{10000}\u{10ffff}",
    "\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}",
    "\u{d7ff}\u{e000}",
    " leading and trailing ",
    "<!-- & -->",
];

fn append(store: &EventStore, stream: &str, event: NewEvent) {
    let event = event.timestamp(Timestamp::naive(1_714_566_600_250_000).unwrap());
    store.append(stream, ExpectedVersion::Any, [event]).unwrap();
}

#[test]
fn a_line_has_the_keys_in_order_and_then_the_extra_ones() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "order-7", NewEvent::raw_json("Opened", "{\"a\":1}").unwrap());
    let event = NewEvent::raw_json("Opened", "[]").unwrap().raw_metadata("{ \"u\":1 }").unwrap();
    append(&store, "order-7", event.id(Uuid::from_u128(0xABCD)));
    append(&store, "order-7", NewEvent::binary("Scanned", [0xFB, 0xFF]).unwrap());
    let event = NewEvent::binary("Scanned", []).unwrap().id(Uuid::from_u128(1));
    append(&store, "order-7", event);
    let expected = concat!(
        r#"{"event_id": 1, "stream_id": "order-7", "event_type": "Opened", "data": {"a":1}, "#,
        r#""timestamp": "2024-05-01T12:30:00.250000", "metadata": null}"#,
        "\n",
        r#"{"event_id": 2, "stream_id": "order-7", "event_type": "Opened", "data": [], "#,
        r#""timestamp": "2024-05-01T12:30:00.250000", "metadata": { "u":1 }, "#,
        r#""id": "00000000-0000-0000-0000-00000000abcd"}"#,
        "\n",
        r#"{"event_id": 3, "stream_id": "order-7", "event_type": "Scanned", "data": null, "#,
        r#""timestamp": "2024-05-01T12:30:00.250000", "metadata": null, "data_base64": "+/8="}"#,
        "\n",
        r#"{"event_id": 4, "stream_id": "order-7", "event_type": "Scanned", "data": null, "#,
        r#""timestamp": "2024-05-01T12:30:00.250000", "metadata": null, "#,
        r#""id": "00000000-0000-0000-0000-000000000001", "data_base64": ""}"#,
        "\n",
    );
    assert_eq!(export(&store), expected);
}

#[test]
fn names_are_escaped_as_json_dumps_does() {
    let expected = [
        r#""plain, with / and ' and ~""#,
        r#""\"quoted\" \\ back""#,
        r#""\u0001\u0002\u0007\u000b\u000e\u001f""#,
        r#""\b\t\n\f\r""#,
        r#""\u007f""#,
        r#""\u0080\u009f\u00a0""#,
        r#""\u00e9\u00f1\u00fc""#,
        r#""\u4eac\u90fd""#,
        r#""\ud83c\udf81\ud800\udc00\udbff\udfff""#,
        r#""\u2028\u2029\ufeff\ufffe\uffff""#,
        r#""\ud7ff\ue000""#,
        r#"" leading and trailing ""#,
        r#""<!-- & -->""#,
    ];
    for (text, expected) in ODD_TEXTS.iter().zip(expected) {
        let store = EventStore::in_memory().unwrap();
        append(&store, text, NewEvent::raw_json(*text, "0").unwrap());
        let line = export(&store);
        let names = format!("\"stream_id\": {expected}, \"event_type\": {expected}, \"data\"");
        assert!(line.contains(&names), "{line}");
    }
}

#[test]
fn python_writes_the_same_bytes() {
    if !has_program("python3", "--version") {
        return;
    }
    let store = EventStore::in_memory().unwrap();
    for text in ODD_TEXTS {
        let data = NewEvent::raw_json(text, "{\"n\": [1, 2.5, -0.0, 1e+16, true, null]}").unwrap();
        append(&store, text, data.raw_metadata("{\"k\": {}}").unwrap());
        append(&store, "plain", NewEvent::raw_json(text, "\"\\u00e9\\ud83c\\udf81\"").unwrap());
    }
    let ours = export(&store);
    let script = "\
import json, sys
for line in sys.stdin.buffer:
    sys.stdout.write(json.dumps(json.loads(line)) + '\\n')
";
    let mut python = Command::new("python3");
    python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    python.stdin.take().unwrap().write_all(ours.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), ours);
}

#[test]
fn timestamps_are_written_as_isoformat_does() {
    let minute = |minutes| UtcOffset::Minutes(minutes);
    let cases = [
        (0, UtcOffset::Naive, "1970-01-01T00:00:00"),
        (1, UtcOffset::Naive, "1970-01-01T00:00:00.000001"),
        (-1, UtcOffset::Naive, "1969-12-31T23:59:59.999999"),
        (1_714_566_600_250_000, minute(0), "2024-05-01T12:30:00.250000+00:00"),
        (1_714_566_600_000_000, minute(0), "2024-05-01T12:30:00+00:00"),
        (1_714_566_600_000_000, minute(120), "2024-05-01T14:30:00+02:00"),
        (1_714_566_600_000_000, minute(-570), "2024-05-01T03:00:00-09:30"),
        (-62_135_596_800_000_000, UtcOffset::Naive, "0001-01-01T00:00:00"),
        (253_402_300_799_999_999, minute(0), "9999-12-31T23:59:59.999999+00:00"),
    ];
    for (micros, offset, expected) in cases {
        let store = EventStore::in_memory().unwrap();
        let event = NewEvent::raw_json("T", "0").unwrap();
        let event = event.timestamp(Timestamp::new(micros, offset).unwrap());
        store.append("s", ExpectedVersion::Any, [event]).unwrap();
        let line = export(&store);
        assert!(line.contains(&format!("\"timestamp\": \"{expected}\", ")), "{line}");
    }
}

#[test]
fn the_report_counts_events_and_bytes() {
    let store = EventStore::in_memory().unwrap();
    let empty = store.export_ndjson(Vec::new(), &ExportOptions::new()).unwrap();
    assert_eq!((empty.events, empty.bytes), (0, 0));
    append(&store, "s", NewEvent::raw_json("T", "0").unwrap());
    append(&store, "s", NewEvent::raw_json("T", "1").unwrap());
    let report = store.export_ndjson(Vec::new(), &ExportOptions::new()).unwrap();
    assert_eq!((report.events, report.bytes), (2, export(&store).len() as u64));
}

/// Takes some bytes, then refuses.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_reported_as_such() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "s", NewEvent::raw_json("T", "0").unwrap());
    let error = store.export_ndjson(Full(100), &ExportOptions::new()).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
}

#[test]
fn a_stopped_export_leaves_no_file() {
    let store = store_of(numbered(1..=10));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.ndjson");
    for allowed in [0, 1, 9] {
        let asked = Arc::new(AtomicUsize::new(0));
        let stop = move || asked.fetch_add(1, Ordering::Relaxed) >= allowed;
        let options = ExportOptions::new().stop_when(stop.clone());
        let error = store.export_ndjson_file(&path, &options).unwrap_err();
        let Error::Io { path: named, source, .. } = &error else { panic!("{error:?}") };
        assert_eq!((named, source.kind()), (&path, ErrorKind::Interrupted));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
    let options = ExportOptions::new().stop_when(|| false);
    store.export_ndjson_file(&path, &options).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), numbered(1..=10));
}

#[test]
fn an_export_into_a_directory_that_is_missing_returns_why() {
    let store = EventStore::in_memory().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing").join("events.ndjson");
    match store.export_ndjson_file(&path, &ExportOptions::new()) {
        Err(Error::Io { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_closed_store_exports_and_imports_nothing() {
    let store = EventStore::in_memory().unwrap();
    store.close().unwrap();
    let export = store.export_ndjson(Vec::new(), &ExportOptions::new());
    assert!(matches!(export, Err(Error::Closed)), "{export:?}");
    let import = store.import_ndjson(&b""[..], &annals::ImportOptions::new());
    assert!(matches!(import.map_err(Error::from), Err(Error::Closed)));
}
