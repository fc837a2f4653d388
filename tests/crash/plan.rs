//! What the worker appends: a pure function of the seed, the thread and the unit's number.
//!
//! Method: nothing is remembered across a crash. The worker and the checker make the same unit from
//! the same three numbers, so the checker can compare every byte of what it recovers. Each event
//! carries its origin in its type ("Moved:1.17.3/5": thread 1, unit 17, event 3 of 5), by which the
//! checker recognises units and their order.

use crate::units::Unit;
use annals::{Error, ExpectedVersion, NewEvent, RecordedEvent, Timestamp, UtcOffset};
use uuid::Uuid;

/// The time that the injected clock shows, so that stored times can be compared as well.
pub const CLOCK_MICROS: i64 = 1_700_000_000_123_456;

/// A small generator of pseudo-random numbers (splitmix64): the same everywhere, forever.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(parts: &[u64]) -> Random {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for &part in parts {
            random.0 = random.next() ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        }
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number in `0..end`.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// A number in `from..=to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// Spreads the bits of a number over all of its places.
pub fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Adds bytes to a 64-bit digest.
pub fn digest(start: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let mut sum = mix(start ^ bytes.len() as u64);
    for chunk in &mut chunks {
        let word = chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        sum = mix(sum ^ word);
    }
    chunks.remainder().iter().fold(sum, |sum, &byte| mix(sum ^ u64::from(byte)))
}

/// How large the units are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// For runs that are repeated once per system call.
    Small,
    /// Everything up to events of several hundred KiB and units of several hundred events.
    Mixed,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub shape: Shape,
}

pub struct PlannedUnit {
    pub events: Vec<PlannedEvent>,
    /// Whether the append states the exact version of its stream, which only this thread writes.
    pub is_exact: bool,
}

pub struct PlannedEvent {
    pub stream: String,
    pub event_type: String,
    pub is_binary: bool,
    pub data: Vec<u8>,
    pub metadata: Option<String>,
    pub id: Option<Uuid>,
    pub timestamp: Option<Timestamp>,
    /// Sorted.
    pub tags: Vec<String>,
}

impl Plan {
    /// Unit `number`, counted from 1, of `thread`.
    pub fn unit(&self, thread: usize, number: u64) -> PlannedUnit {
        let mut random = Random::new(&[self.seed, thread as u64, number]);
        let (count, smallest, largest) = self.sizes(&mut random);
        let streams = streams(thread, &mut random);
        let has_ids = random.one_in(3);
        let mut events = Vec::new();
        for index in 0..count {
            // In runs of the same stream, so that a unit has few parts; a stream may come twice.
            let stream = streams[(index * streams.len() as u64 / count) as usize].clone();
            let kind = ["Opened", "Moved", "Closed"][random.below(3) as usize];
            let event_type = format!("{kind}:{thread}.{number}.{index}/{count}");
            let size = random.between(smallest, largest);
            events.push(event(stream, event_type, size as usize, has_ids, &mut random));
        }
        let is_exact = streams.len() == 1 && streams[0] != SHARED && random.one_in(3);
        PlannedUnit { events, is_exact }
    }

    /// The number of events of a unit, and their smallest and largest size.
    fn sizes(&self, random: &mut Random) -> (u64, u64, u64) {
        const KIB: u64 = 1 << 10;
        match (self.shape, random.below(100)) {
            (_, 0..55) => (random.between(1, 3), 0, 300),
            (_, 55..82) => (random.between(1, 40), 0, 200),
            (_, 82..93) => (random.between(1, 3), KIB, 20 * KIB),
            (_, 93..96) => (1, 60 * KIB, 150 * KIB),
            (Shape::Small, _) => (random.between(100, 300), 0, 60),
            (Shape::Mixed, 96..98) => (random.between(200, 700), 0, 300),
            (Shape::Mixed, _) => (random.between(1, 2), 200 * KIB, 600 * KIB),
        }
    }
}

const SHARED: &str = "shared";

fn streams(thread: usize, random: &mut Random) -> Vec<String> {
    let own = |random: &mut Random| format!("thread-{thread}-{}", random.below(6));
    match random.below(10) {
        0..7 => vec![own(random)],
        7 => vec![SHARED.to_owned()],
        8 => vec![own(random), SHARED.to_owned(), own(random)],
        _ => vec![own(random), format!("once-{thread}-{}", random.below(1 << 40))],
    }
}

fn event(
    stream: String,
    event_type: String,
    size: usize,
    has_id: bool,
    random: &mut Random,
) -> PlannedEvent {
    let is_binary = random.one_in(3);
    let data = match is_binary {
        // Zeros look like what a file system leaves where data was lost.
        true if random.one_in(4) => vec![0; size],
        true => random.bytes(size),
        false => json(size, random),
    };
    let metadata = random.one_in(3).then(|| format!("{{\"by\":{}}}", random.next()));
    let id = has_id.then(|| {
        let high = u128::from(random.next());
        Uuid::from_u128(high << 64 | u128::from(random.next()))
    });
    let micros = random.below(4_000_000_000_000_000) as i64;
    let offset = [UtcOffset::Naive, UtcOffset::Minutes(0), UtcOffset::Minutes(-90)];
    let offset = offset[random.below(3) as usize];
    let timestamp = random.one_in(4).then(|| Timestamp::new(micros, offset).ok()).flatten();
    let tags = match random.below(4) {
        0 => vec!["all".to_owned(), format!("tag:{}", random.below(20))],
        1 => vec![format!("once:{}", random.next())],
        _ => Vec::new(),
    };
    PlannedEvent { stream, event_type, is_binary, data, metadata, id, timestamp, tags }
}

/// JSON text of about `size` bytes.
fn json(size: usize, random: &mut Random) -> Vec<u8> {
    if size < 8 {
        return random.below(1000).to_string().into_bytes();
    }
    let letters = random.bytes(size - 8).into_iter().map(|byte| b'a' + byte % 26);
    let mut text = b"{\"x\":\"".to_vec();
    text.extend(letters);
    text.extend(b"\"}");
    text
}

impl PlannedUnit {
    /// The unit as the store takes it: one entry for each run of events of the same stream.
    pub fn entries(&self, expected: ExpectedVersion) -> Result<Vec<Unit>, Error> {
        let mut entries: Vec<Unit> = Vec::new();
        for run in self.events.chunk_by(|a, b| a.stream == b.stream) {
            let events = run.iter().map(PlannedEvent::to_new).collect::<Result<Vec<_>, _>>()?;
            entries.push(Unit::to(&run[0].stream, expected, events));
        }
        Ok(entries)
    }
}

impl PlannedEvent {
    fn to_new(&self) -> Result<NewEvent, Error> {
        let text = std::str::from_utf8(&self.data);
        let mut event = match text {
            Ok(text) if !self.is_binary => NewEvent::raw_json(&self.event_type, text)?,
            _ => NewEvent::binary(&self.event_type, self.data.clone())?,
        };
        if let Some(metadata) = &self.metadata {
            event = event.raw_metadata(metadata)?;
        }
        if let Some(id) = self.id {
            event = event.id(id);
        }
        event = event.tags(&self.tags);
        Ok(match self.timestamp {
            Some(timestamp) => event.timestamp(timestamp),
            None => event,
        })
    }

    /// The first field in which a stored event differs from this one.
    pub fn difference(&self, stored: &RecordedEvent) -> Option<&'static str> {
        let clock = || Timestamp::utc(CLOCK_MICROS).ok();
        let is_same = [
            ("stream", stored.stream_id() == self.stream),
            ("type", stored.event_type() == self.event_type),
            ("kind of data", stored.is_binary() == self.is_binary),
            ("data", stored.data() == self.data),
            ("metadata", stored.metadata() == self.metadata.as_deref()),
            ("id", stored.id() == self.id),
            ("tags", stored.tags().eq(&self.tags)),
            ("timestamp", self.timestamp.or_else(clock) == Some(stored.timestamp())),
        ];
        is_same.iter().find(|(_, same)| !same).map(|(field, _)| *field)
    }
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub thread: usize,
    pub unit: u64,
    pub index: usize,
    pub count: usize,
}

impl Origin {
    /// Reads what [`Plan::unit`] put into the event's type.
    pub fn of(event_type: &str) -> Option<Origin> {
        let (_, rest) = event_type.split_once(':')?;
        let (place, count) = rest.split_once('/')?;
        let mut numbers = place.split('.').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let (thread, unit, index) = (next()?, next()?, next()?);
        Some(Origin {
            thread: thread as usize,
            unit,
            index: index as usize,
            count: count.parse().ok()?,
        })
    }
}
