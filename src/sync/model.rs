//! The disk as a model checker sees it: which bytes were in a file of the journal when a sync of it
//! began that has succeeded. Other threads may run before a sync, within it, and after it.
//!
//! All threads of an execution share one thread of the system, so that what is known is kept there.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
};

use shuttle::thread;

/// What is durable.
#[derive(Debug, Default)]
struct Disk {
    /// The durable bytes of each file, by its inode.
    files: HashMap<u64, Vec<u8>>,
    syncs: u64,
    failing: Option<u64>,
}

thread_local! {
    static DISK: RefCell<Disk> = RefCell::default();
}

/// Starts an execution: nothing is durable, and the sync with this number fails, if one is given.
/// The first one has the number 1.
pub fn begin(failing: Option<u64>) {
    DISK.set(Disk { failing, ..Disk::default() });
}

/// Whether a file of the journal durably holds these bytes.
pub fn is_durable(bytes: &[u8]) -> bool {
    DISK.with_borrow(|disk| {
        disk.files.values().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
    })
}

pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    thread::yield_now();
    // Through its descriptor, because the file may be open for writing alone.
    let bytes = fs::read(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let inode = file.metadata()?.ino();
    thread::yield_now();
    let is_failing = DISK.with_borrow_mut(|disk| {
        disk.syncs += 1;
        disk.failing == Some(disk.syncs)
    });
    if is_failing {
        return Err(io::Error::other("a sync of the model fails"));
    }
    DISK.with_borrow_mut(|disk| disk.files.insert(inode, bytes));
    thread::yield_now();
    Ok(())
}
