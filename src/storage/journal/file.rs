//! Journal files by name: listing them, and creating an active one.
//!
//! `<first position>.journal` is an active or full file, `<first position>.sealed` a sealed one;
//! the position has 20 digits. A file that is full without containing an event is followed by one
//! with the same first position: all but the first of these are named `<first position>-<number>`,
//! counted from 1.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        checksum::Checksum,
        frame::{FIRST_FRAME_OFFSET, FRAME_BYTES_MAX, FileHeader, HEADER_BYTES},
    },
    defect::{self, Defect},
    storage::{home::files, journal::raw::RawFile},
};

const ACTIVE: &str = "journal";
const SEALED: &str = "sealed";

/// The largest capacity of a journal file: the largest configurable size plus the largest frame.
pub(crate) const CAPACITY_MAX: u64 = (1 << 30) + FRAME_BYTES_MAX;

/// Identifies a file: the position of its first frame, and its number among the files with this
/// position. All of these but the last hold only checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileKey {
    pub(crate) first_position: u64,
    pub(crate) number: u32,
}

impl FileKey {
    fn stem(self) -> String {
        match self {
            FileKey { first_position, number: 0 } => format!("{first_position:020}"),
            FileKey { first_position, number } => format!("{first_position:020}-{number}"),
        }
    }

    /// The key in the path of a sealed file.
    pub(crate) fn of_sealed(path: &Path) -> Option<FileKey> {
        let is_sealed = path.extension().is_some_and(|ending| ending == SEALED);
        FileKey::parse(path.file_stem()?.to_str()?).filter(|_| is_sealed)
    }

    pub(crate) fn parse(stem: &str) -> Option<FileKey> {
        let (position, number) = match stem.split_once('-') {
            Some((position, number)) => (position, number.parse().ok()?),
            None => (stem, 0),
        };
        let key = FileKey { first_position: position.parse().ok()?, number };
        (key.stem() == stem).then_some(key)
    }

    pub(crate) fn active_path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.{ACTIVE}", self.stem()))
    }

    pub(crate) fn sealed_path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.{SEALED}", self.stem()))
    }
}

/// The files of a journal, each list in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) unsealed: Vec<FileKey>,
    pub(crate) sealed: Vec<FileKey>,
}

/// Lists the journal's files.
pub(crate) fn list(directory: &Path) -> Result<Listing, Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    let mut found = Listing::default();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let list = match ending {
            ACTIVE => &mut found.unsealed,
            SEALED => &mut found.sealed,
            _ => continue,
        };
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match FileKey::parse(stem) {
            Some(key) => list.push(key),
            None => {
                let reason = "its name is not the name of a journal file: move it away";
                return Err(Error::corrupted(path.display().to_string(), None, reason));
            }
        }
    }
    found.unsealed.sort_unstable();
    found.sealed.sort_unstable();
    Ok(found)
}

/// Removes files left by an unfinished creation or sealing.
pub(crate) fn remove_unfinished(directory: &Path) -> Result<(), Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == files::UNFINISHED) {
            fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
    }
    Ok(())
}

/// Why a creation failed, which decides whether the store stays usable.
pub(crate) enum CreateFailure {
    /// Nothing was created.
    Refused(Error),
    /// A sync or rename failed: the state on the disk is unknown.
    Failed(Error),
}

impl CreateFailure {
    /// A sync that fails for lack of space loses nothing: the file contains no frame yet.
    fn of_sync(path: &Path, source: io::Error) -> CreateFailure {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                CreateFailure::Refused(Error::io("create", path, source))
            }
            _ => CreateFailure::Failed(Error::io("sync", path, source)),
        }
    }
}

/// A file of zeros for later use, allocated and synced under a temporary name.
#[derive(Debug)]
pub(crate) struct PreparedFile {
    path: PathBuf,
    file: File,
    capacity: u64,
}

impl PreparedFile {
    /// Allocates a file, and calls `between` after each step. After [`CreateFailure::Refused`],
    /// nothing is left on the disk.
    pub(crate) fn make(
        directory: &Path,
        capacity: u64,
        between: impl FnMut(&File) -> io::Result<()>,
    ) -> Result<PreparedFile, CreateFailure> {
        // Several files may be in preparation, each under a separate name.
        let name = format!("{}.{}", Uuid::new_v4().simple(), files::UNFINISHED);
        let path = directory.join(name);
        let refused = |source: io::Error| {
            // Best effort: the next open also removes unfinished files.
            let _ = fs::remove_file(&path);
            CreateFailure::Refused(Error::io("create", &path, source))
        };
        let file = files::create_truncated(&path).map_err(refused)?;
        files::write_zeros(&file, 0..capacity, between).map_err(refused)?;
        match file.sync_all() {
            Ok(()) => Ok(PreparedFile { path, file, capacity }),
            Err(source) => {
                let _ = fs::remove_file(&path);
                Err(CreateFailure::of_sync(&path, source))
            }
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Writes the header of the file, then gives the file its name; each step is durable before the
    /// next. The name must be unused, unless the file replaces one without frames. After
    /// [`CreateFailure::Refused`], nothing is left on the disk.
    pub(crate) fn publish(
        self,
        directory: &Path,
        (key, replaces): (FileKey, bool),
        header: &FileHeader,
        checksum: &Checksum,
    ) -> Result<(PathBuf, File), CreateFailure> {
        let path = key.active_path(directory);
        if (!replaces && path.exists()) || key.sealed_path(directory).exists() {
            let reason = "it already exists and would be overwritten";
            let place = path.display().to_string();
            let position = Some(key.first_position);
            return Err(CreateFailure::Failed(Error::corrupted(place, position, reason)));
        }
        let ready = files::Directory::open(directory)
            .map_err(CreateFailure::Refused)
            .and_then(|entries| self.write_header(&header.encode(checksum)).map(|()| entries));
        let entries = ready.inspect_err(|_| {
            // Best effort: the next open also removes unfinished files.
            let _ = fs::remove_file(&self.path);
        })?;
        fs::rename(&self.path, &path)
            .map_err(|source| CreateFailure::Failed(Error::io("rename to", &path, source)))?;
        if !defect::has(Defect::ForgottenDirectorySync) {
            entries.sync().map_err(CreateFailure::Failed)?;
        }
        Ok((path, self.file))
    }

    fn write_header(&self, header: &[u8]) -> Result<(), CreateFailure> {
        self.file
            .write_all_at(header, 0)
            .map_err(|source| CreateFailure::Refused(Error::io("write to", &self.path, source)))?;
        self.file.sync_data().map_err(|source| CreateFailure::of_sync(&self.path, source))
    }

    /// Removes a file that is not used.
    pub(crate) fn discard(self) {
        // If this fails, the next open removes it.
        let _ = fs::remove_file(&self.path);
    }
}

/// An active or full file with an intact header.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) key: FileKey,
    pub(crate) header: FileHeader,
    pub(crate) raw: RawFile,
}

/// Opens an active or full file, and reads and checks its header.
pub(crate) fn open(directory: &Path, key: FileKey, checksum: &Checksum) -> Result<OpenFile, Error> {
    let path = key.active_path(directory);
    let file = files::open_to_read(&path);
    let file = file.map_err(|source| Error::stored("open", &path, source))?;
    let failed = |source| Error::stored("read", &path, source);
    let len = file.metadata().map_err(failed)?.len();
    let mut bytes = [0; HEADER_BYTES];
    let damaged = |reason: String| {
        Error::corrupted(path.display().to_string(), Some(key.first_position), reason)
    };
    if len < FIRST_FRAME_OFFSET {
        return Err(damaged("it is shorter than its header".to_owned()));
    }
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    let header = FileHeader::decode(&bytes, checksum).map_err(damaged)?;
    if header.format > FORMAT_VERSION {
        let (found, supported) = (header.format, FORMAT_VERSION);
        return Err(Error::UnsupportedFormat { path, found, supported });
    }
    if header.first_position != key.first_position {
        let reason = format!("its header says that it starts at {}", header.first_position);
        return Err(damaged(reason));
    }
    if header.capacity > CAPACITY_MAX || len > header.capacity {
        let created = header.capacity;
        return Err(damaged(format!("it has {len} bytes, but was created with {created}")));
    }
    Ok(OpenFile { key, header, raw: RawFile { path, file: Arc::new(file), end: len } })
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at what should not be")]
mod tests {
    use super::*;
    use crate::codec::frame::new_file_header;

    #[test]
    fn a_file_that_cannot_get_its_name_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let made = PreparedFile::make(directory.path(), 4096, |_| Ok(()));
        let prepared = made.ok().expect("the file can be made");
        let store_id = Uuid::nil();
        let header = new_file_header((store_id, 1), (1, 0), 4096);
        let checksum = Checksum::of_store(store_id);
        let missing = directory.path().join("missing");
        let published = prepared.publish(&missing, (FileKey::default(), false), &header, &checksum);
        assert!(matches!(published, Err(CreateFailure::Refused(_))));
        assert_eq!(fs::read_dir(directory.path()).expect("it can be read").count(), 0);
    }
}
