//! Shows whether a writer has the store open, using a lock on the file `HEAD` that a reader can
//! query without taking one.
//!
//! The lock belongs to the open file (an "open file description lock" of Linux). So two opens in
//! one process see each other, and the lock is released however the process ends.

use std::{fs::File, io};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

fn whole_file(kind: i32) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or(0),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Shows that this process writes to the store.
pub(super) fn show(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))).map(drop).map_err(Into::into)
}

/// Stops showing it.
pub(super) fn hide(file: &File) {
    // Closing the file has the same effect, unless a forked child has it open.
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_UNLCK)));
}

/// Whether any process shows it.
pub(super) fn is_shown(file: &File) -> io::Result<bool> {
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).map_err(io::Error::from)?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}
