//! Batches: what their checks see, what they report, and that they are one unit.

use annals::{
    AppendError, Batch, Error, ErrorCode, EventStore, ExpectedVersion, NewEvent, Query, QueryItem,
    limits,
};
use uuid::Uuid;

use ExpectedVersion::{Any, Exact, NoStream};

fn event() -> NewEvent {
    NewEvent::raw_json("T", "1").unwrap()
}

fn tagged(tag: &str) -> NewEvent {
    event().tag(tag)
}

fn by_tag(tag: &str) -> Query {
    Query::new().item(QueryItem::new().tags([tag]))
}

fn store_with(tags: &[&str]) -> EventStore {
    let store = EventStore::in_memory().unwrap();
    for tag in tags {
        store.append("s", Any, [tagged(tag)]).unwrap();
    }
    store
}

#[track_caller]
fn code(batch: Batch, store: &EventStore) -> ErrorCode {
    let head = store.head().unwrap();
    let code = batch.commit(store).unwrap_err().code();
    assert_eq!(store.head().unwrap(), head, "a refused batch writes nothing");
    code
}

#[test]
fn the_answer_says_where_each_entry_landed() {
    let store = store_with(&["x"]);
    let committed = Batch::new()
        .append("a", NoStream, [event(), event()])
        .require("s", Exact(1))
        .append("b", NoStream, [event()])
        .append("a", Exact(2), [event()])
        .commit(&store)
        .unwrap();
    assert_eq!(committed.positions(), 2..=5);
    assert!(!committed.is_replay());
    let places = |entry| committed.appended(entry).map(|one| (one.positions(), one.versions()));
    assert_eq!(places(0), Some((2..=3, 1..=2)));
    assert_eq!(places(1), None, "a requirement writes nothing");
    assert_eq!(places(2), Some((4..=4, 1..=1)));
    assert_eq!(places(3), Some((5..=5, 3..=3)));
    assert_eq!(places(4), None);
}

#[test]
fn a_batch_needs_an_event_or_a_checkpoint() {
    let store = store_with(&["x"]);
    for batch in [
        Batch::new(),
        Batch::new().require("s", Exact(1)),
        Batch::new().require_none(&by_tag("y"), 0),
        Batch::new().append("s", Any, []).checkpoint("c", 1),
    ] {
        assert_eq!(code(batch, &store), ErrorCode::InvalidArgument);
    }
    let saved = Batch::new().checkpoint("c", 1).commit(&store).unwrap();
    assert!(saved.positions().is_empty());
    assert_eq!(store.checkpoint("c").unwrap(), 1);
}

#[test]
fn a_condition_fails_with_the_first_match_after_its_position() {
    let store = store_with(&["x", "y", "x", "x"]);
    let try_at = |after| {
        let batch = Batch::new().append("t", Any, [event()]).require_none(&by_tag("x"), after);
        match batch.commit(&store) {
            Ok(_) => None,
            Err(AppendError::Condition(failed)) => {
                assert_eq!(failed.index, 0);
                assert!(failed.conflicts().is_empty());
                Some(failed.position)
            }
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!([0, 1, 2, 3].map(try_at), [Some(1), Some(3), Some(3), Some(4)]);
    assert_eq!(try_at(4), None, "nothing after the head");
    assert_eq!(try_at(u64::MAX), None, "past the head nothing can match");
}

#[test]
fn every_violation_is_reported_with_its_index() {
    let store = store_with(&["x", "y"]);
    let batch = Batch::new()
        .require("s", Exact(9))
        .append("t", NoStream, [event()])
        .append("t", NoStream, [event()])
        .append("t", Exact(2), [event()])
        .require_none(&by_tag("z"), 0)
        .require_none(&by_tag("y"), 1)
        .require_none(&by_tag("x"), 0);
    let AppendError::Conflict(conflict) = batch.commit(&store).unwrap_err() else {
        panic!("versions come first")
    };
    assert_eq!((conflict.stream.as_str(), conflict.actual), ("s", 2));
    let conflicts: Vec<(usize, &str, u64)> = conflict
        .conflicts()
        .iter()
        .map(|one| (one.index, one.stream.as_str(), one.actual))
        .collect();
    // An entry counts for the checks after it, also when its own check is violated.
    assert_eq!(conflicts, [(0, "s", 2), (2, "t", 1)]);
    let conditions: Vec<(usize, u64)> =
        conflict.conditions().iter().map(|one| (one.index, one.position)).collect();
    assert_eq!(conditions, [(1, 2), (2, 1)]);
    let text = conflict.to_string();
    assert!(text.contains("stream \"s\" is at version 2, expected 9"), "{text}");
    assert!(text.contains("condition 2 failed: the event at position 1 matches"), "{text}");
}

#[test]
fn a_batch_does_not_conflict_with_its_own_events() {
    let store = store_with(&[]);
    let unique = || {
        Batch::new().append("user", Any, [tagged("name:ada")]).require_none(&by_tag("name:ada"), 0)
    };
    unique().commit(&store).unwrap();
    assert_eq!(code(unique(), &store), ErrorCode::Condition);
}

#[test]
fn conditions_ask_for_types_and_streams_too() {
    let store = store_with(&["x"]);
    store.append("other", Any, [NewEvent::raw_json("Closed", "1").unwrap()]).unwrap();
    let try_with = |item: QueryItem| {
        let batch = Batch::new().append("t", Any, [event()]);
        batch.require_none(&Query::new().item(item), 0).commit(&store).is_ok()
    };
    assert!(!try_with(QueryItem::new().types(["Closed"])));
    assert!(!try_with(QueryItem::new().stream("other")));
    assert!(!try_with(QueryItem::new().stream("s").tags(["x"]).types(["T"])));
    assert!(try_with(QueryItem::new().stream("s").tags(["x"]).types(["Closed"])));
    assert!(try_with(QueryItem::new().types(["Opened"])));
    let all = Batch::new().append("t", Any, [event()]).require_none(&Query::all(), 1);
    assert_eq!(code(all, &store), ErrorCode::Condition);
}

#[test]
fn a_retry_repeats_its_answer_and_never_takes_a_checkpoint_back() {
    let store = store_with(&["x"]);
    let batch = |position| {
        Batch::new()
            .append("a", NoStream, [event().id(Uuid::from_u128(1))])
            .append("b", NoStream, [event().id(Uuid::from_u128(2))])
            .require_none(&by_tag("never"), 0)
            .checkpoint("manager", position)
    };
    let first = batch(1).commit(&store).unwrap();
    assert_eq!((first.positions(), first.is_replay()), (2..=3, false));
    store.append("s", Any, [tagged("never")]).unwrap();
    let again = batch(1).commit(&store).unwrap();
    assert_eq!((again.positions(), again.is_replay()), (2..=3, true));
    assert_eq!(again.appended(1), first.appended(1));
    store.save_checkpoint("manager", 4).unwrap();
    batch(1).commit(&store).unwrap();
    assert_eq!(store.checkpoint("manager").unwrap(), 4, "an earlier one is ignored in a retry");
    store.append("s", Any, [event()]).unwrap();
    batch(5).commit(&store).unwrap();
    assert_eq!(store.checkpoint("manager").unwrap(), 5, "one ahead is saved in a retry");
    assert_eq!(code(batch(6), &store), ErrorCode::InvalidArgument, "past the head");
}

#[test]
fn a_checkpoint_may_lead_into_its_own_batch_and_no_further() {
    let store = store_with(&["x"]);
    let batch = |position| {
        Batch::new().append("a", Any, [event(), event()]).checkpoint("manager", position)
    };
    assert_eq!(code(batch(4), &store), ErrorCode::InvalidArgument);
    batch(3).commit(&store).unwrap();
    assert_eq!(store.checkpoint("manager").unwrap(), 3);
    assert_eq!(code(batch(2), &store), ErrorCode::InvalidArgument, "it never goes back");
    let twice = batch(3).checkpoint("manager", 4);
    assert_eq!(code(twice, &store), ErrorCode::InvalidArgument);
}

#[test]
fn faults_are_looked_for_in_order() {
    let store = store_with(&["x"]);
    store.append("ids", Any, [event().id(Uuid::from_u128(1))]).unwrap();
    let checkpoint = |batch: Batch| batch.checkpoint("c", 99);
    let condition = |batch: Batch| batch.require_none(&by_tag("x"), 0);
    let version = |batch: Batch| batch.require("s", NoStream);
    let id = |batch: Batch| batch.append("other", Any, [event().id(Uuid::from_u128(1))]);
    let limit = |batch: Batch| batch.append("t", Any, [tagged(&"x".repeat(256))]);
    let argument = |batch: Batch| batch.append("", Any, [event()]);
    let one = Batch::new().append("t", Any, [event()]);
    let mut batch = checkpoint(one);
    assert_eq!(code(batch.clone(), &store), ErrorCode::InvalidArgument);
    batch = condition(batch);
    assert_eq!(code(batch.clone(), &store), ErrorCode::Condition);
    batch = version(batch);
    assert_eq!(code(batch.clone(), &store), ErrorCode::VersionConflict);
    batch = id(batch);
    assert_eq!(code(batch.clone(), &store), ErrorCode::DuplicateEventId);
    batch = limit(batch);
    assert_eq!(code(batch.clone(), &store), ErrorCode::LimitExceeded);
    batch = argument(batch);
    assert_eq!(code(batch, &store), ErrorCode::InvalidArgument);
}

#[test]
fn the_number_of_conditions_has_a_limit() {
    let store = store_with(&[]);
    let with = |count: usize| {
        let batch = Batch::new().append("s", Any, [event()]);
        (0..count).fold(batch, |batch, _| batch.require_none(&by_tag("y"), 0))
    };
    with(limits::CONDITIONS_MAX).commit(&store).unwrap();
    match with(limits::CONDITIONS_MAX + 1).commit(&store) {
        Err(AppendError::Failed(Error::LimitExceeded { what, limit, actual })) => {
            assert_eq!((what, limit, actual), ("batch (conditions)", 100, 101));
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_limit(answer: Result<annals::Committed, AppendError>, due: (&str, usize)) {
    match answer {
        Err(AppendError::Failed(Error::LimitExceeded { what, limit, actual })) => {
            assert_eq!((what, limit, actual), (due.0, due.1 as u64, due.1 as u64 + 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_number_of_requirements_has_a_limit() {
    let store = store_with(&["x"]);
    // A stream that is written is none of them, however often it is checked.
    let with = |count: usize| {
        let batch = Batch::new().append("t", Any, [event()]).append("t", Any, [event()]);
        (0..count).fold(batch, |batch, _| batch.require("s", Exact(1)))
    };
    let max = limits::REQUIREMENTS_MAX;
    check_limit(with(max + 1).commit(&store), ("batch (requirements)", max));
    assert!(with(max + 1).check().is_err());
    with(max).commit(&store).unwrap();
    assert_eq!(store.head().unwrap(), 3);
}

#[test]
fn the_number_of_checkpoints_has_a_limit_which_fits_a_frame() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let name = |index: usize| format!("{index:0>255}");
    let with = |count: usize| {
        let batch = Batch::new().append("t", Any, [event()]);
        (0..count).fold(batch, |batch, index| batch.checkpoint(name(index), 1))
    };
    let max = limits::CHECKPOINTS_MAX;
    check_limit(with(max + 1).commit(&store), ("batch (checkpoints)", max));
    assert_eq!(store.head().unwrap(), 0);
    with(max).commit(&store).unwrap();
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.checkpoints().unwrap().len(), max);
    assert_eq!(store.checkpoint(name(max - 1)).unwrap(), 1);
}

#[test]
fn tags_count_towards_the_size_of_a_batch() {
    let store = EventStore::in_memory().unwrap();
    let sized = |bytes: usize| {
        // Of the stream, the type and the tag.
        NewEvent::binary("T", vec![0; bytes - 1 - 1 - 3]).unwrap().tag("abc")
    };
    let with = |last: usize| {
        let batch = Batch::new().append("s", Any, (0..3).map(|_| sized(limits::EVENT_BYTES_MAX)));
        let rest = limits::APPEND_BYTES_MAX - 3 * limits::EVENT_BYTES_MAX;
        batch.append("s", Any, [sized(rest / 2), sized(rest / 2 + last)])
    };
    check_limit(with(1).commit(&store), ("append (bytes)", limits::APPEND_BYTES_MAX));
    with(0).commit(&store).unwrap();
}

#[test]
fn a_batch_with_a_checkpoint_is_one_unit_on_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let batch = Batch::new().append("a", NoStream, [tagged("x")]).checkpoint("manager", 1);
    batch.commit(&store).unwrap();
    for _ in 0..2 {
        let copy = directory.path().join("copy");
        crate::support::files::copy(&path, &copy);
        let killed = EventStore::open(&copy).unwrap();
        assert_eq!((killed.head().unwrap(), killed.checkpoint("manager").unwrap()), (1, 1));
        assert_eq!(killed.query(&by_tag("x")).count(), 1);
        killed.close().unwrap();
        std::fs::remove_dir_all(&copy).unwrap();
        store.close().unwrap();
    }
}

#[test]
fn threads_that_want_the_same_tag_agree_on_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::open(directory.path().join("store")).unwrap();
    const THREADS: u64 = 16;
    const ROUNDS: u64 = 30;
    // Each thread decides on what it has read, and says in its event what that was. Of a refusal it
    // notes what it knew and what it was answered.
    let refusals = std::sync::Mutex::new(Vec::new());
    let wins: u64 = std::thread::scope(|scope| {
        let run = |thread: u64| {
            let (store, refusals) = (store.clone(), &refusals);
            move || {
                let mut wins = 0;
                for round in 0..ROUNDS {
                    let query = by_tag(&format!("seat:{}", (thread + round) % 3));
                    let found = store.query(&query);
                    let after = found.head();
                    let count = found.count();
                    let tag = format!("seat:{}", (thread + round) % 3);
                    let decided = NewEvent::json("Reserved", &(count, after)).unwrap();
                    let decided = decided.tag(tag.clone());
                    let batch = Batch::new().append(format!("t-{thread}"), Any, [decided]);
                    match batch.require_none(&query, after).commit(&store) {
                        Ok(_) => wins += 1,
                        Err(AppendError::Condition(failed)) => {
                            refusals.lock().unwrap().push((tag, after, failed.position));
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                wins
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // Every decision, derived again from the log: what an event says it has read is what is there.
    let mut places = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for event in store.read_all() {
        let event = event.unwrap();
        let tag = event.tags().next().unwrap().to_owned();
        let (count, after) = event.json::<(usize, u64)>().unwrap();
        let known = places.entry(tag).or_default();
        assert_eq!(count, known.len(), "at {}: it was decided on {after}", event.position());
        known.push(event.position());
    }
    assert_eq!(places.values().map(Vec::len).sum::<usize>() as u64, wins);
    assert!(wins >= ROUNDS, "{wins}: somebody always wins");
    // And every refusal: it names the first event that the thread did not know.
    let refusals = refusals.into_inner().unwrap();
    assert_eq!(refusals.len() as u64, THREADS * ROUNDS - wins);
    for (tag, after, position) in refusals {
        let first = places[&tag].iter().find(|at| **at > after);
        assert_eq!(first, Some(&position), "{tag} after {after}");
    }
}
