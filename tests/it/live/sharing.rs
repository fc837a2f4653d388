//! Who may look at a state, and who waits for whom.

use std::{
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use annals::{EventStore, Handlers, LiveProjection, Projection};

use super::{append, follow, upto};

type Count = LiveProjection<u64>;

#[test]
fn the_thread_that_holds_the_state_may_append() {
    let store = EventStore::in_memory().unwrap();
    let live = follow(&store);
    {
        let state = live.state();
        let again = live.state();
        append(&store, 1);
        append(&store, 2);
        assert_eq!((state.len(), again.len()), (0, 0), "what is held stands still");
        drop(state);
        assert_eq!(again.len(), 0);
    }
    assert_eq!(*live.state(), upto(2), "and is brought up to date when it is let go");
}

#[test]
fn an_append_waits_for_another_thread_that_holds_the_state() {
    let store = EventStore::in_memory().unwrap();
    let live = follow(&store);
    let (sender, tells) = mpsc::channel();
    thread::scope(|scope| {
        let state = live.state();
        scope.spawn(|| {
            append(&store, 1);
            sender.send(live.position()).unwrap();
        });
        // The event is there at once, its effect is not.
        while store.head().unwrap() == 0 {
            thread::yield_now();
        }
        assert_eq!((state.len(), tells.try_recv()), (0, Err(mpsc::TryRecvError::Empty)));
        drop(state);
        assert_eq!(tells.recv(), Ok(1));
    });
}

#[test]
fn two_threads_that_hold_one_state_each_may_both_append() {
    let store = EventStore::in_memory().unwrap();
    let (one, other) = (follow(&store), follow(&store));
    let (held, appended) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        for live in [&one, &other] {
            scope.spawn(|| {
                let state = live.state();
                held.wait();
                append(&store, 1);
                appended.wait();
                assert!(state.is_empty());
            });
        }
    });
    assert_eq!((&*one.state(), &*other.state()), (&upto(2), &upto(2)));
}

#[test]
fn readers_that_take_turns_without_a_break_keep_no_append_out() {
    let store = EventStore::in_memory().unwrap();
    let live = follow(&store);
    let is_done = AtomicBool::new(false);
    let turns = [AtomicU64::new(0), AtomicU64::new(0)];
    thread::scope(|scope| {
        for (own, other) in [(0, 1), (1, 0)] {
            let (live, is_done, turns) = (&live, &is_done, &turns);
            scope.spawn(move || {
                while !is_done.load(Ordering::Acquire) {
                    let state = live.state();
                    turns[own].fetch_add(1, Ordering::AcqRel);
                    // Held until the other one holds it as well, or is kept out by the appender.
                    let seen = turns[other].load(Ordering::Acquire);
                    for _ in 0..1_000 {
                        if turns[other].load(Ordering::Acquire) > seen {
                            break;
                        }
                        thread::yield_now();
                    }
                    assert_eq!(*state, upto(state.position()));
                }
            });
        }
        for number in 1..=20 {
            append(&store, number);
        }
        is_done.store(true, Ordering::Release);
    });
    assert_eq!(*live.state(), upto(20));
}

#[test]
fn appends_without_a_break_keep_no_reader_out() {
    let store = EventStore::in_memory().unwrap();
    let live = follow(&store);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|number| append(&store, number)));
        }
        while live.position() < 2_000 {
            let state = live.state();
            assert_eq!(*state, upto(state.position()));
        }
    });
}

#[test]
fn a_look_right_after_an_append_never_waits_for_a_further_one() {
    let store = EventStore::in_memory().unwrap();
    let live = follow(&store);
    // Quiet after each round, so that nobody else wakes who waits.
    let round = Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for number in 0..3_000 {
                    append(&store, number);
                    assert!(live.state().len() as u64 <= store.head().unwrap());
                    round.wait();
                }
            });
        }
    });
    assert_eq!(live.state().len(), 9_000);
}

/// Two projections: the handler of the second ends the first, whose handler waits for the second.
#[test]
fn a_handler_may_end_a_projection_that_waits_for_its_own() {
    let store = EventStore::in_memory().unwrap();
    let (first, second) = (Arc::new(OnceLock::<Count>::new()), Arc::new(OnceLock::<Count>::new()));
    let (waits, is_waiting) = mpsc::channel();
    let (ends, is_ending) = mpsc::channel();
    let other = Arc::clone(&second);
    let waiting = Handlers::new().when("Counted", move |count: &mut u64, event| {
        *count += 1;
        if event.position() == 2 {
            waits.send(())?;
            // Refused if the other one waits already.
            let _ = other.get().ok_or("it is there")?.try_state();
        }
        Ok(())
    });
    let (other, is_waiting) = (Arc::clone(&first), std::sync::Mutex::new(is_waiting));
    let ending = Handlers::new().when("Counted", move |count: &mut u64, event| {
        *count += 1;
        if event.position() == 1 {
            ends.send(())?;
            is_waiting.lock().unwrap().recv()?;
            other.get().ok_or("it is there")?.stop();
        }
        Ok(())
    });
    let live = |name, handlers| Projection::new(name, &store, 0_u64, handlers).live().unwrap();
    assert!(first.set(live("waiting", waiting)).is_ok());
    assert!(second.set(live("ending", ending)).is_ok());
    thread::scope(|scope| {
        scope.spawn(|| append(&store, 1));
        is_ending.recv().unwrap();
        append(&store, 2);
    });
    append(&store, 3);
    let (first, second) = (first.get().unwrap(), second.get().unwrap());
    assert_eq!((first.position(), second.position()), (2, 3));
    assert!(second.failure().is_none(), "{:?}", second.failure());
}
