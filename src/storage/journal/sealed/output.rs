//! Writes a sealed file from start to end.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    codec::{
        Reason,
        checksum::Checksum,
        sealed::{
            Place,
            table::{self, Chunk},
        },
    },
    defect::{self, Defect},
    storage::files,
};

/// A chunk of a table ends, and the next one starts, at this many raw bytes.
const CHUNK_BYTES: usize = 8 << 10;

/// Bytes between two syncs of the file. The sync of an append waits for everything on its way to
/// the disk, which should not be a whole file.
const SYNC_BYTES: u64 = 512 << 10;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: File,
    offset: u64,
    synced: u64,
    checksum: Checksum,
    stored: Vec<u8>,
}

impl Output {
    /// Creates the file, or empties one left by an earlier attempt.
    pub(super) fn create(path: &Path, checksum: &Checksum) -> Result<Output, Error> {
        let file = files::create_truncated(path);
        let file = file.map_err(|source| Error::io("create", path, source))?;
        let (path, checksum) = (path.to_path_buf(), checksum.clone());
        Ok(Output { path, file, offset: 0, synced: 0, checksum, stored: Vec::new() })
    }

    /// The length of the file so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends bytes as they are.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, self.offset);
        written.map_err(|source| Error::io("write", &self.path, source))?;
        self.offset += bytes.len() as u64;
        if self.offset - self.synced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    /// Appends bytes, compressed if that is smaller, and returns their place.
    pub(super) fn put(&mut self, raw: &[u8]) -> Result<Place, Error> {
        let mut stored = std::mem::take(&mut self.stored);
        let packed = Place::pack(raw, (self.offset, &self.checksum), &mut stored);
        let place = packed.map_err(|reason| self.refused(reason))?;
        self.append(&stored)?;
        self.stored = stored;
        Ok(place)
    }

    /// Appends the chunks of a table with these entries, and returns its section; `None` without
    /// entries.
    pub(super) fn put_table<'a, T>(
        &mut self,
        entries: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> &'a [u8],
        put: impl Fn(&T, &mut Vec<u8>),
    ) -> Result<Option<Vec<u8>>, Error> {
        let (mut chunks, mut raw, mut first_key) = (Vec::new(), Vec::new(), None);
        for entry in entries {
            if raw.len() >= CHUNK_BYTES
                && let Some(first_key) = first_key.take()
            {
                chunks.push(Chunk { place: self.put(&raw)?, first_key });
                raw.clear();
            }
            first_key.get_or_insert_with(|| Box::from(key(&entry)));
            put(&entry, &mut raw);
        }
        if let Some(first_key) = first_key {
            chunks.push(Chunk { place: self.put(&raw)?, first_key });
        }
        Ok((!chunks.is_empty()).then(|| table::encode(&chunks)))
    }

    /// Makes the bytes so far durable.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        self.synced = self.offset;
        if defect::has(Defect::SealedUnsynced) {
            return Ok(());
        }
        self.file.sync_all().map_err(|source| Error::io("sync", &self.path, source))
    }

    /// Makes the error for a part that the format cannot represent.
    pub(super) fn refused(&self, reason: Reason) -> Error {
        Error::corrupted(self.path.display().to_string(), None, reason)
    }
}
