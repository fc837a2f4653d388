//! Live projections: up to date when an append returns, in order, apart from each other.

mod handlers; // what handlers do
mod sharing; //  who waits for whom

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::units::{AppendUnits, Unit};
use annals::{
    Durability, Error, ErrorCode, EventStore, ExpectedVersion, Handlers, LiveProjection, NewEvent,
    Options, Projection,
};

use ExpectedVersion::Any;

fn event(number: u64) -> NewEvent {
    NewEvent::json("Counted", &number).unwrap()
}

fn append(store: &EventStore, number: u64) {
    store.append("s", Any, [event(number)]).unwrap();
}

/// Keeps the positions it has seen.
fn seen() -> Handlers<Vec<u64>> {
    Handlers::new().when("Counted", |seen: &mut Vec<u64>, event| {
        seen.push(event.position());
        Ok(())
    })
}

fn follow(store: &EventStore) -> LiveProjection<Vec<u64>> {
    Projection::new("seen", store, Vec::new(), seen()).live().unwrap()
}

fn upto(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

#[test]
fn it_is_up_to_date_when_an_append_returns() {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = EventStore::open(directory.path().join("store")).unwrap();
    for store in [EventStore::in_memory().unwrap(), on_disk] {
        append(&store, 1);
        let live = follow(&store);
        assert_eq!((live.position(), &*live.state()), (1, &upto(1)));
        for number in 2..50 {
            append(&store, number);
            assert_eq!(*live.state(), upto(number));
        }
        store.append("s", Any, (0..50).map(event)).unwrap();
        store
            .append_multi([Unit::to("a", Any, [event(1)]), Unit::to("b", Any, [event(2)])])
            .unwrap();
        assert_eq!((live.state().position(), &*live.state()), (101, &upto(101)));
        store.append("s", Any, [NewEvent::json("Other", &1).unwrap()]).unwrap();
        assert_eq!((live.position(), live.state().len()), (102, 101));
        assert_eq!(live.name(), "seen");
    }
}

#[test]
fn it_is_up_to_date_for_appends_of_all_threads_in_position_order() {
    const THREADS: u64 = 8;
    const APPENDS: u64 = 100;
    let directory = tempfile::tempdir().unwrap();
    let buffered = Durability::Buffered { max_delay: Duration::from_millis(1) };
    for (name, durability) in [("sync", Durability::Sync), ("buffered", buffered)] {
        let options = Options::new().durability(durability).tail_bytes(16 << 10);
        let store = options.open(directory.path().join(name)).unwrap();
        let (one, other) = (follow(&store), follow(&store));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for number in 0..APPENDS {
                        let events = (0..=number % 3).map(event);
                        let appended = store.append("s", Any, events).unwrap();
                        let last = *appended.positions().end();
                        assert!(one.position() >= last && other.position() >= last);
                        assert!(one.state().len() as u64 >= last);
                    }
                });
            }
        });
        let head = store.head().unwrap();
        assert_eq!((&*one.state(), &*other.state()), (&upto(head), &upto(head)));
    }
}

#[test]
fn one_that_starts_amid_appends_misses_nothing() {
    const APPENDS: u64 = 500;
    let store = EventStore::in_memory().unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..APPENDS).for_each(|number| append(&store, number)));
        }
        while store.head().unwrap() < 3 * APPENDS {
            let live = follow(&store);
            append(&store, 1);
            let state = live.state();
            assert_eq!(*state, upto(state.position()));
        }
    });
}

/// Fails once at a position while `is_sick`.
fn moody(at: u64, is_sick: &Arc<AtomicBool>, panics: bool) -> Handlers<Vec<u64>> {
    let is_sick = Arc::clone(is_sick);
    Handlers::new().when("Counted", move |seen: &mut Vec<u64>, event| {
        seen.push(event.position());
        if event.position() == at && is_sick.load(Ordering::Relaxed) {
            assert!(!panics, "sick of it");
            return Err("sick of it".into());
        }
        Ok(())
    })
}

#[test]
fn one_that_fails_stops_alone_and_can_be_resumed() {
    for panics in [false, true] {
        let store = EventStore::in_memory().unwrap();
        let is_sick = Arc::new(AtomicBool::new(true));
        let before = follow(&store);
        let failing = Projection::new("f", &store, Vec::new(), moody(3, &is_sick, panics));
        let failing = failing.live().unwrap();
        let after = follow(&store);
        for number in 1..=5 {
            append(&store, number);
        }
        assert_eq!(store.head().unwrap(), 5, "the appends stand");
        assert_eq!((&*before.state(), &*after.state()), (&upto(5), &upto(5)), "others go on");
        assert_eq!((&*failing.state(), failing.position()), (&upto(2), 2));
        let failure = failing.failure().unwrap();
        assert!(matches!(&*failure, Error::Handler { position: 3, event_type, .. }
            if event_type == "Counted"));
        let due = if panics { "it panicked: sick of it" } else { "sick of it" };
        assert!(failure.chain().ends_with(due), "{}", failure.chain());

        let stopped = failing.try_state().unwrap_err();
        assert!(matches!(stopped, Error::Handler { position: 3, .. }), "{stopped:?}");
        assert_eq!((&*failing.last_state(), failing.last_state().position()), (&upto(2), 2));
        assert_eq!(*before.try_state().unwrap(), upto(5));
        assert_eq!(failing.resume().unwrap_err().code(), ErrorCode::Handler);
        assert_eq!(failing.position(), 2);
        is_sick.store(false, Ordering::Relaxed);
        assert_eq!(failing.resume().unwrap(), 5);
        assert!(failing.failure().is_none());
        append(&store, 6);
        assert_eq!(*failing.state(), upto(6));
        assert_eq!(failing.resume().unwrap(), 6, "with nothing to resume");
    }
}

/// Rejects a projection that leaves out more than the one event, or meets it again when a later
/// failure makes it replay.
#[test]
fn one_that_fails_goes_on_without_the_event() {
    let store = EventStore::in_memory().unwrap();
    type State = (String, Vec<u64>);
    let handlers = Handlers::new().when("Counted", |(_, seen): &mut State, event| {
        seen.push(event.position());
        match event.position() {
            3 | 6 | 9 => Err("sick of it".into()),
            _ => Ok(()),
        }
    });
    // A state that is too large to be kept before every handler.
    let state = ("-".repeat(4_000), Vec::new());
    let live = Projection::new("f", &store, state, handlers).live().unwrap();
    (1..=7).for_each(|number| append(&store, number));
    let stopped_at = |failure: &Error| match failure {
        Error::Handler { position, .. } => *position,
        other => panic!("{other:?}"),
    };
    assert_eq!(stopped_at(&live.failure().unwrap()), 3);
    assert_eq!(stopped_at(&live.resume_after().unwrap_err()), 6, "the next one that fails");
    assert_eq!((live.position(), &live.last_state().1), (5, &vec![1, 2, 4, 5]));
    assert_eq!(live.resume_after().unwrap(), 7);
    append(&store, 8);
    assert_eq!(live.try_state().unwrap().1, [1, 2, 4, 5, 7, 8]);
    assert_eq!(live.resume_after().unwrap(), 8, "it has not stopped, so nothing is left out");
    append(&store, 9);
    assert_eq!(stopped_at(&live.try_state().unwrap_err()), 9);
    assert_eq!((live.position(), &live.last_state().1), (8, &vec![1, 2, 4, 5, 7, 8]));
}

/// Rejects a state of before the failure that passes for a current one while another thread, which
/// waits for those that look at it, is about to resume.
#[test]
fn one_that_is_about_to_be_resumed_has_still_stopped() {
    let store = EventStore::in_memory().unwrap();
    let is_sick = Arc::new(AtomicBool::new(true));
    let live = Projection::new("f", &store, Vec::new(), moody(2, &is_sick, false)).live().unwrap();
    (1..=3).for_each(|number| append(&store, number));
    for due in [Err(2), Ok(3)] {
        let held = live.last_state();
        thread::scope(|scope| {
            let resumed = scope.spawn(|| live.resume());
            thread::sleep(Duration::from_millis(50));
            let stopped = live.try_state().unwrap_err();
            assert!(matches!(stopped, Error::Handler { position: 2, .. }), "{stopped:?}");
            drop(held);
            let reached = resumed.join().unwrap().map_err(|failure| match *failure {
                Error::Handler { position, .. } => position,
                ref other => panic!("{other:?}"),
            });
            assert_eq!(reached, due);
        });
        is_sick.store(false, Ordering::Relaxed);
    }
    assert_eq!(*live.try_state().unwrap(), upto(3));
    append(&store, 4);
    live.stop();
    append(&store, 5);
    assert_eq!((live.resume().unwrap(), &*live.try_state().unwrap()), (4, &upto(4)));
}

#[test]
fn what_is_no_handlers_fault_cannot_be_left_out() {
    use std::collections::BTreeMap;
    let store = EventStore::in_memory().unwrap();
    let handlers = Handlers::new().when("Counted", |keys: &mut BTreeMap<Vec<u8>, u64>, event| {
        // The next state has no JSON form.
        keys.insert(vec![1], event.position());
        Ok(())
    });
    let live = Projection::new("f", &store, BTreeMap::new(), handlers).live().unwrap();
    (1..=3).for_each(|number| append(&store, number));
    assert_eq!(live.try_state().unwrap_err().code(), ErrorCode::InvalidArgument);
    assert_eq!(live.resume_after().unwrap_err().code(), ErrorCode::InvalidArgument);
    assert_eq!(live.position(), 1);
}

#[test]
fn one_that_fails_at_the_start_hands_the_projection_back() {
    let store = EventStore::in_memory().unwrap();
    (1..=4).for_each(|number| append(&store, number));
    let is_sick = Arc::new(AtomicBool::new(true));
    let projection = Projection::new("f", &store, Vec::new(), moody(3, &is_sick, false));
    let failure = projection.live().unwrap_err();
    assert_eq!((failure.error.code(), failure.projection.position()), (ErrorCode::Handler, 2));
    append(&store, 5);
    is_sick.store(false, Ordering::Relaxed);
    let live = failure.projection.live().unwrap();
    assert_eq!(*live.state(), upto(5));
}

#[test]
fn the_store_may_be_closed_or_dropped_around_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, 1);
    let live = follow(&store);
    drop(store);
    let locked = EventStore::open(&path).unwrap_err();
    assert_eq!(locked.code(), ErrorCode::Locked, "it keeps the store open");
    drop(live);
    let store = EventStore::open(&path).unwrap();
    let live = follow(&store);
    store.close().unwrap();
    assert_eq!(*live.state(), upto(1), "the state stays");
    assert_eq!(live.resume().unwrap_err().code(), ErrorCode::Closed);
    assert_eq!(live.save_snapshot().unwrap_err().code(), ErrorCode::Closed);
    let reopened = EventStore::open(&path).unwrap();
    assert_eq!(reopened.head().unwrap(), 1);
}

#[test]
fn a_snapshot_that_cannot_be_written_is_reported_and_the_next_one_is_tried() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let projection = Projection::new("seen", &store, Vec::new(), seen()).snapshot_every(1);
    let live = projection.live().unwrap();
    let snapshots = path.join("snapshots");
    fs::remove_dir(&snapshots).unwrap();
    fs::write(&snapshots, "in the way").unwrap();
    append(&store, 1);
    assert_eq!(live.snapshot_failure().map(|failure| failure.code()), Some(ErrorCode::Io));
    assert_eq!(*live.try_state().unwrap(), upto(1));
    fs::remove_file(&snapshots).unwrap();
    append(&store, 2);
    assert!(live.snapshot_failure().is_none());
    assert_eq!(store.snapshots().next().unwrap().unwrap().position, 2);
    drop(live);
    store.close().unwrap();
}

#[test]
fn it_saves_snapshots_when_asked_and_when_due() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let positions = |store: &EventStore| -> Vec<u64> {
        store.snapshots().map(|snapshot| snapshot.unwrap().position).collect()
    };
    let projection = Projection::new("seen", &store, Vec::new(), seen()).snapshot_every(10);
    let live = projection.live().unwrap();
    (1..=27).for_each(|number| append(&store, number));
    // One that still waits to be written gives way to the next.
    assert_eq!(positions(&store).first(), Some(&20));
    live.save_snapshot().unwrap();
    assert_eq!(positions(&store), [27, 20]);
    assert!(live.snapshot_failure().is_none());
    drop(live);
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    let mut again = Projection::new("seen", &store, Vec::new(), seen());
    assert_eq!(again.load_snapshot().unwrap().position, Some(27));
    assert_eq!(*again.live().unwrap().state(), upto(27));
}

#[test]
fn many_of_them_follow_at_once() {
    let store = EventStore::in_memory().unwrap();
    let mut lives: BTreeMap<u64, _> = BTreeMap::new();
    for number in 0..30 {
        lives.insert(number, follow(&store));
        append(&store, number);
        if number % 3 == 2 {
            lives.remove(&(number - 1));
        }
    }
    assert_eq!(lives.len(), 20);
    assert!(lives.values().all(|live| *live.state() == upto(30)));
}
