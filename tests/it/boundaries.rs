//! The rules of dynamic consistency boundaries (dcb.events, specification of March 2026), one test
//! for each: what a read must find, what an append must refuse, and what queries, events, tags and
//! conditions are made of.

use annals::{
    AppendError, Batch, ErrorCode, EventStore, ExpectedVersion::Any, NewEvent, Query, QueryItem,
};

fn event(event_type: &str, tags: &[&str]) -> NewEvent {
    NewEvent::json(event_type, &event_type).unwrap().tags(tags.iter().copied())
}

fn item(types: &[&str], tags: &[&str]) -> QueryItem {
    QueryItem::new().types(types.iter().copied()).tags(tags.iter().copied())
}

fn of(items: impl IntoIterator<Item = QueryItem>) -> Query {
    items.into_iter().fold(Query::new(), Query::item)
}

/// Courses and students: positions 1 to 6.
fn store() -> EventStore {
    let store = EventStore::in_memory().unwrap();
    for (event_type, tags) in [
        ("CourseDefined", &["course:c1"][..]),
        ("CourseDefined", &["course:c2"]),
        ("StudentRegistered", &["student:s1"]),
        ("StudentSubscribed", &["course:c1", "student:s1"]),
        ("StudentSubscribed", &["course:c2", "student:s1"]),
        ("SystemStarted", &[]),
    ] {
        store.append("any", Any, [event(event_type, tags)]).unwrap();
    }
    store
}

/// No position.
const NONE: [u64; 0] = [];

fn found(store: &EventStore, query: &Query) -> Vec<u64> {
    store.query(query).map(|event| event.unwrap().position()).collect()
}

/// Appends one event if no event after `after` matches; otherwise the first that does.
fn append_if(store: &EventStore, query: &Query, after: u64) -> Result<u64, u64> {
    let batch = Batch::new().append("any", Any, [event("Decided", &[])]);
    match batch.require_none(query, after).commit(store) {
        Ok(committed) => Ok(*committed.positions().start()),
        Err(AppendError::Condition(failed)) => Err(failed.position),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn reading_filters_by_type_and_by_tag() {
    let store = store();
    assert_eq!(found(&store, &of([item(&["CourseDefined"], &[])])), [1, 2]);
    assert_eq!(found(&store, &of([item(&[], &["course:c1"])])), [1, 4]);
    assert_eq!(found(&store, &of([item(&["StudentSubscribed"], &["course:c1"])])), [4]);
}

#[test]
fn reading_starts_at_a_position() {
    let store = store();
    let query = of([item(&[], &["student:s1"])]);
    for (from, due) in [(1, &[3, 4, 5][..]), (4, &[4, 5]), (5, &[5]), (6, &[]), (99, &[])] {
        let found = store.query(&query).from_position(from);
        assert!(found.map(|event| event.unwrap().position()).eq(due.iter().copied()), "{from}");
    }
}

#[test]
fn reading_may_be_backwards_and_limited() {
    let store = store();
    let found = store.query(&of([item(&[], &["student:s1"])])).backward().limit(2);
    assert!(found.map(|event| event.unwrap().position()).eq([5, 4]));
}

#[test]
fn appending_is_atomic_for_several_events() {
    let store = store();
    let events = || [event("A", &["new"]), event("B", &["new"])];
    let new = of([item(&[], &["new"])]);
    let refused = Batch::new().append("any", Any, events()).require_none(&Query::all(), 0);
    assert_eq!(refused.commit(&store).unwrap_err().code(), ErrorCode::Condition);
    assert_eq!(found(&store, &new), NONE);
    Batch::new().append("any", Any, events()).require_none(&new, 0).commit(&store).unwrap();
    assert_eq!(found(&store, &new), [7, 8]);
}

#[test]
fn appending_fails_if_an_event_matches_the_condition() {
    let store = store();
    let students = of([item(&["StudentRegistered"], &["student:s1"])]);
    assert_eq!(append_if(&store, &students, 0), Err(3));
    assert_eq!(append_if(&store, &of([item(&["StudentRegistered"], &["student:s2"])]), 0), Ok(7));
}

#[test]
fn a_query_matches_every_event_or_has_items() {
    let store = store();
    assert_eq!(found(&store, &Query::all()), [1, 2, 3, 4, 5, 6]);
    // Nothing is not everything.
    assert_eq!(Query::new().check().unwrap_err().code(), ErrorCode::InvalidArgument);
    let restricts_nothing = of([QueryItem::new()]);
    assert_eq!(restricts_nothing.check().unwrap_err().code(), ErrorCode::InvalidArgument);
}

#[test]
fn items_are_alternatives() {
    let store = store();
    let query = of([item(&["SystemStarted"], &[]), item(&["CourseDefined"], &["course:c2"])]);
    assert_eq!(found(&store, &query), [2, 6]);
    // An event that matches two items comes once.
    assert_eq!(
        found(&store, &of([item(&[], &["course:c1"]), item(&[], &["student:s1"])])),
        [1, 3, 4, 5]
    );
}

#[test]
fn the_types_of_an_item_are_alternatives_and_its_tags_are_not() {
    let store = store();
    assert_eq!(found(&store, &of([item(&["SystemStarted", "StudentRegistered"], &[])])), [3, 6]);
    assert_eq!(found(&store, &of([item(&[], &["student:s1", "course:c2"])])), [5]);
    assert_eq!(found(&store, &of([item(&["CourseDefined"], &["student:s1", "course:c2"])])), NONE);
    assert_eq!(found(&store, &of([item(&[], &["student:s1", "missing"])])), NONE);
}

#[test]
fn a_stored_event_has_a_unique_ascending_position() {
    let store = store();
    let positions = store.query(&Query::all()).map(|event| event.unwrap().position());
    assert!(positions.eq(1..=6), "there is not even a gap");
}

#[test]
fn an_event_has_a_type_data_and_a_set_of_tags() {
    let store = store();
    store.append("any", Any, [event("Tagged", &["b", "a", "b"])]).unwrap();
    let event = store.query(&of([item(&["Tagged"], &[])])).next().unwrap().unwrap();
    assert_eq!((event.event_type(), event.data()), ("Tagged", &b"\"Tagged\""[..]));
    assert!(event.tags().eq(["a", "b"]), "no tag comes twice");
    let plain = store.query(&of([item(&["SystemStarted"], &[])])).next().unwrap().unwrap();
    assert_eq!(plain.tags().len(), 0);
}

#[test]
fn types_and_tags_are_compared_as_they_are() {
    let store = store();
    for item in [item(&["coursedefined"], &[]), item(&[], &["course:C1"]), item(&[], &["course"])] {
        assert_eq!(found(&store, &of([item])), NONE);
    }
}

#[test]
fn a_condition_ignores_events_up_to_its_position() {
    let store = store();
    let query = of([item(&[], &["student:s1"])]);
    assert_eq!(append_if(&store, &query, 2), Err(3));
    assert_eq!(append_if(&store, &query, 3), Err(4));
    assert_eq!(append_if(&store, &query, 4), Err(5));
    assert_eq!(append_if(&store, &query, 5), Ok(7));
}

#[test]
fn a_condition_without_a_position_ignores_no_event() {
    let store = store();
    assert_eq!(append_if(&store, &of([item(&["CourseDefined"], &[])]), 0), Err(1));
    let empty = EventStore::in_memory().unwrap();
    assert_eq!(append_if(&empty, &Query::all(), 0), Ok(1));
    assert_eq!(append_if(&empty, &Query::all(), 0), Err(1));
}

#[test]
fn the_position_of_a_condition_may_be_past_every_match() {
    let store = store();
    let query = of([item(&["CourseDefined"], &["course:c1"])]);
    let known = store.query(&query).head();
    assert_eq!(known, 6, "the last match is at 1");
    store.append("any", Any, [event("Unrelated", &["course:c2"])]).unwrap();
    assert_eq!(append_if(&store, &query, known), Ok(8));
    store.append("any", Any, [event("CourseDefined", &["course:c1"])]).unwrap();
    assert_eq!(append_if(&store, &query, known), Err(9));
}

/// After an open of a store that was drained and sealed whole, the tail has no events.
#[test]
fn streams_and_conditions_are_decided_with_an_empty_tail_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    // One frame that fills its file, which a close then seals.
    let wide = "x".repeat(4_000);
    let event_of = |_| NewEvent::json("T", &wide).unwrap().tag("g");
    let both = (0..50).fold(Batch::new(), |batch, round| {
        batch.append("s", Any, [event_of(round)]).append("t", Any, [event_of(round)])
    });
    both.commit(&store).unwrap();
    store.close().unwrap();
    let queries = ["s", "u"].map(|stream| of([QueryItem::new().stream(stream)]));
    let tagged = of([item(&[], &["g"])]);
    let of_s: Vec<u64> = (1..=99).step_by(2).collect();
    for (after, due) in [(0, Err(1)), (97, Err(99)), (98, Err(99)), (99, Ok(101))] {
        let store = EventStore::open(&path).unwrap();
        assert_eq!(store.metrics().tail_bytes, 0, "everything was drained");
        assert_eq!(found(&store, &queries[0]), of_s);
        assert_eq!(found(&store, &queries[1]), NONE);
        let backward = store.query(&queries[0]).backward().map(|event| event.unwrap().position());
        assert!(backward.eq(of_s.iter().rev().copied()));
        assert_eq!(append_if(&store, &tagged, after), Err(after + 1), "a tag, after {after}");
        assert_eq!(append_if(&store, &queries[0], after), due, "a stream, after {after}");
        store.close().unwrap();
        let reader = annals::Reader::open(&path).unwrap();
        let read = reader.query(&queries[0]).map(|event| event.unwrap().position());
        assert!(read.eq(of_s.iter().copied()), "by a reader");
    }
}
