//! Generations of the tail: frozen, drained, dropped, and read from all the while.

use annals::{Batch, ExpectedVersion::Any, NewEvent, Options};
use shuttle::thread;

use super::check;

const EVENTS: u64 = 8;

/// Each journal file holds two events, and the tail less than that, so that generations are frozen
/// and moved into the trees and their files are sealed while a thread reads.
#[test]
fn what_was_seen_stays_visible_while_the_tail_is_drained() {
    check(100, |path| {
        let options = Options::new().journal_bytes(64 << 10).tail_bytes(48 << 10);
        let store = options.open(path).unwrap();
        let appender = {
            let store = store.clone();
            thread::spawn(move || {
                for number in 0..EVENTS {
                    let data = vec![u8::try_from(number).unwrap(); 25 << 10];
                    let event = NewEvent::binary("T", data).unwrap();
                    store.append(format!("s-{}", number % 2), Any, [event]).unwrap();
                }
            })
        };
        let mut seen = 0;
        while seen < EVENTS {
            let head = store.head().unwrap();
            assert!(head >= seen);
            let read = store.read_all().map(|event| event.unwrap());
            let mut count = 0;
            for event in read {
                count += 1;
                assert_eq!(event.position(), count);
                assert_eq!(u64::from(event.data()[0]), count - 1);
            }
            assert!(count >= head);
            let streams = ["s-0", "s-1"].map(|name| store.read_stream(name).count() as u64);
            assert!(streams.iter().sum::<u64>() >= head);
            seen = head;
            thread::yield_now();
        }
        appender.join().unwrap();
        store.close().unwrap();
    });
}

/// A unit is seen as a whole: a thread that has seen its checkpoint sees its events.
#[test]
fn a_checkpoint_is_not_seen_before_the_events_of_its_unit() {
    check(1_000, |path| {
        let store = Options::new().journal_bytes(64 << 10).open(path).unwrap();
        let writer = {
            let store = store.clone();
            thread::spawn(move || {
                for number in 1..=3 {
                    let event = NewEvent::binary("T", vec![7]).unwrap();
                    let batch = Batch::new().append("s", Any, [event]).checkpoint("c", number);
                    batch.commit(&store).unwrap();
                }
            })
        };
        let mut saved = 0;
        while saved < 3 {
            saved = store.checkpoint("c").unwrap();
            let head = store.head().unwrap();
            assert!(head >= saved, "the checkpoint is at {saved}, the head at {head}");
            thread::yield_now();
        }
        writer.join().unwrap();
        store.close().unwrap();
    });
}
