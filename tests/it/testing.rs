//! What the feature `testing` gives to the tests of programs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use annals::{
    AppendError, Error, EventStore,
    ExpectedVersion::Any,
    ExportOptions, Handlers, NewEvent, Options,
    testing::{self, Clock, Decided, Fault, Ids, given},
};

fn handlers() -> Handlers<i64> {
    Handlers::new().when("Deposited", |balance: &mut i64, event| {
        *balance += event.json::<i64>()?;
        Ok(())
    })
}

fn event(event_type: &str, json: &str) -> NewEvent {
    NewEvent::raw_json(event_type, json).unwrap()
}

fn decided(outcome: Result<Vec<NewEvent>, String>) -> Decided<String> {
    given(0, &handlers(), [event("Deposited", "7")]).when(|_| outcome)
}

/// The text of a check that fails.
#[track_caller]
fn failure(check: impl FnOnce()) -> String {
    *catch_unwind(AssertUnwindSafe(check)).unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn a_scenario_has_the_state_of_its_events() {
    given(1, &handlers(), []).then_state(|balance| assert_eq!(*balance, 1));
    let events = [event("Deposited", "7"), event("Renamed", "1"), event("Deposited", "30")];
    given(1, &handlers(), events).then_state(|balance| assert_eq!(*balance, 38));
    let text = failure(|| drop(given(0, &handlers(), [event("Deposited", "\"x\"")])));
    assert!(
        text.starts_with("the given events cannot be applied: the handler for Deposited"),
        "{text}"
    );
    let text = failure(|| drop(given(0, &handlers(), [event("", "1")])));
    assert!(text.starts_with("the given events cannot be applied: invalid"), "{text}");
}

#[test]
fn what_is_decided_is_compared_by_its_values() {
    let due = || event("Withdrawn", r#"{"cents": 7, "by": "ada"}"#);
    decided(Ok(vec![event("Withdrawn", r#"{"by":"ada","cents":7}"#)])).then([due()]);
    decided(Ok(Vec::new())).then_nothing();
    decided(Err("no".to_owned())).then_refused("no".to_owned());
    assert_eq!(decided(Ok(vec![due()])).outcome().unwrap().len(), 1);
    let others = [
        vec![event("Withdrawn", r#"{"by":"ada","cents":8}"#)],
        vec![event("Withdraw", r#"{"by":"ada","cents":7}"#)],
        vec![due().raw_metadata("{}").unwrap()],
        vec![due().tag("account:1")],
        vec![due(), due()],
        Vec::new(),
    ];
    for other in others {
        let text = failure(|| decided(Ok(other)).then([due()]));
        let end = "but expected\n  Withdrawn {\"cents\": 7, \"by\": \"ada\"}";
        assert!(text.starts_with("decided\n  ") && text.ends_with(end), "{text}");
    }
    let tagged = || due().tags(["b", "a"]);
    decided(Ok(vec![tagged()])).then([due().tags(["a", "b"])]);
    let text = failure(|| decided(Ok(vec![due()])).then([tagged()]));
    assert!(text.ends_with(r#"{"cents": 7, "by": "ada"} ["a", "b"]"#), "{text}");
    let bytes = |bytes: &[u8]| NewEvent::binary("Withdrawn", bytes).unwrap();
    decided(Ok(vec![bytes(b"1")])).then([bytes(b"1")]);
    failure(|| decided(Ok(vec![bytes(b"1 ")])).then([bytes(b"1")]));
    let text = failure(|| decided(Ok(vec![due()])).then_nothing());
    assert!(text.ends_with("but expected\n  nothing"), "{text}");
    let text = failure(|| decided(Err("no".to_owned())).then_nothing());
    assert_eq!(text, "refused with \"no\", but expected\n  nothing");
    let text = failure(|| decided(Err("no".to_owned())).then_refused("yes".to_owned()));
    assert_eq!(text, "refused with \"no\", but expected \"yes\"");
    let text = failure(|| decided(Ok(Vec::new())).then_refused("yes".to_owned()));
    assert_eq!(text, "decided\n  nothing\nbut expected the refusal \"yes\"");
}

#[test]
fn numbers_are_compared_digit_for_digit() {
    let check = |decision: &str, due: &str| {
        let event = |text| event("Withdrawn", text).raw_metadata("{}").unwrap();
        decided(Ok(vec![event(decision)])).then([event(due)]);
    };
    check(r#"{"a":[1.50,{"b":-0}]}"#, r#"{ "\u0061": [1.50, {"b": -0}] }"#);
    for (decision, due) in [
        ("123456789012345678901", "123456789012345678902"),
        ("0.1", "0.1000000000000000000001"),
        ("[1]", "[1.0]"),
        ("[1]", "[1,1]"),
        (r#"{"a":[1e400]}"#, r#"{"a": [1e401]}"#),
        (r#"{"a":null}"#, r#"{"b": null}"#),
        (r#"{"a":null}"#, "{}"),
        ("null", "false"),
        (r#""1""#, "1"),
    ] {
        failure(|| check(decision, due));
    }
    let deep = |within| format!("{}{within}{}", "[".repeat(128), "]".repeat(128));
    check(&deep(""), &deep(" "));
}

#[test]
fn two_runs_with_one_clock_and_ids_export_the_same_bytes() {
    let run = || {
        let (clock, ids) = (Clock::at(1_700_000_000_000_000), Ids::new());
        let store = Options::new().clock(clock.micros()).open_in_memory().unwrap();
        for number in 0..5 {
            store.append("s", Any, [event("T", "1").id(ids.next())]).unwrap();
            clock.advance_micros(number);
        }
        clock.set_micros(0);
        store.append("s", Any, [event("T", "1").id(ids.clone().next())]).unwrap();
        let mut text = Vec::new();
        store.export_ndjson(&mut text, &ExportOptions::new()).unwrap();
        String::from_utf8(text).unwrap()
    };
    let text = run();
    assert_eq!(text, run());
    assert!(text.contains("2023-11-14T22:13:20.000006+00:00") || text.contains("20.000006"));
    assert!(text.ends_with(
        "\"1970-01-01T00:00:00+00:00\", \"metadata\": null, \"id\": \
                            \"00000000-0000-0000-0000-000000000006\"}\n"
    ));
}

#[test]
fn injected_faults_are_those_of_a_real_store() {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = EventStore::open(directory.path().join("store")).unwrap();
    for store in [EventStore::in_memory().unwrap(), on_disk] {
        store.append("s", Any, [event("T", "1")]).unwrap();
        testing::inject(&store, Fault::Conflict);
        testing::inject(&store, Fault::NoSpace);
        let conflict = store.append("s", Any, [event("T", "2")]).unwrap_err();
        assert!(matches!(conflict, AppendError::Conflict(conflict) if conflict.actual == 1));
        let full = store.append("s", Any, [event("T", "2")]).unwrap_err();
        assert!(matches!(full, AppendError::Failed(Error::NoSpace { .. })));
        store.append("s", Any, [event("T", "2")]).unwrap();

        // A decision is made again after a conflict.
        testing::inject(&store, Fault::Conflict);
        let mut calls = 0;
        let decide = |_: &i64| {
            calls += 1;
            Ok::<_, Error>([event("T", "3")])
        };
        store.update("s", 0, &handlers(), decide).unwrap();
        assert_eq!((calls, store.head().unwrap()), (2, 3));

        // A checkpoint expects no version.
        testing::inject(&store, Fault::Conflict);
        store.save_checkpoint("c", 1).unwrap();
        store.append("s", Any, [event("T", "4")]).unwrap_err();
        testing::inject(&store, Fault::NoSpace);
        assert!(matches!(store.save_checkpoint("c", 2), Err(Error::NoSpace { .. })));

        testing::inject(&store, Fault::Poison);
        for _ in 0..2 {
            let poisoned = store.append("s", Any, [event("T", "4")]).unwrap_err();
            assert!(matches!(poisoned, AppendError::Failed(Error::Poisoned { .. })));
        }
        assert_eq!(store.read_all().count(), 3, "reads go on");
    }
    let reopened = EventStore::open(directory.path().join("store")).unwrap();
    assert_eq!(reopened.head().unwrap(), 3, "a poisoned store recovers");
}
