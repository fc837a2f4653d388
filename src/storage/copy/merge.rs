//! Merges several sealed files into one: their frames, one after the other.
//!
//! ```text
//! | A: 1 2 marker |  | B: 3 4 5 marker |    ->    | 1 2 3 4 5 marker |
//! ```
//! The frames stay as they were written; only the markers between them are left out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{FIRST_FRAME_OFFSET, FrameHeader, FrameKind, HEADER_BYTES},
        sealed::new_sealed_header,
    },
    storage::{
        copy::backup::Copier,
        journal::{FileKey, FrameBytes, SealedFile, ToSeal, seal},
        open::{end_of, start_of},
    },
};

/// The approximate maximum size of the frames in a merged file.
const MERGED_BYTES: u64 = 256 << 20;

impl Copier<'_> {
    /// Adds a file to those to be merged, unless its frames cannot follow on theirs.
    pub(super) fn gather(&mut self, key: FileKey, file: &Arc<SealedFile>) -> Result<(), Error> {
        let bytes: u64 = self.group.iter().map(|(_, file)| file.facts().end).sum();
        if file.facts().is_rebuilt || bytes + file.facts().end > MERGED_BYTES {
            self.merge()?;
        }
        if file.facts().is_rebuilt {
            return self.sealed(key, file);
        }
        self.group.push((key, Arc::clone(file)));
        Ok(())
    }

    /// Writes the collected files as one.
    pub(super) fn merge(&mut self) -> Result<(), Error> {
        let group = std::mem::take(&mut self.group);
        let (Some((key, first)), Some((_, last))) = (group.first(), group.last()) else {
            return Ok(());
        };
        if group.len() == 1 {
            return self.sealed(*key, first);
        }
        let identity = &self.disk.identity;
        let directory = self.directory();
        let files: Vec<_> = group.iter().map(|(_, file)| Arc::clone(file)).collect();
        let merged = Merged::of(&files, key.sealed_path(&directory), &identity.checksum)?;
        let start = start_of(first.facts());
        let header = new_sealed_header(
            (identity.store_id, key.first_position),
            (start.frame_number + 1, start.prev_checksum),
            false,
        );
        // The last file has all checkpoints as of its end, and those in the frames are repeated.
        let checkpoints = last.checkpoints()?;
        let to_seal = ToSeal {
            source: &merged,
            header,
            number: key.number,
            checkpoints: &checkpoints,
            end: None,
        };
        let sealed = seal(&to_seal, &directory, &identity.checksum, &mut || Ok(()))?;
        let facts = sealed.publish(&directory)?;
        self.bytes += facts.file_len;
        match end_of(&facts) == end_of(last.facts()) {
            true => Ok(()),
            false => Err(self.missing(end_of(&facts))),
        }
    }
}

/// Files that follow on each other.
struct Merged {
    parts: Vec<Part>,
    path: PathBuf,
    end: u64,
}

struct Part {
    file: Arc<SealedFile>,
    /// Where its first frame is in the merged file.
    start: u64,
    /// Bytes of its frames.
    len: u64,
}

impl Merged {
    fn of(files: &[Arc<SealedFile>], path: PathBuf, checksum: &Checksum) -> Result<Merged, Error> {
        let (mut parts, mut start) = (Vec::new(), FIRST_FRAME_OFFSET);
        for (index, file) in files.iter().enumerate() {
            let mut len = file.end() - FIRST_FRAME_OFFSET;
            if index + 1 < files.len() && ends_with_marker(file, checksum)? {
                len -= HEADER_BYTES as u64;
            }
            parts.push(Part { file: Arc::clone(file), start, len });
            start += len;
        }
        Ok(Merged { parts, path, end: start })
    }
}

fn ends_with_marker(file: &SealedFile, checksum: &Checksum) -> Result<bool, Error> {
    let mut header = [0; HEADER_BYTES];
    let at = file.end().saturating_sub(HEADER_BYTES as u64);
    if at < FIRST_FRAME_OFFSET {
        return Ok(false);
    }
    file.read_at(at, &mut header)?;
    let header = FrameHeader::decode(&header, checksum);
    Ok(header.is_some_and(|header| header.kind == FrameKind::Continued))
}

impl FrameBytes for Merged {
    fn path(&self) -> &Path {
        &self.path
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), Error> {
        while !buffer.is_empty() {
            let next = self.parts.partition_point(|part| part.start <= offset);
            let part = next.checked_sub(1).and_then(|index| self.parts.get(index));
            let part = part.filter(|part| offset < part.start + part.len).ok_or_else(|| {
                let place = self.path.display().to_string();
                Error::corrupted(place, None, "a read goes past the end of its frames")
            })?;
            let left = usize::try_from(part.start + part.len - offset).unwrap_or(usize::MAX);
            let len = left.min(buffer.len());
            let (here, rest) = std::mem::take(&mut buffer).split_at_mut(len);
            part.file.read_at(FIRST_FRAME_OFFSET + (offset - part.start), here)?;
            offset += len as u64;
            buffer = rest;
        }
        Ok(())
    }
}
