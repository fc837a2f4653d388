//! A process that has no descriptors left for a while: what needs one fails, and the store stays
//! usable.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use annals::{EventStore, ExpectedVersion, NewEvent, Options};

use crate::support::files::sealed;

/// Tells a process that it is the child, and where its store is.
const CHILD: &str = "ANNALS_TEST_DESCRIPTORS";

/// The number of the system's error for a process that has too many files open.
const TOO_MANY: i32 = 24;

fn options() -> Options {
    Options::new().tail_bytes(16 << 10).journal_bytes(64 << 10)
}

/// Opens files until none can be opened.
fn all_descriptors() -> Vec<File> {
    let mut held = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => held.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(TOO_MANY), "{error}");
                return held;
            }
        }
    }
}

fn append(store: &EventStore, number: u64) -> Result<(), annals::AppendError> {
    let event = NewEvent::json("T", &format!("{number:0>200}")).unwrap();
    store.append("s", ExpectedVersion::Any, [event]).map(drop)
}

/// Appends until the next file of the journal cannot be made, with and without descriptors; then
/// closes without any. Returns how many events there are.
fn live(path: &Path) -> u64 {
    let store = options().open(path).unwrap();
    let mut count = 0;
    for _ in 0..3 {
        let mut held = Vec::new();
        let error = loop {
            // Also those that the threads of the store have given back.
            held.extend(all_descriptors());
            match append(&store, count + 1) {
                Ok(()) => count += 1,
                Err(error) => break error,
            }
        };
        let annals::AppendError::Failed(annals::Error::Io { source, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(source.raw_os_error(), Some(TOO_MANY), "{error}");
        drop(held);
        for _ in 0..100 {
            count += 1;
            append(&store, count).unwrap();
        }
    }
    let _held = all_descriptors();
    store.close().unwrap();
    count
}

#[test]
fn a_store_stays_usable_when_descriptors_are_lacking_for_a_while() {
    if let Some(path) = std::env::var_os(CHILD) {
        let count = live(Path::new(&path));
        fs::write(Path::new(&path).with_extension("count"), count.to_string()).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let name = "descriptors::a_store_stays_usable_when_descriptors_are_lacking_for_a_while";
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(CHILD, &path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let count: u64 = fs::read_to_string(path.with_extension("count")).unwrap().parse().unwrap();
    assert!(count > 300, "{count}");

    let store = options().open(&path).unwrap();
    assert_eq!((store.head().unwrap(), store.read_all().count() as u64), (count, count));
    assert!(store.verify().unwrap().findings.is_empty());
    append(&store, count + 1).unwrap();
    store.close().unwrap();
    assert!(!sealed(&path).is_empty());
}
