//! What handlers do: append, read, drop what they belong to, and take their time.

use std::{
    sync::{
        Arc, Barrier, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use annals::{ErrorCode, EventStore, Handlers, LiveProjection, NewEvent, Projection};

use super::{Any, append, event, upto};

#[test]
fn a_handler_may_read_and_append() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::open(directory.path().join("store")).unwrap();
    let inner = store.clone();
    // Answers each question, and counts what is in the store when it does.
    let handlers = Handlers::new()
        .when("Asked", move |seen: &mut Vec<(u64, u64)>, event| {
            let count = inner.read_all().count() as u64;
            seen.push((event.position(), count));
            inner.append("answers", Any, [NewEvent::json("Answered", &event.position())?])?;
            Ok(())
        })
        .when("Answered", |seen, event| {
            seen.push((event.position(), 0));
            Ok(())
        });
    let live = Projection::new("process", &store, Vec::new(), handlers).live().unwrap();
    let other = Handlers::new().when("Answered", |count: &mut u64, _| {
        *count += 1;
        Ok(())
    });
    let answers = Projection::new("answers", &store, 0_u64, other).live().unwrap();
    store.append("s", Any, [NewEvent::json("Asked", &1).unwrap()]).unwrap();
    assert_eq!(*live.state(), [(1, 1), (2, 0)], "its own append came after the event");
    assert_eq!(*answers.state(), 1, "the outer append waits for the inner one's projections");
    let two = (0..2).map(|_| NewEvent::json("Asked", &1).unwrap());
    store.append("s", Any, two).unwrap();
    let positions: Vec<u64> = live.state().iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, upto(6));
    assert_eq!((*answers.state(), answers.position()), (3, 6));
}

#[test]
fn projections_that_append_to_each_other_on_many_threads_neither_hang_nor_reorder() {
    const THREADS: u64 = 4;
    const APPENDS: u64 = 40;
    let store = EventStore::in_memory().unwrap();
    // Each hop makes the next type until the last.
    let relay = |from: &'static str, to: &'static str| {
        let inner = store.clone();
        Handlers::new()
            .when(from, move |seen: &mut Vec<u64>, event| {
                seen.push(event.position());
                inner.append(to, Any, [NewEvent::json(to, &event.position())?])?;
                Ok(())
            })
            .when(to, |seen, event| {
                seen.push(event.position());
                Ok(())
            })
    };
    let hops = [("A", "B"), ("B", "C"), ("C", "D")];
    let lives: Vec<_> = hops
        .iter()
        .map(|(from, to)| {
            Projection::new(*from, &store, Vec::new(), relay(from, to)).live().unwrap()
        })
        .collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for number in 0..APPENDS {
                    store.append("s", Any, [NewEvent::json("A", &number).unwrap()]).unwrap();
                }
            });
        }
    });
    assert_eq!(store.head().unwrap(), THREADS * APPENDS * 4);
    for (live, (from, to)) in lives.iter().zip(hops) {
        assert!(live.failure().is_none(), "{:?}", live.failure());
        let due: Vec<u64> = store
            .read_all()
            .map(|event| event.unwrap())
            .filter(|event| [from, to].contains(&event.event_type()))
            .map(|event| event.position())
            .collect();
        assert_eq!(*live.state(), due);
    }
}

/// A projection whose handler waits at a barrier, twice for each event.
fn blocked(
    store: &EventStore,
    barrier: &Arc<Barrier>,
    ran: &Arc<AtomicU64>,
) -> LiveProjection<u64> {
    let (barrier, ran) = (Arc::clone(barrier), Arc::clone(ran));
    let handlers = Handlers::new().when("Counted", move |count: &mut u64, _| {
        barrier.wait();
        barrier.wait();
        *count += 1;
        ran.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    Projection::new("blocked", store, 0, handlers).live().unwrap()
}

#[test]
fn dropping_it_waits_for_a_running_handler_and_then_none_runs() {
    let store = EventStore::in_memory().unwrap();
    let (barrier, ran) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU64::new(0)));
    let live = blocked(&store, &barrier, &ran);
    thread::scope(|scope| {
        let appender = scope.spawn(|| append(&store, 1));
        barrier.wait();
        let dropper = scope.spawn(|| {
            drop(live);
            ran.load(Ordering::SeqCst)
        });
        assert!(!dropper.is_finished(), "a handler runs");
        barrier.wait();
        assert_eq!(dropper.join().unwrap(), 1, "the drop came after the handler");
        appender.join().unwrap();
    });
    append(&store, 2);
    assert_eq!((ran.load(Ordering::SeqCst), store.head().unwrap()), (1, 2));
}

#[test]
fn a_handler_may_drop_its_own_projection() {
    type Slot = Mutex<Option<LiveProjection<u64>>>;
    let store = EventStore::in_memory().unwrap();
    let slot: Arc<OnceLock<Slot>> = Arc::default();
    let own = Arc::clone(&slot);
    let ran = Arc::new(AtomicU64::new(0));
    let runs = Arc::clone(&ran);
    let handlers = Handlers::new().when("Counted", move |count: &mut u64, _| {
        *count += 1;
        runs.fetch_add(1, Ordering::SeqCst);
        drop(own.get().and_then(|slot| slot.lock().unwrap().take()));
        Ok(())
    });
    let live = Projection::new("own", &store, 0, handlers).live().unwrap();
    slot.set(Mutex::new(Some(live))).unwrap();
    store.append("s", Any, (0..3).map(event)).unwrap();
    append(&store, 2);
    assert!(slot.get().unwrap().lock().unwrap().is_none());
    assert_eq!(ran.load(Ordering::SeqCst), 1, "none runs after it, not even of the same append");
}

#[test]
fn a_projection_may_read_another_one_that_appends() {
    let store = EventStore::in_memory().unwrap();
    let inner = store.clone();
    let placing = Handlers::new().when("Placed", move |placed: &mut u64, event| {
        *placed += 1;
        inner.append("r", Any, [NewEvent::json("Reserved", &event.position())?])?;
        Ok(())
    });
    let placing = Arc::new(Projection::new("placing", &store, 0_u64, placing).live().unwrap());
    let read = Arc::clone(&placing);
    // It runs because of an append from inside the other one's handler, but not inside it.
    let reserved = Handlers::new().when("Reserved", move |seen: &mut Vec<u64>, _| {
        seen.push(*read.state());
        Ok(())
    });
    let reserved = Projection::new("reserved", &store, Vec::new(), reserved).live().unwrap();
    for number in 1..=3 {
        store.append("s", Any, [NewEvent::json("Placed", &1).unwrap()]).unwrap();
        assert!(reserved.failure().is_none(), "{:?}", reserved.failure());
        assert_eq!(*reserved.state(), upto(number));
    }
}

#[test]
fn what_one_handler_appends_reaches_a_projection_that_another_thread_drives() {
    let store = EventStore::in_memory().unwrap();
    // The slow one is at work on the first event while the second one's handler appends.
    let (barrier, ran) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU64::new(0)));
    let slow = blocked(&store, &barrier, &ran);
    let inner = store.clone();
    let handlers = Handlers::new().when("Asked", move |count: &mut u64, _| {
        *count += 1;
        inner.append("b", Any, [NewEvent::json("Counted", &1)?])?;
        Ok(())
    });
    let asking = Projection::new("asking", &store, 0_u64, handlers).live().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| append(&store, 1));
        barrier.wait();
        let asker = scope.spawn(|| {
            store.append("s", Any, [NewEvent::json("Asked", &1).unwrap()]).unwrap();
            (slow.position(), asking.position())
        });
        while store.head().unwrap() < 2 {
            thread::yield_now();
        }
        barrier.wait();
        // The event that the handler appended, whichever thread handles it.
        barrier.wait();
        barrier.wait();
        assert_eq!(asker.join().unwrap(), (3, 3), "the outer append waits for all of it");
    });
    assert_eq!((*slow.state(), ran.load(Ordering::SeqCst)), (2, 2));
}

#[test]
fn what_needs_the_state_is_refused_in_its_own_handler() {
    type Slot = OnceLock<LiveProjection<u64>>;
    let store = EventStore::in_memory().unwrap();
    let slot: Arc<Slot> = Arc::default();
    let own = Arc::downgrade(&slot);
    let handlers = Handlers::new().when("Counted", move |count: &mut u64, event| {
        let own = own.upgrade().ok_or("it is gone")?;
        let live = own.get().ok_or("not there yet")?;
        match event.position() {
            1 => {
                let refused = live.save_snapshot().unwrap_err();
                assert_eq!(refused.code(), ErrorCode::Busy, "{refused}");
                assert_eq!((live.position(), live.name()), (0, "own"));
                assert!(live.failure().is_none() && live.snapshot_failure().is_none());
                *count += 1;
            }
            _ => *count += *live.state(),
        }
        Ok(())
    });
    let live = Projection::new("own", &store, 0, handlers).live().unwrap();
    assert!(slot.set(live).is_ok());
    append(&store, 1);
    let live = slot.get().unwrap();
    assert_eq!((*live.state(), live.failure().is_none()), (1, true));
    append(&store, 2);
    let failure = live.failure().unwrap().chain();
    assert!(
        failure
            .contains("asked for the state of a live projection that is waiting for this handler"),
        "{failure}"
    );
    assert_eq!(*live.state(), 1, "and the program goes on");
}

#[test]
fn no_handler_runs_inside_one_that_has_dropped_its_projection() {
    type Slot = Mutex<Option<LiveProjection<u64>>>;
    let store = EventStore::in_memory().unwrap();
    let depth = Arc::new(AtomicU64::new(0));
    let slot: Arc<OnceLock<Slot>> = Arc::default();
    let (own, inner, outer) = (Arc::clone(&slot), store.clone(), Arc::clone(&depth));
    let dropping = Handlers::new().when("Counted", move |count: &mut u64, _| {
        outer.fetch_add(1, Ordering::SeqCst);
        drop(own.get().and_then(|slot| slot.lock().unwrap().take()));
        inner.append("other", Any, [NewEvent::json("Other", &1)?])?;
        *count += 1;
        outer.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    let live = Projection::new("own", &store, 0, dropping).live().unwrap();
    slot.set(Mutex::new(Some(live))).unwrap();
    let inside = Arc::clone(&depth);
    let watching = Handlers::new().when("Other", move |seen: &mut Vec<u64>, _| {
        seen.push(inside.load(Ordering::SeqCst));
        Ok(())
    });
    let watching = Projection::new("watching", &store, Vec::new(), watching).live().unwrap();
    append(&store, 1);
    assert_eq!(*watching.state(), [0], "the other one's handler had returned");
    append(&store, 2);
    assert_eq!(watching.position(), 3, "and the dropped one is gone");
}

#[test]
fn handlers_that_look_at_each_others_states_are_refused_before_they_wait_for_each_other() {
    type Slot = OnceLock<LiveProjection<Vec<bool>>>;
    let store = EventStore::in_memory().unwrap();
    let slots: [Arc<Slot>; 2] = Default::default();
    let barrier = Arc::new(Barrier::new(2));
    for (own, meets_at) in [(0, 2), (1, 1)] {
        let (other, barrier) = (Arc::downgrade(&slots[1 - own]), Arc::clone(&barrier));
        let handlers = Handlers::new().when("Counted", move |seen: &mut Vec<bool>, event| {
            if event.position() == meets_at {
                let other = other.upgrade().ok_or("it is gone")?;
                barrier.wait();
                let looked = other.get().ok_or("not there yet")?.try_state();
                match looked {
                    Err(refused) => {
                        assert_eq!(refused.code(), ErrorCode::Busy);
                        let message = refused.to_string();
                        assert!(message.contains("would wait for the handler"), "{message}");
                    }
                    Ok(_) => seen.push(true),
                }
            }
            Ok(())
        });
        let live = Projection::new(own.to_string(), &store, Vec::new(), handlers).live().unwrap();
        assert!(slots[own].set(live).is_ok());
    }
    // While the second one handles the first event the first one handles the second event.
    thread::scope(|scope| {
        for number in 1..=2 {
            let store = &store;
            scope.spawn(move || append(store, number));
            // Otherwise one thread may bring the first one to the second event at once, and the
            // other thread would wait for that one and never get to the second one.
            while slots[0].get().unwrap().position() < 1 {
                thread::yield_now();
            }
        }
    });
    let looked: usize = slots.iter().map(|slot| slot.get().unwrap().state().len()).sum();
    assert_eq!(looked, 1, "one of them was refused, and the other one waited for it");
    for live in slots.iter().map(|slot| slot.get().unwrap()) {
        assert!(live.failure().is_none() && live.position() == 2, "{live:?}");
    }
}

/// Has no JSON from 2 on, which it says by a panic.
#[derive(serde::Deserialize)]
struct Fragile(u64);

impl serde::Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 < 2, "as the test wants it");
        serializer.serialize_u64(self.0)
    }
}

#[test]
fn a_state_that_panics_is_at_the_position_that_is_reported() {
    let store = EventStore::in_memory().unwrap();
    let handlers = Handlers::new().when("Counted", |count: &mut Fragile, _| {
        count.0 += 1;
        Ok(())
    });
    let live = Projection::new("fragile", &store, Fragile(0), handlers).live().unwrap();
    store.append("s", Any, (1..=3).map(event)).unwrap();
    assert_eq!(live.failure().unwrap().code(), ErrorCode::Internal);
    let state = live.last_state();
    assert_eq!((state.0, state.position(), live.position()), (2, 2, 2));
}
