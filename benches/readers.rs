//! Readers in processes of their own, beside a store that is written: what they cost it, how late
//! they are, what they cost when nothing happens, and how fast they read and open.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use annals::{Durability, EventStore, ExpectedVersion, NewEvent, Reader};

use crate::{
    rounds::{Contender, Rounds, median, timed},
    workloads::{append_each, data, directory, store},
};

/// The argument of a process that follows a store.
pub(crate) const FOLLOW: &str = "--follow";

/// The process: writes a line for each event from a position on that it sees, with the time.
pub(crate) fn follow(path: &Path, from: u64) {
    let reader = Reader::open(path).unwrap();
    let events = reader.subscribe(reader.head().unwrap() + 1).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "0 0").unwrap();
    for event in events {
        let position = event.unwrap().position();
        if position >= from && writeln!(out, "{position} {}", now()).is_err() {
            return;
        }
    }
}

/// Nanoseconds of a clock that processes share.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// A process that follows, ended when it is dropped.
struct Follower {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Follower {
    fn start(path: &Path, from: u64) -> Follower {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.arg(FOLLOW).arg(path).arg(from.to_string());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        let mut follower = Follower { process, lines };
        follower.line();
        follower
    }

    /// A position, and when it was seen.
    fn line(&mut self) -> (u64, u128) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let (position, time) = line.trim().split_once(' ').unwrap();
        (position.parse().unwrap(), time.parse().unwrap())
    }

    /// Nanoseconds of processor time so far, of all its threads.
    fn processor_time(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let times = tasks.map(|task| {
            let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        });
        times.sum()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What appends cost while processes follow. Each of them takes the events at the pace that it can.
pub(crate) fn beside(run: &Rounds) {
    const APPENDS: u64 = 500;
    if !run.wants("readers_beside") {
        return;
    }
    let (directory, data) = (directory(), data());
    let store = &store(&directory, Durability::Sync);
    append_each(store, &data, 100, 0);
    let path = directory.path().join("Sync");
    let append = |readers: usize| {
        // They report only the last event: a line for each would cost more than to follow.
        let last = store.head().unwrap() + APPENDS;
        let followers: Vec<_> = (0..readers).map(|_| Follower::start(&path, last)).collect();
        let drains: Vec<_> = followers
            .into_iter()
            .map(|mut follower| thread::spawn(move || while follower.line().0 < last {}))
            .collect();
        let found = timed(APPENDS, || append_each(store, &data, APPENDS, 0));
        drains.into_iter().for_each(|drain| drain.join().unwrap());
        found
    };
    let contenders: Vec<Contender<'_>> = vec![
        ("append, no reader", Box::new(|| append(0))),
        ("append, 1 reader follows", Box::new(|| append(1))),
        ("append, 8 readers follow", Box::new(|| append(8))),
    ];
    run.compare("readers_beside", contenders);
}

/// The time from the return of an append to the event in another process, and what that process
/// costs while nothing is appended.
pub(crate) fn delay(run: &Rounds) {
    const APPENDS: usize = 1_000;
    const IDLE: Duration = Duration::from_secs(2);
    if !run.wants("readers_delay") {
        return;
    }
    let (directory, data) = (directory(), data());
    let store = store(&directory, Durability::Sync);
    append_each(&store, &data, 100, 0);
    let path = directory.path().join("Sync");
    let (mut middle, mut late, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.count {
        let mut follower = Follower::start(&path, 0);
        let mut delays = Vec::new();
        for number in 0..APPENDS as u64 {
            append_each(&store, &data, 1, number);
            let end = now();
            let (position, seen) = follower.line();
            assert_eq!(position, store.head().unwrap());
            delays.push(seen.saturating_sub(end) as f64 / 1e3);
            // One that waits, not one that is just about to.
            thread::sleep(Duration::from_micros(500));
        }
        delays.sort_by(f64::total_cmp);
        middle.push(delays[APPENDS / 2]);
        late.push(delays[APPENDS * 99 / 100]);
        let (before, start) = (follower.processor_time(), Instant::now());
        thread::sleep(IDLE);
        let spent = (follower.processor_time() - before) as f64 / 1e9;
        idle.push(spent / start.elapsed().as_secs_f64() * 100.0);
    }
    run.tell("readers_delay", "from the return of an append, p50", median(&middle));
    run.tell("readers_delay", "from the return of an append, p99", median(&late));
    run.report("readers_delay", "of a processor, while idle", median(&idle), "percent");
}

/// A reader on a million events, of 100 000 streams in turn, and the store beside it.
pub(crate) fn large(run: &Rounds) {
    const EVENTS: u64 = 1_000_000;
    const STREAMS: u64 = 100_000;
    if !run.wants("readers_large") {
        return;
    }
    let (directory, data) = (directory(), data());
    let path = directory.path().join("Buffered");
    let store = store(&directory, Durability::buffered());
    for first in (0..EVENTS).step_by(1_000) {
        let batch = (first..first + 1_000).fold(annals::Batch::new(), |batch, number| {
            let stream = format!("account-{}", number % STREAMS);
            let event = NewEvent::raw_json("Happened", &data).unwrap();
            batch.append(stream, ExpectedVersion::Any, [event])
        });
        batch.commit(&store).unwrap();
    }
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    let reader = Reader::open(&path).unwrap();
    let scans: Vec<Contender<'_>> = vec![
        ("store", Box::new(|| timed(EVENTS, || assert_eq!(store.read_all().count(), 1_000_000)))),
        ("reader", Box::new(|| timed(EVENTS, || assert_eq!(reader.read_all().count(), 1_000_000)))),
    ];
    run.compare("readers_large, scan", scans);
    let mut number = 0;
    let mut one = |read: &dyn Fn(&str) -> usize| {
        number += 7_919;
        let name = format!("account-{}", number % STREAMS);
        timed(1, || assert_eq!(read(&name), 10))
    };
    let (mut opened, mut again) = (Vec::new(), Vec::new());
    for _ in 0..run.count * 5 {
        let fresh = &|name: &str| Reader::open(&path).unwrap().read_stream(name).count();
        opened.push(one(fresh).1.as_secs_f64() * 1e6);
        again.push(one(&|name| reader.read_stream(name).count()).1.as_secs_f64() * 1e6);
    }
    run.tell("readers_large", "open a reader and read one stream of 10 events", median(&opened));
    run.tell("readers_large", "read one such stream with a reader that is open", median(&again));
}
