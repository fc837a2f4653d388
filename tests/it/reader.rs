//! Readers beside a writer: everything durable and nothing else is seen, and nothing is touched.

mod exchanged;
mod listed;
mod lost;
mod mended;
mod queries;
mod rights;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use annals::{
    BackupOptions, Durability, Error, ErrorCode, EventStore, ExpectedVersion::Any, ExportOptions,
    Handlers, NewEvent, Options, ReadEvents, Reader, UpTo,
};

use crate::support::{
    files::{active, copy, copy_moment, first_position, flip, frames, sealed},
    numbered::{self, EVENTS, STREAMS},
};

/// Small files, and drains all the time.
fn options() -> Options {
    Options::new().journal_bytes(64 << 10).tail_bytes(16 << 10)
}

/// Everything that is read is what is due, and no more.
#[track_caller]
fn check(reader: &Reader, events: u64) {
    assert_eq!(reader.head().unwrap(), events);
    let mut position = 0;
    for event in reader.read_all() {
        let event = event.unwrap();
        position += 1;
        assert_eq!(event.position(), position);
        assert_eq!(event.stream_id(), numbered::stream(position));
        assert_eq!(event.data(), format!("\"{}\"", numbered::data(position)).as_bytes());
    }
    assert_eq!(position, events);
    let backward = reader.read_all().backward().map(|event| event.unwrap().position());
    assert!(backward.eq((1..=events).rev()));
    for number in 0..STREAMS {
        let due: Vec<u64> = (1..=events).filter(|at| at % STREAMS == number).collect();
        let name = format!("s-{number}");
        assert_eq!(reader.stream_version(&name).unwrap(), due.len() as u64);
        let read: Vec<u64> =
            reader.read_stream(&name).map(|event| event.unwrap().position()).collect();
        assert_eq!(read, due, "{name}");
    }
    let versions = reader.streams().map(|stream| stream.unwrap().version());
    assert_eq!(versions.sum::<u64>(), events);
}

#[test]
fn what_an_append_has_made_durable_is_seen_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut store = options().open(&path).unwrap();
    let reader = Reader::open(&path).unwrap();
    check(&reader, 0);
    for part in 1..=10 {
        let first = (part - 1) * EVENTS / 10 + 1;
        for position in first..first + 5 {
            numbered::append(&store, position..=position);
            assert_eq!(reader.head().unwrap(), position);
            let last = reader.read_all().backward().next().unwrap().unwrap();
            assert_eq!(last.position(), position);
        }
        numbered::append(&store, first + 5..=part * EVENTS / 10);
        check(&reader, part * EVENTS / 10);
        // One that comes later finds part of it sealed.
        check(&Reader::open(&path).unwrap(), part * EVENTS / 10);
        if part % 3 == 0 {
            store.close().unwrap();
            check(&reader, part * EVENTS / 10);
            store = options().open(&path).unwrap();
            check(&reader, part * EVENTS / 10);
        }
    }
    assert!(sealed(&path).len() > 3, "files were sealed under the reader");
}

/// A reader has the start of the log in memory, and comes to a later file when that is sealed. What
/// lies before its memory must still be found.
#[test]
fn files_that_are_sealed_between_two_looks_leave_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS / 2);
    store.close().unwrap();
    let reader = Reader::open(&path).unwrap();
    let store = options().open(&path).unwrap();
    numbered::append(&store, EVENTS / 2 + 1..=EVENTS / 2 + 1);
    assert_eq!(reader.head().unwrap(), EVENTS / 2 + 1);
    let before = sealed(&path).len();
    let mut events = EVENTS / 2 + 1;
    while sealed(&path).len() < before + 2 {
        numbered::append(&store, events + 1..=events + 50);
        events += 50;
    }
    check(&reader, events);
}

/// A stream whose first events the reader has in memory, and whose last ones are in a file that it
/// comes to when that is sealed.
#[test]
fn a_stream_goes_on_from_memory_into_a_sealed_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    let append = |version: u64| {
        store.append("rare", Any, [NewEvent::json("T", &version).unwrap()]).unwrap();
    };
    append(1);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.stream_version("rare").unwrap(), 1);
    let mut versions = 1;
    while sealed(&path).len() < 4 {
        store
            .append("other", Any, (0..50).map(|_| NewEvent::binary("T", [1; 300]).unwrap()))
            .unwrap();
        if sealed(&path).len() < 2 {
            versions += 1;
            append(versions);
        }
    }
    assert_eq!(reader.stream_version("rare").unwrap(), versions);
    let read = reader.read_stream("rare").map(|event| event.unwrap().version());
    assert!(read.eq(1..=versions));
}

#[test]
fn what_is_not_durable_yet_is_not_seen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let durability = Durability::Buffered { max_delay: Duration::from_secs(3_600) };
    let store = options().durability(durability).open(&path).unwrap();
    let reader = Reader::open(&path).unwrap();
    numbered::append(&store, 1..=10);
    assert_eq!((store.head().unwrap(), reader.head().unwrap()), (10, 0));
    assert_eq!(Reader::open(&path).unwrap().head().unwrap(), 0);
    store.flush().unwrap();
    check(&reader, 10);
    numbered::append(&store, 11..=12);
    assert_eq!(reader.read_all().count(), 10);
    store.close().unwrap();
    check(&reader, 12);
}

#[test]
fn a_subscription_follows_through_drains_closes_and_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=10);
    let reader = Reader::open(&path).unwrap();
    let mut events = reader.subscribe(1).unwrap();
    let follower = thread::spawn(move || {
        for position in 1..=EVENTS {
            let event = events.next().unwrap().unwrap();
            assert_eq!(event.position(), position);
            assert_eq!(event.stream_id(), numbered::stream(position));
        }
        events.next_timeout(Duration::ZERO).unwrap().is_none()
    });
    numbered::append(&store, 11..=EVENTS / 2);
    store.close().unwrap();
    let store = options().open(&path).unwrap();
    numbered::append(&store, EVENTS / 2 + 1..=EVENTS);
    assert!(follower.join().unwrap());
    // It waits until it is cancelled.
    let mut events = reader.subscribe(EVENTS + 1).unwrap();
    let handle = events.cancel_handle();
    let follower = thread::spawn(move || events.next().is_none());
    handle.cancel();
    assert!(follower.join().unwrap());
}

#[test]
fn readers_amid_writers_see_whole_units_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..400_u64 {
                let unit = (0..5).map(|_| NewEvent::json("T", &number).unwrap());
                store.append("unit", Any, unit).unwrap();
            }
        });
        let mut head = 0;
        while !writer.is_finished() {
            let reader = Reader::open(&path).unwrap();
            for _ in 0..3 {
                let now = reader.head().unwrap();
                assert!(now >= head && now.is_multiple_of(5), "{head}, then {now}");
                head = now;
                let events =
                    reader.read_stream("unit").from_version(head.saturating_sub(20).max(1));
                let read: Vec<u64> = events.map(|event| event.unwrap().version()).collect();
                assert!(read.last().is_none_or(|last| *last >= head && last.is_multiple_of(5)));
            }
        }
    });
    assert_eq!(Reader::open(&path).unwrap().read_all().count(), 2_000);
}

#[test]
fn readers_that_come_while_files_are_sealed_find_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers = [0, 1].map(|_| {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let reader = Reader::open(&path).unwrap();
                    let head = reader.head().unwrap();
                    assert!(reader.stream_version("s").unwrap() >= head);
                    assert!(reader.read_stream("s").backward().take(2).all(|event| event.is_ok()));
                    assert!(reader.read_all().take(2).all(|event| event.is_ok()));
                    assert!(reader.head().unwrap() >= head);
                }
            })
        });
        for _ in 0..300 {
            // Each of them takes a file of its own.
            store.append("s", Any, [NewEvent::binary("T", vec![7; 60_000]).unwrap()]).unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(Reader::open(&path).unwrap().read_all().count(), 300);
}

#[test]
fn a_close_that_shortens_the_file_under_a_reader_does_not_disturb_it() {
    const ROUNDS: u64 = 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    EventStore::open(&path).unwrap().close().unwrap();
    let mut events = Reader::open(&path).unwrap().subscribe(1).unwrap();
    let follower = thread::spawn(move || {
        (1..=ROUNDS).for_each(|due| assert_eq!(events.next().unwrap().unwrap().position(), due));
    });
    for number in 0..ROUNDS {
        let store = EventStore::open(&path).unwrap();
        store.append("s", Any, [NewEvent::json("T", &number).unwrap()]).unwrap();
        store.close().unwrap();
    }
    follower.join().unwrap();
}

/// Everything about the files of a directory that a reader might change.
fn traces(path: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let data = path.symlink_metadata().unwrap();
        found
            .insert(path.clone(), (data.len(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()));
        if path.is_dir() {
            found.append(&mut traces(&path));
        }
    }
    found
}

#[test]
fn a_reader_leaves_no_trace_and_needs_no_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS);
    store.save_checkpoint("mailer", 7).unwrap();
    store.save_snapshot("x", 9, "state").unwrap();
    store.close().unwrap();
    fs::remove_file(path.join("LOCK")).unwrap();
    let before = traces(&path);
    let reader = Reader::open(&path).unwrap();
    check(&reader, EVENTS);
    assert_eq!(reader.checkpoint("mailer").unwrap(), 7);
    assert_eq!(reader.checkpoints().unwrap(), [("mailer".to_owned(), 7)]);
    assert_eq!(reader.load_snapshot("x").unwrap().unwrap().data(), b"state");
    assert_eq!(reader.snapshots().count(), 1);
    assert_eq!(reader.verify().unwrap().findings, []);
    let mut lines = Vec::new();
    reader.export_ndjson(&mut lines, &annals::ExportOptions::new()).unwrap();
    assert_eq!(lines.split(|byte| *byte == b'\n').count() as u64, EVENTS + 1);
    reader.backup_with(directory.path().join("copy"), &BackupOptions::new()).unwrap();
    assert_eq!(traces(&path), before);
    // A writer and other readers come and go meanwhile.
    let store = options().open(&path).unwrap();
    assert_eq!(Reader::open(&path).unwrap().head().unwrap(), EVENTS);
    numbered::append(&store, EVENTS + 1..=EVENTS + 1);
    check(&reader, EVENTS + 1);
}

#[test]
fn the_writer_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    let reader = Reader::open(&path).unwrap();
    let stats = reader.stats().unwrap();
    assert_eq!((stats.is_written, stats.writer), (true, Some(std::process::id())));
    store.close().unwrap();
    let stats = reader.stats().unwrap();
    assert_eq!((stats.is_written, stats.writer), (false, None));
}

#[test]
fn what_a_kill_leaves_is_read_as_a_recovery_would() {
    let directory = tempfile::tempdir().unwrap();
    let running = directory.path().join("running");
    let store = options().open(&running).unwrap();
    for part in 1..=5 {
        numbered::append(&store, (part - 1) * EVENTS / 10 + 1..=part * EVENTS / 10);
        let path = directory.path().join("killed");
        copy_moment(&running, &path);
        let reader = Reader::open(&path).unwrap();
        check(&reader, part * EVENTS / 10);
        assert!(!reader.stats().unwrap().is_written, "a copy of HEAD has no writer");
        let recovered = options().open(&path).unwrap();
        assert_eq!(recovered.head().unwrap(), part * EVENTS / 10);
        check(&reader, part * EVENTS / 10);
        drop(recovered);
        fs::remove_dir_all(&path).unwrap();
    }
}

/// The record of a writer that was killed before its last sync, in the very file that it wrote.
#[test]
fn a_record_of_a_writer_that_is_gone_bounds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=5);
    let record = fs::read(path.join("HEAD")).unwrap();
    numbered::append(&store, 6..=10);
    store.close().unwrap();
    fs::write(path.join("HEAD"), record).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.stats().unwrap().writer, None);
    check(&reader, 10);
}

#[test]
fn after_what_is_intact_comes_an_error_and_never_a_short_end() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    numbered::closed(&original, &Options::new().journal_bytes(64 << 10));
    let path = directory.path().join("store");
    // A sealed file: damaged, and lost; and a frame of the file that is not sealed.
    let files = sealed(&original);
    let last = active(&original).remove(0);
    let at = frames(&fs::read(&last).unwrap())[1].0;
    type Damage<'a> = Box<dyn Fn(&Path) + 'a>;
    let of = |file: &Path| path.join("journal").join(file.file_name().unwrap());
    let cases: [(u64, Damage<'_>); 4] = [
        (first_position(&files[2]), Box::new(|_| flip(&of(&files[2]), 100))),
        (first_position(&files[2]), Box::new(|_| fs::remove_file(of(&files[2])).unwrap())),
        (first_position(&last), Box::new(|_| fs::remove_file(of(&last)).unwrap())),
        (first_position(&last) + 1, Box::new(|_| flip(&of(&last), at + 100))),
    ];
    for (position, damage) in cases {
        copy(&original, &path);
        damage(&path);
        let reader = Reader::open(&path).unwrap();
        let mut read = 0;
        let error = reader.read_all().find_map(|event| match event {
            Ok(event) => {
                read = event.position();
                None
            }
            Err(error) => Some(error),
        });
        let error = error.expect("it does not end early without a word");
        assert_eq!(error.code(), ErrorCode::Corrupted);
        assert_eq!(read, position - 1, "{error}");
        let errors = [
            error,
            reader.read_stream("s-1").find_map(Result::err).unwrap(),
            reader.read_all().backward().find_map(Result::err).unwrap(),
        ];
        for error in errors {
            assert!(matches!(error, Error::Corrupted { position: Some(_), .. }), "{error:?}");
        }
        assert!(!reader.verify().is_ok_and(|report| report.findings.is_empty()));
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn code_is_written_once_for_stores_and_readers() {
    fn sum(store: &impl ReadEvents) -> u64 {
        let handlers = Handlers::new().when("T", |sum: &mut u64, event| {
            *sum += event.json::<u64>()?;
            Ok(())
        });
        store.reconstruct_state("s", 0, &handlers, UpTo::Now).unwrap()
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    store.append("s", Any, (1..=4_u64).map(|n| NewEvent::json("T", &n).unwrap())).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!((sum(&store), sum(&reader)), (10, 10));

    /// What else both have: the export, and what the others find.
    fn facts(store: &impl ReadEvents, copy: &Path) -> (Vec<u8>, Vec<String>) {
        let mut text = Vec::new();
        let report = store.export_ndjson(&mut text, &ExportOptions::new()).unwrap();
        let saved = store.load_snapshot("sum").unwrap().unwrap();
        let snapshots: Vec<_> = store.snapshots().map(|found| found.unwrap().position).collect();
        store.backup(copy).unwrap();
        let copied = store.backup_with(copy, &BackupOptions::new()).unwrap();
        let facts = vec![
            format!("{} {}", report.events, copied.events),
            format!("{:?} {:?}", saved.data(), snapshots),
            format!("{:?}", store.checkpoints().unwrap()),
            format!("{:?}", store.verify().unwrap().findings),
            format!("{}", store.stats().unwrap().head),
        ];
        (text, facts)
    }
    store.save_snapshot("sum", 4, b"10").unwrap();
    store.save_checkpoint("mailer", 3).unwrap();
    let of_store = facts(&store, &directory.path().join("first"));
    let of_reader = facts(&reader, &directory.path().join("second"));
    assert_eq!(of_store, of_reader);
    assert_eq!(of_store.1.first().unwrap(), "4 4");
}

#[test]
fn a_store_that_is_being_removed_is_missing_and_not_damaged() {
    const STORES: u64 = 2_000;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: u64| directory.path().join(name.to_string());
    let made = directory.path().join("made");
    EventStore::open(&made).unwrap().close().unwrap();
    let current = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while current.load(Ordering::SeqCst) < STORES {
                if let Err(error) = Reader::open(at(current.load(Ordering::SeqCst))) {
                    let is_missing = matches!(error.code(), ErrorCode::Io | ErrorCode::Closed);
                    assert!(is_missing, "{error}");
                }
            }
        });
        for name in 0..STORES {
            let path = at(name);
            current.store(name, Ordering::SeqCst);
            // The order of a creation, and of a failed import that undoes it.
            fs::create_dir_all(path.join("journal")).unwrap();
            fs::copy(made.join("HEAD"), path.join("HEAD")).unwrap();
            fs::hard_link(made.join("ANNALS"), path.join("ANNALS")).unwrap();
            fs::remove_file(path.join("ANNALS")).unwrap();
            fs::remove_dir_all(path).unwrap();
        }
        current.store(STORES, Ordering::SeqCst);
    });
}

#[test]
fn a_path_without_a_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["nothing", "empty"] {
        let path = directory.path().join(name);
        if name == "empty" {
            fs::create_dir(&path).unwrap();
        }
        let error = Reader::open(&path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Io, "{error}");
    }
    assert_eq!(fs::read_dir(directory.path().join("empty")).unwrap().count(), 0);
}
