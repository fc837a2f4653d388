//! The events of a workload, in order: made up over some streams, or a real log that repeats.

use std::{collections::HashMap, sync::Arc};

use crate::{payload::Payloads, random::Random, store::Event};

/// When the first made-up event happened.
const START_MICROS: i64 = 1_700_000_000_000_000;

/// An event of a log.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) stream: String,
    pub(crate) version: u64,
    pub(crate) kind: String,
    pub(crate) data: String,
    pub(crate) metadata: String,
    pub(crate) time: i64,
}

/// How made-up events go to their streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Random,
    InTurn,
    /// So many in a row to each stream.
    Runs(u64),
}

/// Gives the events one after the other. A clone starts again from the first.
#[derive(Clone)]
pub(crate) struct Feed {
    source: Source,
    random: Random,
    number: u64,
}

#[derive(Clone)]
enum Source {
    Made {
        payloads: Arc<Payloads>,
        names: Arc<Vec<String>>,
        versions: Vec<u64>,
        order: Order,
    },
    /// In its second and later rounds the streams have other names.
    Logged {
        events: Arc<Vec<Owned>>,
        names: Vec<Arc<Vec<String>>>,
    },
}

impl Feed {
    pub(crate) fn made(payloads: &Arc<Payloads>, streams: usize, order: Order) -> Feed {
        let names = (0..streams).map(|number| format!("order-{number:06}")).collect();
        let source = Source::Made {
            payloads: Arc::clone(payloads),
            names: Arc::new(names),
            versions: vec![0; streams],
            order,
        };
        Feed { source, random: Random::new(streams as u64), number: 0 }
    }

    pub(crate) fn logged(events: Vec<Owned>) -> Feed {
        let source = Source::Logged { events: Arc::new(events), names: Vec::new() };
        Feed { source, random: Random::new(0), number: 0 }
    }

    /// Names streams other than those of any other feed.
    pub(crate) fn for_thread(mut self, thread: u64) -> Feed {
        if let Source::Made { names, .. } = &mut self.source {
            let name = |name: &String| format!("{name}-{thread}");
            *names = Arc::new(names.iter().map(name).collect());
        }
        self
    }

    /// Makes ready what would disturb a measurement, for `count` events.
    pub(crate) fn prepared(mut self, count: u64) -> Feed {
        if let Source::Logged { events, names } = &mut self.source {
            for round in names.len() as u64..count.div_ceil(events.len() as u64) {
                let name = |event: &Owned| format!("{}-{round}", event.stream);
                names.push(Arc::new(events.iter().map(name).collect()));
            }
        }
        self
    }

    /// How many events a log has before it repeats.
    pub(crate) fn period(&self) -> Option<u64> {
        match &self.source {
            Source::Made { .. } => None,
            Source::Logged { events, .. } => Some(events.len() as u64),
        }
    }

    /// Passes the next `count` events on.
    pub(crate) fn batch<R>(&mut self, count: u64, take: impl FnOnce(&[Event<'_>]) -> R) -> R {
        let (first, number) = (self.number, self.number + count);
        self.number = number;
        match &mut self.source {
            Source::Made { payloads, names, versions, order } => {
                let random = &mut self.random;
                let made = (first..number).map(|number| {
                    let stream = match order {
                        Order::Random => random.below(names.len()),
                        Order::InTurn => (number % names.len() as u64) as usize,
                        Order::Runs(length) => (number / *length % names.len() as u64) as usize,
                    };
                    versions[stream] += 1;
                    let (kind, data, metadata) = payloads.get(number);
                    let time = START_MICROS + number as i64 * 1_000;
                    let (stream, version) = (names[stream].as_str(), versions[stream]);
                    Event { stream, version, kind, data, metadata, time }
                });
                take(&made.collect::<Vec<_>>())
            }
            Source::Logged { events, names } => {
                let period = events.len() as u64;
                let logged = (first..number).map(|number| {
                    let (round, place) = ((number / period) as usize, (number % period) as usize);
                    let event = &events[place];
                    Event {
                        stream: &names[round][place],
                        version: event.version,
                        kind: &event.kind,
                        data: &event.data,
                        metadata: &event.metadata,
                        time: event.time,
                    }
                });
                take(&logged.collect::<Vec<_>>())
            }
        }
    }

    /// How many events each stream has after `count` events: to choose streams to read from.
    pub(crate) fn streams(&self, count: u64) -> Vec<(String, u64)> {
        let mut feed = self.clone().prepared(count);
        let mut streams: HashMap<String, u64> = HashMap::new();
        for _ in 0..count / 1_000 {
            feed.batch(1_000, |events| {
                for event in events {
                    match streams.get_mut(event.stream) {
                        Some(version) => *version = event.version,
                        None => drop(streams.insert(event.stream.to_owned(), event.version)),
                    }
                }
            });
        }
        let mut streams: Vec<_> = streams.into_iter().collect();
        streams.sort();
        streams
    }
}
