//! Group commit: who leads, who waits, who is woken, and what readers see meanwhile.

use annals::Reader;
use shuttle::thread;

use super::{append, check, check_visible, open};

#[test]
fn every_append_is_answered_once_it_is_durable() {
    check(1_000, |path| {
        let store = open(path);
        let appenders: Vec<_> = (0..3)
            .map(|number| {
                let store = store.clone();
                thread::spawn(move || {
                    (0..2).for_each(|event| {
                        append(&store, number, event).unwrap();
                    });
                })
            })
            .collect();
        let mut seen = check_visible(&store);
        appenders.into_iter().for_each(|appender| appender.join().unwrap());
        seen = check_visible(&store).max(seen);
        assert_eq!(seen, 6);
        store.close().unwrap();
    });
}

/// A reader of the files sees what was published after a sync, and no more.
#[test]
fn a_reader_of_the_files_sees_what_is_durable() {
    check(500, |path| {
        let store = open(path);
        let reader = Reader::open(path).unwrap();
        let appender = {
            let store = store.clone();
            thread::spawn(move || {
                (0..3).for_each(|event| {
                    append(&store, 0, event).unwrap();
                });
            })
        };
        let mut last = 0;
        for _ in 0..3 {
            let head = reader.head().unwrap();
            assert!(head >= last);
            last = head;
            for event in reader.read_all() {
                let event = event.unwrap();
                assert!(annals::model::is_durable(event.data()), "{event:?} is not durable");
            }
            thread::yield_now();
        }
        appender.join().unwrap();
        assert_eq!(reader.head().unwrap(), 3);
        store.close().unwrap();
    });
}

/// A close lets the appends that have begun come to their end, and refuses the others.
#[test]
fn a_close_answers_everybody() {
    check(500, |path| {
        let store = open(path);
        let appenders: Vec<_> = (0..2)
            .map(|number| {
                let store = store.clone();
                thread::spawn(move || append(&store, number, 0))
            })
            .collect();
        store.close().unwrap();
        for appender in appenders {
            if let Err(error) = appender.join().unwrap() {
                assert!(matches!(error, annals::Error::Closed), "{error:?}");
            }
        }
    });
}
