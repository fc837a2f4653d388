//! Opening, creating, locking, closing and reopening.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use annals::{
    AppendError, Durability, Error, ErrorCode, EventStore, ExpectedVersion, NewEvent, Options,
};

fn append(store: &EventStore, count: u64) {
    for number in 0..count {
        let event = NewEvent::json("T", &number).unwrap();
        store.append(format!("s-{}", number % 3), ExpectedVersion::Any, [event]).unwrap();
    }
}

fn code(result: Result<EventStore, Error>) -> ErrorCode {
    result.expect_err("this must not open").code()
}

#[test]
fn a_store_is_made_of_these_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.annals");
    EventStore::open(&path).unwrap();
    let mut names: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["ANNALS", "HEAD", "LOCK", "journal", "snapshots", "trees"]);
}

/// A process that is being started has the files of its parent for a moment, until it becomes
/// another program: the close must not leave the lock with it.
#[test]
fn a_close_gives_the_store_free_while_programs_are_started() {
    const ROUNDS: usize = 30;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    drop(Command::new("true").status());
                }
            });
        }
        let rounds = (0..ROUNDS).map(|_| EventStore::open(&path)?.close());
        let refused: Vec<Error> = rounds.filter_map(Result::err).collect();
        is_done.store(true, Ordering::Relaxed);
        assert!(refused.is_empty(), "{} of {ROUNDS}: {}", refused.len(), refused[0]);
    });
}

#[test]
fn a_second_open_is_refused_until_the_first_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let refused = EventStore::open(&path).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Locked);
    let words = "store is already open in this process: close it there";
    assert!(refused.to_string().ends_with(words), "{refused}");
    append(&store, 1);
    store.close().unwrap();
    let second = EventStore::open(&path).unwrap();
    assert_eq!(code(EventStore::open(&path)), ErrorCode::Locked);
    drop(second);
    assert_eq!(EventStore::open(&path).unwrap().head().unwrap(), 1);
}

#[test]
fn a_closed_store_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let on_disk = EventStore::open(directory.path().join("store")).unwrap();
    for store in [on_disk, EventStore::in_memory().unwrap()] {
        append(&store, 3);
        let mut events = store.read_all();
        assert!(events.next().unwrap().is_ok());
        let clone = store.clone();
        store.close().unwrap();
        store.close().unwrap();
        let event = NewEvent::json("T", &1).unwrap();
        let append = clone.append("s", ExpectedVersion::Any, [event]);
        assert!(matches!(append, Err(AppendError::Failed(Error::Closed))));
        assert!(matches!(clone.head(), Err(Error::Closed)));
        assert!(matches!(clone.flush(), Err(Error::Closed)));
        assert!(matches!(clone.stream_version("s"), Err(Error::Closed)));
        assert!(matches!(clone.stats(), Err(Error::Closed)));
        assert!(matches!(clone.verify(), Err(Error::Closed)));
        assert!(matches!(events.next(), Some(Err(Error::Closed))));
        assert!(events.next().is_none());
        assert!(matches!(clone.streams().next(), Some(Err(Error::Closed))));
        assert!(matches!(clone.read_stream("s").next(), Some(Err(Error::Closed))));
    }
}

#[test]
fn a_missing_store_is_made_only_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let missing = |path: &Path| match Options::new().create(false).open(path) {
        Err(Error::Io { source, .. }) => source.kind() == std::io::ErrorKind::NotFound,
        other => panic!("not found was due, not {other:?}"),
    };
    assert!(missing(&path));
    assert!(!path.exists(), "nothing is made on the way");
    fs::create_dir(&path).unwrap();
    assert!(missing(&path));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "nothing is made on the way");
    EventStore::open(&path).unwrap();
    assert!(Options::new().create(false).open(&path).is_ok());
    let deep = directory.path().join("no/such/parent");
    assert_eq!(code(EventStore::open(deep)), ErrorCode::Io);
}

#[test]
fn what_is_no_store_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "text").unwrap();
    assert_eq!(code(EventStore::open(&file)), ErrorCode::Io);
    let full = directory.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("letter.txt"), "dear").unwrap();
    assert_eq!(code(EventStore::open(&full)), ErrorCode::InvalidArgument);
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    let error = EventStore::open(&full).unwrap_err().to_string();
    assert!(
        error.contains("full is neither a store nor empty") && error.contains("letter.txt"),
        "{error}"
    );
}

#[test]
fn a_creation_that_did_not_finish_is_started_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    // Everything but the superblock, which is written last.
    EventStore::open(&path).unwrap();
    fs::remove_file(path.join("ANNALS")).unwrap();
    fs::write(path.join("ANNALS.tmp"), "half").unwrap();
    let store = EventStore::open(&path).unwrap();
    append(&store, 2);
    drop(store);
    assert_eq!(EventStore::open(&path).unwrap().head().unwrap(), 2);
}

#[test]
fn a_lost_superblock_does_not_cost_the_events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    append(&EventStore::open(&path).unwrap(), 2);
    fs::remove_file(path.join("ANNALS")).unwrap();
    assert_eq!(code(EventStore::open(&path)), ErrorCode::Corrupted);
    assert!(path.join("journal/00000000000000000001.journal").is_file());
}

#[test]
fn a_newer_format_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    EventStore::open(&path).unwrap();
    let superblock = path.join("ANNALS");
    let mut bytes = fs::read(&superblock).unwrap();
    // A later version would write its number, and a checksum that fits.
    bytes[8] = 2;
    let covered = [&bytes[12..28], &bytes[..28]].concat();
    let sum = crc32fast::hash(&covered);
    bytes[28..32].copy_from_slice(&sum.to_le_bytes());
    fs::write(&superblock, bytes).unwrap();
    match EventStore::open(&path) {
        Err(Error::UnsupportedFormat { found: 2, supported: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_buffered_store_keeps_what_it_flushed_and_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let durability = Durability::Buffered { max_delay: Duration::from_millis(1) };
    let options = Options::new().durability(durability).journal_bytes(64 << 10);
    let store = options.open(&path).unwrap();
    append(&store, 500);
    store.flush().unwrap();
    append(&store, 500);
    assert_eq!(store.head().unwrap(), 1_000);
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.read_all().map(Result::unwrap).count(), 1_000);
    assert_eq!(store.verify().unwrap().findings, []);
    let none = Durability::Buffered { max_delay: Duration::ZERO };
    let refused = Options::new().durability(none).open(directory.path().join("other"));
    assert_eq!(code(refused), ErrorCode::InvalidArgument);
}

#[test]
fn full_journal_files_are_sealed_and_hold_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options::new().journal_bytes(64 << 10).tail_bytes(32 << 10);
    let store = options.open(&path).unwrap();
    append(&store, 3_000);
    store.close().unwrap();
    let names = || {
        let entries = fs::read_dir(path.join("journal")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let sealed = names().iter().filter(|name| name.ends_with(".sealed")).count();
    assert!(sealed > 3, "{:?}", names());
    assert!(names().len() - sealed <= 1, "one file is written to: {:?}", names());
    let store = options.open(&path).unwrap();
    assert_eq!(store.read_all().map(Result::unwrap).count(), 3_000);
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn a_store_of_an_unreleased_version_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    // Their superblocks have the magic of those days, and the checksum of today.
    let id = [7; 16];
    let covered = [b"ANNALS\r\n".as_slice(), &1_u32.to_le_bytes(), &id].concat();
    let sum = crc32fast::hash(&[id.as_slice(), &covered].concat());
    fs::create_dir_all(path.join("journal")).unwrap();
    fs::write(path.join("ANNALS"), [covered.as_slice(), &sum.to_le_bytes()].concat()).unwrap();
    fs::write(path.join("journal/00000000000000000001.journal"), "events").unwrap();
    let before = fs::read_dir(&path).unwrap().count();
    let error = EventStore::open(&path).unwrap_err();
    assert!(matches!(error, Error::UnsupportedFormat { found: 0, supported: 1, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("unreleased version") && !text.contains("upgrade"), "{text}");
    // Only the lock was added.
    assert!(path.join("LOCK").is_file());
    assert_eq!(fs::read_dir(&path).unwrap().count(), before + 1);
    // A superblock of those days that is damaged is damage.
    let torn = [covered.as_slice(), &(sum ^ 1).to_le_bytes()].concat();
    fs::write(path.join("ANNALS"), torn).unwrap();
    assert_eq!(code(EventStore::open(&path)), ErrorCode::Corrupted);
}

#[test]
fn an_empty_store_reopens() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let store = EventStore::open(directory.path().join("store")).unwrap();
        assert_eq!(store.head().unwrap(), 0);
        assert_eq!(store.read_all().count(), 0);
        assert_eq!(store.streams().count(), 0);
        let report = store.verify().unwrap();
        assert_eq!((report.events, report.streams, report.findings), (0, 0, vec![]));
    }
}

#[test]
fn a_store_and_what_it_hands_out_may_move_between_threads() {
    fn is_shared<T: Send + Sync + Clone>() {}
    fn moves<T: Send>() {}
    is_shared::<EventStore>();
    is_shared::<annals::RecordedEvent>();
    is_shared::<Options>();
    moves::<annals::Events>();
    moves::<annals::Streams>();
    moves::<Error>();
    // A clone is the same store.
    let store = EventStore::in_memory().unwrap();
    let clone = store.clone();
    std::thread::spawn(move || append(&clone, 3)).join().unwrap();
    assert_eq!(store.head().unwrap(), 3);
}

#[test]
fn options_at_their_ends_make_a_store_that_works() {
    for bytes in [0, 1, u64::MAX] {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new().tail_bytes(bytes).cache_bytes(bytes).journal_bytes(bytes);
        let store = options.open(directory.path().join("store")).unwrap();
        append(&store, 3);
        store.close().unwrap();
        let store = options.open(directory.path().join("store")).unwrap();
        assert_eq!(store.read_all().inspect(|event| assert!(event.is_ok())).count(), 3, "{bytes}");
    }
}

#[test]
fn a_store_whose_directory_is_replaced_refuses_writes_and_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name| directory.path().join(name);
    let options = Options::new().journal_bytes(64 << 10);
    let moved = options.open(at("store")).unwrap();
    append(&moved, 5);
    moved.backup(at("backup")).unwrap();
    fs::rename(at("store"), at("moved")).unwrap();
    fs::rename(at("backup"), at("store")).unwrap();
    // It has the same id, so its files could be taken for those of the other.
    let restored = options.open(at("store")).unwrap();
    let event = || NewEvent::binary("T", vec![7; 500]).unwrap();
    let mut acknowledged = 5;
    let refused = loop {
        match moved.append("s", ExpectedVersion::Any, [event()]) {
            Ok(_) => acknowledged += 1,
            Err(refused) => break refused,
        }
        assert!(acknowledged < 1_000, "its next file is in the directory of the other");
    };
    assert_eq!(refused.code(), ErrorCode::Poisoned, "{refused}");
    assert_eq!(moved.save_snapshot("k", 5, "5").unwrap_err().code(), ErrorCode::Poisoned);
    append(&restored, 1_000);
    assert_eq!(moved.close().unwrap_err().code(), ErrorCode::Poisoned);
    restored.close().unwrap();
    for (name, events) in [("moved", acknowledged), ("store", 1_005)] {
        let store = EventStore::open(at(name)).unwrap();
        assert_eq!(
            store.read_all().inspect(|event| assert!(event.is_ok())).count(),
            events,
            "{name}"
        );
        assert_eq!(store.snapshots().count(), 0, "{name}");
        assert_eq!(store.verify().unwrap().findings, [], "{name}");
    }
}
