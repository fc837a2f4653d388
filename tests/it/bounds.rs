//! Reads that end at a position or take only some times, and single events by their ids.

use std::path::Path;

use annals::{
    ErrorCode, EventStore, Events, ExpectedVersion::Any, NewEvent, Options, Query, QueryItem,
    ReadEvents, Reader, RecordedEvent, Timestamp,
};
use uuid::Uuid;

use crate::support::files::{flip, sealed};

const EVENTS: u64 = 900;

/// Times that mostly rise, and sometimes jump back or ahead, as clocks and callers do.
fn time(position: u64) -> Timestamp {
    let jump = match position % 97 {
        0 => -400_000,
        1 => 500_000,
        _ => 0,
    };
    let micros = position.cast_signed() * 1_000 + jump;
    match position % 2 {
        0 => Timestamp::utc(micros).unwrap(),
        _ => Timestamp::naive(micros).unwrap(),
    }
}

fn id(position: u64) -> Uuid {
    Uuid::from_u128(u128::from(position) + 1)
}

/// Position p is in stream s-(p % 3); each third event has an id.
fn fill(store: &EventStore) {
    for position in 1..=EVENTS {
        let data = format!("{position:0>400}");
        let mut event = NewEvent::json("T", &data).unwrap().timestamp(time(position));
        if position % 3 == 0 {
            event = event.id(id(position));
        }
        store.append(format!("s-{}", position % 3), Any, [event]).unwrap();
    }
}

/// Runs a check on a store in memory, on one with events in the tail, in the trees and in sealed
/// files, on one that was closed, and on a reader.
fn with_stores(check: impl Fn(&dyn Fn() -> Events, &dyn Fn(&str) -> Events)) {
    let check = |events: &dyn Fn() -> Events, of: &dyn Fn(&str) -> Events| check(events, of);
    let memory = EventStore::in_memory().unwrap();
    fill(&memory);
    check(&|| memory.read_all(), &|stream| memory.read_stream(stream));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options::new().tail_bytes(4_000).journal_bytes(64 << 10);
    let store = options.open(&path).unwrap();
    fill(&store);
    check(&|| store.read_all(), &|stream| store.read_stream(stream));
    let reader = Reader::open(&path).unwrap();
    check(&|| reader.read_all(), &|stream| reader.read_stream(stream));
    store.close().unwrap();
    assert!(sealed(&path).len() > 2);
    let store = options.open(&path).unwrap();
    check(&|| store.read_all(), &|stream| store.read_stream(stream));
}

fn positions(events: Events) -> Vec<u64> {
    events.map(|event| event.unwrap().position()).collect()
}

/// The positions that pass, in the direction of reading.
fn due(is_backward: bool, passes: impl Fn(u64) -> bool) -> Vec<u64> {
    let mut due: Vec<u64> = (1..=EVENTS).filter(|position| passes(*position)).collect();
    if is_backward {
        due.reverse();
    }
    due
}

#[test]
fn a_read_ends_at_a_position() {
    with_stores(|all, of| {
        for until in [0, 1, 2, 450, 899, 900, 901, u64::MAX] {
            assert_eq!(positions(all().until_position(until)), due(false, |p| p <= until));
            let back = all().until_position(until).backward();
            assert_eq!(positions(back), due(true, |p| p >= until), "{until}");
            let part = all().from_position(200).until_position(until);
            assert_eq!(positions(part), due(false, |p| p >= 200 && p <= until), "{until}");
            let back = all().from_position(700).until_position(until).backward();
            assert_eq!(positions(back), due(true, |p| p <= 700 && p >= until), "{until}");

            let in_stream = |p: u64| p % 3 == 1;
            let one = of("s-1").until_position(until);
            assert_eq!(positions(one), due(false, |p| in_stream(p) && p <= until), "{until}");
            let back = of("s-1").until_position(until).backward();
            assert_eq!(positions(back), due(true, |p| in_stream(p) && p >= until), "{until}");
            let part = of("s-1").from_version(101).until_position(until);
            let passes = |p: u64| in_stream(p) && p > 300 && p <= until;
            assert_eq!(positions(part), due(false, passes), "{until}");
            let part = of("s-1").from_position(650).until_position(until).backward().limit(5);
            let mut last = due(true, |p| in_stream(p) && p <= 650 && p >= until);
            last.truncate(5);
            assert_eq!(positions(part), last, "{until}");
        }
        assert!(positions(of("none").until_position(5)).is_empty());
        assert!(positions(of("none").until_position(5).backward()).is_empty());
    });
}

#[test]
fn times_are_filters_in_every_direction() {
    with_stores(|all, of| {
        let ends = [-500_000, 0, 97_000, 300_000, 300_001, 611_000, 1_000_000, 1_500_000];
        for (since, until) in ends.iter().flat_map(|since| ends.map(|until| (*since, until))) {
            let passes = |p: u64| (since..=until).contains(&time(p).micros());
            let at = |micros| Timestamp::utc(micros).unwrap();
            let narrow = |events: Events| events.since(at(since)).until(at(until));
            let what = format!("{since} to {until}");
            assert_eq!(positions(narrow(all())), due(false, passes), "{what}");
            assert_eq!(positions(narrow(all()).backward()), due(true, passes), "{what}");
            let one = positions(narrow(of("s-2")));
            assert_eq!(one, due(false, |p| p % 3 == 2 && passes(p)), "{what}");
            let part = positions(narrow(all()).from_position(333).until_position(700));
            assert_eq!(part, due(false, |p| (333..=700).contains(&p) && passes(p)), "{what}");
        }
        let since = Timestamp::naive(611_000).unwrap();
        let late = positions(all().since(since).backward().limit(2));
        let due = due(true, |p| time(p).micros() >= 611_000);
        assert_eq!(late, due[..2]);
    });
}

/// Rejects a query that forgets the times.
#[test]
fn times_filter_queries_too() {
    let store = EventStore::in_memory().unwrap();
    fill(&store);
    let query = Query::new().item(QueryItem::new().types(["T"]));
    let at = |micros| Timestamp::utc(micros).unwrap();
    let narrow = |events: Events| events.since(at(97_000)).until(at(300_000));
    let passes = |p: u64| (97_000..=300_000).contains(&time(p).micros());
    assert_eq!(positions(narrow(store.read_all().query(&query))), due(false, passes));
    let back = narrow(store.read_all().query(&query)).backward();
    assert_eq!(positions(back), due(true, passes));
    let part = store.read_all().query(&query).until_position(7);
    assert_eq!(positions(part), [1, 2, 3, 4, 5, 6, 7]);
}

/// A closed store whose times rise, with a damaged block in its second sealed file.
fn damaged(path: &Path) -> Vec<u64> {
    let options = Options::new().journal_bytes(64 << 10);
    let store = options.open(path).unwrap();
    for position in 1..=EVENTS {
        let micros = position.cast_signed() * 1_000;
        let data = format!("{position:0>400}");
        let event = NewEvent::json("T", &data).unwrap();
        let event = event.timestamp(Timestamp::utc(micros).unwrap());
        store.append("s", Any, [event]).unwrap();
    }
    store.close().unwrap();
    let files = sealed(path);
    flip(&files[1], 600);
    files.iter().map(|file| crate::support::files::first_position(file)).collect()
}

/// Rejects a read that looks at every block.
#[test]
fn blocks_of_other_times_are_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let starts = damaged(&path);
    let reader = Reader::open(&path).unwrap();
    let failure = reader.read_all().find_map(Result::err).unwrap();
    assert_eq!(failure.code(), ErrorCode::Corrupted);
    let at = |position: u64| Timestamp::utc(position.cast_signed() * 1_000).unwrap();
    let (second, third) = (starts[1], starts[2]);
    assert_eq!(positions(reader.read_all().since(at(third))), due(false, |p| p >= third));
    assert_eq!(positions(reader.read_all().until(at(second - 1))), due(false, |p| p < second));
    let back = reader.read_all().backward().until(at(second - 1)).limit(1);
    assert_eq!(positions(back), [second - 1]);
    // Also the first and the last event of each block.
    for position in (1..=EVENTS).filter(|position| !(second..third).contains(position)) {
        let one = reader.read_all().since(at(position)).until(at(position));
        assert_eq!(positions(one), [position]);
    }
    let across = reader.read_all().since(at(second - 1)).find_map(Result::err);
    assert_eq!(across.unwrap().code(), ErrorCode::Corrupted);
}

#[track_caller]
fn check_ids(events: &impl ReadEvents) {
    for position in 1..=EVENTS + 1 {
        let found = events.event_by_id(id(position)).unwrap();
        let found: Option<RecordedEvent> = found;
        match position % 3 == 0 && position <= EVENTS {
            true => {
                let found = found.unwrap();
                assert_eq!((found.position(), found.id()), (position, Some(id(position))));
            }
            false => assert!(found.is_none(), "{position}"),
        }
    }
    assert!(events.event_by_id(Uuid::nil()).unwrap().is_none());
}

#[test]
fn an_event_is_found_by_its_id() {
    let memory = EventStore::in_memory().unwrap();
    fill(&memory);
    check_ids(&memory);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options::new().tail_bytes(4_000).journal_bytes(64 << 10);
    let store = options.open(&path).unwrap();
    fill(&store);
    check_ids(&store);
    check_ids(&Reader::open(&path).unwrap());
    store.close().unwrap();
    assert_eq!(store.event_by_id(id(3)).unwrap_err().code(), ErrorCode::Closed);
    check_ids(&Reader::open(&path).unwrap());
    check_ids(&options.open(&path).unwrap());
}
