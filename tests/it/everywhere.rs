//! Every way of reading against a plain list, in every state of a store: while it is drained, after
//! it was closed, killed, compacted, or has lost its trees; by the store, by readers that were
//! there before, by a backup, and by iterators that were begun earlier.

mod asked;

use std::{collections::BTreeMap, fs, path::PathBuf};

use annals::{
    AppendError, Batch, EventStore, Events, ExpectedVersion, ExpectedVersion::Any, ExportOptions,
    Handlers, NewEvent, Options, Query, QueryItem, ReadEvents, Reader, RecordedEvent, Timestamp,
    UpTo, compact,
};
use uuid::Uuid;

use crate::support::{files::copy_moment, seed::Random};
use asked::Asked;

const TYPES: [&str; 4] = ["Opened", "Moved", "Closed", "Missing"];
const TAGS: [&str; 5] = ["t", "t:1", "u", "\u{fc}", "missing"];
const STREAMS: [&str; 6] = ["a", "a-1", "b", "b\u{1}", "caf\u{e9}", "missing"];
const CONSUMERS: [&str; 3] = ["mailer", "index", "missing"];

fn one_of<T: Copy>(random: &mut Random, all: &[T]) -> T {
    all[random.below(all.len() as u64) as usize]
}

/// An event as it was appended.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    position: u64,
    stream: String,
    version: u64,
    event_type: String,
    tags: Vec<String>,
    micros: i64,
    id: Option<Uuid>,
    data: Vec<u8>,
}

impl Known {
    fn of(event: &RecordedEvent) -> Known {
        Known {
            position: event.position(),
            stream: event.stream_id().to_owned(),
            version: event.version(),
            event_type: event.event_type().to_owned(),
            tags: event.tags().map(str::to_owned).collect(),
            micros: event.timestamp().micros(),
            id: event.id(),
            data: event.data().to_owned(),
        }
    }

    fn random(random: &mut Random) -> Known {
        let count = one_of(random, &[0, 0, 1, 2, 4]);
        let mut tags: Vec<String> =
            (0..count).map(|_| one_of(random, &TAGS[..4]).to_owned()).collect();
        tags.sort_unstable();
        tags.dedup();
        let size = match random.below(40) {
            0 => 20_000 + random.below(60_000),
            1..4 => 3_900 + random.below(400),
            _ => random.below(200),
        };
        let id =
            (random.below(3) == 0).then(|| Uuid::from_u128(1 + u128::from(random.below(u64::MAX))));
        Known {
            position: 0,
            stream: one_of(random, &STREAMS[..5]).to_owned(),
            version: 0,
            event_type: one_of(random, &TYPES[..3]).to_owned(),
            tags,
            micros: random.below(1_000).cast_signed(),
            id,
            data: vec![random.below(256) as u8; size as usize],
        }
    }

    fn event(&self) -> NewEvent {
        let event = NewEvent::binary(&self.event_type, self.data.clone()).unwrap();
        let event = event.tags(&self.tags).timestamp(Timestamp::utc(self.micros).unwrap());
        if let Some(id) = self.id { event.id(id) } else { event }
    }
}

/// What a store must have.
#[derive(Clone, Debug, Default)]
struct Model {
    events: Vec<Known>,
    checkpoints: BTreeMap<String, u64>,
}

impl Model {
    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    fn version(&self, stream: &str) -> u64 {
        self.events.iter().filter(|event| event.stream == stream).count() as u64
    }

    /// Appends these events in one batch, and perhaps a checkpoint.
    fn append(&mut self, random: &mut Random, store: &EventStore, events: Vec<Known>) {
        let mut batch = Batch::new();
        for mut known in events {
            batch = batch.append(known.stream.as_str(), Any, [known.event()]);
            known.position = self.head() + 1;
            known.version = self.version(&known.stream) + 1;
            self.events.push(known);
        }
        if random.below(4) == 0 {
            let name = one_of(random, &CONSUMERS[..2]);
            let saved = self.checkpoints.entry(name.to_owned()).or_default();
            *saved += random.below(self.events.len() as u64 + 1 - *saved);
            batch = batch.checkpoint(name, *saved);
            if *saved == 0 {
                self.checkpoints.remove(name);
            }
        }
        batch.commit(store).unwrap();
    }

    /// Asks everything, and some of it at random.
    fn check(&self, random: &mut Random, source: &impl ReadEvents, what: &str) {
        assert_eq!(source.head().unwrap(), self.head(), "{what}");
        for _ in 0..8 {
            let asked = Asked::random(random, self.head());
            let read: Vec<Known> =
                asked.events(source).map(|event| Known::of(&event.unwrap())).collect();
            let due = asked.due(&self.events);
            assert!(read == due, "{what}: {asked:?}: {:?}, not {:?}", places(&read), places(&due));
        }
        for stream in STREAMS {
            assert_eq!(source.stream_version(stream).unwrap(), self.version(stream), "{what}");
        }
        for prefix in ["", "a", "a-", "b", "caf", "zz"] {
            let listed = source.streams().prefix(prefix).map(|stream| stream.unwrap());
            let listed: Vec<_> =
                listed.map(|one| (one.stream_id().to_owned(), one.version())).collect();
            let mut due = STREAMS.map(|name| (name.to_owned(), self.version(name))).to_vec();
            due.retain(|(name, version)| *version > 0 && name.starts_with(prefix));
            assert_eq!(listed, due, "{what}: {prefix:?}");
        }
        for name in CONSUMERS {
            let due = self.checkpoints.get(name).copied().unwrap_or(0);
            assert_eq!(source.checkpoint(name).unwrap(), due, "{what}: {name}");
        }
        assert!(source.checkpoints().unwrap().into_iter().eq(self.checkpoints.clone()), "{what}");
        self.check_ids(random, source, what);
        if random.below(4) == 0 {
            self.check_export(source, what);
        }
        self.check_past(random, source, what);
    }

    fn check_ids(&self, random: &mut Random, source: &impl ReadEvents, what: &str) {
        let missing = Uuid::from_u128(u128::from(random.below(u64::MAX)) << 64);
        assert!(source.event_by_id(missing).unwrap().is_none(), "{what}");
        for _ in 0..5 {
            let known = self.events.get(random.below(self.head()) as usize);
            if let Some((known, id)) = known.and_then(|known| Some((known, known.id?))) {
                let found = source.event_by_id(id).unwrap().map(|event| Known::of(&event));
                assert_eq!(found.as_ref(), Some(known), "{what}");
            }
        }
    }

    fn check_export(&self, source: &impl ReadEvents, what: &str) {
        let mut text = Vec::new();
        source.export_ndjson(&mut text, &ExportOptions::new()).unwrap();
        let mut due = Vec::new();
        for event in source.read_all() {
            event.unwrap().write_ndjson(&mut due).unwrap();
        }
        assert!(text == due, "{what}: the export");
        let mut types = BTreeMap::<String, u64>::new();
        self.events
            .iter()
            .for_each(|event| *types.entry(event.event_type.clone()).or_default() += 1);
        assert!(source.event_types().unwrap().into_iter().eq(types), "{what}");
    }

    /// The positions that a stream had at some point.
    fn check_past(&self, random: &mut Random, source: &impl ReadEvents, what: &str) {
        let stream = one_of(random, &STREAMS);
        let number = random.below(self.head() + 2);
        let time = number.cast_signed() % 1_000;
        for up_to in [
            UpTo::Now,
            UpTo::Position(number),
            UpTo::Version(number / 4),
            UpTo::Timestamp(Timestamp::utc(time).unwrap()),
        ] {
            let handlers = Handlers::new().otherwise(|seen: &mut Vec<u64>, event| {
                seen.push(event.position());
                Ok(())
            });
            let seen = source.reconstruct_state(stream, Vec::new(), &handlers, up_to).unwrap();
            let is_due = |event: &&Known| {
                event.stream == stream
                    && match up_to {
                        UpTo::Now => true,
                        UpTo::Position(position) => event.position <= position,
                        UpTo::Version(version) => event.version <= version,
                        UpTo::Timestamp(_) => event.micros <= time,
                    }
            };
            let due: Vec<u64> =
                self.events.iter().filter(is_due).map(|event| event.position).collect();
            assert_eq!(seen, due, "{what}: {stream}, {up_to:?}");
        }
    }
}

fn places(events: &[Known]) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}

/// An iterator, and what it has still to bring.
struct Begun {
    events: Events,
    due: std::vec::IntoIter<Known>,
    is_of_reader: bool,
}

impl Begun {
    /// Reads on a bit, or to the end; returns whether there may be more.
    fn go_on(&mut self, random: &mut Random, what: &str) -> bool {
        let count = one_of(random, &[0, 1, 30, usize::MAX]);
        for event in self.events.by_ref().take(count) {
            assert_eq!(Some(Known::of(&event.unwrap())), self.due.next(), "{what}: begun earlier");
        }
        let is_over = count == usize::MAX;
        assert!(!is_over || self.due.next().is_none(), "{what}: an iterator ends early");
        !is_over
    }
}

struct World {
    directory: tempfile::TempDir,
    path: PathBuf,
    copies: u32,
    store: Option<EventStore>,
    readers: Vec<Reader>,
    begun: Vec<Begun>,
    model: Model,
}

fn options(random: &mut Random) -> Options {
    Options::new()
        .tail_bytes(one_of(random, &[2_000, 60_000, 4 << 20]))
        .journal_bytes(one_of(random, &[64 << 10, 256 << 10]))
}

impl World {
    fn new(random: &mut Random) -> World {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let store = Some(options(random).open(&path).unwrap());
        let (readers, begun) = (Vec::new(), Vec::new());
        World { directory, path, copies: 0, store, readers, begun, model: Model::default() }
    }

    fn close(&mut self) {
        self.begun.retain(|begun| begun.is_of_reader);
        self.store.take().unwrap().close().unwrap();
    }

    fn step(&mut self, random: &mut Random) -> &'static str {
        let what = match random.below(14) {
            0 => "closed",
            1 => "killed",
            2 => "compacted",
            3 => "without trees",
            4 => "backed up",
            5 => "a new reader",
            _ => "appended",
        };
        match what {
            "closed" | "compacted" | "without trees" => {
                if random.below(3) == 0 {
                    // A close seals a file of this size: the next open has nothing in its tail.
                    let wide = Known { data: vec![7; 300 << 10], ..Known::random(random) };
                    self.model.append(random, self.store.as_ref().unwrap(), vec![wide]);
                }
                self.close();
                match what {
                    "compacted" => compact(&self.path).unwrap(),
                    "without trees" => fs::remove_dir_all(self.path.join("trees")).unwrap(),
                    _ => {}
                }
                // Nobody has it open for writing.
                self.check_readers(random, what);
                self.store = Some(options(random).open(&self.path).unwrap());
            }
            "killed" => {
                self.copies += 1;
                let path = self.directory.path().join(format!("store-{}", self.copies));
                copy_moment(&self.path, &path);
                self.readers.clear();
                self.begun.clear();
                self.close();
                self.path = path;
                self.readers.push(Reader::open(&self.path).unwrap());
                self.check_readers(random, what);
                self.store = Some(options(random).open(&self.path).unwrap());
            }
            "backed up" => {
                let target = self.directory.path().join(format!("backup-{}", random.below(3)));
                // One from before a compaction cannot be continued.
                if self.store.as_ref().unwrap().backup(&target).is_err() {
                    fs::remove_dir_all(&target).unwrap();
                    self.store.as_ref().unwrap().backup(&target).unwrap();
                }
                self.model.check(random, &Reader::open(&target).unwrap(), "a backup");
            }
            "a new reader" => {
                self.readers.truncate(2);
                self.readers.push(Reader::open(&self.path).unwrap());
            }
            _ => {
                for _ in 0..one_of(random, &[1, 4, 12]) {
                    let count = one_of(random, &[1, 1, 3, 40]);
                    let events = (0..count).map(|_| Known::random(random)).collect();
                    self.model.append(random, self.store.as_ref().unwrap(), events);
                }
            }
        }
        what
    }

    fn check_readers(&mut self, random: &mut Random, what: &str) {
        for reader in &self.readers {
            self.model.check(random, reader, &format!("{what}, a reader"));
        }
        self.begun.retain_mut(|begun| begun.go_on(random, what));
    }

    fn begin(&mut self, random: &mut Random) {
        let asked = Asked::random(random, self.model.head());
        let due = asked.due(&self.model.events).into_iter();
        let reader = self.readers.first().filter(|_| random.below(2) == 0);
        let (events, is_of_reader) = match (reader, &self.store) {
            (Some(reader), _) => (asked.events(reader), true),
            (None, Some(store)) => (asked.events(store), false),
            (None, None) => return,
        };
        self.begun.push(Begun { events, due, is_of_reader });
    }
}

#[test]
fn every_way_of_reading_finds_the_same_in_every_state() {
    let mut random = Random::new();
    for _ in 0..2 {
        let mut world = World::new(&mut random);
        for _ in 0..16 {
            let what = world.step(&mut random);
            let store = world.store.clone().unwrap();
            world.model.check(&mut random, &store, what);
            world.check_readers(&mut random, what);
            world.begin(&mut random);
        }
        assert_eq!(world.store.clone().unwrap().verify().unwrap().findings, []);
    }
}

/// Whether the event at a position matches a query of the next test.
type Matches = fn(u64) -> bool;

fn queries() -> Vec<(Query, Matches)> {
    let of = |item: QueryItem| Query::new().item(item);
    vec![
        (of(QueryItem::new().stream("s-0")), |at| at.is_multiple_of(3)),
        (of(QueryItem::new().stream("s-1")), |at| at % 3 == 1),
        (of(QueryItem::new().stream("s-2")), |at| at % 3 == 2),
        (of(QueryItem::new().tags(["t-0"])), |at| at.is_multiple_of(2)),
        (of(QueryItem::new().tags(["t-1"])), |at| at % 2 == 1),
        (of(QueryItem::new().tags(["t-0", "all"]).stream("s-0")), |at| at.is_multiple_of(6)),
        (of(QueryItem::new().tags(["all"]).types(["T"])), |_| true),
        (of(QueryItem::new().types(["T"])), |_| true),
        (of(QueryItem::new().stream("s-1")).item(QueryItem::new().tags(["t-0"])), |at| {
            at % 3 == 1 || at.is_multiple_of(2)
        }),
    ]
}

/// Conditions after every position, of which none is written: the version of a stream is wrong.
fn check_conditions(store: &EventStore, head: u64, what: &str) {
    let queries = queries();
    for first in (0..=head + 1).step_by(10) {
        let afters = first..(first + 10).min(head + 2);
        let asked: Vec<_> =
            afters.flat_map(|after| queries.iter().map(move |one| (after, one))).collect();
        let mut batch = Batch::new().require("s-0", ExpectedVersion::Exact(u64::MAX));
        batch = batch.append("never", Any, [NewEvent::binary("T", []).unwrap()]);
        for (after, (query, _)) in &asked {
            batch = batch.require_none(query, *after);
        }
        let AppendError::Conflict(refused) = batch.commit(store).unwrap_err() else {
            panic!("{what}: the version is wrong");
        };
        let violated = refused.conditions().iter().map(|one| (one.index, one.position));
        let violated: BTreeMap<usize, u64> = violated.collect();
        for (index, (after, (query, matches))) in asked.iter().enumerate() {
            let due = (after + 1..=head).find(|at| matches(*at));
            assert_eq!(violated.get(&index), due.as_ref(), "{what}: {query:?} after {after}");
        }
        for (query, matches) in &queries {
            let found = store.query(query).from_position(first).map(|event| event.unwrap());
            let due = (first.max(1)..=head).filter(|at| matches(*at));
            assert!(found.map(|event| event.position()).eq(due), "{what}: {query:?} from {first}");
        }
    }
}

#[test]
fn conditions_hold_after_every_position() {
    let options = Options::new().journal_bytes(64 << 10);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut store = options.open(&path).unwrap();
    let mut head = 0;
    let mut append = |store: &EventStore, bytes: usize| {
        head += 1;
        let event = NewEvent::binary("T", vec![7; bytes]).unwrap();
        let event = event.tags([format!("t-{}", head % 2), "all".to_owned()]);
        store.append(format!("s-{}", head % 3), Any, [event]).unwrap();
        head
    };
    for (round, tail_bytes) in [32 << 20, 2_000, 32 << 20].into_iter().enumerate() {
        let known = (0..120).map(|_| append(&store, 700)).last().unwrap();
        check_conditions(&store, known, &format!("round {round}"));
        // The last file is sealed by the close if it is large: then the next tail is empty.
        let known = if round == 1 { append(&store, 300 << 10) } else { known };
        store.close().unwrap();
        store = options.clone().tail_bytes(tail_bytes).open(&path).unwrap();
        check_conditions(&store, known, &format!("round {round}, opened again"));
    }
}
