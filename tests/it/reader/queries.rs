//! Queries of a reader, by tags: through sealed files, memory, and what is sealed meanwhile.

use std::path::Path;

use annals::{EventStore, ExpectedVersion::Any, NewEvent, Query, QueryItem, Reader, compact};

use super::options;
use crate::support::files::{active, sealed};

fn append(store: &EventStore, positions: std::ops::RangeInclusive<u64>) {
    for position in positions {
        let tag = format!("n:{}", position % 5);
        let event = NewEvent::binary("T", vec![7; 300]).unwrap().tag(tag).tag("all");
        store.append("s", Any, [event]).unwrap();
    }
}

#[track_caller]
fn check(reader: &Reader, events: u64) {
    assert_eq!(reader.head().unwrap(), events);
    let of = |tag: &str| Query::new().item(QueryItem::new().tags([tag]));
    for number in 0..5 {
        let due: Vec<u64> = (1..=events).filter(|position| position % 5 == number).collect();
        let tag = format!("n:{number}");
        let found = reader.query(&of(&tag)).map(|event| event.unwrap().position());
        assert_eq!(found.collect::<Vec<_>>(), due, "{tag}");
        let found = reader.query(&of(&tag)).backward().map(|event| event.unwrap().position());
        assert!(found.eq(due.into_iter().rev()), "{tag}, backward");
    }
    assert_eq!(reader.query(&of("all")).count() as u64, events);
}

/// Appends until a close seals every file; gives the number of events.
fn seal_all(path: &Path, mut events: u64) -> u64 {
    loop {
        // A close seals a file from 256 KiB on.
        let store = options().journal_bytes(1 << 20).open(path).unwrap();
        append(&store, events + 1..=events + 400);
        store.close().unwrap();
        events += 400;
        if active(path).is_empty() {
            return events;
        }
    }
}

#[test]
fn a_store_with_sealed_files_alone_is_searched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let events = seal_all(&path, 0);
    let reader = Reader::open(&path).unwrap();
    check(&reader, events);
    let more = seal_all(&path, events);
    check(&reader, more);
    compact(&path).unwrap();
    check(&reader, more);
    check(&Reader::open(&path).unwrap(), more);
}

#[test]
fn what_is_sealed_while_a_reader_looks_away_is_searched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    append(&store, 1..=10);
    let reader = Reader::open(&path).unwrap();
    check(&reader, 10);
    let mut events = 10;
    while sealed(&path).len() < 4 {
        append(&store, events + 1..=events + 40);
        events += 40;
    }
    store.close().unwrap();
    check(&reader, events);
    check(&Reader::open(&path).unwrap(), events);
}
