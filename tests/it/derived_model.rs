//! Random interleavings of appends, projections, subscriptions, checkpoints, snapshots and
//! reopening, against a model that is a vector. A failure shows its operations, shrunk, and the
//! seed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use annals::{
    Durability, EventStore, ExpectedVersion, Handlers, LiveProjection, NewEvent, Options,
    Projection, SnapshotKey, Subscription, UpTo,
};
use proptest::prelude::*;

use crate::support::{files::copy_moment, seed};

const TYPES: [&str; 3] = ["Added", "Taken", "Noted"];
const STREAMS: [&str; 3] = ["a", "b", "b-1"];
const NAMES: [&str; 2] = ["one", "two"];

/// Sums by stream, and how many events were handled.
type Sums = BTreeMap<String, i64>;

#[derive(Clone, Debug)]
enum Operation {
    Append(usize, Vec<(usize, i64)>),
    /// Several threads append at once; only what is live or subscribed tells the order.
    Burst(u64),
    CatchUp(u64),
    SaveProjection,
    LoadProjection,
    Reset,
    StartLive,
    DropLive,
    Deliver(usize),
    Checkpoint(usize, u64),
    Snapshot(usize, u64, usize),
    Reconstruct(usize, u64),
    /// Closes, drops, or goes on with what a kill at this moment would leave.
    Reopen(u8),
}

/// An event of the model: stream, type, amount.
type Event = (String, String, i64);

struct World {
    options: Options,
    path: PathBuf,
    copies: u32,
    store: EventStore,
    pulled: Projection<Sums>,
    live: Option<LiveProjection<Sums>>,
    subscription: Subscription,
    events: Vec<Event>,
    /// The position up to which the pulled projection has come.
    pulled_at: u64,
    delivered: u64,
    checkpoints: BTreeMap<usize, u64>,
    /// By name, the positions kept and the size at each.
    snapshots: BTreeMap<usize, BTreeMap<u64, usize>>,
    saved_projections: BTreeMap<u64, ()>,
}

fn handlers() -> Handlers<Sums> {
    let change = |sums: &mut Sums, event: &annals::RecordedEvent, sign: i64| {
        *sums.entry(event.stream_id().to_owned()).or_default() += sign * event.json::<i64>()?;
        Ok(())
    };
    Handlers::new()
        .when("Added", move |sums: &mut Sums, event| change(sums, event, 1))
        .when("Taken", move |sums, event| change(sums, event, -1))
}

fn sums(events: &[Event]) -> Sums {
    let mut sums = Sums::new();
    for (stream, event_type, amount) in events {
        match event_type.as_str() {
            "Added" => *sums.entry(stream.clone()).or_default() += amount,
            "Taken" => *sums.entry(stream.clone()).or_default() -= amount,
            _ => {}
        }
    }
    sums
}

fn projection(store: &EventStore) -> Projection<Sums> {
    Projection::new("sums", store, Sums::new(), handlers())
}

/// Bytes that tell the name and the position they were saved for.
fn bytes(name: usize, position: u64, size: usize) -> Vec<u8> {
    let text = format!("{name} {position} ");
    text.bytes().cycle().take(size).collect()
}

impl World {
    fn new(options: Options, path: &Path) -> World {
        let store = options.open(path).unwrap();
        World {
            options,
            path: path.to_owned(),
            copies: 0,
            pulled: projection(&store),
            live: None,
            subscription: store.subscribe(1).unwrap(),
            store,
            events: Vec::new(),
            pulled_at: 0,
            delivered: 0,
            checkpoints: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            saved_projections: BTreeMap::new(),
        }
    }

    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    fn append(&mut self, stream: usize, events: &[(usize, i64)]) {
        let stream = STREAMS[stream];
        let new = events.iter().map(|(kind, amount)| NewEvent::json(TYPES[*kind], amount).unwrap());
        self.store.append(stream, ExpectedVersion::Any, new).unwrap();
        let kept = events.iter().map(|&(kind, n)| (stream.to_owned(), TYPES[kind].to_owned(), n));
        self.events.extend(kept);
    }

    fn burst(&mut self, threads: u64) {
        thread::scope(|scope| {
            for thread in 0..threads {
                let store = &self.store;
                scope.spawn(move || {
                    for number in 0..5_i64 {
                        let stream = STREAMS[(thread % 3) as usize];
                        let event = NewEvent::json("Added", &(number * 7)).unwrap();
                        store.append(stream, ExpectedVersion::Any, [event]).unwrap();
                    }
                });
            }
        });
        for event in self.store.read_all().from_position(self.head() + 1) {
            let event = event.unwrap();
            let (stream, kind) = (event.stream_id().to_owned(), event.event_type().to_owned());
            self.events.push((stream, kind, event.json().unwrap()));
        }
    }

    fn check_live(&self) {
        let Some(live) = &self.live else { return };
        assert!(live.failure().is_none());
        assert_eq!((live.position(), &*live.state()), (self.head(), &sums(&self.events)));
    }

    fn check_pulled(&self) {
        assert_eq!(self.pulled.position(), self.pulled_at);
        assert_eq!(*self.pulled.state(), sums(&self.events[..self.pulled_at as usize]));
    }

    fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            let next = self.subscription.next_timeout(Duration::ZERO).unwrap();
            let Some(event) = next else {
                assert_eq!(self.delivered, self.head(), "it ends where the store does");
                return;
            };
            self.delivered += 1;
            assert_eq!(event.position(), self.delivered);
            let (stream, kind, amount) = &self.events[self.delivered as usize - 1];
            assert_eq!((event.stream_id(), event.event_type()), (&**stream, &**kind));
            assert_eq!(event.json::<i64>().unwrap(), *amount);
        }
    }

    fn checkpoint(&mut self, name: usize, position: u64) {
        let position = position % (self.head() + 2);
        let current = self.checkpoints.get(&name).copied().unwrap_or(0);
        let is_due = position >= current && position <= self.head();
        assert_eq!(self.store.save_checkpoint(NAMES[name], position).is_ok(), is_due);
        if is_due {
            self.checkpoints.insert(name, position);
        }
    }

    fn snapshot(&mut self, name: usize, position: u64, size: usize) {
        let position = position % (self.head() + 1);
        self.store.save_snapshot(NAMES[name], position, bytes(name, position, size)).unwrap();
        let kept = self.snapshots.entry(name).or_default();
        kept.insert(position, size);
        while kept.len() > 2 {
            kept.pop_first();
        }
    }

    fn check_saved(&self) {
        for (number, name) in NAMES.iter().enumerate() {
            let due = self.checkpoints.get(&number).copied().unwrap_or(0);
            assert_eq!(self.store.checkpoint(name).unwrap(), due);
            let newest = self.snapshots.get(&number).and_then(|kept| kept.last_key_value());
            let found = self.store.load_snapshot(*name).unwrap();
            assert_eq!(found.as_ref().map(annals::Snapshot::position), newest.map(|(at, _)| *at));
            if let (Some(found), Some((&at, &size))) = (found, newest) {
                assert!(found.data() == bytes(number, at, size), "{size} bytes");
                assert!(found.ignored().is_empty());
            }
        }
        let listed: Vec<(SnapshotKey, u64)> = self
            .store
            .snapshots()
            .map(|info| info.map(|info| (info.key, info.position)).unwrap())
            .collect();
        let mut due = Vec::new();
        for (name, kept) in &self.snapshots {
            let key = SnapshotKey::from(NAMES[*name]);
            due.extend(kept.keys().rev().map(|at| (key.clone(), *at)));
        }
        let kept = self.saved_projections.keys().rev().take(2);
        due.extend(kept.map(|at| (SnapshotKey::of_projection("sums", 0), *at)));
        assert_eq!(listed, due);
    }

    fn save_projection(&mut self) {
        self.pulled.save_snapshot().unwrap();
        self.saved_projections.insert(self.pulled_at, ());
        while self.saved_projections.len() > 2 {
            self.saved_projections.pop_first();
        }
    }

    fn load_projection(&mut self) {
        let restored = self.pulled.load_snapshot().unwrap();
        let newest = self.saved_projections.last_key_value().map(|(at, ())| *at);
        assert_eq!((restored.position, restored.ignored.len()), (newest, 0));
        self.pulled_at = newest.unwrap_or(self.pulled_at);
    }

    fn reopen(&mut self, how: u8) {
        self.live = None;
        if how == 0 {
            self.store.close().unwrap();
        }
        if how == 2 {
            // What a kill leaves, in another place.
            self.store.flush().unwrap();
            self.copies += 1;
            let place = self.path.with_file_name(format!("copy-{}", self.copies));
            copy_moment(&self.path, &place);
            self.path = place;
        }
        let scratch = EventStore::in_memory().unwrap();
        self.pulled = projection(&scratch);
        self.subscription = scratch.subscribe(1).unwrap();
        self.store = scratch;
        self.store = self.options.open(&self.path).unwrap();
        self.pulled = projection(&self.store);
        self.pulled_at = 0;
        self.subscription = self.store.subscribe(self.delivered + 1).unwrap();
        assert_eq!(self.store.verify().unwrap().findings, []);
        self.check_saved();
    }

    fn run(&mut self, operation: &Operation) {
        match operation {
            Operation::Append(stream, events) => self.append(*stream, events),
            Operation::Burst(threads) => self.burst(*threads),
            Operation::CatchUp(limit) => {
                let due = (*limit).min(self.head() - self.pulled_at);
                assert_eq!(self.pulled.catch_up_at_most(*limit).unwrap(), due);
                self.pulled_at += due;
            }
            Operation::SaveProjection => self.save_projection(),
            Operation::LoadProjection => self.load_projection(),
            Operation::Reset => {
                self.pulled.reset();
                self.pulled_at = 0;
            }
            Operation::StartLive => {
                self.live = Some(projection(&self.store).live().unwrap());
            }
            Operation::DropLive => self.live = None,
            Operation::Deliver(count) => self.deliver(*count),
            Operation::Checkpoint(name, position) => self.checkpoint(*name, *position),
            Operation::Snapshot(name, position, size) => self.snapshot(*name, *position, *size),
            Operation::Reconstruct(stream, position) => {
                let (stream, position) = (STREAMS[*stream], position % (self.head() + 2));
                let up_to = UpTo::Position(position);
                let state = self.store.reconstruct_state(stream, Sums::new(), &handlers(), up_to);
                let before = &self.events[..position.min(self.head()) as usize];
                let mut due = sums(before);
                due.retain(|name, _| name == stream);
                assert_eq!(state.unwrap(), due);
            }
            Operation::Reopen(how) => self.reopen(*how),
        }
        self.check_live();
        self.check_pulled();
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let events = prop::collection::vec((0..3_usize, -50..50_i64), 1..6);
    let size = prop_oneof![6 => 0..200_usize, 2 => 4_000..5_000_usize, 1 => 30_000..150_000_usize];
    prop_oneof![
        10 => (0..3_usize, events).prop_map(|(stream, events)| Operation::Append(stream, events)),
        1 => (2..5_u64).prop_map(Operation::Burst),
        4 => prop_oneof![0..20_u64, Just(u64::MAX)].prop_map(Operation::CatchUp),
        3 => Just(Operation::SaveProjection),
        2 => Just(Operation::LoadProjection),
        1 => Just(Operation::Reset),
        2 => Just(Operation::StartLive),
        1 => Just(Operation::DropLive),
        4 => (0..30_usize).prop_map(Operation::Deliver),
        4 => (0..2_usize, any::<u64>()).prop_map(|(name, at)| Operation::Checkpoint(name, at)),
        4 => (0..2_usize, any::<u64>(), size)
            .prop_map(|(name, at, size)| Operation::Snapshot(name, at, size)),
        2 => (0..3_usize, any::<u64>()).prop_map(|(s, at)| Operation::Reconstruct(s, at)),
        3 => (0..3_u8).prop_map(Operation::Reopen),
    ]
}

#[test]
fn what_is_derived_does_what_the_model_does() {
    let case = (
        prop::collection::vec(operation(), 1..50),
        prop_oneof![Just(2_000_u64), Just(60_000), Just(16 << 20)],
        any::<bool>(),
    );
    let run = |(operations, tail_bytes, is_buffered): (Vec<Operation>, _, _)| {
        let buffered = Durability::Buffered { max_delay: Duration::from_millis(1) };
        let durability = if is_buffered { buffered } else { Durability::Sync };
        let options = Options::new().durability(durability).tail_bytes(tail_bytes);
        let options = options.journal_bytes(64 << 10);
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new(options, &directory.path().join("store"));
        operations.iter().for_each(|operation| world.run(operation));
        world.deliver(usize::MAX);
        world.reopen(0);
        Ok(())
    };
    if let Err(failure) = seed::runner(60).run(&case, run) {
        panic!("{failure}");
    }
}
