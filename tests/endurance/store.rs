//! One store after another, each through several lives.

use std::{
    env,
    sync::{Mutex, atomic::AtomicU64},
    time::{Duration, Instant},
};

use annals::{Durability, EventStore, Options};

use crate::{
    level::{Level, size_of},
    seed::Random,
    work::{Life, check},
};

const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

/// Stores and lives of each in a short run, lives in a long one.
const STORES: usize = 6;
const LIVES: u64 = 3;
const LONG_LIVES: u64 = 10;

/// Levels of the first stores do not count: caches fill, and threads start.
const WARM_UP: usize = 2;

pub fn soak() {
    let is_long = env::var_os("ANNALS_SOAK").is_some();
    let random = Mutex::new(Random::new());
    let start = Instant::now();
    let mut levels = Vec::new();
    while levels.len() < STORES || (is_long && start.elapsed() < HALF_AN_HOUR) {
        let lives = if is_long { LONG_LIVES } else { LIVES };
        let (events, level) = one_store(&random, lives, if is_long { 500 } else { 150 });
        println!("{:>5.0?} {events} events, {level:?}", start.elapsed());
        levels.push(level);
    }
    check_levels(&levels[WARM_UP..]);
    println!("ok: {} stores", levels.len());
}

/// Uses a new store for some lives, checks all of it, and returns how many events it had.
fn one_store(random: &Mutex<Random>, lives: u64, units: u64) -> (u64, Level) {
    let directory = tempfile::tempdir().unwrap();
    let (path, backup) = (directory.path().join("store"), directory.path().join("backup"));
    let acknowledged = AtomicU64::new(0);
    for life in 0..lives {
        let durability = match life % 2 {
            0 => Durability::Sync,
            _ => Durability::Buffered { max_delay: Duration::from_millis(5) },
        };
        let store = options().durability(durability).open(&path).unwrap();
        let acknowledged = &acknowledged;
        let (store, path, backup) = (&store, path.as_path(), backup.as_path());
        Life { store, path, backup, random, units, acknowledged }.live();
        // Dropping a store closes it too.
        if life % 3 != 0 {
            store.close().unwrap();
        }
    }
    let events = acknowledged.into_inner();
    let store = options().open(&path).unwrap();
    check_whole(&store, events);
    store.close().unwrap();
    let disk = size_of(&path).unwrap() / events;
    drop((store, directory));
    (events, Level::now(disk as i64))
}

/// Small files and a small tail, so that files are sealed and events drained all the time.
fn options() -> Options {
    Options::new().journal_bytes(1 << 20).tail_bytes(256 << 10).cache_bytes(4 << 20)
}

/// Every acknowledged event is there, and nothing else.
fn check_whole(store: &EventStore, acknowledged: u64) {
    let mut read = 0;
    for event in store.read_all() {
        let event = event.unwrap();
        check(&event);
        read += 1;
        assert_eq!(event.position(), read);
    }
    assert_eq!(read, acknowledged);
    let in_streams: u64 = store.streams().map(|stream| stream.unwrap().version()).sum();
    assert_eq!(in_streams, acknowledged);
    assert_eq!(store.verify().unwrap().findings, []);
}

/// After the later half of the stores the process holds no more than after the earlier half.
fn check_levels(levels: &[Level]) {
    let (early, late) = levels.split_at(levels.len() / 2);
    let check = |name: &str, slack: fn(i64) -> i64, of: fn(&Level) -> i64| {
        let most = |levels: &[Level]| levels.iter().map(of).max().unwrap();
        let (before, after) = (most(early), most(late));
        assert!(
            after <= before + slack(before),
            "{name} grew from {before} to {after}: {levels:?}"
        );
    };
    check("allocated KiB", |_| 256, |level| level.heap);
    // Each arena of the allocator keeps some MiB. All are in use only after many stores.
    if levels.len() > 50 {
        check("resident KiB", |before| before / 4, |level| level.resident);
    }
    check("descriptors", |_| 0, |level| level.descriptors);
    check("threads", |_| 2, |level| level.threads);
    check("bytes on the disk per event", |before| before / 10, |level| level.disk);
}
