//! One append: where it lands, what it refuses, and what it answers to a retry.

use crate::support::units::{AppendUnits, Unit};
use annals::{
    AppendError, Appended, Error, ErrorCode, EventStore, ExpectedVersion, NewEvent, Timestamp,
};
use uuid::Uuid;

use ExpectedVersion::{Any, Exact, NoStream, StreamExists};

fn event(number: u64) -> NewEvent {
    NewEvent::json("Counted", &number).unwrap()
}

fn with_id(id: u128) -> NewEvent {
    event(id as u64).id(Uuid::from_u128(id))
}

fn with_ids<const N: usize>(ids: [u128; N]) -> [NewEvent; N] {
    ids.map(with_id)
}

fn store() -> EventStore {
    EventStore::in_memory().unwrap()
}

#[track_caller]
fn check_conflicts(answer: Result<Vec<Appended>, AppendError>, due: &[(&str, u64)]) {
    let Err(AppendError::Conflict(conflict)) = answer else {
        panic!("a conflict was due, not {answer:?}")
    };
    let found: Vec<(&str, u64)> =
        conflict.conflicts().iter().map(|c| (c.stream.as_str(), c.actual)).collect();
    assert_eq!(found, due);
}

#[track_caller]
fn check_duplicate(answer: Result<Appended, AppendError>, id: u128, at: Option<u64>) {
    match answer {
        Err(AppendError::Failed(Error::DuplicateEventId { id: found, position })) => {
            assert_eq!((found, position), (Uuid::from_u128(id), at));
        }
        other => panic!("a duplicate id was due, not {other:?}"),
    }
}

#[track_caller]
fn check_replay(answer: Result<Appended, AppendError>, first: Appended) {
    let again = answer.unwrap();
    assert_eq!(again, first);
    assert!(again.is_replay());
}

#[test]
fn positions_and_versions_count_from_one_without_gaps() {
    let store = store();
    let first = store.append("a", Any, [event(1), event(2)]).unwrap();
    assert_eq!((first.positions(), first.versions()), (1..=2, 1..=2));
    let second = store.append("b", Any, [event(3)]).unwrap();
    assert_eq!((second.positions(), second.versions()), (3..=3, 1..=1));
    let third = store.append("a", Any, [event(4)]).unwrap();
    assert_eq!((third.positions(), third.versions()), (4..=4, 3..=3));
    assert_eq!(store.head().unwrap(), 4);
    assert_eq!(store.stream_version("a").unwrap(), 3);
    assert_eq!(store.stream_version("nobody").unwrap(), 0);
}

#[test]
fn expected_versions_are_exact() {
    let store = store();
    store.append("full", Any, [event(1), event(2)]).unwrap();
    let holds = [("none", Any), ("none", NoStream), ("none", Exact(0)), ("full", Any)];
    let holds = holds.into_iter().chain([("full", StreamExists), ("full", Exact(2))]);
    for (stream, expected) in holds {
        let units = [Unit::check(stream, expected), Unit::to("log", Any, [event(9)])];
        assert!(store.append_multi(units).is_ok(), "{stream} {expected}");
    }
    let fails = [
        ("none", StreamExists, 0),
        ("none", Exact(1), 0),
        ("full", NoStream, 2),
        ("full", Exact(0), 2),
        ("full", Exact(1), 2),
        ("full", Exact(3), 2),
        ("full", Exact(u64::MAX), 2),
    ];
    let head = store.head().unwrap();
    for (stream, expected, actual) in fails {
        let answer = store.append(stream, expected, [event(9)]);
        let Err(AppendError::Conflict(conflict)) = answer else { panic!("{stream} {expected}") };
        assert_eq!((conflict.stream.as_str(), conflict.actual), (stream, actual));
        assert_eq!(conflict.expected, expected);
        assert_eq!(conflict.conflicts().len(), 1);
    }
    assert_eq!(store.head().unwrap(), head, "a refused append uses no position");
}

#[test]
fn expected_versions_are_read_from_text() {
    let forms = [("any", Any), ("no-stream", NoStream), ("exists", StreamExists), ("7", Exact(7))];
    for (text, expected) in forms {
        assert_eq!(text.parse(), Ok(expected));
    }
    for expected in [Any, NoStream, StreamExists, Exact(0), Exact(u64::MAX)] {
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }
    for text in ["", "Any", "+1", "-1", " 1", "1.0", "18446744073709551616"] {
        assert!(text.parse::<ExpectedVersion>().is_err(), "{text:?}");
    }
}

#[test]
fn an_append_over_several_streams_is_one_unit() {
    let store = store();
    let appended = store
        .append_multi([
            Unit::to("a", NoStream, [event(1), event(2)]),
            Unit::check("c", NoStream),
            Unit::to("b", NoStream, [event(3)]),
            Unit::check("a", Exact(2)),
            Unit::to("a", Exact(2), [event(4)]),
        ])
        .unwrap();
    let places: Vec<_> = appended.iter().map(|a| (a.positions(), a.versions())).collect();
    assert_eq!(places, [(1..=2, 1..=2), (3..=3, 1..=1), (4..=4, 3..=3)]);
    let streams: Vec<_> =
        store.read_all().map(|event| event.unwrap().stream_id().to_owned()).collect();
    assert_eq!(streams, ["a", "a", "b", "a"]);
}

#[test]
fn every_violated_check_is_reported_and_nothing_is_written() {
    let store = store();
    store.append("a", Any, [event(1)]).unwrap();
    let answer = store.append_multi([
        Unit::to("a", Exact(5), [event(2)]),
        Unit::check("b", StreamExists),
        Unit::to("c", Any, [event(3)]),
        Unit::check("a", Exact(1)),
    ]);
    check_conflicts(answer, &[("a", 1), ("b", 0), ("a", 2)]);
    assert_eq!((store.head().unwrap(), store.stream_version("c").unwrap()), (1, 0));
}

#[test]
fn an_append_without_events_is_an_invalid_argument() {
    let store = store();
    assert_eq!(store.append("a", Any, []).unwrap_err().code(), ErrorCode::InvalidArgument);
    let checks = [Unit::check("a", Any), Unit::to("b", Any, [])];
    assert_eq!(store.append_multi(checks).unwrap_err().code(), ErrorCode::InvalidArgument);
    assert_eq!(store.append_multi([]).unwrap_err().code(), ErrorCode::InvalidArgument);
}

#[test]
fn faults_are_looked_for_in_order() {
    let store = store();
    store.append("s", Any, [with_id(1)]).unwrap();
    let long = "x".repeat(256);
    let bad_type = || NewEvent::json("", &1).unwrap();
    let code = |units: Vec<Unit>| store.append_multi(units).unwrap_err().code();
    // Arguments before limits before ids before versions, wherever they stand.
    let version = || Unit::check("s", Exact(9));
    let id = || Unit::to("t", Any, [with_id(1)]);
    let limit = || Unit::to(long.clone(), Any, [event(1)]);
    let argument = || Unit::to("u", Any, [bad_type()]);
    let all = vec![version(), id(), limit(), argument()];
    assert_eq!(code(all), ErrorCode::InvalidArgument);
    assert_eq!(code(vec![version(), id(), limit()]), ErrorCode::LimitExceeded);
    assert_eq!(code(vec![version(), id()]), ErrorCode::DuplicateEventId);
    let last = vec![version(), Unit::to("t", Any, [event(1)])];
    assert_eq!(code(last), ErrorCode::VersionConflict);
    assert_eq!(store.head().unwrap(), 1);
}

#[test]
fn an_exact_retry_answers_as_the_first_time() {
    let store = store();
    store.append("s", Any, [event(0)]).unwrap();
    let first = store.append("s", Exact(1), with_ids([1, 2, 3])).unwrap();
    assert!(!first.is_replay());
    store.append("s", Any, [event(9)]).unwrap();
    // The expected version holds no more: the ids and the contents decide.
    for expected in [Exact(1), NoStream, Any, Exact(77)] {
        check_replay(store.append("s", expected, with_ids([1, 2, 3])), first);
    }
    // The time of an event is no part of its content.
    let later = with_ids([1, 2, 3]).map(|event| event.timestamp(Timestamp::naive(5).unwrap()));
    check_replay(store.append("s", Any, later), first);
    // A part of the original is stored at consecutive positions as well.
    let part = store.append("s", Any, with_ids([2, 3])).unwrap();
    assert_eq!((part.positions(), part.versions()), (3..=4, 3..=4));
    assert!(part.is_replay());
    assert_eq!(store.head().unwrap(), 5);
}

#[test]
fn what_is_not_an_exact_retry_is_a_duplicate() {
    let store = store();
    store.append("s", Any, with_ids([1, 2])).unwrap();
    store.append("s", Any, [event(0)]).unwrap();
    store.append("s", Any, [with_id(3)]).unwrap();
    // The first event that does not fit is reported; where all that are stored fit, the first.
    check_duplicate(store.append("s", Any, with_ids([2, 1])), 1, Some(1));
    check_duplicate(store.append("s", Any, with_ids([1, 2, 3])), 3, Some(4));
    check_duplicate(store.append("s", Any, with_ids([1, 4])), 1, Some(1));
    check_duplicate(store.append("s", Any, with_ids([4, 1])), 1, Some(1));
    check_duplicate(store.append("t", Any, with_ids([1, 2])), 1, Some(1));
    check_duplicate(store.append("s", Any, [with_id(1), event(0)]), 1, Some(1));
    check_duplicate(store.append("s", Any, [event(0), with_id(1)]), 1, Some(1));
    check_duplicate(store.append("s", Any, with_ids([5, 5])), 5, None);
    check_duplicate(store.append("s", Any, with_ids([1, 1])), 1, None);
    assert_eq!(store.head().unwrap(), 4);
}

/// Events that could be taken for `original`, each with another content.
fn others(id: u128) -> Vec<NewEvent> {
    let id = Uuid::from_u128(id);
    let made = [
        NewEvent::raw_json("Other", "[7]"),
        NewEvent::raw_json("Kept", "[8]"),
        NewEvent::raw_json("Kept", "[7, 7]"),
        NewEvent::raw_json("Kept", "[ 7]"),
        NewEvent::binary("Kept", *b"[7]"),
    ];
    let made = made.map(|event| event.unwrap().raw_metadata(r#"{"a": 1}"#).unwrap());
    let bare = NewEvent::raw_json("Kept", "[7]").unwrap();
    let changed = bare.clone().raw_metadata(r#"{"a": 2}"#).unwrap();
    made.into_iter().chain([bare, changed]).map(|event| event.id(id)).collect()
}

fn original(id: u128) -> NewEvent {
    let event = NewEvent::raw_json("Kept", "[7]").unwrap().raw_metadata(r#"{"a": 1}"#).unwrap();
    event.id(Uuid::from_u128(id))
}

#[track_caller]
fn check_contents_decide(store: &EventStore, first: Appended) {
    let head = store.head().unwrap();
    check_replay(store.append("s", NoStream, [original(1), original(2)]), first);
    for other in others(2) {
        check_duplicate(store.append("s", Any, [original(1), other.clone()]), 2, Some(2));
        check_duplicate(store.append("s", Any, [other]), 2, Some(2));
    }
    for other in others(1) {
        check_duplicate(store.append("s", Any, [other, original(2)]), 1, Some(1));
    }
    assert_eq!(store.head().unwrap(), head);
}

#[test]
fn another_content_is_no_retry() {
    let store = store();
    let first = store.append("s", Any, [original(1), original(2)]).unwrap();
    check_contents_decide(&store, first);
    let binary = |bytes: &[u8]| NewEvent::binary("B", bytes).unwrap().id(Uuid::from_u128(3));
    store.append("s", Any, [binary(b"")]).unwrap();
    assert!(store.append("s", Any, [binary(b"")]).unwrap().is_replay());
    check_duplicate(store.append("s", Any, [binary(b"\0")]), 3, Some(3));
}

#[test]
fn a_retry_over_several_streams_is_exact_too() {
    let store = store();
    let units = || {
        [
            Unit::to("a", NoStream, with_ids([1, 2])),
            Unit::check("c", NoStream),
            Unit::to("b", NoStream, [with_id(3)]),
        ]
    };
    let first = store.append_multi(units()).unwrap();
    assert!(first.iter().all(|unit| !unit.is_replay()));
    store.append("c", Any, [event(0)]).unwrap();
    let again = store.append_multi(units()).unwrap();
    assert_eq!(again, first);
    assert!(again.iter().all(Appended::is_replay));
    let swapped = [Unit::to("b", Any, [with_id(1), with_id(2)]), Unit::to("a", Any, [with_id(3)])];
    let code = store.append_multi(swapped).unwrap_err().code();
    assert_eq!(code, ErrorCode::DuplicateEventId);
    assert_eq!(store.head().unwrap(), 4);
}

#[test]
fn retries_are_exact_through_the_trees_and_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let first = store.append("s", Any, [original(1), original(2)]).unwrap();
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    check_contents_decide(&store, first);
    check_duplicate(store.append("s", Any, [with_id(9), original(2)]), 2, Some(2));
    assert_eq!(store.head().unwrap(), 2);
}

#[test]
fn a_stamp_comes_from_the_clock_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let options = annals::Options::new().clock(|| 1_000_000);
    let store = options.open(directory.path().join("store")).unwrap();
    let own = annals::Timestamp::naive(5).unwrap();
    store.append("s", Any, [event(1), event(2).timestamp(own)]).unwrap();
    let times: Vec<_> = store.read_all().map(|e| e.unwrap().timestamp().to_string()).collect();
    assert_eq!(times, ["1970-01-01T00:00:01+00:00", "1970-01-01T00:00:00.000005"]);
}

#[test]
fn a_clock_may_say_anything() {
    for (micros, text) in
        [(i64::MIN, "0001-01-01T00:00:00+00:00"), (i64::MAX, "9999-12-31T23:59:59.999999+00:00")]
    {
        let directory = tempfile::tempdir().unwrap();
        let options = annals::Options::new().clock(move || micros);
        let store = options.open(directory.path().join("store")).unwrap();
        store.append("s", Any, [event(1)]).unwrap();
        let event = store.read_all().next().unwrap().unwrap();
        assert_eq!(event.timestamp().to_string(), text);
    }
}
