//! What is measured. Events have some 230 bytes of JSON.

use std::{path::PathBuf, process::Command, thread, time::Instant};

use annals::{Batch, Durability, EventStore, ExpectedVersion, NewEvent};
use tempfile::TempDir;

use crate::{
    bare::BareFile,
    rounds::{Contender, Rounds, timed},
};

use ExpectedVersion::Any;

const ENTRY_BYTES: usize = 300;
const THREADS: u64 = 16;

pub(crate) fn data() -> String {
    format!("{{\"account\": 4711, \"amount\": \"12.50\", \"note\": \"{}\"}}", "x".repeat(180))
}

fn event(data: &str) -> NewEvent {
    NewEvent::raw_json("Happened", data).unwrap()
}

/// Next to the build, so that all contenders write to one real file system.
pub(crate) fn directory() -> TempDir {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    TempDir::new_in(target).unwrap()
}

pub(crate) fn store(directory: &TempDir, durability: Durability) -> EventStore {
    let name = format!("{durability:?}");
    let name = name.split_whitespace().next().unwrap();
    annals::Options::new().durability(durability).open(directory.path().join(name)).unwrap()
}

fn stream(number: u64) -> String {
    format!("account-{}", number % 1_000)
}

pub(crate) fn append_one(run: &Rounds) {
    const APPENDS: u64 = 1_000;
    if !run.wants("append_one") {
        return;
    }
    let (directory, data) = (directory(), data());
    let mut bare = BareFile::create(&directory.path().join("bare"));
    let store = &store(&directory, Durability::Sync);
    let bytes = vec![b'x'; ENTRY_BYTES];
    run.compare(
        "append_one",
        vec![
            (
                "bare append + fdatasync",
                Box::new(|| {
                    timed(APPENDS, || (0..APPENDS).for_each(|_| bare.append_and_sync(&bytes)))
                }),
            ),
            ("annals, Sync", Box::new(|| timed(APPENDS, || append_each(store, &data, APPENDS, 0)))),
        ],
    );
}

pub(crate) fn append_each(store: &EventStore, data: &str, count: u64, offset: u64) {
    for number in 0..count {
        store.append(stream(number * 7 + offset), Any, [event(data)]).unwrap();
    }
}

pub(crate) fn append_16_threads(run: &Rounds) {
    const EACH: u64 = 200;
    if !run.wants("append_16_threads") {
        return;
    }
    let (directory, data) = (directory(), data());
    let mut bare = BareFile::create(&directory.path().join("bare"));
    let store = &store(&directory, Durability::Sync);
    let bytes = vec![b'x'; ENTRY_BYTES];
    let all = THREADS * EACH;
    run.compare(
        "append_16_threads",
        vec![
            (
                "bare append + fdatasync, 1 thread",
                Box::new(|| timed(EACH, || (0..EACH).for_each(|_| bare.append_and_sync(&bytes)))),
            ),
            (
                "annals, Sync",
                Box::new(|| timed(all, || in_threads(|n| append_each(store, &data, EACH, n)))),
            ),
        ],
    );
}

fn in_threads(run: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        for number in 0..THREADS {
            let run = &run;
            scope.spawn(move || run(number));
        }
    });
}

pub(crate) fn append_batch(run: &Rounds) {
    const BATCH: u64 = 100;
    const BATCHES: u64 = 200;
    if !run.wants("append_batch") {
        return;
    }
    let (directory, data) = (directory(), data());
    let mut bare = BareFile::create(&directory.path().join("bare"));
    let store = &store(&directory, Durability::Sync);
    let bytes = vec![b'x'; ENTRY_BYTES * BATCH as usize];
    let all = BATCH * BATCHES;
    run.compare(
        "append_batch",
        vec![
            (
                "bare append + fdatasync, 100 each",
                Box::new(|| timed(all, || (0..BATCHES).for_each(|_| bare.append_and_sync(&bytes)))),
            ),
            (
                "annals, Sync, 100 events each",
                Box::new(|| {
                    timed(all, || {
                        for number in 0..BATCHES {
                            let events = (0..BATCH).map(|_| event(&data));
                            store.append(stream(number), Any, events).unwrap();
                        }
                    })
                }),
            ),
        ],
    );
}

/// Many events in large appends, over many streams at random or few: what an import does.
pub(crate) fn bulk(run: &Rounds) {
    const EVENTS: u64 = 200_000;
    if !run.wants("bulk") {
        return;
    }
    let data = data();
    let fill = |streams: u64, durability: Durability| {
        let directory = directory();
        let store = store(&directory, durability);
        timed(EVENTS, || {
            append_bulk(&store, &data, EVENTS, streams);
            store.close().unwrap();
        })
    };
    run.compare(
        "bulk",
        vec![
            ("annals, Sync, 1 stream", Box::new(|| fill(1, Durability::Sync))),
            ("annals, Sync, 20 000 streams", Box::new(|| fill(20_000, Durability::Sync))),
            ("annals, Buffered, 20 000 streams", Box::new(|| fill(20_000, Durability::buffered()))),
        ],
    );
}

pub(crate) fn append_bulk(store: &EventStore, data: &str, events: u64, streams: u64) {
    let mut state = 1_u64;
    for _ in 0..events / 1_000 {
        let batch = (0..1_000).fold(Batch::new(), |batch, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            batch.append(format!("account-{}", (state >> 33) % streams), Any, [event(data)])
        });
        batch.commit(store).unwrap();
    }
}

pub(crate) fn scan(run: &Rounds) {
    const EVENTS: u64 = 200_000;
    if !run.wants("scan") {
        return;
    }
    let (directory, data) = (directory(), data());
    let store = store(&directory, Durability::Sync);
    append_bulk(&store, &data, EVENTS, 20_000);
    let due = data.len() * EVENTS as usize;
    run.compare(
        "scan",
        vec![
            (
                "annals, read_all",
                Box::new(|| {
                    timed(EVENTS, || {
                        let read = store.read_all().map(|event| event.unwrap().data().len());
                        assert_eq!(read.sum::<usize>(), due);
                    })
                }),
            ),
            (
                "annals, read_all, backward",
                Box::new(|| {
                    timed(EVENTS, || {
                        let read = store.read_all().backward();
                        let read = read.map(|event| event.unwrap().data().len());
                        assert_eq!(read.sum::<usize>(), due);
                    })
                }),
            ),
        ],
    );
}

pub(crate) fn stream_reads(run: &Rounds) {
    const EVENTS: u64 = 200_000;
    const STREAMS: u64 = 20_000;
    const READ: u64 = 5_000;
    if !run.wants("stream_reads") {
        return;
    }
    let (directory, data) = (directory(), data());
    let store = store(&directory, Durability::Sync);
    append_bulk(&store, &data, EVENTS, STREAMS);
    let read = |first: u64| {
        let start = Instant::now();
        let streams = (first..first + READ).map(|number| format!("account-{number}"));
        let events = streams.map(|stream| store.read_stream(stream).map(Result::unwrap).count());
        (events.sum::<usize>() as u64, start.elapsed())
    };
    run.compare(
        "stream_reads",
        vec![
            ("annals, streams of about 10 events", Box::new(|| read(0))),
            (
                "annals, the version of a stream",
                Box::new(|| {
                    timed(READ, || {
                        for number in 0..READ {
                            store.stream_version(format!("account-{number}")).unwrap();
                        }
                    })
                }),
            ),
        ],
    );
}

/// The variable that makes a run of this program the one that is "killed" below.
const FILL: &str = "ANNALS_BENCH_FILL";

/// Opening after a clean close, and after a kill that left events in the tail.
pub(crate) fn open(run: &Rounds) {
    const EVENTS: u64 = 100_000;
    if let Some(path) = std::env::var_os(FILL) {
        let store = annals::Options::new().tail_bytes(1 << 30).open(path).unwrap();
        append_bulk(&store, &data(), EVENTS / 2, 20_000);
        // As a kill leaves it: nothing is closed.
        std::process::exit(0);
    }
    if !run.wants("open") {
        return;
    }
    let (directory, data) = (directory(), data());
    let clean = directory.path().join("clean");
    append_bulk(&EventStore::open(&clean).unwrap(), &data, EVENTS, 20_000);
    drop(EventStore::open(&clean).unwrap());
    let open = |path: &PathBuf| {
        let start = Instant::now();
        let store = EventStore::open(path).unwrap();
        let elapsed = start.elapsed();
        store.close().unwrap();
        (1, elapsed)
    };
    let mut round = 0;
    let mut open_killed = || {
        round += 1;
        let killed = directory.path().join(format!("killed-{round}"));
        let mut fill = Command::new(std::env::current_exe().unwrap());
        assert!(fill.arg("open").env(FILL, &killed).status().unwrap().success());
        open(&killed)
    };
    let contenders: Vec<Contender<'_>> = vec![
        ("annals, closed, 100 000 events", Box::new(|| open(&clean))),
        ("annals, killed, 50 000 in the tail", Box::new(&mut open_killed)),
    ];
    run.compare("open", contenders);
}
