//! How much is written between two syncs: by sled, and to a file that is being sealed.
//!
//! Method: sled may take its log for empty when more than one segment of it, 8 MiB, was not synced
//! at a power cut. So the calls of a store with very many streams are recorded, and what is
//! written to sled's file is added up from one sync to the next. Some children are killed in the
//! middle of moving their tail, so that the next one has to remove what was staged. Reading writes
//! nothing: nobody would sync that.
//!
//! A sealed file is synced while it is written, because the sync of an append waits for everything
//! on its way to the disk.

use std::{collections::HashMap, time::Duration};

use crate::units::{AppendUnits, Unit};
use annals::{Durability, EventStore, ExpectedVersion, NewEvent, Options};

use crate::{
    child::{self, DEADLINE, Life},
    harness::{Context, Failure, Outcome},
    kill::{Place, check_end},
    marks::{Args, Marker, Setup},
    plan::Random,
    shim::{Call, Entry, read_log},
};

const STREAMS: u64 = 20_000;
const APPEND_EVENTS: u64 = 200;
/// Well below a segment.
const UNSYNCED_MAX: u64 = 6 << 20;
/// Of a file that is being sealed. One write may add a part that is larger than usual.
const SEALING_MAX: u64 = 1 << 20;

/// Runs in the child. Arguments: `dir`, `marks`, `seed`, `events`, `reads`.
pub fn run(args: &Args) {
    let marker = Marker::open(&args.path("marks")).expect("the marks can be opened");
    let store = Options::new()
        .durability(Durability::Buffered { max_delay: Duration::from_millis(100) })
        .tail_bytes(32 << 20)
        .open(args.path("dir"))
        .expect("the store opens");
    let mut random = Random::new(&[args.number("seed", 1), store.head().expect("it is open")]);
    marker.mark("opened");
    for _ in 0..args.number("events", 0) / APPEND_EVENTS {
        append(&store, &mut random);
    }
    if args.number("reads", 0) > 0 {
        for _ in 0..args.number("reads", 0) {
            let stream = format!("stream-{}", random.below(STREAMS));
            store.read_stream(stream).for_each(|event| drop(event.expect("it is there")));
        }
        let count = store.read_all().map(Result::unwrap).count();
        assert_eq!(count as u64, store.head().expect("it is open"));
    }
    store.close().expect("the store closes");
    marker.mark("closed");
}

/// Appends an event to each of some random streams, half of them with ids.
fn append(store: &EventStore, random: &mut Random) {
    let unit = |_| {
        let event = NewEvent::binary("Measured", vec![7; 100]).expect("binary data is valid");
        let id = u128::from(random.below(u64::MAX)) << 64 | u128::from(random.below(u64::MAX));
        let event = if random.one_in(2) { event.id(uuid::Uuid::from_u128(id)) } else { event };
        Unit::to(format!("stream-{}", random.below(STREAMS)), ExpectedVersion::Any, [event])
    };
    let units: Vec<Unit> = (0..APPEND_EVENTS).map(unit).collect();
    store.append_multi(units).expect("the store takes events");
}

/// What was written to sled's file, and to those that were being sealed.
#[derive(Default)]
struct Written {
    /// By path.
    sealing: HashMap<String, u64>,
    most_sealing: u64,
    unsynced: u64,
    most: u64,
    /// After the store was opened for the last time.
    since_open: u64,
}

impl Written {
    fn of(entries: &[Entry]) -> Written {
        let mut written = Written::default();
        for entry in entries {
            let is_data = entry.path.ends_with("trees/db");
            let is_sealing = is_being_sealed(&entry.path);
            match entry.call {
                Call::Write if is_sealing => {
                    let unsynced = written.sealing.entry(entry.path.clone()).or_default();
                    *unsynced += entry.length;
                    written.most_sealing = written.most_sealing.max(*unsynced);
                }
                Call::Sync if is_sealing => drop(written.sealing.remove(&entry.path)),
                Call::Mark if is_opened(entry) => written.since_open = 0,
                // Zeros clear segments of the log and add nothing to it.
                Call::Write if is_data && entry.data.is_some() => {
                    written.unsynced += entry.length;
                    written.since_open += entry.length;
                    written.most = written.most.max(written.unsynced);
                }
                Call::Sync if is_data => written.unsynced = 0,
                _ => {}
            }
        }
        written
    }
}

/// Such a file has the name of the sealed one with another ending.
fn is_being_sealed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.len() == 24 && name.ends_with(".tmp")
}

fn is_opened(entry: &Entry) -> bool {
    entry.data.as_ref().is_some_and(|data| data.get() == b"opened\n")
}

/// One child, recorded; it is killed before the n-th sync of sled's file if `kill` is not 0.
fn live(context: &Context, place: &Place, life: &[&str], kill: u64) -> Result<Vec<Entry>, String> {
    let mut injection = place.injection(context.library.as_ref().expect("the caller has looked"));
    injection.log = Some(place.log());
    injection.kinds = Some("s");
    injection.only = Some("/trees/db");
    injection.kill = kill;
    let args = place.args(&Setup::small(context.seed), life);
    let limit = Life::AtMost(DEADLINE);
    let ended = child::run("wide", &args, Some(&injection), &place.stderr, limit);
    let (end, stderr) = ended.map_err(|error| error.to_string())?;
    check_end(&end, &stderr)?;
    let entries = read_log(&place.log()).map_err(|error| error.to_string())?;
    std::fs::remove_file(place.log()).map_err(|error| error.to_string())?;
    Ok(entries)
}

pub fn between_syncs(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let place = Place::new(context, &context.scratch);
    let result = explore(context, &place);
    let failure = |text| Failure { case: 0, text, kept: None };
    match result {
        Ok(words) => Outcome::Ran(words, Vec::new()),
        Err(text) => Outcome::Ran("too much is not synced".to_owned(), vec![failure(text)]),
    }
}

fn explore(context: &Context, place: &Place) -> Result<String, String> {
    let mut words = Vec::new();
    let lives: [(&str, &[&str], u64); 6] = [
        ("new", &["events=60000"], 0),
        ("killed late", &["events=40000"], 100),
        ("reopened", &["events=20000"], 0),
        ("killed early", &["events=20000"], 10),
        ("closed", &["events=0"], 0),
        ("read", &["reads=2000"], 0),
    ];
    let (mut faults, mut most_sealing) = (Vec::new(), 0);
    for (name, life, kill) in lives {
        let written = Written::of(&live(context, place, life, kill)?);
        words.push(format!("{name} {} KiB", written.most >> 10));
        if written.most >= UNSYNCED_MAX {
            faults.push(format!("{name}: {} bytes are written without a sync", written.most));
        }
        most_sealing = most_sealing.max(written.most_sealing);
        if written.most_sealing >= SEALING_MAX {
            let bytes = written.most_sealing;
            faults.push(format!("{name}: {bytes} bytes of a sealed file without a sync"));
        }
        if name == "read" && written.since_open > 0 {
            faults.push(format!("reading writes {} bytes", written.since_open));
        }
    }
    if most_sealing == 0 {
        faults.push("no file was sealed".to_owned());
    }
    words.push(format!("sealing {} KiB", most_sealing >> 10));
    let words = format!("the most between two syncs: {}", words.join(", "));
    if faults.is_empty() { Ok(words) } else { Err(format!("{}; {words}", faults.join("; "))) }
}
