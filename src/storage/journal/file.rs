//! Journal files: their names, their headers, and how one comes into being.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        checksum::Checksum,
        frame::{FileHeader, HEADER_BYTES},
    },
    storage::files,
};

const ENDING: &str = "journal";

/// No file is made longer than this: the largest size that an option takes and the largest append.
pub(crate) const FILE_BYTES_MAX: u64 = (1 << 30) + (64 << 20);

/// A journal file that is there.
#[derive(Clone, Debug)]
pub(crate) struct JournalFile {
    pub(crate) path: PathBuf,
    pub(crate) first_position: u64,
    /// Its number among the files with this first position: all but the last of them hold no
    /// events, only what consumers saved meanwhile.
    pub(crate) number: u32,
}

/// The path of a file by the position of its first frame and its number among those.
pub(crate) fn path_of(directory: &Path, first_position: u64, number: u32) -> PathBuf {
    directory.join(match number {
        0 => format!("{first_position:020}.{ENDING}"),
        number => format!("{first_position:020}-{number}.{ENDING}"),
    })
}

fn parse_stem(stem: &str) -> Option<(u64, u32)> {
    match stem.split_once('-') {
        Some((position, number)) => Some((position.parse().ok()?, number.parse().ok()?)),
        None => Some((stem.parse().ok()?, 0)),
    }
}

/// The journal files, in position order.
pub(crate) fn list(directory: &Path) -> Result<Vec<JournalFile>, Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|ending| ending != ENDING) {
            continue;
        }
        let place = path.file_stem().and_then(|stem| stem.to_str()).and_then(parse_stem);
        match place.filter(|&(first, number)| path_of(directory, first, number) == path) {
            Some((first_position, number)) => {
                found.push(JournalFile { path, first_position, number });
            }
            None => {
                let reason = "its name is not that of a journal file: move it away";
                return Err(Error::corrupted(path.display().to_string(), None, reason));
            }
        }
    }
    found.sort_unstable_by_key(|file| (file.first_position, file.number));
    Ok(found)
}

/// Removes what a creation left that did not finish.
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

/// How far a creation got: decides whether a failure leaves the store usable.
pub(crate) enum CreateFailure {
    /// Nothing came into being.
    Refused(Error),
    /// A sync or rename failed: what is on the disk is unknown.
    Failed(Error),
}

/// Creates a file of full length under its final name, which must be new unless the file that has
/// it is to be replaced. On [`CreateFailure::Refused`] nothing is left.
pub(crate) fn create(
    directory: &Path,
    (header, number): (&FileHeader, u32),
    checksum: &Checksum,
    must_be_new: bool,
) -> Result<(PathBuf, File), CreateFailure> {
    let path = path_of(directory, header.first_position, number);
    if must_be_new && path.exists() {
        let reason = "it is there already, and would be overwritten";
        let place = path.display().to_string();
        let position = Some(header.first_position);
        return Err(CreateFailure::Failed(Error::corrupted(place, position, reason)));
    }
    let unfinished = path.with_extension(files::UNFINISHED);
    let refused = |source: io::Error| {
        // Best effort: an unfinished file is removed at the next open as well.
        let _ = fs::remove_file(&unfinished);
        CreateFailure::Refused(Error::io("create", &path, source))
    };
    let file = files::create_truncated(&unfinished).map_err(refused)?;
    files::write_zeros(&file, 0, header.capacity).map_err(refused)?;
    file.write_all_at(&header.encode(checksum), 0).map_err(refused)?;
    file.sync_all().map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => refused(source),
        _ => CreateFailure::Failed(Error::io("sync", &unfinished, source)),
    })?;
    fs::rename(&unfinished, &path)
        .map_err(|source| CreateFailure::Failed(Error::io("rename to", &path, source)))?;
    files::sync_directory(directory).map_err(CreateFailure::Failed)?;
    Ok((path, file))
}

/// Reads a file whole and checks its header.
pub(crate) fn read(
    file: &JournalFile,
    checksum: &Checksum,
) -> Result<(FileHeader, Vec<u8>), Error> {
    let failed = |source| Error::stored("read", &file.path, source);
    let handle = File::open(&file.path).map_err(failed)?;
    let mut bytes = Vec::new();
    Read::take(&handle, HEADER_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
    let header = check_header(file, &bytes, checksum)?;
    let len = handle.metadata().map_err(failed)?.len();
    if len > header.capacity {
        let reason = "it is longer than it was made";
        let place = file.path.display().to_string();
        return Err(Error::corrupted(place, Some(file.first_position), reason));
    }
    bytes.reserve_exact(usize::try_from(len).unwrap_or(0));
    Read::take(&handle, len).read_to_end(&mut bytes).map_err(failed)?;
    Ok((header, bytes))
}

/// Reads the header of a file, and its length.
pub(crate) fn read_header(
    file: &JournalFile,
    checksum: &Checksum,
) -> Result<(FileHeader, u64), Error> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    let read = File::open(&file.path).and_then(|handle| {
        let len = handle.metadata()?.len();
        handle.take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
        Ok(len)
    });
    let len = read.map_err(|source| Error::stored("read", &file.path, source))?;
    Ok((check_header(file, &bytes, checksum)?, len))
}

fn check_header(
    file: &JournalFile,
    bytes: &[u8],
    checksum: &Checksum,
) -> Result<FileHeader, Error> {
    let path = &file.path;
    let damaged = |reason: String| {
        Error::corrupted(path.display().to_string(), Some(file.first_position), reason)
    };
    let start = bytes.get(..HEADER_BYTES).unwrap_or(bytes);
    let header = FileHeader::decode(start, checksum).map_err(damaged)?;
    if header.format > FORMAT_VERSION {
        return Err(Error::UnsupportedFormat {
            path: path.clone(),
            found: header.format,
            supported: FORMAT_VERSION,
        });
    }
    if header.capacity > FILE_BYTES_MAX {
        return Err(damaged(format!(
            "its header says that it was made {} bytes long",
            header.capacity
        )));
    }
    if header.first_position != file.first_position {
        let reason = format!("its header says that it starts at {}", header.first_position);
        return Err(damaged(reason));
    }
    Ok(header)
}
