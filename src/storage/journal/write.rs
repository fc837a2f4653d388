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
        frame::{self, FIRST_FRAME_OFFSET, FileHeader, FrameKind, FrameMeta, HEADER_BYTES},
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
    /// Creates a file at `first_position`, which chains to `chain`: the first one of a new store.
    pub(crate) fn create(
        directory: &Path,
        (store_id, checksum): (Uuid, &Checksum),
        capacity_max: u64,
        (first_position, chain): (u64, u32),
    ) -> Result<Journal, WriteFailure> {
        let capacity = capacity_max.min(FIRST_CAPACITY);
        let place = (first_position, capacity, chain);
        let active = create_file(directory, (store_id, checksum), place, true)?;
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
        let refused = |reason| WriteFailure::Refused(Error::invalid("events", reason));
        frame::encode_payload(records, buffer).map_err(refused)?;
        // Behind every frame there is room for a mark.
        let needed = (buffer.len().next_multiple_of(HEADER_BYTES) + HEADER_BYTES) as u64;
        let fits = self.active.offset + needed <= self.active.capacity;
        let full = if fits { None } else { self.rotate(needed)? };
        let chain = frame::complete(meta, self.active.offset, &self.checksum, buffer);
        let chain = chain.map_err(refused)?;
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

    /// The checksum of the last frame written.
    pub(crate) fn chain(&self) -> u32 {
        self.chain
    }

    /// The last position written.
    pub(crate) fn last_position(&self) -> u64 {
        self.next_position - 1
    }

    /// Marks the end of a journal whose store is closed, durably. A rotten last frame is then
    /// damage beyond doubt, and so is a lost last file.
    pub(crate) fn close(&self) -> Result<(), Error> {
        // The mark vouches for what is before it, so that has to be durable first.
        let Active { file, path, .. } = &self.active;
        file.sync_data().map_err(|source| Error::io("sync", path, source))?;
        self.mark(&self.active, FrameKind::Closed)
    }

    fn mark(&self, at: &Active, kind: FrameKind) -> Result<(), Error> {
        let meta = FrameMeta {
            first_position: self.next_position,
            count: 0,
            durable: self.last_position(),
            chain: self.chain,
            store_id: self.store_id,
        };
        let mark = frame::encode_mark(kind, meta, &self.checksum);
        at.file
            .write_all_at(&mark, at.offset)
            .map_err(|source| Error::io("write to", &at.path, source))?;
        at.file.sync_data().map_err(|source| Error::io("sync", &at.path, source))
    }

    /// Starts a file that has room for `needed` bytes of frames, once the one before is durable.
    /// One without any frame is replaced: the new file has its name.
    fn rotate(&mut self, needed: u64) -> Result<Option<FullFile>, WriteFailure> {
        let full = FullFile {
            path: self.active.path.clone(),
            last_position: self.last_position(),
            used: self.active.offset + HEADER_BYTES as u64,
        };
        let needed = FIRST_FRAME_OFFSET + needed;
        let capacity = self.active.capacity.saturating_mul(2).min(self.capacity_max);
        let capacity = capacity.max(needed).next_multiple_of(4096);
        self.active
            .file
            .sync_data()
            .map_err(|source| WriteFailure::Failed(Error::io("sync", &full.path, source)))?;
        let has_frames = self.active.offset > FIRST_FRAME_OFFSET;
        let place = (self.next_position, capacity, self.chain);
        let ids = (self.store_id, &self.checksum);
        let next = create_file(&self.directory, ids, place, has_frames)?;
        let last = std::mem::replace(&mut self.active, next);
        if !has_frames {
            return Ok(None);
        }
        // Only now that the next file is there for good, and before anything is written to it.
        self.mark(&last, FrameKind::Continued).map_err(WriteFailure::Failed)?;
        Ok(Some(full))
    }
}

fn create_file(
    directory: &Path,
    (store_id, checksum): (Uuid, &Checksum),
    (first_position, capacity, chain): (u64, u64, u32),
    must_be_new: bool,
) -> Result<Active, WriteFailure> {
    debug_assert!(capacity >= FIRST_FRAME_OFFSET + HEADER_BYTES as u64);
    let header = FileHeader::new(store_id, first_position, capacity, chain);
    match file::create(directory, &header, checksum, must_be_new) {
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
