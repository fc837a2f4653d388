//! Linearizability: threads append and read at once, and what they were answered must fit one
//! order of all calls, in which each takes effect between its start and its end.
//!
//! Positions are dense, so they are that order for appends. A read belongs after everything that
//! had ended when it began, and before everything that began when it had ended.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use annals::{AppendError, EventStore, ExpectedVersion, NewEvent, Options, Reader};

use crate::support::seed::Random;

const STREAMS: u64 = 3;

/// What a call was answered.
#[derive(Debug)]
enum Answer {
    Appended {
        first: u64,
        last: u64,
    },
    Head(u64),
    /// What a reader has for the head.
    Seen(u64),
    Version(u64, u64),
}

/// The head that an answer names, and who gave it.
fn head_of(answer: &Answer) -> Option<(bool, u64)> {
    match answer {
        Answer::Head(head) => Some((true, *head)),
        Answer::Seen(head) => Some((false, *head)),
        _ => None,
    }
}

/// A call, between two ticks of a clock that all threads share.
#[derive(Debug)]
struct Call {
    start: u64,
    end: u64,
    answer: Answer,
}

struct History<'a> {
    store: &'a EventStore,
    reader: &'a Reader,
    clock: AtomicU64,
    calls: Mutex<Vec<Call>>,
    /// The stream of each position.
    streams: Mutex<BTreeMap<u64, u64>>,
}

impl History<'_> {
    fn call(&self, make: impl FnOnce() -> Option<Answer>) {
        let start = self.clock.fetch_add(1, Ordering::SeqCst);
        let answer = make();
        let end = self.clock.fetch_add(1, Ordering::SeqCst);
        let call = answer.map(|answer| Call { start, end, answer });
        self.calls.lock().unwrap().extend(call);
    }

    fn append(&self, stream: u64, count: u64, expected: ExpectedVersion) -> Option<Answer> {
        let events = (0..count).map(|number| NewEvent::json("T", &number).unwrap());
        match self.store.append(format!("s-{stream}"), expected, events) {
            Ok(appended) => {
                let (first, last) = appended.positions().into_inner();
                let mut streams = self.streams.lock().unwrap();
                streams.extend((first..=last).map(|position| (position, stream)));
                Some(Answer::Appended { first, last })
            }
            // The version that it names was the stream's at some point in between.
            Err(AppendError::Conflict(conflict)) => Some(Answer::Version(stream, conflict.actual)),
            Err(error) => panic!("{error}"),
        }
    }

    fn run(&self, mut random: u64) {
        for _ in 0..150 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (choice, stream, count) =
                (random >> 60, (random >> 40) % STREAMS, random >> 33 & 3);
            let name = format!("s-{stream}");
            match choice {
                0..=4 => self.call(|| self.append(stream, count + 1, ExpectedVersion::Any)),
                5..=7 => {
                    let seen = self.store.stream_version(&name).unwrap();
                    self.call(|| self.append(stream, 1, ExpectedVersion::Exact(seen)));
                }
                8..=10 => self.call(|| Some(Answer::Head(self.store.head().unwrap()))),
                11..=12 => self.call(|| Some(Answer::Seen(self.reader.head().unwrap()))),
                13 => self.call(|| {
                    let read = self.store.read_all().map(|event| event.unwrap().position());
                    Some(Answer::Head(read.last().unwrap_or(0)))
                }),
                _ => self.call(|| {
                    Some(Answer::Version(stream, self.store.stream_version(&name).unwrap()))
                }),
            }
        }
    }
}

/// Checks every call against all others.
fn check(calls: &[Call], streams: &BTreeMap<u64, u64>) {
    let appends = || {
        calls.iter().filter_map(|call| match call.answer {
            Answer::Appended { first, last } => Some((call, first, last)),
            _ => None,
        })
    };
    let positions: Vec<u64> = streams.keys().copied().collect();
    assert!(positions.iter().copied().eq(1..=positions.len() as u64), "positions are dense");
    let version = |stream: u64, head: u64| {
        streams.range(..=head).filter(|(_, of)| **of == stream).count() as u64
    };
    let is_end = |head: u64| head == 0 || appends().any(|(_, _, last)| last == head);
    for call in calls {
        let before = appends().filter(|(other, ..)| other.end < call.start);
        let least = before.map(|(.., last)| last).max().unwrap_or(0);
        let after = appends().filter(|(other, ..)| other.start > call.end);
        let most = after.map(|(_, first, _)| first).min().map_or(u64::MAX, |first| first - 1);
        match call.answer {
            Answer::Appended { first, last } => {
                assert!(
                    first > least && last <= most,
                    "{call:?} is not between {least} and {most}"
                );
            }
            Answer::Head(head) | Answer::Seen(head) => {
                assert!((least..=most).contains(&head), "{call:?}: {least} to {most}");
                assert!(is_end(head), "{call:?} is in the middle of a unit");
                // What one read has shown, a later one shows too. A reader comes to show an append
                // a moment before the store does, and both before it is answered.
                let by = head_of(&call.answer).map(|(by, _)| by);
                let later = calls.iter().filter(|other| other.start > call.end);
                let mut shown = later.filter_map(|other| head_of(&other.answer));
                let goes_back = shown.find(|(of, found)| Some(*of) == by && *found < head);
                assert_eq!(goes_back, None, "after {call:?} one goes back");
            }
            Answer::Version(stream, found) => {
                let heads = least..=most.min(positions.len() as u64);
                let (low, high) = (version(stream, *heads.start()), version(stream, *heads.end()));
                assert!((low..=high).contains(&found), "{call:?}: {low} to {high}");
            }
        }
    }
}

#[test]
fn what_concurrent_calls_are_answered_fits_one_order() {
    let mut random = Random::new();
    for _ in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let options = Options::new().tail_bytes(16 << 10).journal_bytes(64 << 10);
        let store = options.open(&path).unwrap();
        let history = History {
            store: &store,
            reader: &Reader::open(&path).unwrap(),
            clock: AtomicU64::new(0),
            calls: Mutex::default(),
            streams: Mutex::default(),
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                let seed = random.below(u64::MAX);
                let history = &history;
                scope.spawn(move || history.run(seed));
            }
        });
        let History { calls, streams, .. } = history;
        check(&calls.into_inner().unwrap(), &streams.into_inner().unwrap());
    }
}

#[test]
fn answers_that_fit_no_order_are_noticed() {
    use Answer::{Appended, Head, Version};
    let call = |start: u64, answer: Answer| Call { start, end: start + 1, answer };
    let appended = || call(0, Appended { first: 1, last: 2 });
    let streams = BTreeMap::from([(1, 0), (2, 0), (3, 0)]);
    let later = || call(4, Appended { first: 3, last: 3 });
    let wrong = [
        vec![appended(), call(2, Head(0)), later()],
        vec![appended(), call(2, Head(3)), later()],
        vec![appended(), call(2, Version(0, 1)), later()],
        vec![later(), call(6, Appended { first: 1, last: 2 })],
    ];
    for calls in wrong {
        let checked = std::panic::catch_unwind(|| check(&calls, &streams));
        assert!(checked.is_err(), "{calls:?}");
    }
    check(&[appended(), call(2, Head(2)), call(2, Version(0, 2)), later()], &streams);
}
