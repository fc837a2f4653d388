//! A forked child: the store belongs to the parent, and the child can do it no harm.
//!
//! A process forks cleanly only where it has few threads, so the test runs itself again for it.

#![allow(unsafe_code, reason = "nothing in std forks without running another program")]

use std::process::Command;

use annals::{AppendError, Error, EventStore, ExpectedVersion, NewEvent};

unsafe extern "C" {
    safe fn fork() -> i32;
    safe fn _exit(status: i32) -> !;
    unsafe fn waitpid(child: i32, status: *mut i32, options: i32) -> i32;
}

/// Set for the run that forks; names the store.
const CHILD: &str = "ANNALS_TEST_FORK";

fn append(store: &EventStore) -> Result<(), AppendError> {
    let event = NewEvent::json("T", &1).unwrap();
    store.append("s", ExpectedVersion::Any, [event]).map(drop)
}

/// What the child sees of each call, as bits that must all be set.
fn child_of(store: &EventStore) -> i32 {
    let refused = [
        matches!(append(store), Err(AppendError::Failed(Error::Forked))),
        matches!(store.flush(), Err(Error::Forked)),
        matches!(store.head(), Err(Error::Forked)),
        matches!(store.read_all().next(), Some(Err(Error::Forked))),
        matches!(store.close(), Err(Error::Forked)),
    ];
    refused.iter().enumerate().map(|(bit, &is_refused)| i32::from(is_refused) << bit).sum()
}

#[test]
fn a_forked_child_is_refused_and_harms_nothing() {
    if let Some(path) = std::env::var_os(CHILD) {
        let store = EventStore::open(path).unwrap();
        append(&store).unwrap();
        let child = fork();
        if child == 0 {
            let seen = child_of(&store);
            drop(store);
            _exit(seen);
        }
        let mut status = 0;
        // SAFETY: `status` lives until the call returns.
        let waited = unsafe { waitpid(child, &raw mut status, 0) };
        assert_eq!((waited, status), (child, 0b11111 << 8), "the child was refused everywhere");
        append(&store).unwrap();
        store.close().unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["fork::a_forked_child_is_refused_and_harms_nothing", "--exact"])
        .env(CHILD, &path)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.head().unwrap(), 2);
    assert_eq!(store.verify().unwrap().findings, []);
}
