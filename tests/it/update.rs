//! The state of a stream with its version, and decisions that are appended at that version.

use std::{cell::Cell, thread};

use annals::{
    Error, ErrorCode, EventStore, Handlers, Loaded, NewEvent, ReadEvents, Reader, UpdateError,
    limits::UPDATE_ATTEMPTS_MAX,
};
use tempfile::tempdir;

use annals::ExpectedVersion::Any;

fn counted(number: u64) -> NewEvent {
    NewEvent::json("Counted", &number).unwrap()
}

fn handlers() -> Handlers<u64> {
    Handlers::new().when("Counted", |sum: &mut u64, event| {
        *sum += event.json::<u64>()?;
        Ok(())
    })
}

/// A stream of Counted 1, Renamed, Counted 20, at the positions 1, 3 and 4.
fn store() -> EventStore {
    let store = EventStore::in_memory().unwrap();
    store.append("sum", Any, [counted(1)]).unwrap();
    store.append("other", Any, [counted(5_000)]).unwrap();
    store.append("sum", Any, [NewEvent::json("Renamed", &"x").unwrap(), counted(20)]).unwrap();
    store
}

#[test]
fn a_state_comes_with_its_place_in_the_stream() {
    let store = store();
    let due = Loaded { state: 21, version: 3, position: 4 };
    assert_eq!(store.load("sum", 0, &handlers()).unwrap(), due);
    store.append("sum", Any, [NewEvent::json("Renamed", &"y").unwrap()]).unwrap();
    // The last event counts, though no handler wants it.
    let due = Loaded { state: 21, version: 4, position: 5 };
    assert_eq!(store.load("sum", 0, &handlers()).unwrap(), due);
    let due = Loaded { state: 7, version: 0, position: 0 };
    assert_eq!(store.load("none", 7, &handlers()).unwrap(), due);
    assert!(matches!(store.load("", 0, &handlers()), Err(Error::InvalidArgument { .. })));
}

#[test]
fn a_state_from_a_snapshot_has_the_same_place() {
    let store = store();
    let whole = store.load("sum", 0, &handlers()).unwrap();
    whole.save(&store, "sum").unwrap();
    assert_eq!(store.load_from("sum", "sum", 0, &handlers()).unwrap(), whole);
    // Only the events after the snapshot are applied.
    store.save_snapshot("sum", whole.position, "1000").unwrap();
    store.append("sum", Any, [counted(300)]).unwrap();
    let due = Loaded { state: 1_300, version: 4, position: 5 };
    assert_eq!(store.load_from("sum", "sum", 0, &handlers()).unwrap(), due);
    // Saved for a position of another stream: the place is that of this stream's last event.
    store.append("other", Any, [counted(1)]).unwrap();
    store.save_snapshot("sum", 6, "2000").unwrap();
    let due = Loaded { state: 2_000, version: 4, position: 5 };
    assert_eq!(store.load_from("sum", "sum", 0, &handlers()).unwrap(), due);
    store.save_snapshot("early", 2, "9").unwrap();
    assert_eq!(store.load_from("early", "none", 0, &handlers()).unwrap().position, 0);
}

#[test]
fn a_state_without_events_is_not_saved() {
    let store = EventStore::in_memory().unwrap();
    store.load("none", 7, &handlers()).unwrap().save(&store, "none").unwrap();
    assert!(store.load_snapshot("none").unwrap().is_none());
    assert!(store.load("none", 7, &handlers()).unwrap().save(&store, "").is_err());
}

#[test]
fn a_reader_loads_as_the_store_does() {
    fn load(events: &impl ReadEvents) -> Loaded<u64> {
        let loaded = events.load("sum", 0, &handlers()).unwrap();
        assert_eq!(events.load_from("sum", "sum", 0, &handlers()).unwrap(), loaded);
        loaded
    }
    let directory = tempdir().unwrap();
    let store = EventStore::open(directory.path().join("s.annals")).unwrap();
    store.append("sum", Any, [counted(1), counted(2)]).unwrap();
    load(&store).save(&store, "sum").unwrap();
    store.append("sum", Any, [counted(3)]).unwrap();
    let reader = Reader::open(directory.path().join("s.annals")).unwrap();
    assert_eq!(load(&store), Loaded { state: 6, version: 3, position: 3 });
    assert_eq!(load(&reader), load(&store));
}

#[test]
fn a_decision_is_appended_at_the_version_it_was_made_for() {
    let store = store();
    let decide = |sum: &u64| Ok::<_, Error>([counted(sum + 1), counted(sum + 2)]);
    let appended = store.update("sum", 0, &handlers(), decide).unwrap().unwrap();
    assert_eq!((appended.versions(), appended.positions()), (4..=5, 5..=6));
    let appended = store.update("new", 40, &handlers(), decide).unwrap().unwrap();
    assert_eq!(appended.versions(), 1..=2);
    assert_eq!(store.load("new", 40, &handlers()).unwrap().state, 40 + 41 + 42);
}

#[test]
fn no_events_write_nothing() {
    let store = store();
    let decide = |_: &u64| Ok::<_, Error>(Vec::new());
    assert_eq!(store.update("sum", 0, &handlers(), decide).unwrap(), None);
    assert_eq!(store.head().unwrap(), 4);
}

#[test]
fn a_conflict_is_decided_anew_with_the_events_in_between() {
    let store = store();
    let seen = Cell::new(0);
    let decide = |sum: &u64| {
        seen.set(seen.get() + 1);
        if seen.get() < 4 {
            store.append("sum", Any, [counted(100)]).unwrap();
        }
        Ok::<_, Error>([counted(*sum)])
    };
    let appended = store.update("sum", 0, &handlers(), decide).unwrap().unwrap();
    assert_eq!((seen.get(), appended.versions()), (4, 7..=7));
    assert_eq!(store.load("sum", 0, &handlers()).unwrap().state, 321 * 2);
}

#[test]
fn an_update_from_a_snapshot_rests_on_it() {
    let store = store();
    store.save_snapshot("sum", 3, "1000").unwrap();
    let seen = Cell::new(0);
    let decide = |sum: &u64| {
        seen.set(*sum);
        Ok::<_, Error>([counted(1)])
    };
    let appended = store.update_from("sum", "sum", 0, &handlers(), decide).unwrap().unwrap();
    assert_eq!((seen.get(), appended.versions()), (1_020, 4..=4));
}

#[test]
fn a_writer_that_is_never_faster_gives_up() {
    let store = store();
    let calls = Cell::new(0);
    let decide = |_: &u64| {
        calls.set(calls.get() + 1);
        store.append("sum", Any, [counted(1)]).unwrap();
        Ok::<_, Error>([counted(1)])
    };
    let failure = store.update("sum", 0, &handlers(), decide).unwrap_err();
    assert_eq!(calls.get(), UPDATE_ATTEMPTS_MAX);
    assert_eq!(failure.code(), Some(ErrorCode::VersionConflict));
    let UpdateError::Conflict(conflict) = &failure else { panic!("{failure:?}") };
    assert_eq!(conflict.stream, "sum");
    assert!(failure.to_string().starts_with("gave up after 1000 attempts: stream \"sum\" is at"));
}

#[test]
fn a_refusal_is_the_callers_own_error() {
    #[derive(Debug, PartialEq)]
    struct TooLittle(u64);

    let store = store();
    let refused = store.update("sum", 0, &handlers(), |sum| {
        if *sum < 100 { Err(TooLittle(*sum)) } else { Ok([counted(1)]) }
    });
    assert!(matches!(refused, Err(UpdateError::Refused(TooLittle(21)))));
    assert_eq!(store.head().unwrap(), 4);

    // Texts and boxed errors pass through the question mark of a main function.
    let as_text = || -> Result<(), Box<dyn std::error::Error>> {
        store.update("sum", 0, &handlers(), |sum| -> Result<Vec<NewEvent>, String> {
            Err(format!("{sum} are too little"))
        })?;
        Ok(())
    };
    assert_eq!(as_text().unwrap_err().to_string(), "21 are too little");
    let boxed = || -> Result<(), Box<dyn std::error::Error>> {
        store.update(
            "sum",
            0,
            &handlers(),
            |_| -> Result<[NewEvent; 1], Box<dyn std::error::Error>> { Err("no".into()) },
        )?;
        Ok(())
    };
    assert_eq!(boxed().unwrap_err().to_string(), "no");
}

#[test]
fn other_failures_keep_their_cause() {
    let store = store();
    let failing = Handlers::new().when("Counted", |_: &mut u64, _| Err("broken".into()));
    let decide = |_: &u64| Ok::<_, String>([counted(1)]);
    let failure = store.update("sum", 0, &failing, decide).unwrap_err();
    assert!(matches!(&failure, UpdateError::Failed(Error::Handler { position: 1, .. })));
    assert_eq!(std::error::Error::source(&failure).unwrap().to_string(), "broken");
    store.close().unwrap();
    let failure = store.update("sum", 0, &handlers(), decide).unwrap_err();
    assert!(matches!(failure, UpdateError::Failed(Error::Closed)));
}

/// Rejects an update that rests on a state older than the version it appends at.
#[test]
fn concurrent_updates_lose_nothing() {
    const EACH: u64 = 200;
    let store = EventStore::in_memory().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    // Each event says how many there were: a lost update repeats a number.
                    let decide = |count: &u64| Ok::<_, Error>([counted(*count)]);
                    let handlers = Handlers::new().when("Counted", |count: &mut u64, event| {
                        assert_eq!(event.json::<u64>()?, *count);
                        *count += 1;
                        Ok(())
                    });
                    store.update("count", 0, &handlers, decide).unwrap();
                }
            });
        }
    });
    assert_eq!(store.stream_version("count").unwrap(), 4 * EACH);
}
