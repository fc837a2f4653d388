//! The file `HEAD`: the record of a clean close, outside both copies of the events.
//!
//! Order: the record of a close is written and synced after everything else of the close is
//! durable; an open replaces it by a record of a running store, durably, before it changes anything
//! else. So a log that is shorter than an intact record says has lost something. A file that is
//! missing or damaged says nothing.
//!
//! Before a writer adds the first frame to another file, or to one that a close had shortened, it
//! records that the log goes on there. A file that is then missing, or back in its earlier state,
//! is a loss.
//!
//! A close also shortens the active journal file, which is damage unless it is known that a close
//! did it. When the record is lost, or is that of an earlier close, the end of the trees says so
//! instead. An older copy of the file that says that the store is running does not fit a file that
//! was shortened later: such a store is refused.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        head::{Beyond, HEAD_BYTES, HeadRecord, HeadState, LogEnd},
    },
    storage::home::files,
};

pub(crate) const FILE: &str = "HEAD";

/// The open file of a store that is in use.
#[derive(Debug)]
pub(crate) struct HeadFile {
    path: PathBuf,
    file: File,
    checksum: Checksum,
    turn: u64,
    inode: u64,
    boot_id: Uuid,
}

/// Reads the record that holds; `None` if the file is missing or damaged.
pub(crate) fn read(store: &Path, checksum: &Checksum) -> Result<Option<HeadRecord>, Error> {
    let path = store.join(FILE);
    match fs::File::open(&path) {
        Ok(file) => {
            let mut bytes = vec![0; HEAD_BYTES];
            match file.read_exact_at(&mut bytes, 0) {
                Ok(()) => Ok(HeadRecord::decode(&bytes, checksum).ok()),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                Err(source) => Err(Error::stored("read", &path, source)),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::stored("read", &path, source)),
    }
}

impl HeadFile {
    /// Opens the file, or makes it, and records durably that the store is running with a log that
    /// reaches at least to `end`.
    pub(crate) fn start(
        store: &Path,
        checksum: &Checksum,
        before: Option<HeadRecord>,
        end: LogEnd,
    ) -> Result<HeadFile, Error> {
        let path = store.join(FILE);
        if before.is_none() {
            if path.exists() {
                files::set_aside(&path)?;
            }
            make(&path)?;
        }
        let file = files::open(&path)?;
        let inode = file.metadata().map_err(|source| Error::io("open", &path, source))?.ino();
        let mut head = HeadFile {
            path,
            file,
            checksum: checksum.clone(),
            turn: before.map_or(0, |record| record.turn),
            inode,
            boot_id: boot_id(),
        };
        let was_running = before.filter(|before| before.state == HeadState::Running);
        let beyond = was_running.map(|before| before.beyond).unwrap_or_default();
        head.record(HeadState::Running, end, beyond)?;
        Ok(head)
    }

    /// Records durably that the log ends with `end`.
    pub(crate) fn close(&mut self, end: LogEnd) -> Result<(), Error> {
        self.record(HeadState::Closed, end, Beyond::Nothing)
    }

    /// Records durably what was made for the frames after `end`, before any is written to it.
    pub(crate) fn made(&mut self, beyond: Beyond, end: LogEnd) -> Result<(), Error> {
        self.record(HeadState::Running, end, beyond)
    }

    /// Writes a record and syncs it.
    fn record(&mut self, state: HeadState, end: LogEnd, beyond: Beyond) -> Result<(), Error> {
        self.turn += 1;
        let HeadFile { turn, inode, boot_id, .. } = *self;
        let record = HeadRecord { state, turn, end, beyond, inode, boot_id, is_sure: true };
        let (bytes, offset) = record.encode(&self.checksum);
        self.file
            .write_all_at(&bytes, offset)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| Error::io("write to", &self.path, source))
    }
}

/// Makes an empty file whose blocks are allocated, so that a full disk does not stop a later open.
fn make(path: &Path) -> Result<(), Error> {
    let made = files::create_truncated(path).and_then(|mut file| {
        file.write_all(&[0; HEAD_BYTES])?;
        file.sync_all()
    });
    made.map_err(|source| Error::io("write", path, source))?;
    files::sync_directory(files::parent_of(path))
}

/// The boot id of the system; zeros if it has none.
fn boot_id() -> Uuid {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Uuid::try_parse(text.trim()).unwrap_or_default()
}
