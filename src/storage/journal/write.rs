//! Writes frames, and continues in the next file when one is full.

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
        frame::{
            self, FIRST_FRAME_OFFSET, FRAME_BYTES_MAX, FrameKind, FrameMeta, HEADER_BYTES,
            ItemKind, new_file_header,
        },
        head::{Beyond, LogEnd},
    },
    defect::{self, Defect},
    storage::{
        home::files,
        journal::file::{CreateFailure, FileKey, PreparedFile},
    },
    sync::{self, Mutex},
};

/// The capacity of a file when none is active. Each later file has twice the capacity, up to the
/// configured size, so that a small store stays small.
const FIRST_CAPACITY: u64 = 256 << 10;

/// A buffer larger than this is freed after use.
const BUFFER_KEPT: usize = 1 << 20;

/// What every file of a journal has in common.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) directory: PathBuf,
    pub(crate) store_id: Uuid,
    pub(crate) checksum: Checksum,
}

/// The end of the journal, where frames are added.
#[derive(Debug)]
pub(crate) struct Journal {
    identity: Identity,
    capacity_max: u64,
    /// `None` before the first frame of a new file: the file is created when it is needed.
    active: Option<Active>,
    /// The key of the next file when no file is active.
    next_key: FileKey,
    end: LogEnd,
    buffer: Vec<u8>,
}

/// The file that is written to.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) key: FileKey,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) capacity: u64,
    /// Bytes that are allocated: after a close, less than the capacity.
    pub(crate) allocated: u64,
    /// The number of its first frame, and the `prev_checksum` of that.
    pub(crate) first_frame: u64,
    pub(crate) prev_checksum: u32,
    /// Where the next frame goes.
    pub(crate) offset: u64,
}

/// A file that takes no more frames.
#[derive(Clone, Debug)]
pub(crate) struct FullFile {
    pub(crate) key: FileKey,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    /// The number of its first frame, and the `prev_checksum` of that.
    pub(crate) first_frame: u64,
    pub(crate) prev_checksum: u32,
    /// Where its frames end, including the marker.
    pub(crate) end: u64,
    pub(crate) last_frame: u64,
}

/// A close seals the active file if it has at least this size; the next open continues smaller
/// ones.
const SEALED_AT_CLOSE: u64 = 256 << 10;

impl Active {
    pub(crate) fn is_worth_sealing(&self) -> bool {
        self.offset >= SEALED_AT_CLOSE
    }

    /// Whether a close cut off the space allocated for more frames.
    fn is_cut(&self) -> bool {
        self.allocated < self.capacity
    }

    /// The file in its full form: it takes no more frames, and `end` is its last frame.
    pub(crate) fn to_full(&self, end: LogEnd) -> FullFile {
        FullFile {
            key: self.key,
            path: self.path.clone(),
            file: Arc::clone(&self.file),
            first_frame: self.first_frame,
            prev_checksum: self.prev_checksum,
            end: self.offset,
            last_frame: end.frame_number,
        }
    }

    /// Frees the space allocated after the last frame. `HEAD` must already record that the log ends
    /// here: otherwise a short file counts as damage.
    pub(crate) fn cut(&self) -> Result<(), Error> {
        self.file.set_len(self.offset).map_err(|source| Error::io("shorten", &self.path, source))
    }
}

/// The contents of a frame: its items, each with its kind.
#[derive(Debug)]
pub(crate) struct NewFrame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) count: u32,
    pub(crate) items: Vec<(ItemKind, &'a [u8])>,
}

/// Where a frame was written.
#[derive(Clone, Debug)]
pub(crate) struct WrittenFrame {
    pub(crate) end: LogEnd,
    pub(crate) key: FileKey,
    pub(crate) file: Arc<File>,
    /// Where its payload starts.
    pub(crate) payload_offset: u64,
    /// Where the next frame starts.
    pub(crate) end_offset: u64,
    /// The full file, synced, if the frame no longer fitted into it.
    pub(crate) full: Option<FullFile>,
}

/// What the journal needs from its caller when it continues in another file.
pub(crate) trait Hooks {
    /// Fails if the directory is not the store's any more.
    fn check_in_place(&self) -> Result<(), Error>;
    /// Makes a full file durable.
    fn sync_full(&self, file: &File, path: &Path) -> Result<(), Error>;
    /// Records durably what was made for the frames after `end`.
    fn made(&self, beyond: Beyond, end: LogEnd) -> Result<(), Error>;
}

/// Why a frame was not written.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// Nothing was written, and the journal is as before.
    Refused(Error),
    /// The state on the disk is unknown.
    Failed(Error),
}

impl From<CreateFailure> for WriteFailure {
    fn from(failure: CreateFailure) -> WriteFailure {
        match failure {
            CreateFailure::Refused(error) => WriteFailure::Refused(error),
            CreateFailure::Failed(error) => WriteFailure::Failed(error),
        }
    }
}

impl Journal {
    /// Continues after `end`, in `active` or in a new file with the key `next_key`.
    pub(crate) fn new(
        identity: Identity,
        capacity_max: u64,
        active: Option<Active>,
        next_key: FileKey,
        end: LogEnd,
    ) -> Journal {
        Journal { identity, capacity_max, active, next_key, end, buffer: Vec::new() }
    }

    /// The last frame that was written.
    pub(crate) fn end(&self) -> LogEnd {
        self.end
    }

    /// The file to sync to make everything written so far durable. Earlier files are durable
    /// already.
    pub(crate) fn to_sync(&self) -> Option<(Arc<File>, PathBuf)> {
        self.active.as_ref().map(|active| (Arc::clone(&active.file), active.path.clone()))
    }

    /// Writes one frame without syncing it. `synced` is the number of the last frame that is known
    /// to be durable. If the frame needs a new file, `sync_full` must first make the full one
    /// durable. The new file is the prepared one, if that is large enough.
    pub(crate) fn write(
        &mut self,
        frame: &NewFrame<'_>,
        synced: u64,
        prepared: &Mutex<Option<PreparedFile>>,
        hooks: &impl Hooks,
    ) -> Result<WrittenFrame, WriteFailure> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.write_with(&mut buffer, frame, synced, prepared, hooks);
        if buffer.capacity() <= BUFFER_KEPT {
            self.buffer = buffer;
        }
        result
    }

    fn write_with(
        &mut self,
        buffer: &mut Vec<u8>,
        frame: &NewFrame<'_>,
        synced: u64,
        prepared: &Mutex<Option<PreparedFile>>,
        hooks: &impl Hooks,
    ) -> Result<WrittenFrame, WriteFailure> {
        let refused = |reason: String| WriteFailure::Refused(Error::invalid("events", reason));
        frame::begin(buffer);
        for (kind, content) in &frame.items {
            frame::put_item(buffer, *kind, content).map_err(refused)?;
        }
        // One more for the end byte, and room for a marker after the frame.
        let needed = ((buffer.len() + 1).next_multiple_of(HEADER_BYTES) + HEADER_BYTES) as u64;
        if needed > FRAME_BYTES_MAX {
            return Err(refused("a group of appends exceeds the size of a frame".to_owned()));
        }
        let fits = |active: &Active| active.offset + needed <= active.capacity;
        let is_first = !self.active.as_ref().is_some_and(fits);
        let full = if is_first { self.rotate(needed, prepared, hooks)? } else { None };
        let Some(active) = &mut self.active else {
            return Err(refused("the journal has no file".to_owned()));
        };
        if active.offset == FIRST_FRAME_OFFSET {
            // The marker in the previous file also says so, until that file is sealed.
            hooks.made(Beyond::NextFile, self.end).map_err(WriteFailure::Failed)?;
        }
        if active.is_cut() {
            allocate(active)?;
            hooks.made(Beyond::SameFile, self.end).map_err(WriteFailure::Failed)?;
        }
        // A new file is begun only once the previous one is durable.
        let unsynced = if is_first { 0 } else { self.end.frame_number.saturating_sub(synced) };
        let meta = FrameMeta {
            kind: frame.kind,
            count: frame.count,
            first_position: self.end.position + 1,
            number: self.end.frame_number + 1,
            prev_checksum: self.end.prev_checksum,
            store_id: self.identity.store_id,
            unsynced: u32::try_from(unsynced).unwrap_or(u32::MAX),
        };
        let completed = frame::complete(meta, active.offset, &self.identity.checksum, buffer);
        let prev_checksum = completed.map_err(refused)?;
        active
            .file
            .write_all_at(buffer, active.offset)
            .map_err(|source| WriteFailure::Failed(Error::io("write to", &active.path, source)))?;
        let payload_offset = active.offset + HEADER_BYTES as u64;
        active.offset += buffer.len() as u64;
        self.end = LogEnd {
            position: self.end.position + u64::from(frame.count),
            frame_number: meta.number,
            prev_checksum,
        };
        let (key, file) = (active.key, Arc::clone(&active.file));
        let end_offset = active.offset;
        Ok(WrittenFrame { end: self.end, key, file, payload_offset, end_offset, full })
    }

    /// Starts a file that has room for `needed` bytes of frames, once the previous file is durable.
    fn rotate(
        &mut self,
        needed: u64,
        prepared: &Mutex<Option<PreparedFile>>,
        hooks: &impl Hooks,
    ) -> Result<Option<FullFile>, WriteFailure> {
        hooks.check_in_place().map_err(WriteFailure::Failed)?;
        let needed = FIRST_FRAME_OFFSET + needed;
        let wanted = self.next_capacity();
        let capacity = wanted.max(needed).next_multiple_of(4096);
        if let Some(Active { file, path, .. }) = &self.active {
            hooks.sync_full(file, path).map_err(WriteFailure::Failed)?;
        }
        let is_empty = |active: &Active| active.offset == FIRST_FRAME_OFFSET;
        let empty = self.active.as_ref().filter(|active| is_empty(active)).map(|active| active.key);
        let key = empty.unwrap_or_else(|| self.key_after_active());
        let taken = sync::lock(prepared).take();
        let spare = match taken {
            Some(spare) if spare.capacity() >= needed => spare,
            unfit => {
                if let Some(unfit) = unfit {
                    unfit.discard();
                }
                PreparedFile::make(&self.identity.directory, capacity, |_| Ok(()))?
            }
        };
        if let Some(active) = self.active.as_ref().filter(|_| empty.is_none())
            && defect::has(Defect::ContinuedEarly)
        {
            self.mark_continued(active).map_err(WriteFailure::Failed)?;
        }
        let next = self.publish(spare, key, empty.is_some())?;
        let last = self.active.replace(next);
        self.next_key = key;
        // The new file has replaced one without frames, under the same name.
        let Some(last) = last.filter(|_| empty.is_none()) else { return Ok(None) };
        // Only now that the next file is durable, and before anything is written to it.
        self.mark_continued(&last).map_err(WriteFailure::Failed)?;
        let full = last.to_full(self.end);
        Ok(Some(FullFile { end: full.end + HEADER_BYTES as u64, ..full }))
    }

    fn publish(
        &self,
        spare: PreparedFile,
        key: FileKey,
        replaces: bool,
    ) -> Result<Active, WriteFailure> {
        let Identity { directory, store_id, checksum } = &self.identity;
        let capacity = spare.capacity();
        let place = (self.end.frame_number + 1, self.end.prev_checksum);
        let header = new_file_header((*store_id, key.first_position), place, capacity);
        let (path, file) = spare.publish(directory, (key, replaces), &header, checksum)?;
        let (first_frame, prev_checksum) = place;
        Ok(Active {
            key,
            path,
            file: Arc::new(file),
            capacity,
            allocated: capacity,
            first_frame,
            prev_checksum,
            offset: FIRST_FRAME_OFFSET,
        })
    }

    /// The capacity of the next file, unless a frame needs more.
    pub(crate) fn next_capacity(&self) -> u64 {
        let doubled = self.active.as_ref().map(|active| active.capacity.saturating_mul(2));
        doubled.unwrap_or(FIRST_CAPACITY).min(self.capacity_max)
    }

    /// Whether a close has cut the active file and nothing has been added since.
    pub(crate) fn is_cut(&self) -> bool {
        self.active.as_ref().is_some_and(Active::is_cut)
    }

    /// Whether the next file should be prepared by now.
    pub(crate) fn is_half_full(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.offset > active.capacity / 2)
    }

    fn key_after_active(&self) -> FileKey {
        let first_position = self.end.position + 1;
        match &self.active {
            None => self.next_key,
            Some(active) if active.key.first_position == first_position => {
                FileKey { first_position, number: active.key.number + 1 }
            }
            Some(_) => FileKey { first_position, number: 0 },
        }
    }

    fn mark_continued(&self, at: &Active) -> Result<(), Error> {
        let meta = FrameMeta {
            kind: FrameKind::Continued,
            count: 0,
            first_position: self.end.position + 1,
            number: self.end.frame_number + 1,
            prev_checksum: self.end.prev_checksum,
            store_id: self.identity.store_id,
            unsynced: 0,
        };
        let marker = frame::encode_marker(meta, &self.identity.checksum);
        at.file
            .write_all_at(&marker, at.offset)
            .map_err(|source| Error::io("write to", &at.path, source))?;
        if defect::has(Defect::FullFileUnsynced) {
            return Ok(());
        }
        at.file.sync_data().map_err(|source| Error::io("sync", &at.path, source))
    }

    /// The active file in its final form, provided that nothing more is written; `None` if it is
    /// not worth sealing.
    pub(crate) fn last_file(&self) -> Option<FullFile> {
        let active = self.active.as_ref().filter(|active| active.is_worth_sealing())?;
        Some(active.to_full(self.end))
    }

    /// Ends the journal and returns the active file, if it has frames.
    pub(crate) fn into_active(self) -> Option<Active> {
        self.active.filter(|active| active.offset > FIRST_FRAME_OFFSET)
    }
}

/// Allocates again what a close cut off. After [`WriteFailure::Refused`], no frame has changed.
fn allocate(active: &mut Active) -> Result<(), WriteFailure> {
    let Active { file, path, capacity, allocated, .. } = active;
    let written = files::write_zeros(file, *allocated..*capacity, |_| Ok(()));
    let written = written.and_then(|()| file.sync_all());
    written.map_err(|source| WriteFailure::Refused(Error::io("extend", &*path, source)))?;
    *allocated = *capacity;
    Ok(())
}
