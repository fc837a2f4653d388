//! Writing frames, and moving on to the next file.

use std::{
    fs::File,
    ops::Range,
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
    storage::{
        files,
        journal::file::{self, CreateFailure},
    },
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
    /// Frames written so far, those that were replayed at open included.
    pub(super) sequence: u64,
    pub(super) buffer: Vec<u8>,
}

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) capacity: u64,
    pub(super) offset: u64,
    pub(super) first_position: u64,
    pub(super) number: u32,
    /// Where the payloads of its snapshots lie.
    pub(super) snapshots: Vec<Range<u64>>,
}

/// A file that takes no more frames.
#[derive(Debug)]
pub(crate) struct FullFile {
    pub(crate) path: PathBuf,
    pub(crate) last_position: u64,
    /// The number of its last frame.
    pub(crate) last_sequence: u64,
    pub(crate) used: u64,
    /// Where the payloads of its snapshots lie.
    pub(crate) snapshots: Vec<Range<u64>>,
}

/// What a frame is to hold.
#[derive(Debug)]
pub(crate) struct NewFrame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) count: u32,
    pub(crate) records: Vec<&'a [u8]>,
}

/// How far the journal is durable, or is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durable {
    pub(crate) position: u64,
    pub(crate) sequence: u64,
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
    /// Creates a file, the first one of a new store or one behind damage.
    pub(crate) fn create(
        directory: &Path,
        (store_id, checksum): (Uuid, &Checksum),
        capacity_max: u64,
        place: Place,
    ) -> Result<Journal, WriteFailure> {
        let capacity = capacity_max.min(FIRST_CAPACITY);
        let Place { first_position, chain, .. } = place;
        let active = create_file(directory, (store_id, checksum), place, capacity, true)?;
        Ok(Journal {
            directory: directory.to_owned(),
            store_id,
            checksum: checksum.clone(),
            capacity_max,
            active,
            chain,
            next_position: first_position,
            sequence: 0,
            buffer: Vec::new(),
        })
    }

    /// Writes one frame, without syncing it. When that needs a new file, the full one is returned,
    /// made durable by `sync`, which is given its end.
    pub(crate) fn write(
        &mut self,
        frame: &NewFrame<'_>,
        durable: Durable,
        sync: impl FnOnce(&File, &Path, Durable) -> Result<(), Error>,
    ) -> Result<Option<FullFile>, WriteFailure> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.write_with(&mut buffer, frame, durable, sync);
        if buffer.capacity() <= BUFFER_KEPT {
            self.buffer = buffer;
        }
        result
    }

    fn write_with(
        &mut self,
        buffer: &mut Vec<u8>,
        frame: &NewFrame<'_>,
        durable: Durable,
        sync: impl FnOnce(&File, &Path, Durable) -> Result<(), Error>,
    ) -> Result<Option<FullFile>, WriteFailure> {
        let refused = |reason| WriteFailure::Refused(Error::invalid("events", reason));
        frame::encode_payload(frame.records.iter().copied(), buffer).map_err(refused)?;
        // Behind every frame there is room for a mark.
        let needed = (buffer.len().next_multiple_of(HEADER_BYTES) + HEADER_BYTES) as u64;
        let fits = self.active.offset + needed <= self.active.capacity;
        let full = if fits { None } else { self.rotate(needed, sync)? };
        let meta = FrameMeta {
            kind: frame.kind,
            // A new file is begun only once the one before is durable.
            follows_durable: !fits || durable.sequence >= self.sequence,
            first_position: self.next_position,
            count: frame.count,
            durable: durable.position,
            chain: self.chain,
            store_id: self.store_id,
        };
        let chain = frame::complete(meta, self.active.offset, &self.checksum, buffer);
        let chain = chain.map_err(refused)?;
        let active = &mut self.active;
        active
            .file
            .write_all_at(buffer, active.offset)
            .map_err(|source| WriteFailure::Failed(Error::io("write to", &active.path, source)))?;
        let end = active.offset + buffer.len() as u64;
        if frame.kind == FrameKind::Snapshot {
            active.snapshots.push(active.offset + HEADER_BYTES as u64..end);
        }
        active.offset = end;
        self.chain = chain;
        self.next_position += u64::from(frame.count);
        self.sequence += 1;
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

    /// The number of the last frame written.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
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
            kind,
            follows_durable: true,
            first_position: self.next_position,
            count: 0,
            durable: self.last_position(),
            chain: self.chain,
            store_id: self.store_id,
        };
        let mark = frame::encode_mark(meta, &self.checksum);
        at.file
            .write_all_at(&mark, at.offset)
            .map_err(|source| Error::io("write to", &at.path, source))?;
        at.file.sync_data().map_err(|source| Error::io("sync", &at.path, source))
    }

    /// Starts a file that has room for `needed` bytes of frames, once the one before is durable.
    /// One without any frame is replaced: the new file has its name.
    fn rotate(
        &mut self,
        needed: u64,
        sync: impl FnOnce(&File, &Path, Durable) -> Result<(), Error>,
    ) -> Result<Option<FullFile>, WriteFailure> {
        let needed = FIRST_FRAME_OFFSET + needed;
        let capacity = self.active.capacity.saturating_mul(2).min(self.capacity_max);
        let capacity = capacity.max(needed).next_multiple_of(4096);
        let end = Durable { position: self.last_position(), sequence: self.sequence };
        sync(&self.active.file, &self.active.path, end).map_err(WriteFailure::Failed)?;
        let has_frames = self.active.offset > FIRST_FRAME_OFFSET;
        let has_events = self.next_position > self.active.first_position;
        let number = match (has_events, has_frames) {
            (true, _) => 0,
            (false, true) => self.active.number + 1,
            (false, false) => self.active.number,
        };
        let place = Place { first_position: self.next_position, number, chain: self.chain };
        let ids = (self.store_id, &self.checksum);
        let next = create_file(&self.directory, ids, place, capacity, has_frames)?;
        let last = std::mem::replace(&mut self.active, next);
        if !has_frames {
            return Ok(None);
        }
        // Only now that the next file is there for good, and before anything is written to it.
        self.mark(&last, FrameKind::Continued).map_err(WriteFailure::Failed)?;
        Ok(Some(FullFile {
            path: last.path,
            last_position: self.last_position(),
            last_sequence: self.sequence,
            used: last.offset + HEADER_BYTES as u64,
            snapshots: last.snapshots,
        }))
    }
}

/// Where a file stands in the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) first_position: u64,
    /// Its number among the files with that first position.
    pub(crate) number: u32,
    /// What its first frame chains to.
    pub(crate) chain: u32,
}

fn create_file(
    directory: &Path,
    (store_id, checksum): (Uuid, &Checksum),
    Place { first_position, number, chain }: Place,
    capacity: u64,
    must_be_new: bool,
) -> Result<Active, WriteFailure> {
    debug_assert!(capacity >= FIRST_FRAME_OFFSET + HEADER_BYTES as u64);
    let header = FileHeader::new(store_id, first_position, capacity, chain);
    match file::create(directory, (&header, number), checksum, must_be_new) {
        Ok((path, file)) => Ok(Active {
            path,
            file: Arc::new(file),
            capacity,
            offset: FIRST_FRAME_OFFSET,
            first_position,
            number,
            snapshots: Vec::new(),
        }),
        Err(CreateFailure::Refused(error)) => Err(WriteFailure::Refused(error)),
        Err(CreateFailure::Failed(error)) => Err(WriteFailure::Failed(error)),
    }
}

impl FullFile {
    /// Gives back the unused end of the file, and what the snapshots in it take, which the trees
    /// have by now; everything else stays as it is.
    pub(crate) fn seal(&self) -> Result<(), Error> {
        let file = files::open(&self.path)?;
        for snapshot in &self.snapshots {
            files::release(&file, snapshot.clone(), HEADER_BYTES as u64);
        }
        file.set_len(self.used).map_err(|source| Error::io("shorten", &self.path, source))
    }
}
