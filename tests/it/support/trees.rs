//! The trees of a store that is closed, for tests that alter them.

use std::{path::Path, thread, time::Duration};

/// How often a lock is tried again: a process that is being started, by another test, has the files
/// of this one for a moment, and with them sled's lock.
const TRIES: u32 = 1_000;

/// Opens them. sled writes nothing on a thread of its own.
pub(crate) fn open_trees(store: &Path) -> sled::Db {
    let config = sled::Config::default().path(store.join("trees")).segment_size(8 << 20);
    let config = config.flush_every_ms(None);
    for _ in 0..TRIES {
        match config.open() {
            Err(error) if error.to_string().contains("could not acquire lock") => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the trees of {store:?} stay locked");
}
