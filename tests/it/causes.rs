//! What led to an event, in its metadata.

use annals::{EventStore, ExpectedVersion::Any, NewEvent, RecordedEvent};
use uuid::Uuid;

fn recorded(metadata: Option<&str>, id: Option<Uuid>) -> RecordedEvent {
    let store = EventStore::in_memory().unwrap();
    store.append("s", Any, [NewEvent::json("First", &1).unwrap()]).unwrap();
    let mut event = NewEvent::json("Cause", &1).unwrap();
    if let Some(text) = metadata {
        event = event.raw_metadata(text).unwrap();
    }
    if let Some(id) = id {
        event = event.id(id);
    }
    store.append("s", Any, [event]).unwrap();
    store.read_all().from_position(2).next().unwrap().unwrap()
}

/// The metadata of an event with `own` metadata, after it was caused.
#[track_caller]
fn check(cause: &RecordedEvent, own: Option<&str>, due: &str) {
    let mut event = NewEvent::json("Effect", &1).unwrap();
    if let Some(text) = own {
        event = event.raw_metadata(text).unwrap();
    }
    let store = EventStore::in_memory().unwrap();
    store.append("s", Any, [event.caused_by(cause)]).unwrap();
    let event = store.read_all().next().unwrap().unwrap();
    assert_eq!(event.metadata(), Some(due));
    let _: serde_json::Map<_, _> = event.metadata_json().unwrap().unwrap();
}

#[test]
fn the_first_of_a_chain_gives_it_its_id() {
    let due = r#"{"causation_id":"2","correlation_id":"2"}"#;
    check(&recorded(None, None), None, due);
    check(&recorded(Some("{}"), None), None, due);
    check(&recorded(Some(r#"{"user": "ada"}"#), None), None, due);
    // A JSON null is how many programs write a value that is absent.
    let nulls = r#"{"correlation_id": null, "traceparent": null, "tracestate": null}"#;
    check(&recorded(Some(nulls), None), None, due);
    let id = Uuid::from_u128(7);
    let due = format!(r#"{{"causation_id":"{id}","correlation_id":"{id}"}}"#);
    check(&recorded(None, Some(id)), None, &due);
}

#[test]
fn correlation_and_trace_are_handed_on_as_they_are() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let text = format!(
        r#"{{"traceparent": "{trace}", "correlation_id" : {{"n": 1.00}}, "causation_id": "x"}}"#
    );
    let due =
        format!(r#"{{"causation_id":"2","correlation_id":{{"n": 1.00}},"traceparent":"{trace}"}}"#);
    check(&recorded(Some(&text), None), None, &due);
    let text = r#"{"tracestate": "a=b", "traceparent": "t"}"#;
    let due = r#"{"causation_id":"2","correlation_id":"2","traceparent":"t","tracestate":"a=b"}"#;
    check(&recorded(Some(text), None), None, due);
}

#[test]
fn what_the_event_has_already_stays() {
    let cause = recorded(Some(r#"{"correlation_id": "r", "traceparent": "t"}"#), None);
    let due = r#"{ "user" : "a}" ,"causation_id":"2","correlation_id":"r","traceparent":"t"}"#;
    check(&cause, Some(r#"{ "user" : "a}" }"#), due);
    let own = r#"{"correlation_id":null,"traceparent":"own"}"#;
    let due = r#"{"correlation_id":null,"traceparent":"own","causation_id":"2"}"#;
    check(&cause, Some(own), due);
    check(&cause, Some("{ }"), r#"{ "causation_id":"2","correlation_id":"r","traceparent":"t"}"#);
}
