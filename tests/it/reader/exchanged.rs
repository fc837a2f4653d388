//! A reader whose store is exchanged under it, by `compact` or by hand: it goes on where the new
//! store continues what it has shown, and is closed where it does not.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use annals::{
    BackupOptions, ErrorCode, EventStore, Events, ExpectedVersion::Any, NewEvent, Reader, backup,
    compact,
};

use super::{check, options};
use crate::support::{
    files::copy,
    numbered::{self, EVENTS},
};

/// Puts the directory `new` in the place of `old`, which is removed.
fn put(new: &Path, old: &Path) {
    let aside = old.with_extension("old");
    fs::rename(old, &aside).unwrap();
    fs::rename(new, old).unwrap();
    fs::remove_dir_all(aside).unwrap();
}

#[test]
fn a_reader_goes_on_after_a_compaction() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    let early = Reader::open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS / 4);
    // It has part of the events in memory, the other one all of them in sealed files.
    check(&early, EVENTS / 4);
    store.close().unwrap();
    let late = Reader::open(&path).unwrap();
    for part in 1..=3 {
        let mut half_read = [early.read_all(), late.read_all(), late.read_stream("s-1")];
        let backward = late.read_all().backward();
        let begun: Vec<u64> = half_read
            .iter_mut()
            .map(|events| events.by_ref().take(20).map(|event| event.unwrap().position()).sum())
            .collect();
        assert_eq!(begun[0], 210);
        compact(&path).unwrap();
        let head = part * EVENTS / 4;
        let count = |events: Events| events.inspect(|event| assert!(event.is_ok())).count();
        let rest = half_read.map(count);
        assert_eq!(rest[..2], [head as usize - 20; 2]);
        assert_eq!(rest[2], (1..=head).filter(|at| at % 3 == 1).count() - 20);
        assert!(backward.map(|event| event.unwrap().position()).eq((1..=head).rev()));
        for reader in [&early, &late] {
            check(reader, head);
            assert_eq!(reader.verify().unwrap().findings, []);
            assert_eq!(reader.stats().unwrap().writer, None);
        }
        let store = options().open(&path).unwrap();
        for position in head + 1..=head + 3 {
            numbered::append(&store, position..=position);
            assert_eq!(early.head().unwrap(), position);
            assert_eq!(late.stats().unwrap().writer, Some(std::process::id()));
        }
        numbered::append(&store, head + 4..=(part + 1) * EVENTS / 4);
        check(&early, (part + 1) * EVENTS / 4);
        store.close().unwrap();
        check(&late, (part + 1) * EVENTS / 4);
    }
}

#[test]
fn a_subscription_goes_on_through_compactions() {
    const ROUNDS: u64 = 5;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    EventStore::open(&path).unwrap().close().unwrap();
    let reader = Reader::open(&path).unwrap();
    let mut events = reader.subscribe(1).unwrap();
    let follower = thread::spawn(move || {
        for position in 1..=EVENTS {
            let event = events.next().unwrap().unwrap();
            assert_eq!(event.position(), position);
            assert_eq!(event.data(), format!("\"{}\"", numbered::data(position)).as_bytes());
        }
        events.next_timeout(Duration::ZERO).unwrap().is_none()
    });
    for round in 1..=ROUNDS {
        let store = options().open(&path).unwrap();
        numbered::append(&store, (round - 1) * EVENTS / ROUNDS + 1..=round * EVENTS / ROUNDS);
        store.close().unwrap();
        compact(&path).unwrap();
    }
    assert!(follower.join().unwrap());
}

#[test]
fn reads_amid_compactions_are_whole() {
    const ROUNDS: u64 = 6;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS);
    let reader = Reader::open(&path).unwrap();
    store.close().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads = [0, 1, 2].map(|_| {
            scope.spawn(|| {
                let mut rounds = 0;
                while !is_over.load(Ordering::SeqCst) || rounds == 0 {
                    let least = reader.head().unwrap();
                    let forward = reader.read_all().map(|event| event.unwrap().position());
                    assert!(forward.zip(1..).all(|(position, due)| position == due));
                    let versions = reader.streams().map(|stream| stream.unwrap().version());
                    assert!(versions.sum::<u64>() >= least);
                    let stream = reader.read_stream("s-2").map(|event| event.unwrap().version());
                    assert!(stream.count() as u64 >= least / numbered::STREAMS);
                    assert_eq!(reader.verify().unwrap().findings, []);
                    let new = Reader::open(&path).unwrap();
                    assert!(new.read_all().all(|event| event.is_ok()));
                    assert!(new.head().unwrap() >= least);
                    rounds += 1;
                }
            })
        });
        for round in 0..ROUNDS {
            compact(&path).unwrap();
            let store = options().open(&path).unwrap();
            let first = EVENTS + round * 10 + 1;
            numbered::append(&store, first..=first + 9);
            store.close().unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    check(&reader, EVENTS + ROUNDS * 10);
}

#[test]
fn a_reader_of_another_store_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let place = |name: &str| directory.path().join(name);
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS / 2);
    backup(&path, place("older"), &BackupOptions::new()).unwrap();
    numbered::append(&store, EVENTS / 2 + 1..=EVENTS);
    store.close().unwrap();
    copy(&path, &place("same"));
    // The same store, whose history went another way after the backup.
    copy(&place("older"), &place("fork"));
    let fork = options().open(place("fork")).unwrap();
    for _ in 0..EVENTS {
        fork.append("s-1", Any, [NewEvent::json("T", &0).unwrap()]).unwrap();
    }
    fork.close().unwrap();
    options().open(place("other")).unwrap().close().unwrap();
    fs::create_dir(place("empty")).unwrap();

    let reader = Reader::open(&path).unwrap();
    check(&reader, EVENTS);
    for name in ["older", "fork", "other", "empty"] {
        let mut half_read = reader.read_all();
        half_read.next().unwrap().unwrap();
        let mut events = reader.subscribe(EVENTS + 1).unwrap();
        put(&place(name), &path);
        assert_eq!(reader.head().unwrap_err().code(), ErrorCode::Closed, "{name}");
        let read = reader.read_all().next().unwrap();
        assert_eq!(read.unwrap_err().code(), ErrorCode::Closed, "{name}");
        assert_eq!(events.next().unwrap().unwrap_err().code(), ErrorCode::Closed, "{name}");
        // What was begun ends with the events of the store that is gone, or with an error.
        for (event, due) in half_read.by_ref().zip(2..) {
            match event {
                Ok(event) => {
                    let data = format!("\"{}\"", numbered::data(due));
                    assert_eq!((event.position(), event.data()), (due, data.as_bytes()), "{name}");
                }
                Err(error) => assert_eq!(error.code(), ErrorCode::Closed, "{name}"),
            }
        }
        // The right store again.
        copy(&place("same"), &place("again"));
        put(&place("again"), &path);
        check(&reader, EVENTS);
    }
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(reader.head().unwrap_err().code(), ErrorCode::Closed);
}

/// An increment replaces files of a backup, also the one that a reader was reading.
#[test]
fn a_reader_of_a_backup_goes_on_when_the_backup_is_continued() {
    for is_opened in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("store"), directory.path().join("copy"));
        let store = EventStore::open(&path).unwrap();
        numbered::append(&store, 1..=20);
        store.backup(&target).unwrap();
        let reader = Reader::open(&target).unwrap();
        check(&reader, 20);
        let mut head = 20;
        for more in [1, 1, 10, 900, 10, 2_000, 1] {
            numbered::append(&store, head + 1..=head + more);
            head += more;
            if is_opened {
                EventStore::open(&target).unwrap().close().unwrap();
            }
            store.backup(&target).unwrap();
            check(&reader, head);
        }
    }
}

#[test]
fn an_open_amid_a_move_finds_the_store_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS / 4);
    store.close().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let aside = path.with_extension("aside");
            while !is_over.load(Ordering::Relaxed) {
                fs::rename(&path, &aside).unwrap();
                thread::yield_now();
                fs::rename(&aside, &path).unwrap();
                thread::sleep(Duration::from_micros(300));
            }
        });
        let opens = (0..500).map(|_| Reader::open(&path).err().map(|error| error.code()));
        let odd = opens.flatten().find(|code| *code != ErrorCode::Io);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(odd, None);
    });
}
