//! A forked child: the store belongs to the parent, and the child can do it no harm.
//!
//! A process forks cleanly only where it has few threads, so the test runs itself again for it.

#![allow(unsafe_code, reason = "nothing in std forks without running another program")]

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use annals::{
    AppendError, Error, EventStore, Events, ExpectedVersion, Handlers, LiveProjection, NewEvent,
    Projection, Query, QueryItem, Reader, Snapshots, Streams, Subscription,
};

unsafe extern "C" {
    safe fn fork() -> i32;
    safe fn alarm(seconds: u32) -> u32;
    safe fn _exit(status: i32) -> !;
    unsafe fn waitpid(child: i32, status: *mut i32, options: i32) -> i32;
}

/// Set for the run that forks; names the store.
const CHILD: &str = "ANNALS_TEST_FORK";

fn append(store: &EventStore) -> Result<(), AppendError> {
    let event = NewEvent::json("T", &1).unwrap();
    store.append("s", ExpectedVersion::Any, [event]).map(drop)
}

/// 0, or the number of the call that the child is not refused.
fn child_of(store: &EventStore, made: Made) -> i32 {
    let Made { mut subscription, mut projection, live, readers } = made;
    drop(live);
    let refused = [
        matches!(append(store), Err(AppendError::Failed(Error::Forked))),
        matches!(store.flush(), Err(Error::Forked)),
        matches!(store.head(), Err(Error::Forked)),
        matches!(store.read_all().next(), Some(Err(Error::Forked))),
        matches!(store.checkpoint("c"), Err(Error::Forked)),
        matches!(store.save_checkpoint("c", 0), Err(Error::Forked)),
        matches!(store.load_snapshot("s"), Err(Error::Forked)),
        matches!(store.save_snapshot("s", 0, ""), Err(Error::Forked)),
        matches!(store.subscribe(1), Err(Error::Forked)),
        matches!(subscription.next_timeout(Duration::ZERO), Err(Error::Forked)),
        matches!(projection.catch_up(), Err(Error::Forked)),
        matches!(projection.live().map_err(Error::from), Err(Error::Forked)),
        readers.are_refused(),
        matches!(store.close(), Err(Error::Forked)),
    ];
    if let Some(which) = refused.iter().position(|is_refused| !is_refused) {
        // An exit status has few bits.
        return which as i32 + 1;
    }
    0
}

/// The same with what was made before the fork.
struct Made {
    subscription: Subscription,
    projection: Projection<u64>,
    live: LiveProjection<u64>,
    readers: Readers,
}

impl Made {
    fn new(store: &EventStore) -> Made {
        let projection = || Projection::new("p", store, 0_u64, Handlers::new());
        Made {
            subscription: store.subscribe(1).unwrap(),
            projection: projection(),
            live: projection().live().unwrap(),
            readers: Readers::new(store),
        }
    }
}

/// Iterators that have brought something in the parent, and some that have not.
struct Readers {
    events: [Events; 7],
    subscription: Subscription,
    streams: [Streams; 2],
    snapshots: [Snapshots; 2],
}

impl Readers {
    fn new(store: &EventStore) -> Readers {
        let mut readers = Readers {
            events: [
                store.read_all(),
                store.read_all(),
                store.read_all().backward(),
                store.read_stream("s"),
                store.read_all().query(&query(QueryItem::new().tags(["t"]))),
                store.read_all().query(&query(QueryItem::new().stream("s"))).backward(),
                store.read_all().query(&query(QueryItem::new().types(["T"]))),
            ],
            subscription: store.subscribe(1).unwrap(),
            streams: [store.streams(), store.streams()],
            snapshots: [store.snapshots(), store.snapshots()],
        };
        for events in &mut readers.events[1..] {
            // On into the reading of many records at once.
            assert!(events.by_ref().take(610).all(|event| event.is_ok()));
        }
        assert!(readers.subscription.by_ref().take(610).all(|event| event.is_ok()));
        readers.streams[1].next().unwrap().unwrap();
        readers.snapshots[1].next().unwrap().unwrap();
        readers
    }

    /// Whether each brings what the parent has read ahead at most, then the error, then nothing.
    fn are_refused(self) -> bool {
        let Readers { events, subscription, streams, snapshots } = self;
        let [unstarted, started @ ..] = events;
        is_refused(unstarted, 0)
            && started.into_iter().all(|events| is_refused(events, READ_AHEAD_MAX))
            && is_refused(subscription, READ_AHEAD_MAX)
            && streams.into_iter().all(|streams| is_refused(streams, 0))
            && snapshots.into_iter().all(|snapshots| is_refused(snapshots, 0))
    }
}

/// What may be decoded ahead: a batch of a stream, the largest of what is read at once here.
const READ_AHEAD_MAX: usize = 256;

fn is_refused<T>(mut items: impl Iterator<Item = Result<T, Error>>, read_ahead: usize) -> bool {
    let ahead = items.by_ref().position(|item| matches!(item, Err(Error::Forked)));
    ahead.is_some_and(|ahead| ahead <= read_ahead) && items.next().is_none()
}

fn query(item: QueryItem) -> Query {
    Query::new().item(item)
}

/// Events in several streams, and snapshots.
fn fill(store: &EventStore) {
    for batch in 0..40 {
        let event = NewEvent::json("T", &batch).unwrap().tag("t");
        store.append("s", ExpectedVersion::Any, vec![event.clone(); 25]).unwrap();
        store.append(format!("s-{batch}"), ExpectedVersion::Any, vec![event; 25]).unwrap();
    }
    for name in ["one", "two"] {
        store.save_snapshot(name, 1, "state").unwrap();
    }
}

/// How a child ends: 0 if it exits with 0.
fn wait_for(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` lives until the call returns.
    let waited = unsafe { waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    status
}

/// What a child exits with.
fn status_of(child: i32) -> i32 {
    wait_for(child) >> 8
}

/// Runs a test in a process of its own, which has few threads.
#[track_caller]
fn run_again(test: &str, store: &Path) {
    let run = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact"])
        .env(CHILD, store)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

/// 0, or the number of what the child of a process with a reader finds wrong.
fn child_with(reader: &Reader, mut made: ([Events; 2], Subscription), path: &Path) -> i32 {
    let seen = [
        matches!(reader.head(), Err(Error::Forked)),
        matches!(reader.read_all().next(), Some(Err(Error::Forked))),
        matches!(reader.subscribe(1), Err(Error::Forked)),
        matches!(reader.checkpoints(), Err(Error::Forked)),
        matches!(made.1.next_timeout(Duration::ZERO), Err(Error::Forked)),
        made.0.into_iter().all(|events| is_refused(events, READ_AHEAD_MAX)),
        // One of its own is like that of any other process.
        Reader::open(path).is_ok_and(|own| {
            let is_written = own.stats().is_ok_and(|stats| stats.is_written);
            is_written
                && own.read_all().all(|event| event.is_ok())
                && own.head().is_ok_and(|head| head == 2_000)
        }),
    ];
    seen.iter().position(|is_right| !is_right).map_or(0, |which| which as i32 + 1)
}

#[test]
fn a_reader_in_a_forked_child_is_refused_and_the_child_can_open_its_own() {
    if let Some(path) = std::env::var_os(CHILD) {
        let path = Path::new(&path);
        let store = EventStore::open(path).unwrap();
        fill(&store);
        let reader = Reader::open(path).unwrap();
        let tagged = query(QueryItem::new().tags(["t"]));
        let mut events = [reader.read_all(), reader.read_all().query(&tagged)];
        for events in &mut events {
            assert!(events.by_ref().take(610).all(|event| event.is_ok()));
        }
        let made = (events, reader.subscribe(1).unwrap());
        let child = fork();
        if child == 0 {
            let seen = child_with(&reader, made, path);
            drop((reader, store));
            _exit(seen);
        }
        assert_eq!(status_of(child), 0);
        append(&store).unwrap();
        assert_eq!(reader.head().unwrap(), 2_001);
        assert!(reader.stats().unwrap().is_written, "the child's end is not the writer's");
        assert!(made.0.into_iter().all(|events| events.count() + 610 == 2_000));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    run_again("fork::a_reader_in_a_forked_child_is_refused_and_the_child_can_open_its_own", &path);
}

#[test]
fn a_forked_child_is_refused_and_harms_nothing() {
    if let Some(path) = std::env::var_os(CHILD) {
        let store = EventStore::open(path).unwrap();
        fill(&store);
        let made = Made::new(&store);
        let child = fork();
        if child == 0 {
            let seen = child_of(&store, made);
            drop(store);
            _exit(seen);
        }
        assert_eq!(status_of(child), 0, "the child was refused everywhere");
        append(&store).unwrap();
        assert_eq!(made.live.position(), 2_001, "and the parent goes on");
        store.close().unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    run_again("fork::a_forked_child_is_refused_and_harms_nothing", &path);
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.head().unwrap(), 2_001);
    assert_eq!(store.verify().unwrap().findings, []);
}

/// 0, or the number of what a child is not refused, whatever the threads of its parent held.
fn refused_at_once(reader: &Reader) -> i32 {
    let refused = [
        matches!(reader.read_all().next(), Some(Err(Error::Forked))),
        matches!(reader.read_stream("s").next(), Some(Err(Error::Forked))),
        matches!(reader.head(), Err(Error::Forked)),
        matches!(reader.stream_version("s"), Err(Error::Forked)),
        matches!(reader.streams().next(), Some(Err(Error::Forked))),
        matches!(reader.checkpoint("c"), Err(Error::Forked)),
        matches!(reader.stats(), Err(Error::Forked)),
    ];
    refused.iter().position(|is_refused| !is_refused).map_or(0, |which| which as i32 + 1)
}

#[test]
fn a_child_is_refused_and_does_not_wait_for_threads_that_only_its_parent_has() {
    const TEST: &str =
        "fork::a_child_is_refused_and_does_not_wait_for_threads_that_only_its_parent_has";
    if let Some(path) = std::env::var_os(CHILD) {
        let store = EventStore::open(&path).unwrap();
        fill(&store);
        let reader = Reader::open(&path).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            // It is inside the reader nearly all the time.
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    reader.head().unwrap();
                }
            });
            let ends = (0..40).map(|_| {
                let child = fork();
                if child == 0 {
                    // One that waits forever ends with a signal.
                    alarm(30);
                    _exit(refused_at_once(&reader));
                }
                wait_for(child)
            });
            let wrong = ends.into_iter().find(|end| *end != 0);
            is_over.store(true, Ordering::SeqCst);
            assert_eq!(wrong, None);
        });
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    run_again(TEST, &directory.path().join("store"));
}
