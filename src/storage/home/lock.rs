//! Ensures that at most one process, and one handle in it, has a store open.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
    process,
    time::{Duration, Instant},
};

use crate::{Error, storage::home::files, sync::thread};

const FILE: &str = "LOCK";

/// An upper bound for the length of a process id.
const ID_BYTES_MAX: u64 = 32;

/// Keeps the store's `LOCK` file locked during its lifetime. The system releases the lock when the
/// process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// The process that took it.
    process: u32,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock belongs to the open file description, which is shared with every process that
        // was forked from this one and has not yet executed another program: closing the file alone
        // would leave the lock held by them. For the same reason a forked child must not release
        // it.
        if self.process == process::id() {
            // If this fails, closing the file is all that can be done.
            let _ = self.file.unlock();
        }
    }
}

impl Lock {
    /// The process that holds the lock or held it last, if it recorded its id.
    pub(crate) fn holder(store: &Path) -> Option<u32> {
        let bytes = files::read_bounded(&store.join(FILE), ID_BYTES_MAX).ok()?;
        str::from_utf8(&bytes).ok()?.trim().parse().ok()
    }

    /// Returns an error while the store is open. Nothing is written; for a moment, no one else can
    /// open the store.
    pub(crate) fn probe(store: &Path) -> Result<(), Error> {
        let path = store.join(FILE);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(|source| Error::io("open", &path, source))?,
        };
        match file.try_lock() {
            Ok(()) => file.unlock().map_err(|source| Error::io("unlock", &path, source)),
            Err(TryLockError::WouldBlock) => Err(locked(store)),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", &path, source)),
        }
    }

    /// Takes the lock, waiting at most this long.
    pub(crate) fn wait(store: &Path, patience: Duration) -> Result<Lock, Error> {
        const STEP: Duration = Duration::from_millis(10);
        let started = Instant::now();
        loop {
            match Lock::take(store) {
                Err(Error::Locked { .. }) if started.elapsed() < patience => {
                    thread::sleep(STEP.min(patience));
                }
                taken => return taken,
            }
        }
    }

    /// Fails if the store's directory was moved or replaced: whatever has its path now belongs to
    /// others.
    pub(crate) fn check_in_place(&self, store: &Path) -> Result<(), Error> {
        if is_at(&self.file, &store.join(FILE))? {
            return Ok(());
        }
        let reason = "the directory was moved or replaced while the store was open: close the \
                      store, and open it where it is now";
        Err(Error::io("write to", store, io::Error::new(io::ErrorKind::NotFound, reason)))
    }

    /// Takes the lock without waiting.
    pub(crate) fn take(store: &Path) -> Result<Lock, Error> {
        let path = store.join(FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(files::mode_of_parent(&path) & 0o666)
            .open(&path)
            .map_err(|source| Error::io("open", &path, source))?;
        match file.try_lock() {
            // The directory may have been exchanged for another one between the open and the lock.
            Ok(()) if !is_at(&file, &path)? => Err(locked(store)),
            Ok(()) => {
                let process = process::id();
                // The id is only used in messages, so a failure does not matter.
                let _ = write_id(&file, process);
                Ok(Lock { file, process })
            }
            Err(TryLockError::WouldBlock) => Err(locked(store)),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", &path, source)),
        }
    }
}

/// Whether a path still leads to an open file.
fn is_at(file: &File, path: &Path) -> Result<bool, Error> {
    let inodes = file.metadata().and_then(|open| Ok((open.ino(), path.metadata()?.ino())));
    match inodes {
        Ok((open, there)) => Ok(open == there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::io("lock", path, source)),
    }
}

fn write_id(file: &File, process: u32) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(format!("{process}\n").as_bytes(), 0)
}

fn locked(store: &Path) -> Error {
    Error::Locked { path: store.to_owned(), process: Lock::holder(store) }
}
