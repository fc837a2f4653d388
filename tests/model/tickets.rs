//! Submitted batches: the committer, those who wait for tickets, and the end of the store.

use annals::{Batch, ExpectedVersion::Any, model};
use shuttle::thread;

use super::{append, check, check_visible, event, open, text};

#[test]
fn every_ticket_is_answered_once_its_batch_is_durable() {
    check(1_000, |path| {
        let store = open(path);
        let submitter = {
            let store = store.clone();
            thread::spawn(move || {
                let batch = |n| Batch::new().append("s", Any, [event(7, n)]);
                let tickets: Vec<_> = (0..3).map(|n| batch(n).submit(&store).unwrap()).collect();
                for (number, ticket) in (0..).zip(tickets) {
                    ticket.wait().unwrap();
                    assert!(model::is_durable(text(7, number).as_bytes()), "batch {number}");
                }
            })
        };
        (0..2).for_each(|number| {
            append(&store, 0, number).unwrap();
        });
        submitter.join().unwrap();
        assert_eq!(check_visible(&store), 5);
        store.close().unwrap();
    });
}

/// A close completes what was submitted; so does the end of the last handle.
#[test]
fn what_was_submitted_is_completed_at_the_end() {
    for is_closed in [true, false] {
        check(500, move |path| {
            let store = open(path);
            let batch = |n| Batch::new().append("s", Any, [event(7, n)]);
            let tickets: Vec<_> = (0..2).map(|n| batch(n).submit(&store).unwrap()).collect();
            let other = {
                let store = store.clone();
                thread::spawn(move || drop(append(&store, 0, 0)))
            };
            match is_closed {
                true => store.close().unwrap(),
                false => drop(store),
            }
            tickets.iter().for_each(|ticket| drop(ticket.wait().unwrap()));
            other.join().unwrap();
        });
    }
}

/// Two threads wait for one ticket.
#[test]
fn a_ticket_wakes_all_who_wait_for_it() {
    check(500, |path| {
        let store = open(path);
        let ticket = Batch::new().append("s", Any, [event(7, 0)]).submit(&store).unwrap();
        let ticket = std::sync::Arc::new(ticket);
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let ticket = std::sync::Arc::clone(&ticket);
                thread::spawn(move || drop(ticket.wait().unwrap()))
            })
            .collect();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        store.close().unwrap();
    });
}
