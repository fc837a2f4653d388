//! Poisoning: when a sync fails everybody gets an answer, and nothing is acknowledged after it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use annals::{AppendError, Batch, Error, ExpectedVersion::Any, model};
use shuttle::thread;

use super::{append, check, check_visible, event, open};

#[test]
fn a_failed_sync_refuses_the_appends_of_its_group_and_all_later_ones() {
    for failing in 1..=4 {
        check(300, move |path| {
            let store = open(path);
            model::begin(Some(failing));
            // Std's, so that it is no point at which the checker interferes.
            let has_failed = Arc::new(AtomicBool::new(false));
            let appenders: Vec<_> = (0..3)
                .map(|number| {
                    let (store, has_failed) = (store.clone(), Arc::clone(&has_failed));
                    thread::spawn(move || {
                        for event in 0..2 {
                            let is_late = has_failed.load(Ordering::SeqCst);
                            match append(&store, number, event) {
                                Ok(_) => assert!(!is_late, "acknowledged after a failure"),
                                Err(Error::Poisoned { .. }) => {
                                    has_failed.store(true, Ordering::SeqCst);
                                }
                                Err(error) => panic!("{error:?}"),
                            }
                        }
                    })
                })
                .collect();
            appenders.into_iter().for_each(|appender| appender.join().unwrap());
            // Reads go on, and show nothing that failed.
            let seen = check_visible(&store);
            assert_eq!(store.head().unwrap(), seen);
            assert!(!has_failed.load(Ordering::SeqCst) || append(&store, 9, 0).is_err());
            let _ = store.close();
        });
    }
}

#[test]
fn a_failed_sync_answers_every_ticket() {
    for failing in 1..=2 {
        check(300, move |path| {
            let store = open(path);
            model::begin(Some(failing));
            let submitters: Vec<_> = (0..2)
                .map(|number| {
                    let store = store.clone();
                    thread::spawn(move || {
                        let batch = |n| Batch::new().append("s", Any, [event(number, n)]);
                        let tickets: Vec<_> = (0..2)
                            .map(|n| batch(n).submit(&store))
                            .filter_map(Result::ok)
                            .collect();
                        for ticket in tickets {
                            match ticket.wait() {
                                Ok(_) | Err(AppendError::Failed(Error::Poisoned { .. })) => {}
                                Err(error) => panic!("{error:?}"),
                            }
                        }
                    })
                })
                .collect();
            submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
            check_visible(&store);
            let _ = store.close();
        });
    }
}
