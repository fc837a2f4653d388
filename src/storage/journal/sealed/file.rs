//! An open sealed file, and what is known about it without reading its blocks.
//!
//! Opening a file reads the header, the footer, the directory and the index of the blocks. In
//! memory a file takes 56 bytes for each block, another 24 once times have been requested, and two
//! block buffers once it has been read. The indexes of its tables are read on first use, and are
//! about a four-hundredth of the size of the tables.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        checksum::Checksum,
        frame::HEADER_BYTES,
        sealed::{
            self, FOOTER_BYTES, Footer, Place, SealedFacts, SealedHeader,
            blocks::{self, Block, BlockTimes},
            table::Chunk,
        },
    },
    storage::{
        home::files,
        journal::{FileKey, sealed::scratch::Scratches},
    },
};

/// A sealed file. Several threads may read it at the same time.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) checksum: Checksum,
    pub(super) facts: SealedFacts,
    pub(super) blocks: Box<[Block]>,
    pub(super) sections: Vec<(String, Place)>,
    /// Where the stored bytes of all places end.
    pub(super) parts_end: u64,
    pub(super) tables: Tables,
    pub(super) scratches: Scratches,
}

/// The indexes of the tables that have been read.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) streams: OnceLock<Box<[Chunk]>>,
    pub(super) ids: OnceLock<Box<[Chunk]>>,
    pub(super) tags: OnceLock<Box<[Chunk]>>,
    pub(super) checkpoints: OnceLock<Box<[Chunk]>>,
    pub(super) times: OnceLock<Box<[BlockTimes]>>,
}

impl SealedFile {
    /// Opens a file of this store under its final name.
    ///
    /// # Errors
    /// `Corrupted` with the first position when the file is damaged or does not match its name,
    /// `UnsupportedFormat` for a later format, `Io`.
    pub(crate) fn open(
        path: &Path,
        store_id: Uuid,
        checksum: &Checksum,
    ) -> Result<SealedFile, Error> {
        let Some(FileKey { first_position, .. }) = FileKey::of_sealed(path) else {
            let reason = "its name is not the name of a sealed journal file: move it away";
            return Err(Error::corrupted(path.display().to_string(), None, reason));
        };
        Opening::new(path, first_position, checksum)?.finish(store_id)
    }

    /// Opens a file that does not have its final name yet.
    pub(super) fn open_unfinished(
        path: &Path,
        header: SealedHeader,
        checksum: &Checksum,
    ) -> Result<SealedFile, Error> {
        Opening::new(path, header.first_position, checksum)?.finish(header.store_id)
    }

    /// The facts about the file.
    pub(crate) fn facts(&self) -> &SealedFacts {
        &self.facts
    }

    /// The first position of each of its blocks that holds events: one for each page.
    #[cfg(test)]
    pub(super) fn pages(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.blocks.iter().filter(|block| block.count > 0).map(|block| block.first_position)
    }

    /// Fills `buffer` with the bytes of the file at `offset`.
    pub(super) fn fill(&self, offset: u64, buffer: &mut [u8], position: u64) -> Result<(), Error> {
        fill(&self.file, (&self.path, position), offset, buffer)
    }

    /// The raw bytes of a place that is not a block.
    pub(super) fn load(&self, place: &Place) -> Result<Vec<u8>, Error> {
        load(&self.file, (&self.path, self.facts.first_position), place, &self.checksum)
    }

    /// The place of a section, if the file has it.
    pub(super) fn section(&self, name: &str) -> Option<&Place> {
        self.sections.iter().find(|(found, _)| found == name).map(|(_, place)| place)
    }

    /// Makes the error for damage at a position.
    pub(super) fn damaged(&self, position: u64, reason: impl Into<String>) -> Error {
        Error::corrupted(self.path.display().to_string(), Some(position), reason)
    }
}

/// A file that is being opened as a [`SealedFile`].
struct Opening<'a> {
    path: &'a Path,
    file: File,
    len: u64,
    first_position: u64,
    checksum: &'a Checksum,
}

impl<'a> Opening<'a> {
    fn new(
        path: &'a Path,
        first_position: u64,
        checksum: &'a Checksum,
    ) -> Result<Opening<'a>, Error> {
        let opened = files::open_to_read(path).and_then(|file| {
            let len = file.metadata()?.len();
            Ok((file, len))
        });
        let (file, len) = opened.map_err(|source| Error::stored("open", path, source))?;
        Ok(Opening { path, file, len, first_position, checksum })
    }

    fn finish(self, store_id: Uuid) -> Result<SealedFile, Error> {
        let footer = self.footer(store_id)?;
        let end = footer.directory_offset;
        let mut directory = vec![0; usize::try_from(footer.directory_len).unwrap_or(0)];
        self.fill(end, &mut directory)?;
        if self.checksum.of(&directory) != footer.directory_checksum {
            return Err(self.damaged("the checksum of its directory does not fit"));
        }
        let sections = sealed::sections(&directory, end).map_err(|reason| self.damaged(reason))?;
        let index = sections.iter().find(|(name, _)| name == "blocks").map(|(_, place)| place);
        let index = index.ok_or_else(|| self.damaged("it has no index of blocks"))?;
        let index = load(&self.file, (self.path, self.first_position), index, self.checksum)?;
        let blocks = blocks::decode(&index, &footer.facts, end);
        let blocks = blocks.map_err(|reason| self.damaged(reason))?;
        Ok(SealedFile {
            path: self.path.to_path_buf(),
            file: self.file,
            checksum: self.checksum.clone(),
            facts: footer.facts,
            blocks,
            sections,
            parts_end: end,
            tables: Tables::default(),
            scratches: Scratches::default(),
        })
    }

    /// Reads the header and the footer, and checks that they belong to the same file.
    fn footer(&self, store_id: Uuid) -> Result<Footer, Error> {
        let mut bytes = [0; HEADER_BYTES];
        self.fill(0, &mut bytes)?;
        let decoded = SealedHeader::decode(&bytes, self.checksum);
        let (header, header_checksum) = decoded.map_err(|reason| self.damaged(reason))?;
        if header.format > FORMAT_VERSION {
            return Err(Error::UnsupportedFormat {
                path: self.path.to_path_buf(),
                found: header.format,
                supported: FORMAT_VERSION,
            });
        }
        if (header.store_id, header.first_position) != (store_id, self.first_position) {
            let reason = format!("its header says that it starts at {}", header.first_position);
            return Err(self.damaged(reason));
        }
        let mut bytes = [0; FOOTER_BYTES];
        let offset = self.len.checked_sub(FOOTER_BYTES as u64);
        self.fill(offset.unwrap_or(self.len), &mut bytes)?;
        let footer = Footer::decode(&bytes, self.len, self.checksum);
        let footer = footer.map_err(|reason| self.damaged(reason))?;
        let facts = &footer.facts;
        let is_same = footer.header_checksum == header_checksum
            && facts.first_position == header.first_position
            && facts.first_frame == header.first_frame
            && facts.prev_checksum == header.prev_checksum
            && facts.is_rebuilt == header.is_rebuilt;
        match is_same {
            true => Ok(footer),
            false => Err(self.damaged("its footer is that of another file")),
        }
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        fill(&self.file, (self.path, self.first_position), offset, buffer)
    }

    fn damaged(&self, reason: impl Into<String>) -> Error {
        let place = self.path.display().to_string();
        Error::corrupted(place, Some(self.first_position), reason)
    }
}

fn fill(
    file: &File,
    (path, position): (&Path, u64),
    offset: u64,
    buffer: &mut [u8],
) -> Result<(), Error> {
    file.read_exact_at(buffer, offset).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            let reason = "it is shorter than when it was created";
            Error::corrupted(path.display().to_string(), Some(position), reason)
        }
        _ => Error::stored("read", path, source),
    })
}

/// Reads a place into memory. Its checked lengths and the length of the file bound the size.
fn load(
    file: &File,
    (path, position): (&Path, u64),
    place: &Place,
    checksum: &Checksum,
) -> Result<Vec<u8>, Error> {
    let mut stored = vec![0; usize::try_from(place.stored).unwrap_or(0)];
    fill(file, (path, position), place.offset, &mut stored)?;
    let mut raw = vec![0; usize::try_from(place.raw).unwrap_or(0)];
    place.unpack(&stored, &mut raw, checksum).map_err(|reason| {
        let reason = format!("in its index, {reason}");
        Error::corrupted(path.display().to_string(), Some(position), reason)
    })?;
    Ok(raw)
}
