//! At each limit and one past it; batches; memory.

use std::{
    cell::Cell,
    io::{self, Read},
    sync::{Arc, Mutex},
};

use annals::{EventStore, ImportOptions, limits};

use crate::support::lines::{assert_fault, check_fault, import, line, numbered, store_of};

#[test]
fn names_end_at_255_bytes() {
    for (key, words) in [("stream_id", "stream id"), ("event_type", "event type")] {
        let longest = "\u{e9}".repeat(127) + "x";
        assert_eq!(longest.len(), limits::NAME_BYTES_MAX);
        let escaped = format!("\"{}x\"", "\\u00e9".repeat(127));
        let store = store_of(line(&[(key, &escaped)]));
        let event = store.read_all().next().unwrap().unwrap();
        assert!([event.stream_id(), event.event_type()].contains(&longest.as_str()));
        let past = format!("<!>\"{longest}y\"");
        check_fault(
            &line(&[(key, &past)]),
            &format!("{words} (bytes) exceeds the limit of 255: 256"),
        );
    }
}

#[test]
fn values_nest_128_deep() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let deepest = nested(limits::JSON_DEPTH_MAX);
    assert_eq!(store_of(line(&[("data", &deepest)])).head().unwrap(), 1);
    let past = deepest.replacen("[]", "[<!>[]]", 1);
    check_fault(&line(&[("data", &past)]), "data: it nests deeper than 128");
    let metadata = format!("{{\"a\": {}}}", nested(limits::JSON_DEPTH_MAX - 1));
    assert_eq!(store_of(line(&[("metadata", &metadata)])).head().unwrap(), 1);
    let past = metadata.replacen("[]", "[<!>[]]", 1);
    check_fault(&line(&[("metadata", &past)]), "metadata: it nests deeper than 128");
}

/// A line whose event counts `bytes` in all.
fn sized_line(bytes: usize, data: impl Fn(usize) -> String) -> String {
    let metadata = "{\"a\": 1}";
    let names = "order-7".len() + "ItemAdded".len() + metadata.len();
    line(&[("data", &data(bytes - names)), ("metadata", metadata)])
}

#[test]
fn an_event_ends_at_16_mib() {
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let store = store_of(sized_line(limits::EVENT_BYTES_MAX, text));
    assert_eq!(store.head().unwrap(), 1);
    let marked = |bytes: usize| "<!>".to_owned() + &text(bytes);
    check_fault(
        &sized_line(limits::EVENT_BYTES_MAX + 1, marked),
        "event (bytes) exceeds the limit of 16777216: 16777217",
    );
}

#[test]
fn a_binary_event_ends_at_16_mib_too() {
    // "AAAA" stands for three bytes of zero, "AA==" and "AAA=" for one and two.
    let base64 = |bytes: usize| "AAAA".repeat(bytes / 3) + ["", "AA==", "AAA="][bytes % 3];
    let names = "order-7".len() + "ItemAdded".len();
    let binary = |bytes: usize, mark: &str| {
        let text = format!("{mark}\"{}\"", base64(bytes - names));
        line(&[("data", "null"), ("data_base64", &text)])
    };
    let store = store_of(binary(limits::EVENT_BYTES_MAX, ""));
    assert_eq!(store.head().unwrap(), 1);
    check_fault(&binary(limits::EVENT_BYTES_MAX + 1, "<!>"), "event (bytes) exceeds the limit");
}

#[test]
fn a_line_ends_at_32_mib() {
    // White space makes the line long without making the event large.
    let text = line(&[]);
    let padded = |bytes: usize| text.clone() + &" ".repeat(bytes - text.len());
    let longest = padded(limits::LINE_BYTES_MAX);
    for end in ["", "\n", "\r\n"] {
        let store = EventStore::in_memory().unwrap();
        let report = import(&store, longest.clone() + end, &ImportOptions::new()).unwrap();
        assert_eq!((report.events, report.lines), (1, 1));
    }
    for end in ["", "\n", "\r\n"] {
        let past = padded(limits::LINE_BYTES_MAX + 1) + end;
        let store = EventStore::in_memory().unwrap();
        let failure = import(&store, &past, &ImportOptions::new()).unwrap_err();
        let column = limits::LINE_BYTES_MAX as u64 + 1;
        assert_fault(&failure, 1, column, "exceeds the limit of 33554432 bytes");
    }
}

/// An endless line, which counts what is read of it.
struct Endless<'a>(&'a Cell<usize>);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(b'x');
        self.0.set(self.0.get() + buffer.len());
        Ok(buffer.len())
    }
}

#[test]
fn an_endless_line_is_refused_without_reading_on() {
    let count = Cell::new(0);
    let store = EventStore::in_memory().unwrap();
    let failure = store.import_ndjson(Endless(&count), &ImportOptions::new()).unwrap_err();
    assert_fault(&failure, 1, limits::LINE_BYTES_MAX as u64 + 1, "exceeds the limit");
    assert!(count.get() < limits::LINE_BYTES_MAX + (1 << 20), "{} bytes were read", count.get());
}

#[test]
fn a_fault_costs_its_own_batch_only() {
    let good = numbered(1..=10_000);
    let store = EventStore::in_memory().unwrap();
    let failure = import(&store, good.clone() + "oops\n", &ImportOptions::new()).unwrap_err();
    assert_fault(&failure, 10_001, 1, "a line must be a JSON object");
    let events = failure.report.events;
    assert!((1..10_000).contains(&events), "{events} events are in");
    assert_eq!(store.head().unwrap(), events);
    // What is in is what came first, and the rest can follow.
    let rest: String =
        good.lines().skip(events as usize).map(|line| line.to_owned() + "\n").collect();
    assert_eq!(import(&store, rest, &ImportOptions::new()).unwrap().events, 10_000 - events);
    assert_eq!(crate::support::lines::export(&store), good);
}

#[test]
fn batches_are_bounded_in_bytes() {
    let data = format!("\"{}\"", "x".repeat(1 << 20));
    let mut text: String = (1..=40)
        .map(|event_id| line(&[("event_id", &event_id.to_string()), ("data", &data)]) + "\n")
        .collect();
    text.push_str("oops\n");
    let store = EventStore::in_memory().unwrap();
    let failure = import(&store, text, &ImportOptions::new()).unwrap_err();
    assert!(failure.report.events > 20, "{} events are in", failure.report.events);
    assert_eq!(store.head().unwrap(), failure.report.events);
}

#[test]
fn both_ways_report_progress() {
    let text = numbered(1..=10_000);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = |seen: &Arc<Mutex<Vec<(u64, u64)>>>| {
        let seen = Arc::clone(seen);
        move |progress: annals::Progress| {
            seen.lock().unwrap().push((progress.events, progress.bytes));
        }
    };
    let store = EventStore::in_memory().unwrap();
    import(&store, &text, &ImportOptions::new().progress(hook(&seen))).unwrap();
    let imported = std::mem::take(&mut *seen.lock().unwrap());
    let options = annals::ExportOptions::new().progress(hook(&seen));
    store.export_ndjson(Vec::new(), &options).unwrap();
    let exported = std::mem::take(&mut *seen.lock().unwrap());
    for steps in [imported, exported] {
        assert!(steps.len() >= 3, "{steps:?}");
        assert!(steps.is_sorted(), "{steps:?}");
        assert_eq!(steps.last(), Some(&(10_000, text.len() as u64)));
    }
}
