//! Writing frames, and moving on to the next file.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{self, FIRST_FRAME_OFFSET, FileHeader, FrameMeta, HEADER_BYTES},
    },
    storage::journal::file::{self, CreateFailure},
};

/// The capacity of a store's first file; each later one doubles, up to the option's size, so that a
/// small store stays small.
const FIRST_CAPACITY: u64 = 1 << 20;

/// A buffer larger than this is given back after use.
const BUFFER_KEPT: usize = 1 << 20;

/// The end of the journal, where frames are added.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(super) directory: PathBuf,
    pub(super) store_id: Uuid,
    pub(super) checksum: Checksum,
    pub(super) capacity_max: u64,
    pub(super) active: Active,
    pub(super) chain: u32,
    pub(super) next_position: u64,
    pub(super) buffer: Vec<u8>,
}

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) capacity: u64,
    pub(super) offset: u64,
}

/// A file that takes no more frames.
#[derive(Debug)]
pub(crate) struct FullFile {
    pub(crate) path: PathBuf,
    pub(crate) last_position: u64,
    pub(crate) used: u64,
}

/// Why a frame was not written.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// Nothing was written, and the journal is as before.
    Refused(Error),
    /// What is on the disk is unknown.
    Failed(Error),
}

impl Journal {
    /// Creates the first file of a new store.
    pub(crate) fn create(
        directory: &Path,
        store_id: Uuid,
        checksum: &Checksum,
        capacity_max: u64,
        first_position: u64,
        chain: u32,
    ) -> Result<Journal, WriteFailure> {
        let capacity = capacity_max.min(FIRST_CAPACITY);
        let active = create_file(directory, store_id, checksum, (first_position, capacity, chain))?;
        Ok(Journal {
            directory: directory.to_owned(),
            store_id,
            checksum: checksum.clone(),
            capacity_max,
            active,
            chain,
            next_position: first_position,
            buffer: Vec::new(),
        })
    }

    /// Writes one frame of `count` events, without syncing it. When that needs a new file, the full
    /// one is returned, synced.
    pub(crate) fn write<'a>(
        &mut self,
        count: u32,
        durable: u64,
        records: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<FullFile>, WriteFailure> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.write_with(&mut buffer, count, durable, records);
        if buffer.capacity() <= BUFFER_KEPT {
            self.buffer = buffer;
        }
        result
    }

    fn write_with<'a>(
        &mut self,
        buffer: &mut Vec<u8>,
        count: u32,
        durable: u64,
        records: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<FullFile>, WriteFailure> {
        let meta = FrameMeta {
            first_position: self.next_position,
            count,
            durable,
            chain: self.chain,
            store_id: self.store_id,
        };
        let chain = frame::encode(meta, records, &self.checksum, buffer)
            .map_err(|reason| WriteFailure::Refused(Error::invalid("events", reason)))?;
        let fits = self.active.offset + buffer.len() as u64 <= self.active.capacity;
        let full = if fits { None } else { self.rotate(buffer.len() as u64)? };
        let active = &mut self.active;
        active
            .file
            .write_all_at(buffer, active.offset)
            .map_err(|source| WriteFailure::Failed(Error::io("write to", &active.path, source)))?;
        active.offset += buffer.len() as u64;
        self.chain = chain;
        self.next_position += u64::from(count);
        Ok(full)
    }

    /// The file to sync so that everything written so far is durable, and its path.
    pub(crate) fn to_sync(&self) -> (Arc<File>, PathBuf) {
        (Arc::clone(&self.active.file), self.active.path.clone())
    }

    /// The last position written.
    pub(crate) fn last_position(&self) -> u64 {
        self.next_position - 1
    }

    /// Starts a file that has room for a frame of `frame_bytes`, once the one before is durable.
    /// One without any frame is replaced: the new file has its name.
    fn rotate(&mut self, frame_bytes: u64) -> Result<Option<FullFile>, WriteFailure> {
        let full = FullFile {
            path: self.active.path.clone(),
            last_position: self.last_position(),
            used: self.active.offset,
        };
        let needed = FIRST_FRAME_OFFSET + frame_bytes;
        let capacity = self.active.capacity.saturating_mul(2).min(self.capacity_max);
        let capacity = capacity.max(needed).next_multiple_of(4096);
        self.active
            .file
            .sync_data()
            .map_err(|source| WriteFailure::Failed(Error::io("sync", &full.path, source)))?;
        let has_frames = full.used > FIRST_FRAME_OFFSET;
        let place = (self.next_position, capacity, self.chain);
        self.active = create_file(&self.directory, self.store_id, &self.checksum, place)?;
        Ok(has_frames.then_some(full))
    }
}

fn create_file(
    directory: &Path,
    store_id: Uuid,
    checksum: &Checksum,
    (first_position, capacity, chain): (u64, u64, u32),
) -> Result<Active, WriteFailure> {
    debug_assert!(capacity >= FIRST_FRAME_OFFSET + HEADER_BYTES as u64);
    let header = FileHeader::new(store_id, first_position, capacity, chain);
    match file::create(directory, &header, checksum) {
        Ok((path, file)) => {
            Ok(Active { path, file: Arc::new(file), capacity, offset: FIRST_FRAME_OFFSET })
        }
        Err(CreateFailure::Refused(error)) => Err(WriteFailure::Refused(error)),
        Err(CreateFailure::Failed(error)) => Err(WriteFailure::Failed(error)),
    }
}

impl FullFile {
    /// Gives the unused end of the file back; its frames stay as they are.
    pub(crate) fn seal(&self) -> Result<(), Error> {
        let file = super::super::files::open(&self.path)?;
        file.set_len(self.used).map_err(|source| Error::io("shorten", &self.path, source))
    }
}
