//! The file `HEAD`: the record of a clean close, stored outside both copies of the events.
//!
//! Order: the record of a close is written and synced after everything else in the close is
//! durable. An open durably replaces it with a record of a running store before it changes anything
//! else. So if the log is shorter than an intact record says, something was lost. A missing or
//! damaged file says nothing.
//!
//! Before a writer adds the first frame to another file, or to one that a close had shortened, it
//! records that the log continues there. If that file is later missing, or back in its earlier
//! state, something was lost.
//!
//! A close also shortens the active journal file, which counts as damage unless it is known that a
//! close did it. If the record is lost, or is that of an earlier close, the end of the trees shows
//! this instead. An older copy of `HEAD` that says that the store is running does not match a file
//! that was shortened later: such a store is refused.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

use nix::libc;
use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        head::{Beyond, HEAD_BYTES, HeadRecord, HeadState, LogEnd},
    },
    defect::{self, Defect},
    storage::home::{files, presence},
};

pub(crate) const FILE: &str = "HEAD";

/// The open `HEAD` file of a store that is in use.
#[derive(Debug)]
pub(crate) struct HeadFile {
    path: PathBuf,
    file: File,
    checksum: Checksum,
    turn: u64,
    inode: u64,
    boot_id: Uuid,
    /// The process that opened it.
    process: u32,
}

impl Drop for HeadFile {
    fn drop(&mut self) {
        // A forked child must not remove its parent's sign.
        if self.process == process::id() {
            presence::hide(&self.file);
        }
    }
}

/// Reads the valid record; `None` if the file is missing or damaged.
pub(crate) fn read(store: &Path, checksum: &Checksum) -> Result<Option<HeadRecord>, Error> {
    let path = store.join(FILE);
    match files::open_to_read(&path) {
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
    /// Opens the file, or creates it, and durably records that the store is running and that its
    /// log reaches at least to `end`.
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
            process: process::id(),
        };
        presence::show(&head.file).map_err(|source| Error::io("lock", &head.path, source))?;
        let was_running = before.filter(|before| before.state == HeadState::Running);
        let beyond = was_running.map(|before| before.beyond).unwrap_or_default();
        head.record(HeadState::Running, end, beyond)?;
        Ok(head)
    }

    /// Durably records that the log ends with `end`.
    pub(crate) fn close(&mut self, end: LogEnd) -> Result<(), Error> {
        self.record(HeadState::Closed, end, Beyond::Nothing)
    }

    /// Durably records what was made for the frames after `end`, before any of them is written.
    pub(crate) fn made(&mut self, beyond: Beyond, end: LogEnd) -> Result<(), Error> {
        self.record(HeadState::Running, end, beyond)
    }

    /// Publishes to readers in other processes that everything up to `end` is durable. It does not
    /// matter when this record reaches the disk: a later open reads the log, which has the frame.
    ///
    /// The file that frames are added to has its full length by now, and the record says so.
    pub(crate) fn publish(&mut self, end: LogEnd) {
        // After a failure, readers see less than there is; the next sync tries again.
        let _ = self.write(HeadState::Running, end, Beyond::SameFile);
    }

    /// Writes a record and syncs it.
    fn record(&mut self, state: HeadState, end: LogEnd, beyond: Beyond) -> Result<(), Error> {
        self.write(state, end, beyond)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| Error::io("write to", &self.path, source))
    }

    fn write(&mut self, state: HeadState, end: LogEnd, beyond: Beyond) -> io::Result<()> {
        self.turn += 1;
        let HeadFile { turn, inode, boot_id, .. } = *self;
        let record = HeadRecord { state, turn, end, beyond, inode, boot_id, is_sure: true };
        let (bytes, offset) = record.encode(&self.checksum);
        self.file.write_all_at(&bytes, offset)
    }
}

/// What a reader sees of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The writer is running, and everything up to here is durable.
    Running(LogEnd),
    /// There is no writer, and the log ends exactly here.
    Closed(LogEnd),
    /// There is no writer, and the store was not closed; or nothing is known. The log reaches at
    /// least to here.
    Unknown(LogEnd),
    /// The path now leads to another directory.
    Gone,
}

/// A reader's view of the file.
#[derive(Debug)]
pub(crate) struct HeadWatch {
    store: PathBuf,
    /// The directory of the store, and its device and inode. While it is open, no other directory
    /// gets the same inode, even if it is removed.
    _directory: File,
    directory_id: (u64, u64),
    file: Option<(File, u64)>,
    checksum: Checksum,
    boot_id: Uuid,
}

impl HeadWatch {
    pub(crate) fn new(store: &Path, checksum: &Checksum) -> Result<HeadWatch, Error> {
        let failed = |source| Error::io("open", store, source);
        // This needs no permission for the directory itself.
        let directory = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(store);
        let directory = directory.map_err(failed)?;
        let directory_id = id_of(&directory.metadata().map_err(failed)?);
        Ok(HeadWatch {
            store: store.to_owned(),
            _directory: directory,
            directory_id,
            file: None,
            checksum: checksum.clone(),
            boot_id: boot_id(),
        })
    }

    /// Whether the path now leads to another directory, or to none.
    pub(crate) fn is_gone(&self) -> bool {
        !fs::metadata(&self.store).is_ok_and(|metadata| id_of(&metadata) == self.directory_id)
    }

    /// Looks at the current file. It takes no lock and writes nothing.
    pub(crate) fn look(&mut self) -> Result<Look, Error> {
        if self.is_gone() {
            return Ok(Look::Gone);
        }
        let path = self.store.join(FILE);
        let failed = |source| Error::stored("read", &path, source);
        match fs::metadata(&path) {
            Ok(metadata) if self.file.as_ref().is_some_and(|(_, ino)| *ino == metadata.ino()) => {}
            Ok(_) => {
                let file = files::open_to_read(&path).map_err(failed)?;
                let inode = file.metadata().map_err(failed)?.ino();
                self.file = Some((file, inode));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.file = None,
            Err(source) => return Err(failed(source)),
        }
        let Some((file, inode)) = &self.file else { return Ok(Look::Unknown(LogEnd::default())) };
        // Check for the writer first: if it ends between the two steps, its last record is still
        // seen.
        let has_writer =
            presence::is_shown(file).map_err(failed)? || defect::has(Defect::DeadWriterTrusted);
        let mut bytes = vec![0; HEAD_BYTES];
        let record = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => HeadRecord::decode(&bytes, &self.checksum).ok(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(source) => return Err(failed(source)),
        };
        let Some(record) = record else { return Ok(Look::Unknown(LogEnd::default())) };
        let is_of_here = (record.inode, record.boot_id) == (*inode, self.boot_id);
        Ok(match record.state {
            HeadState::Closed => Look::Closed(record.end),
            HeadState::Running if has_writer && is_of_here => Look::Running(record.end),
            HeadState::Running => Look::Unknown(record.end),
        })
    }
}

/// The device and the inode.
fn id_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Creates an empty file with allocated blocks, so that a full disk does not prevent a later open.
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
