//! Projections that are pulled: what they process, where they stop, what they restore.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use annals::{
    Error, ErrorCode, EventStore, ExpectedVersion, HandlerError, Handlers, NewEvent, Options,
    Projection, RecordedEvent, SnapshotKey,
};
use serde::{Deserialize, Serialize};

use crate::support::files::copy;

use ExpectedVersion::Any;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Balances {
    by_account: BTreeMap<String, i64>,
    events: u64,
}

fn handlers() -> Handlers<Balances> {
    Handlers::new()
        .when("Deposited", |state: &mut Balances, event: &RecordedEvent| {
            add(state, event, 1)?;
            Ok(())
        })
        .when("Withdrawn", |state, event| add(state, event, -1))
}

fn add(state: &mut Balances, event: &RecordedEvent, sign: i64) -> Result<(), HandlerError> {
    // Before anything can fail, so that a failure leaves something to be undone.
    state.events += 1;
    let balance = state.by_account.entry(event.stream_id().to_owned()).or_default();
    *balance += sign * event.json::<i64>()?;
    if *balance < 0 {
        return Err(format!("{} is overdrawn", event.stream_id()).into());
    }
    Ok(())
}

fn append(store: &EventStore, account: &str, event_type: &str, amount: i64) -> u64 {
    let event = NewEvent::json(event_type, &amount).unwrap();
    *store.append(account, Any, [event]).unwrap().positions().start()
}

fn deposit(store: &EventStore, times: u64) {
    for _ in 0..times {
        append(store, "a", "Deposited", 1);
    }
}

fn projection(store: &EventStore) -> Projection<Balances> {
    Projection::new("balances", store, Balances::default(), handlers())
}

#[test]
fn it_catches_up_with_what_is_new_and_passes_over_what_it_does_not_handle() {
    let store = EventStore::in_memory().unwrap();
    let mut balances = projection(&store);
    assert_eq!((balances.catch_up().unwrap(), balances.position()), (0, 0));
    append(&store, "a", "Deposited", 100);
    append(&store, "a", "Renamed", 1);
    append(&store, "b", "Deposited", 7);
    append(&store, "a", "Withdrawn", 30);
    append(&store, "b", "Closed", 0);
    assert_eq!(balances.catch_up().unwrap(), 5);
    assert_eq!(balances.position(), 5, "the position moves past events without a handler");
    let due = BTreeMap::from([("a".to_owned(), 70), ("b".to_owned(), 7)]);
    assert_eq!(balances.state(), &Balances { by_account: due, events: 3 });
    assert_eq!(balances.catch_up().unwrap(), 0);
    append(&store, "b", "Deposited", 1);
    assert_eq!((balances.catch_up().unwrap(), balances.position()), (1, 6));
    assert_eq!(balances.into_state().by_account["b"], 8);
}

#[test]
fn it_can_be_limited() {
    let store = EventStore::in_memory().unwrap();
    deposit(&store, 10);
    let mut balances = projection(&store);
    assert_eq!((balances.catch_up_at_most(0).unwrap(), balances.position()), (0, 0));
    assert_eq!((balances.catch_up_at_most(4).unwrap(), balances.position()), (4, 4));
    assert_eq!(balances.state().by_account["a"], 4);
    assert_eq!((balances.catch_up_at_most(100).unwrap(), balances.position()), (6, 10));
}

#[test]
fn a_failing_handler_leaves_state_and_position_as_before_its_event() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "a", "Deposited", 10);
    append(&store, "b", "Deposited", 1);
    let bad = append(&store, "a", "Withdrawn", 11);
    append(&store, "b", "Deposited", 1);
    let mut balances = projection(&store);
    for _ in 0..2 {
        let error = balances.catch_up().unwrap_err();
        assert_eq!(error.code(), ErrorCode::Handler);
        assert_eq!(error.chain(), "the handler for Withdrawn failed at position 3: a is overdrawn");
        assert!(matches!(error, Error::Handler { position, .. } if position == bad));
        assert_eq!(balances.position(), 2);
        assert_eq!(balances.state().events, 2, "what the handler did is undone");
        assert_eq!(balances.state().by_account["a"], 10);
    }
}

#[test]
fn a_panicking_handler_is_a_failing_one() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "a", "Deposited", 1);
    append(&store, "a", "Deposited", 2);
    let handlers = Handlers::new().when("Deposited", |sum: &mut i64, event| {
        *sum += event.json::<i64>()?;
        assert!(event.position() < 2, "position {} is too much", event.position());
        Ok(())
    });
    let mut sum = Projection::new("sum", &store, 0_i64, handlers);
    let text = sum.catch_up().unwrap_err().chain();
    assert!(text.ends_with("it panicked: position 2 is too much"), "{text}");
    assert_eq!((*sum.state(), sum.position()), (1, 1));
}

#[test]
fn a_large_state_is_restored_by_running_handlers_again() {
    let store = EventStore::in_memory().unwrap();
    for number in 0..300 {
        append(&store, &format!("account-{}", number % 120), "Deposited", number);
    }
    append(&store, "account-0", "Withdrawn", 1_000_000);
    let mut balances = projection(&store);
    assert_eq!(balances.catch_up().unwrap_err().code(), ErrorCode::Handler);
    assert_eq!((balances.position(), balances.state().events), (300, 300));
    let mut fresh = projection(&store);
    fresh.catch_up_at_most(300).unwrap();
    assert!(serde_json::to_vec(fresh.state()).unwrap().len() > 1_500, "the state is not small");
    assert_eq!(balances.state(), fresh.state());
}

#[test]
fn when_the_restoring_handlers_fail_too_state_and_position_still_fit_each_other() {
    let store = EventStore::in_memory().unwrap();
    for number in 0..300 {
        append(&store, &format!("account-{}", number % 120), "Deposited", number);
    }
    let is_moody = Arc::new(AtomicBool::new(false));
    let moody = Arc::clone(&is_moody);
    let handlers = Handlers::new().when("Deposited", move |state: &mut Balances, event| {
        if event.position() == 300 {
            moody.store(true, Ordering::Relaxed);
        }
        if moody.load(Ordering::Relaxed) {
            return Err("not today".into());
        }
        add(state, event, 1)
    });
    let mut balances = Projection::new("balances", &store, Balances::default(), handlers);
    assert_eq!(balances.catch_up().unwrap_err().code(), ErrorCode::Handler);
    assert_eq!(balances.state().events, balances.position());
    is_moody.store(false, Ordering::Relaxed);
    let mut steady = projection(&store);
    steady.catch_up_at_most(balances.position()).unwrap();
    assert_eq!(balances.state(), steady.state());
}

#[test]
fn going_back_to_what_was_kept_does_not_confuse_the_snapshots() {
    let store = EventStore::in_memory().unwrap();
    for number in 0..600 {
        append(&store, &format!("account-{}", number % 400), "Deposited", number);
    }
    let is_moody = Arc::new(AtomicBool::new(false));
    let moody = Arc::clone(&is_moody);
    let handlers = Handlers::new().when("Deposited", move |state: &mut Balances, event| {
        moody.fetch_or(event.position() == 501, Ordering::Relaxed);
        match moody.load(Ordering::Relaxed) {
            true => Err("not today".into()),
            false => add(state, event, 1),
        }
    });
    let balances = Projection::new("balances", &store, Balances::default(), handlers);
    let mut balances = balances.snapshot_every(100);
    assert_eq!(balances.catch_up().unwrap_err().code(), ErrorCode::Handler);
    assert!(balances.position() < 500, "behind its last snapshot");
    is_moody.store(true, Ordering::Relaxed);
    assert_eq!(balances.catch_up().unwrap_err().code(), ErrorCode::Handler);
    assert_eq!(balances.state().events, balances.position());
}

#[test]
fn a_state_without_json_is_refused_before_it_is_changed() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "a", "Deposited", 1);
    append(&store, "a", "Deposited", 1);
    let handlers = Handlers::new().when("Deposited", |state: &mut BTreeMap<(u8, u8), u8>, _| {
        state.insert((state.len() as u8, 0), 0);
        Ok(())
    });
    let mut odd = Projection::new("odd", &store, BTreeMap::new(), handlers);
    let error = odd.catch_up().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument, "{error}");
    assert_eq!((odd.state().len(), odd.position()), (1, 1));
    assert_eq!(odd.save_snapshot().unwrap_err().code(), ErrorCode::InvalidArgument);
    odd.reset();
    assert_eq!((odd.state().len(), odd.position()), (0, 0));
}

/// Reads back only up to 1: it panics past that.
#[derive(Serialize)]
struct OneWay(u64);

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<OneWay, D::Error> {
        let count = u64::deserialize(deserializer)?;
        assert!(count < 2, "{count} is too much");
        Ok(OneWay(count))
    }
}

#[test]
fn a_state_that_panics_when_it_is_read_back_cannot_be_read() {
    let store = EventStore::in_memory().unwrap();
    deposit(&store, 3);
    let handlers = Handlers::new().when("Deposited", |state: &mut OneWay, event| {
        state.0 += 1;
        if event.position() == 3 { Err("too late".into()) } else { Ok(()) }
    });
    let mut one_way = Projection::new("one way", &store, OneWay(0), handlers);
    assert_eq!(one_way.catch_up().unwrap_err().code(), ErrorCode::Handler);
    assert_eq!((one_way.state().0, one_way.position()), (0, 0));
    one_way.catch_up_at_most(2).unwrap();
    one_way.save_snapshot().unwrap();
    let ignored = one_way.load_snapshot().unwrap().ignored;
    assert!(ignored[0].reason.ends_with("it panicked: 2 is too much"), "{ignored:?}");
}

#[test]
fn a_handler_may_append_and_meets_that_at_the_next_call() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "a", "Asked", 1);
    let inner = store.clone();
    let handlers = Handlers::new()
        .when("Asked", move |count: &mut u64, event| {
            *count += 1;
            inner.append("b", Any, [NewEvent::json("Answered", &event.position())?])?;
            Ok(())
        })
        .when("Answered", |count, _| {
            *count += 100;
            Ok(())
        });
    let mut count = Projection::new("count", &store, 0, handlers);
    assert_eq!((count.catch_up().unwrap(), *count.state()), (1, 1));
    assert_eq!((count.catch_up().unwrap(), *count.state()), (1, 101));
}

#[test]
fn it_goes_on_from_its_snapshot_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    for amount in 1..=10 {
        append(&store, "a", "Deposited", amount);
    }
    let mut balances = projection(&store);
    assert!(!balances.load_snapshot().unwrap().is_restored());
    balances.catch_up().unwrap();
    balances.save_snapshot().unwrap();
    append(&store, "a", "Deposited", 100);
    let killed = directory.path().join("killed");
    copy(&path, &killed);
    store.close().unwrap();
    for path in [&path, &killed] {
        let store = EventStore::open(path).unwrap();
        let mut balances = projection(&store);
        let restored = balances.load_snapshot().unwrap();
        assert_eq!((restored.position, restored.ignored), (Some(10), Vec::new()));
        assert_eq!((balances.position(), balances.state().by_account["a"]), (10, 55));
        assert_eq!((balances.catch_up().unwrap(), balances.state().by_account["a"]), (1, 155));
    }
}

#[test]
fn snapshots_are_saved_after_as_many_events_as_asked_for() {
    let store = EventStore::in_memory().unwrap();
    let positions = |store: &EventStore| -> Vec<u64> {
        store.snapshots().map(|snapshot| snapshot.unwrap().position).collect()
    };
    deposit(&store, 25);
    let mut balances = projection(&store).snapshot_every(10);
    balances.catch_up().unwrap();
    assert_eq!(positions(&store), [20, 10]);
    for _ in 0..4 {
        append(&store, "a", "Renamed", 1);
    }
    balances.catch_up().unwrap();
    assert_eq!(positions(&store), [20, 10]);
    append(&store, "a", "Deposited", 1);
    balances.catch_up().unwrap();
    assert_eq!(positions(&store), [30, 20]);
    // Counted from where it starts.
    let mut later = projection(&store).snapshot_every(10);
    later.load_snapshot().unwrap();
    deposit(&store, 10);
    later.catch_up().unwrap();
    assert_eq!(positions(&store), [40, 30]);
    let mut never = projection(&store).snapshot_every(0);
    never.catch_up().unwrap();
    assert_eq!(positions(&store), [40, 30]);
}

#[test]
fn a_snapshot_that_cannot_be_saved_holds_nothing_up() {
    let store = EventStore::in_memory().unwrap();
    deposit(&store, 25);
    // No name that a snapshot could have.
    let mut nameless =
        Projection::new("", &store, Balances::default(), handlers()).snapshot_every(10);
    assert_eq!(nameless.catch_up().unwrap(), 25);
    let failure = nameless.snapshot_failure().map(|failure| failure.code());
    assert_eq!(failure, Some(ErrorCode::InvalidArgument));
}

#[test]
fn a_projection_of_another_version_replays() {
    let store = EventStore::in_memory().unwrap();
    deposit(&store, 5);
    let mut first = projection(&store).version(1);
    first.catch_up().unwrap();
    first.save_snapshot().unwrap();
    let mut second = projection(&store).version(2);
    let restored = second.load_snapshot().unwrap();
    assert_eq!(restored.position, None);
    assert_eq!(restored.ignored.len(), 1);
    assert!(restored.ignored[0].to_string().contains("version 1, not 2"));
    assert_eq!((second.position(), second.catch_up().unwrap()), (0, 5));
    assert_eq!(first.load_snapshot().unwrap().position, Some(5));
}

#[test]
fn a_snapshot_that_is_not_a_state_of_the_program_is_ignored_for_an_older_one() {
    let store = EventStore::in_memory().unwrap();
    deposit(&store, 9);
    let mut balances = projection(&store);
    balances.catch_up_at_most(4).unwrap();
    balances.save_snapshot().unwrap();
    let key = SnapshotKey::of_projection("balances", 0);
    for bad in ["", "{", "17", "{\"by_account\": {}, \"events\": 1} trailing"] {
        store.save_snapshot(key.clone(), 6, bad).unwrap();
        let mut fresh = projection(&store);
        let restored = fresh.load_snapshot().unwrap();
        assert_eq!((restored.position, restored.ignored.len()), (Some(4), 1), "{bad:?}");
        assert_eq!(restored.ignored[0].position, 6);
        assert_eq!(fresh.state(), balances.state());
    }
}

#[test]
fn damaged_foreign_and_future_snapshots_are_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("store"), directory.path().join("other"));
    let store = EventStore::open(&path).unwrap();
    deposit(&store, 5);
    store.save_checkpoint("c", 5).unwrap();
    let mut balances = projection(&store);
    balances.catch_up().unwrap();
    store.close().unwrap();
    // What another store holds under the same name, and what nobody could have saved yet.
    let foreign = EventStore::open(&other).unwrap();
    deposit(&foreign, 5);
    let mut of_other = projection(&foreign);
    of_other.catch_up().unwrap();
    of_other.save_snapshot().unwrap();
    foreign.close().unwrap();

    // Their files differ in the position alone, which ends the name.
    let saved = fs::read_dir(other.join("snapshots")).unwrap().next().unwrap().unwrap();
    let name = saved.file_name().into_string().unwrap();
    let stem = name.strip_suffix("-5.snapshot").unwrap();
    let file = |position: u64| path.join("snapshots").join(format!("{stem}-{position}.snapshot"));
    let stolen = fs::read(saved.path()).unwrap();
    fs::write(file(5), &stolen).unwrap();
    fs::write(file(4), "nonsense").unwrap();
    let store = EventStore::open(&path).unwrap();
    let mut balances = projection(&store);
    let restored = balances.load_snapshot().unwrap();
    assert_eq!((restored.position, restored.ignored.len()), (None, 2));
    assert!(restored.ignored[0].reason.contains("belongs to another store"), "{restored:?}");
    assert!(restored.ignored[1].reason.contains("does not start with"), "{restored:?}");
    let codes: Vec<_> = store.verify().unwrap().findings.iter().map(|f| f.code).collect();
    assert_eq!(codes, ["snapshot-damaged", "snapshot-damaged"]);
    assert_eq!(balances.catch_up().unwrap(), 5, "it replays");
    balances.save_snapshot().unwrap();
    store.close().unwrap();
    // The one that was saved meanwhile is good, and turns up under other positions.
    let good = fs::read(file(5)).unwrap();
    assert_ne!(good, stolen);
    for position in [9, 3] {
        fs::write(file(position), &good).unwrap();
    }
    for position in [5, 4] {
        fs::remove_file(file(position)).unwrap();
    }
    let store = EventStore::open(&path).unwrap();
    let restored = projection(&store).load_snapshot().unwrap();
    assert_eq!((restored.position, restored.ignored.len()), (None, 2));
    assert!(restored.ignored[0].reason.contains("the store ends at 5"), "{restored:?}");
    assert!(restored.ignored[1].reason.contains("its contents are for"), "{restored:?}");
    drop(store);
    fs::remove_dir_all(&other).unwrap();
}

#[test]
fn reset_starts_over() {
    let store = EventStore::in_memory().unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&calls);
    let handlers = Handlers::new().when("Deposited", move |sum: &mut i64, event| {
        counter.fetch_add(1, Ordering::Relaxed);
        *sum += event.json::<i64>()?;
        Ok(())
    });
    append(&store, "a", "Deposited", 5);
    let mut sum = Projection::new("sum", &store, 1_000_i64, handlers);
    sum.catch_up().unwrap();
    sum.save_snapshot().unwrap();
    sum.reset();
    assert_eq!((*sum.state(), sum.position()), (1_000, 0), "the first state, and no event seen");
    assert_eq!(sum.catch_up().unwrap(), 1);
    assert_eq!((*sum.state(), calls.load(Ordering::Relaxed)), (1_005, 2));
    assert_eq!(sum.load_snapshot().unwrap().position, Some(1), "snapshots stay");
}

#[test]
fn a_projection_from_any_snapshot_is_one_from_zero() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options::new().tail_bytes(2_000);
    let store = options.open(&path).unwrap();
    for number in 0..120 {
        append(&store, &format!("a-{}", number % 7), "Deposited", number);
    }
    let mut whole = projection(&store);
    whole.catch_up().unwrap();
    for at in 0..=120 {
        let mut part = projection(&store).version(at as u32);
        part.catch_up_at_most(at).unwrap();
        part.save_snapshot().unwrap();
        let mut rest = projection(&store).version(at as u32);
        assert_eq!(rest.load_snapshot().unwrap().position, Some(at));
        assert_eq!(rest.catch_up().unwrap(), 120 - at);
        assert_eq!(rest.state(), whole.state());
    }
}

#[test]
fn a_closed_store_stops_it_and_leaves_its_state() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "a", "Deposited", 5);
    let mut balances = projection(&store);
    balances.catch_up().unwrap();
    store.close().unwrap();
    assert_eq!(balances.catch_up().unwrap_err().code(), ErrorCode::Closed);
    assert_eq!(balances.save_snapshot().unwrap_err().code(), ErrorCode::Closed);
    assert_eq!(balances.load_snapshot().unwrap_err().code(), ErrorCode::Closed);
    assert_eq!((balances.position(), balances.state().events), (1, 1));
}

#[test]
fn a_handler_that_is_exchanged_changes_nothing_that_was_handled() {
    type State = (String, i64);
    let add = |times: i64| {
        move |state: &mut State, event: &RecordedEvent| -> Result<(), HandlerError> {
            state.1 += times * event.json::<i64>()?;
            Ok(())
        }
    };
    let store = EventStore::in_memory().unwrap();
    for _ in 0..5 {
        append(&store, "a", "Deposited", 1);
    }
    // So large that what a failed handler leaves is undone by running those before it again.
    let state = ("x".repeat(4_000), 0);
    let handlers = Handlers::new().when("Deposited", add(1));
    let mut sum = Projection::new("sum", &store, state, handlers);
    assert_eq!((sum.catch_up().unwrap(), sum.state().1), (5, 5));
    sum.when("Deposited", add(100));
    sum.when("Failed", |_, _| Err("always".into()));
    append(&store, "a", "Deposited", 1);
    append(&store, "a", "Failed", 1);
    assert_eq!(sum.catch_up().unwrap_err().code(), ErrorCode::Handler);
    assert_eq!((sum.position(), sum.state().1), (6, 105));
}
