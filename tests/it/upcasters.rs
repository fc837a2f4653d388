//! Events of earlier shapes, brought to the newest when they are read, and nowhere else.

use std::time::Duration;

use annals::{
    Error, ErrorCode, EventStore, Events, ExpectedVersion::Any, ExportOptions, Handlers,
    ImportMode, ImportOptions, Loaded, NewEvent, Options, Projection, Query, QueryItem, Reader,
    RecordedEvent, UpTo, Upcasters,
};
use uuid::Uuid;

/// Each step adds its number to the list that the data is.
fn upcasters() -> Upcasters {
    let mut upcasters = Upcasters::new();
    for from in 1..=3_u32 {
        let step = upcasters.step("Listed", from, move |event| {
            let mut list: Vec<u32> = event.json()?;
            list.push(from);
            Ok(event.set_json(&list)?)
        });
        upcasters = step.unwrap();
    }
    upcasters
}

fn listed(json: &str) -> NewEvent {
    NewEvent::raw_json("Listed", json).unwrap()
}

/// Of the versions 1 (unsaid), 1, 3 and 4; then another type, and bytes.
fn fill(store: &EventStore) {
    let events = [
        listed("[]").id(Uuid::from_u128(7)).tags(["t"]),
        listed("[1.0e0]").raw_metadata("{\"z\": 1.00, \"a\": \"b\"}").unwrap().schema_version(1),
        listed("[]").schema_version(3),
        listed("[]").schema_version(4),
        NewEvent::raw_json("Other", "[]").unwrap(),
        NewEvent::binary("Listed", [0xFF]).unwrap(),
    ];
    for event in events {
        store.append("s", Any, [event]).unwrap();
    }
}

fn data(event: &RecordedEvent) -> String {
    String::from_utf8_lossy(event.data()).into_owned()
}

#[track_caller]
fn check(events: Events, due: [&str; 6]) {
    let found: Vec<String> = events.map(|event| data(&event.unwrap())).collect();
    assert_eq!(found, due);
}

const RECORDED: [&str; 6] = ["[]", "[1.0e0]", "[]", "[]", "[]", "\u{fffd}"];

#[test]
fn every_read_sees_the_newest_shape() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options::new().upcasters(upcasters());
    let store = options.open(&path).unwrap();
    // The second one fails its first step: 1.0e0 is no whole number.
    store.append("s", Any, [listed("[]")]).unwrap();
    assert_eq!(data(&store.read_all().next().unwrap().unwrap()), "[1,2,3]");
    store.append("s", Any, [listed("[8]").schema_version(2)]).unwrap();
    for events in [store.read_all(), store.read_stream("s"), store.read_all().limit(2)] {
        let found: Vec<String> = events.map(|event| data(&event.unwrap())).collect();
        assert_eq!(found, ["[1,2,3]", "[8,2,3]"]);
    }
    let back = store.read_all().backward().next().unwrap().unwrap();
    assert_eq!((data(&back).as_str(), back.schema_version()), ("[8,2,3]", 4));
    let mut subscription = store.subscribe(1).unwrap();
    assert_eq!(data(&subscription.next().unwrap().unwrap()), "[1,2,3]");
    let query = Query::new().item(QueryItem::new().types(["Listed"]));
    assert_eq!(data(&store.query(&query).next().unwrap().unwrap()), "[1,2,3]");

    let reader = Reader::open_with(&path, &options).unwrap();
    assert_eq!(data(&reader.read_all().next().unwrap().unwrap()), "[1,2,3]");
    let plain = Reader::open(&path).unwrap();
    assert_eq!(data(&plain.read_all().next().unwrap().unwrap()), "[]");
    assert!(store.verify().unwrap().findings.is_empty());
}

#[test]
fn handlers_see_the_newest_shape() {
    let store = Options::new().upcasters(upcasters()).open_in_memory().unwrap();
    let handlers = Handlers::new().when("Listed", |count: &mut usize, event| {
        *count += event.json::<Vec<u32>>()?.len();
        Ok(())
    });
    let live = Projection::new("count", &store, 0, handlers.clone()).live().unwrap();
    store.append("s", Any, [listed("[]"), listed("[]").schema_version(4)]).unwrap();
    assert_eq!(*live.try_state().unwrap(), 3);
    assert_eq!(store.load("s", 0, &handlers).unwrap().state, 3);
    assert_eq!(store.reconstruct_state("s", 0, &handlers, UpTo::Version(1)).unwrap(), 3);
}

#[test]
fn all_but_data_and_schema_version_stays() {
    let store = Options::new().upcasters(upcasters()).open_in_memory().unwrap();
    let event = listed("[5]").raw_metadata("{\"z\": 1.00, \"a\": \"b\"}").unwrap();
    let event = event.id(Uuid::from_u128(7)).tags(["t", "u"]);
    store.append("s", Any, [event]).unwrap();
    let recorded = store.read_all().as_recorded().next().unwrap().unwrap();
    let read = store.event_by_id(Uuid::from_u128(7)).unwrap().unwrap();
    assert_eq!((data(&recorded).as_str(), data(&read).as_str()), ("[5]", "[5,1,2,3]"));
    assert_eq!(read.metadata(), Some("{\"a\":\"b\",\"schema_version\":4,\"z\":1.00}"));
    let facts = |event: &RecordedEvent| {
        let tags: Vec<String> = event.tags().map(str::to_owned).collect();
        let place = (event.position(), event.version(), event.stream_id().to_owned());
        (place, event.event_type().to_owned(), event.timestamp(), event.id(), tags)
    };
    assert_eq!(facts(&recorded), facts(&read));
}

#[test]
fn what_is_stored_is_exported_and_compared_as_it_is() {
    let store = Options::new().upcasters(upcasters()).open_in_memory().unwrap();
    fill(&store);
    check(store.read_all().as_recorded(), RECORDED);
    let export = |options: &ExportOptions| {
        let mut text = Vec::new();
        store.export_ndjson(&mut text, options).map(|_| String::from_utf8(text).unwrap())
    };
    let plain = export(&ExportOptions::new()).unwrap();
    assert!(plain.contains("\"data\": [1.0e0]"), "{plain}");
    // The second event cannot be brought to the newest shape.
    let failure = export(&ExportOptions::new().upcast(true)).unwrap_err();
    assert!(matches!(failure, Error::Handler { position: 2, .. }), "{failure:?}");
    let options = ImportOptions::new().mode(ImportMode::Resume);
    assert_eq!(store.import_ndjson(plain.as_bytes(), &options).unwrap().skipped, 6);
    // A retry is compared with what is stored.
    let again = listed("[]").id(Uuid::from_u128(7)).tags(["t"]);
    assert!(store.append("s", Any, [again]).unwrap().is_replay());

    let fresh = Options::new().upcasters(upcasters()).open_in_memory().unwrap();
    fresh.append("s", Any, [listed("[]")]).unwrap();
    let mut text = Vec::new();
    fresh.export_ndjson(&mut text, &ExportOptions::new().upcast(true)).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("\"data\": [1,2,3]"), "{text}");
    assert!(text.contains("\"metadata\": {\"schema_version\":4}"), "{text}");
}

#[test]
fn a_step_that_fails_ends_the_read_there() {
    let store = Options::new().upcasters(upcasters()).open_in_memory().unwrap();
    fill(&store);
    let mut events = store.read_all();
    assert_eq!(data(&events.next().unwrap().unwrap()), "[1,2,3]");
    let failure = events.next().unwrap().unwrap_err();
    assert!(matches!(failure, Error::Handler { position: 2, .. }), "{failure:?}");
    assert!(events.next().is_none());
    // The others: three steps of them already, all of them, another type, and bytes.
    check_rest(store.read_all().from_position(3));
}

#[track_caller]
fn check_rest(events: Events) {
    let found: Vec<String> = events.map(|event| data(&event.unwrap())).collect();
    assert_eq!(found, ["[3]", "[]", "[]", "\u{fffd}"]);
}

#[test]
fn a_step_that_panics_fails() {
    let panics = Upcasters::new().step("Listed", 1, |_| panic!("no list"));
    let store = Options::new().upcasters(panics.unwrap()).open_in_memory().unwrap();
    let handlers = Handlers::new().when("Listed", |_: &mut u64, _| Ok(()));
    let live = Projection::new("p", &store, 0_u64, handlers).live().unwrap();
    store.append("s", Any, [listed("[]")]).unwrap();
    let failure = store.read_all().next().unwrap().unwrap_err();
    assert!(matches!(failure, Error::Handler { position: 1, .. }), "{failure:?}");
    assert!(failure.chain().contains("no list"), "{failure:?}");
    assert!(matches!(live.try_state(), Err(Error::Handler { position: 1, .. })));
}

#[test]
fn no_step_leads_past_the_last_version() {
    let none = |_: &mut annals::Upcast<'_>| Ok(());
    let code = |made: Result<Upcasters, Error>| made.map(drop).unwrap_err().code();
    assert_eq!(code(Upcasters::new().step("T", u32::MAX, none)), ErrorCode::InvalidArgument);
    let last = Upcasters::new().step("T", u32::MAX - 1, none).unwrap();
    assert_eq!(code(last.step("T", u32::MAX, none)), ErrorCode::InvalidArgument);
}

#[test]
fn a_chain_has_no_gap() {
    let none = |_: &mut annals::Upcast<'_>| Ok(());
    let code = |made: Result<Upcasters, Error>| made.map(drop).unwrap_err().code();
    assert_eq!(code(Upcasters::new().step("T", 0, none)), ErrorCode::InvalidArgument);
    assert_eq!(code(Upcasters::new().step("", 1, none)), ErrorCode::InvalidArgument);
    assert_eq!(code(Upcasters::new().step("t".repeat(256), 1, none)), ErrorCode::LimitExceeded);
    let two = Upcasters::new().step("T", 5, none).unwrap().step("T", 6, none).unwrap();
    for from in [4, 5, 6, 8] {
        let failure = two.clone().step("T", from, none).map(drop).unwrap_err();
        assert!(failure.to_string().ends_with("the steps of T end at version 7"), "{failure}");
    }
    assert!(two.step("U", 1, none).is_ok());
}

#[test]
fn a_step_that_fails_stops_no_subscription_that_leaves_its_type_out() {
    let store = Options::new().upcasters(upcasters()).open_in_memory().unwrap();
    fill(&store);
    let mut others = store.subscribe(1).unwrap().event_types(["Other"]);
    assert_eq!(others.next_timeout(Duration::ZERO).unwrap().unwrap().position(), 5);
    assert!(others.next_timeout(Duration::ZERO).unwrap().is_none());
    assert_eq!(others.position(), 6);
    let mut all = store.subscribe(1).unwrap();
    assert_eq!(all.next_timeout(Duration::ZERO).unwrap().unwrap().data(), b"[1,2,3]");
    let failure = all.next_timeout(Duration::ZERO).unwrap_err();
    assert!(failure.to_string().contains("the upcaster for Listed failed"), "{failure}");
    assert_eq!(all.position(), 1);
    assert_eq!(store.event_types().unwrap(), [("Listed".to_owned(), 5), ("Other".to_owned(), 1)]);
}

#[test]
fn a_step_that_fails_stops_no_load_from_a_snapshot_that_leaves_its_type_out() {
    let store = Options::new().upcasters(upcasters()).open_in_memory().unwrap();
    fill(&store);
    let others = Handlers::new().when("Other", |n: &mut u64, _| {
        *n += 1;
        Ok(())
    });
    // The event of version 2 is the one whose step fails.
    store.save_snapshot("others", 2, "0").unwrap();
    let loaded = store.load_from("others", "s", 0, &others).unwrap();
    assert_eq!(loaded, Loaded { state: 1, version: 6, position: 6 });
    for up_to in [UpTo::Version(1), UpTo::Version(2), UpTo::Position(2), UpTo::Now] {
        let due = store.reconstruct_state("s", 0, &others, up_to).unwrap();
        let found = store.reconstruct_state_from("others", "s", 0, &others, up_to).unwrap();
        assert_eq!(found, due, "{up_to:?}");
    }
}

#[test]
fn a_step_that_fails_stops_only_who_handles_its_type() {
    let store = Options::new().upcasters(upcasters()).open_in_memory().unwrap();
    let count = |n: &mut u64, _: &RecordedEvent| {
        *n += 1;
        Ok(())
    };
    let others = Handlers::new().when("Other", count);
    let mut pulled = Projection::new("others", &store, 0_u64, others.clone());
    let live = Projection::new("live", &store, 0_u64, others.clone()).live().unwrap();
    let listing = Projection::new("listed", &store, 0_u64, Handlers::new().when("Listed", count));
    let listing = listing.live().unwrap();
    fill(&store);
    assert_eq!(pulled.catch_up().unwrap(), 6);
    assert_eq!((*pulled.state(), *live.try_state().unwrap()), (1, 1));
    assert_eq!(store.load("s", 0, &others).unwrap().state, 1);
    let failure = listing.try_state().unwrap_err();
    assert!(failure.to_string().contains("the upcaster for Listed failed"), "{failure}");
    assert_eq!(*listing.last_state(), 1);
    // That one event is left out.
    listing.resume_after().unwrap();
    assert_eq!(*listing.try_state().unwrap(), 4);
}
