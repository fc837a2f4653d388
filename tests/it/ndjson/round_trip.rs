//! There and back: samples, real logs, and random events.

use annals::{
    EventStore, ExpectedVersion, ImportMode, ImportOptions, NewEvent, RecordedEvent, Timestamp,
    UtcOffset,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

use crate::support::{
    lines::{check_export, export, import, line, store_of},
    samples, seed,
};

#[test]
fn a_file_of_the_python_store_comes_back_byte_for_byte() {
    let orders = samples::orders();
    let store = store_of(&orders);
    assert_eq!(export(&store), orders);
    assert_eq!(store.head().unwrap(), 304);
    assert_eq!(store.streams().count(), 40);
}

#[test]
fn real_logs_come_back_byte_for_byte() {
    for (name, events) in [("permits.ndjson.gz", 8_577), ("incidents.ndjson.gz", 65_533)] {
        let Some(text) = samples::shared(name) else { continue };
        let store = EventStore::in_memory().unwrap();
        let report = import(&store, &text, &ImportOptions::new()).unwrap();
        assert_eq!((report.events, report.lines), (events, events));
        assert!(export(&store).as_bytes() == text, "{name} came back changed");
        let resumed = import(&store, &text, &ImportOptions::new().mode(ImportMode::Resume));
        assert_eq!(resumed.unwrap().skipped, events);
    }
}

#[test]
fn escapes_and_digits_come_back_byte_for_byte() {
    let text = [
        line(&[("stream_id", r#""caf\u00e9 \ud83c\udf81 \"x\" \\ \n\t\b\f\r\u0001\u007f""#)]),
        line(&[("event_id", "2"), ("data", r#"{"\u00e9": 0.10000000000000000000001, "b": [[]]}"#)]),
        line(&[("event_id", "3"), ("metadata", r#"{"t": "\ud83d\ude00", "n": {"m": {}}}"#)]),
    ];
    let text = text.join("\n") + "\n";
    check_export(&text, &text);
}

/// A name: any characters but NUL, cut to the limit.
fn name() -> impl Strategy<Value = String> {
    vec(any::<char>().prop_filter("no NUL", |&c| c != '\0'), 1..60).prop_map(String::from_iter)
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i128>().prop_map(|value| value.to_string()),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,5})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let space = select(vec!["", " ", "\t", "  "]);
        prop_oneof![
            (vec(inner.clone(), 0..4), space.clone())
                .prop_map(|(items, space)| format!("[{}]", items.join(&format!(",{space}")))),
            object(inner).prop_map(|text| text),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let field = (any::<String>(), value)
        .prop_map(|(key, value)| format!("{}: {value}", serde_json::to_string(&key).unwrap()));
    vec(field, 0..4).prop_map(|fields| format!("{{{}}}", fields.join(", ")))
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let offset = prop_oneof![
        Just(UtcOffset::Naive),
        Just(UtcOffset::Minutes(0)),
        (-1_439_i16..=1_439).prop_map(UtcOffset::Minutes),
    ];
    let micros = prop_oneof![
        -62_000_000_000_000_000..250_000_000_000_000_000_i64,
        (-62_000_000_000..250_000_000_000_i64).prop_map(|seconds| seconds * 1_000_000),
    ];
    (micros, offset).prop_map(|(micros, offset)| Timestamp::new(micros, offset).unwrap())
}

/// An event and its stream, without an id.
fn event() -> impl Strategy<Value = (String, NewEvent)> {
    let stream = prop_oneof![3 => select(vec!["a".to_owned(), "b".to_owned()]), 1 => name()];
    let payload = prop_oneof![
        3 => json().prop_map(Ok),
        1 => vec(any::<u8>(), 0..100).prop_map(Err),
    ];
    let metadata = option::of(object(json()));
    (stream, name(), payload, metadata, timestamp()).prop_map(
        |(stream, event_type, payload, metadata, timestamp)| {
            let event = match payload {
                Ok(text) => NewEvent::raw_json(event_type, &text).unwrap(),
                Err(bytes) => NewEvent::binary(event_type, bytes).unwrap(),
            };
            let event = event.timestamp(timestamp);
            let event = match metadata {
                Some(text) => event.raw_metadata(&text).unwrap(),
                None => event,
            };
            (stream, event)
        },
    )
}

fn events_of(store: &EventStore) -> Vec<RecordedEvent> {
    store.read_all().map(Result::unwrap).collect()
}

#[test]
fn any_events_come_back_equal() {
    let mut runner = seed::runner(64);
    let ids = vec(option::of(any::<u128>()), 20);
    let outcome = runner.run(&(vec(event(), 0..20), ids), |(events, ids)| {
        let store = EventStore::in_memory().unwrap();
        for ((stream, event), id) in events.into_iter().zip(ids) {
            let event = match id {
                Some(id) => event.id(Uuid::from_u128(id)),
                None => event,
            };
            store.append(stream, ExpectedVersion::Any, [event]).unwrap();
        }
        let text = export(&store);
        prop_assert!(!text.contains('\r'));
        let copy = EventStore::in_memory().unwrap();
        let report = import(&copy, &text, &ImportOptions::new()).unwrap();
        prop_assert_eq!(report.lines, store.head().unwrap());
        prop_assert_eq!(events_of(&copy), events_of(&store));
        prop_assert_eq!(export(&copy), text);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn any_bytes_are_an_event_or_an_error() {
    let mut runner = seed::runner(512);
    let spoiled = (any::<prop::sample::Index>(), any::<u8>(), 0_usize..3);
    let outcome = runner.run(&spoiled, |(place, byte, action)| {
        let mut text = samples::orders().lines().next().unwrap().as_bytes().to_vec();
        let place = place.index(text.len());
        match action {
            0 => text[place] = byte,
            1 => text.insert(place, byte),
            _ => drop(text.remove(place)),
        }
        let store = EventStore::in_memory().unwrap();
        match import(&store, &text, &ImportOptions::new()) {
            Ok(report) => prop_assert_eq!(report.events, store.head().unwrap()),
            Err(failure) => {
                let annals::Error::Parse { line, column, .. } = failure.error else {
                    return Err(TestCaseError::fail(format!("{failure:?}")));
                };
                prop_assert!(line <= 2 && column <= text.len() as u64 + 1);
            }
        }
        Ok(())
    });
    outcome.unwrap();
}
