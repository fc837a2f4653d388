//! Tickets: many batches in flight from one thread, in order, each with its answer.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use annals::{
    AppendError, Batch, ErrorCode, EventStore, ExpectedVersion, HandlerError, Handlers, NewEvent,
    Projection,
};

use ExpectedVersion::{Any, Exact};

fn event(number: u64) -> NewEvent {
    NewEvent::json("T", &number).unwrap()
}

fn on_disk() -> (tempfile::TempDir, EventStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::open(directory.path().join("store")).unwrap();
    (directory, store)
}

#[test]
fn what_one_thread_submits_and_appends_keeps_its_order() {
    let (_directory, store) = on_disk();
    let mut tickets = Vec::new();
    for number in 0..3_000 {
        if number % 100 == 99 {
            let appended = store.append("s", Exact(number), [event(number)]).unwrap();
            assert_eq!(appended.positions(), number + 1..=number + 1);
        } else {
            let batch = Batch::new().append("s", Exact(number), [event(number)]);
            tickets.push((number, batch.submit(&store).unwrap()));
        }
    }
    for (number, ticket) in &tickets {
        assert_eq!(ticket.wait().unwrap().positions(), number + 1..=number + 1);
        assert_eq!(ticket.wait().unwrap().positions(), number + 1..=number + 1, "asked again");
    }
    let numbers = store.read_all().map(|event| event.unwrap().json::<u64>().unwrap());
    assert!(numbers.eq(0..3_000));
}

#[test]
fn a_refused_batch_stops_none_after_it() {
    let (_directory, store) = on_disk();
    let submit = |expected| Batch::new().append("s", expected, [event(1)]).submit(&store).unwrap();
    let tickets = [submit(Exact(0)), submit(Exact(0)), submit(Exact(1))];
    assert_eq!(tickets[0].wait().unwrap().positions(), 1..=1);
    assert_eq!(tickets[1].wait().unwrap_err().code(), ErrorCode::VersionConflict);
    assert_eq!(tickets[2].wait().unwrap().positions(), 2..=2);
    assert!(Batch::new().submit(&store).is_err(), "arguments are refused at once");
}

#[test]
fn a_close_completes_what_was_submitted_and_tickets_outlive_it() {
    let (directory, store) = on_disk();
    let submit = |number| Batch::new().append("s", Any, [event(number)]).submit(&store).unwrap();
    let tickets: Vec<_> = (0..500).map(submit).collect();
    store.close().unwrap();
    for (ticket, position) in tickets.iter().zip(1..) {
        let known = ticket.wait_timeout(Duration::ZERO).unwrap();
        assert_eq!(known.unwrap().positions(), position..=position);
    }
    let late = Batch::new().append("s", Any, [event(1)]).submit(&store);
    assert_eq!(late.unwrap_err().code(), ErrorCode::Closed);
    let store = EventStore::open(directory.path().join("store")).unwrap();
    assert_eq!(store.head().unwrap(), 500);
}

#[test]
fn dropped_tickets_cancel_nothing_and_the_last_handle_may_go_first() {
    let (directory, store) = on_disk();
    let path = directory.path().join("store");
    let mut last = None;
    for number in 0..2_000 {
        last = Some(Batch::new().append("s", Any, [event(number)]).submit(&store).unwrap());
    }
    drop(store);
    assert_eq!(last.unwrap().wait().unwrap().positions(), 2_000..=2_000);
    let store = annals::Options::new().wait_for_lock(Duration::from_secs(60)).open(&path).unwrap();
    assert_eq!(store.head().unwrap(), 2_000);
}

#[test]
fn in_memory_a_ticket_has_its_answer_at_once() {
    let store = EventStore::in_memory().unwrap();
    let ticket = Batch::new().append("s", Any, [event(1)]).submit(&store).unwrap();
    let known = ticket.wait_timeout(Duration::ZERO).unwrap().unwrap();
    assert_eq!(known.positions(), 1..=1);
}

#[test]
fn live_projections_are_forward_before_a_ticket_is_answered() {
    let (_directory, store) = on_disk();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let handlers = Handlers::new().when("T", move |_: &mut (), _| -> Result<(), HandlerError> {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let _live = Projection::new("count", &store, (), handlers).live().unwrap();
    for number in 1..=50 {
        let ticket = Batch::new().append("s", Any, [event(number)]).submit(&store).unwrap();
        ticket.wait().unwrap();
        assert!(seen.load(Ordering::SeqCst) as u64 >= number);
    }
}

#[test]
fn a_handler_may_submit_and_must_not_wait() {
    let (_directory, store) = on_disk();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let (of_handler, inside) = (Arc::clone(&answers), store.clone());
    let handlers = Handlers::new().when("T", move |_: &mut (), _| -> Result<(), HandlerError> {
        let follow_up = NewEvent::raw_json("Followed", "1").unwrap();
        let ticket = Batch::new().append("f", Any, [follow_up]).submit(&inside)?;
        let code = ticket.wait().map(|_| ()).map_err(|error: AppendError| error.code());
        let close = inside.close().map_err(|error| error.code());
        of_handler.lock().unwrap().push((code, close, ticket));
        Ok(())
    });
    let _live = Projection::new("follow", &store, (), handlers).live().unwrap();
    store.append("s", Any, [event(1)]).unwrap();
    Batch::new().append("s", Any, [event(2)]).submit(&store).unwrap().wait().unwrap();
    let answers = std::mem::take(&mut *answers.lock().unwrap());
    assert_eq!(answers.len(), 2);
    for (code, close, ticket) in answers {
        // It may have been answered already, unless its handler ran on the thread that answers.
        assert!(matches!(code, Ok(()) | Err(ErrorCode::Busy)), "{code:?}");
        assert!(matches!(close, Err(ErrorCode::Busy)), "{close:?}");
        ticket.wait().unwrap();
    }
    assert_eq!(store.stream_version("f").unwrap(), 2);
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_ticket_is_a_future_that_wakes_its_last_poller() {
    let (_directory, store) = on_disk();
    for number in 1..=20 {
        let ticket = Batch::new().append("s", Any, [event(number)]).submit(&store).unwrap();
        let mut future = pin!(ticket);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let committed = loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(answer) => break answer.unwrap(),
                Poll::Pending => {
                    while count.0.load(Ordering::SeqCst) == 0 {
                        std::thread::yield_now();
                    }
                }
            }
        };
        assert_eq!(committed.positions(), number..=number);
    }
}

#[test]
fn threads_submit_and_append_at_once() {
    let (_directory, store) = on_disk();
    std::thread::scope(|scope| {
        for thread in 0..6_u64 {
            let store = &store;
            scope.spawn(move || {
                let stream = format!("s-{thread}");
                let mut tickets = Vec::new();
                for number in 0..400 {
                    match (thread + number) % 5 {
                        0 => {
                            let appended =
                                store.append(&stream, Exact(number), [event(number)]).unwrap();
                            assert_eq!(appended.versions(), number + 1..=number + 1);
                        }
                        _ => tickets.push(
                            Batch::new()
                                .append(stream.clone(), Exact(number), [event(number)])
                                .submit(store)
                                .unwrap(),
                        ),
                    }
                }
                tickets.iter().for_each(|ticket| drop(ticket.wait().unwrap()));
            });
        }
    });
    assert_eq!(store.head().unwrap(), 6 * 400);
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn a_caller_that_has_every_answer_and_drops_the_store_has_closed_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for round in 0..20 {
        let store = EventStore::open(&path).unwrap();
        let submit = |number| {
            Batch::new().append("s", Any, (0..30).map(|_| event(number))).submit(&store).unwrap()
        };
        let tickets: Vec<_> = (0..200).map(submit).collect();
        for ticket in &tickets {
            ticket.wait().unwrap();
        }
        drop(store);
        let again = EventStore::open(&path);
        assert!(again.is_ok(), "round {round}: {again:?}");
    }
}

#[test]
fn checkpoints_weigh_so_that_a_group_fits_a_frame() {
    let (_directory, store) = on_disk();
    let seen = Arc::new(AtomicUsize::new(0));
    let gate = Arc::clone(&seen);
    let handlers = Handlers::new().when("T", move |_: &mut (), _| -> Result<(), HandlerError> {
        // The committer is busy until the queue is full of batches.
        while gate.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        Ok(())
    });
    let _live = Projection::new("slow", &store, (), handlers).live().unwrap();
    let first = Batch::new().append("s", Any, [event(0)]).submit(&store).unwrap();
    let mut tickets = vec![first];
    for number in 0..200 {
        let name = |index| format!("{number}-{index}-{}", "x".repeat(230));
        let batch = Batch::new().append("other", Any, [NewEvent::json("U", &1).unwrap()]);
        let batch = (0..1_500).fold(batch, |batch, index| batch.checkpoint(name(index), 1));
        tickets.push(batch.submit(&store).unwrap());
        if number == 100 {
            seen.store(1, Ordering::SeqCst);
        }
    }
    for ticket in &tickets {
        ticket.wait().unwrap();
    }
}

/// A live projection whose handler waits until the gate is open.
fn gated(store: &EventStore) -> (annals::LiveProjection<()>, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&gate);
    let handlers = Handlers::new().when("T", move |_: &mut (), _| -> Result<(), HandlerError> {
        while !is_open.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Ok(())
    });
    (Projection::new("gated", store, (), handlers).live().unwrap(), gate)
}

/// Returns once a counter has not moved for a while.
fn settled(counter: &AtomicUsize) -> usize {
    let (mut known, mut same) = (0, 0);
    while known == 0 || same < 2_000 {
        let now = counter.load(Ordering::SeqCst);
        same = if now == known { same + 1 } else { 0 };
        known = now;
        std::thread::yield_now();
    }
    known
}

#[test]
fn a_full_queue_accepts_no_more_until_tickets_are_answered() {
    let (_directory, store) = on_disk();
    let (_live, gate) = gated(&store);
    let submitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            let submit = |number| {
                let ticket = Batch::new().append("s", Any, [event(number)]).submit(&store).unwrap();
                submitted.fetch_add(1, Ordering::SeqCst);
                ticket
            };
            (0..4_000).map(submit).collect::<Vec<_>>()
        });
        // Others may lead, each of them once, and what they have committed waits for its answers.
        let append = || store.append("u", Any, [NewEvent::json("U", &1).unwrap()]);
        let start = |_| (scope.spawn(append), settled(&submitted));
        let (appenders, accepted): (Vec<_>, Vec<_>) = (0..4).map(start).unzip();
        // As many as the queue holds, and as many again that are committed and not answered.
        let is_kept = accepted.iter().all(|count| (1..=2_048).contains(count));
        gate.store(true, Ordering::SeqCst);
        assert!(is_kept, "{accepted:?} batches are in flight");
        for appender in appenders {
            appender.join().unwrap().unwrap();
        }
        for ticket in submitter.join().unwrap() {
            ticket.wait().unwrap();
        }
    });
    assert_eq!(store.stream_version("s").unwrap(), 4_000);
}

#[test]
fn a_close_refuses_who_waits_for_room() {
    let (_directory, store) = on_disk();
    let (live, gate) = gated(&store);
    let submitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            let mut tickets = Vec::new();
            loop {
                let batch = Batch::new().append("s", Any, [event(1)]);
                match batch.submit(&store) {
                    Ok(ticket) => tickets.push(ticket),
                    Err(error) => {
                        // The close waits for the handler, which waits for this.
                        gate.store(true, Ordering::SeqCst);
                        return (tickets, error.code());
                    }
                }
                submitted.fetch_add(1, Ordering::SeqCst);
            }
        });
        settled(&submitted);
        store.close().unwrap();
        let (tickets, code) = submitter.join().unwrap();
        assert_eq!(code, ErrorCode::Closed);
        for (ticket, position) in tickets.iter().zip(1..) {
            let known = ticket.wait_timeout(Duration::ZERO).unwrap();
            assert_eq!(known.expect("it is answered").positions(), position..=position);
        }
        assert_eq!(tickets.len(), submitted.load(Ordering::SeqCst));
    });
    drop(live);
}

#[test]
fn a_handler_may_submit_more_than_the_queue_holds() {
    const MANY: u64 = 3_000;
    let (_directory, store) = on_disk();
    let inside = store.clone();
    let handlers = Handlers::new().when("T", move |_: &mut (), _| -> Result<(), HandlerError> {
        for number in 0..MANY {
            let follow_up = NewEvent::json("Followed", &number).unwrap();
            drop(Batch::new().append("f", Any, [follow_up]).submit(&inside)?);
        }
        Ok(())
    });
    let _live = Projection::new("follow", &store, (), handlers).live().unwrap();
    // On the thread that answers tickets, and on one that appends.
    Batch::new().append("s", Any, [event(1)]).submit(&store).unwrap().wait().unwrap();
    store.append("s", Any, [event(2)]).unwrap();
    let last = Batch::new().append("s", Any, [NewEvent::json("End", &1).unwrap()]);
    last.submit(&store).unwrap().wait().unwrap();
    assert_eq!(store.stream_version("f").unwrap(), 2 * MANY);
}

#[test]
fn in_memory_projections_are_forward_before_a_submit_returns() {
    let store = EventStore::in_memory().unwrap();
    let handlers = Handlers::new().when("T", |seen: &mut u64, _| -> Result<(), HandlerError> {
        *seen += 1;
        Ok(())
    });
    let live = Projection::new("count", &store, 0, handlers).live().unwrap();
    let ticket = Batch::new().append("s", Any, [event(1)]).submit(&store).unwrap();
    assert_eq!(*live.state(), 1);
    drop(ticket);
    assert_eq!(store.head().unwrap(), 1);
}
