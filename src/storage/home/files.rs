//! Files and directories whose existence and contents survive a power cut.
//!
//! Syncing a file makes its bytes durable but not its name; only a sync of its directory does.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    Error,
    defect::{self, Defect},
};

/// The extension of unfinished files, which are removed at an open or at the first use of their
/// directory.
pub(crate) const UNFINISHED: &str = "tmp";

/// A directory whose entries will change. It is opened before they do, so that a lack of
/// descriptors is found while nothing has happened yet.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    path: &'a Path,
    file: File,
}

impl Directory<'_> {
    pub(crate) fn open(path: &Path) -> Result<Directory<'_>, Error> {
        let file = File::open(path);
        let file = file.map_err(|source| Error::io("open the directory", path, source))?;
        Ok(Directory { path, file })
    }

    /// Makes the entries durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let synced = self.file.sync_all();
        synced.map_err(|source| Error::io("sync the directory", self.path, source))
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    Directory::open(path)?.sync()
}

/// Makes the name of a store's directory durable. The process that created or exchanged the
/// directory may have been killed before that. Without permission to read the parent directory this
/// is left to the operating system.
pub(crate) fn sync_name(store: &Path) -> Result<(), Error> {
    match sync_directory(parent_of(store)) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The permissions of a store's directory, unless the caller creates it with others.
const PRIVATE: u32 = 0o700;

/// Creates the directory of a store, unless it exists, and makes its name durable.
pub(crate) fn create_store_directory(path: &Path) -> Result<(), Error> {
    create_with_mode(path, PRIVATE)
}

/// Creates a directory inside a store's directory, with the same permissions, unless it exists, and
/// makes its name durable.
pub(crate) fn create_directory(path: &Path) -> Result<(), Error> {
    create_with_mode(path, mode_of_parent(path))
}

fn create_with_mode(path: &Path, mode: u32) -> Result<(), Error> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(source) => return Err(Error::io("create the directory", path, source)),
        Ok(()) => {}
    }
    sync_directory(parent_of(path))
}

/// Removes a directory with its contents, unless it does not exist.
pub(crate) fn remove_directory(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| Error::io("remove", path, source)),
    }
}

/// The directory that holds `path`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Bytes of a large file that are written and synced at once.
const STEP_BYTES: usize = 1 << 20;

/// Writes a whole file, and gives it its final name only once its bytes are durable.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    publish_in_steps(path, bytes, || {})
}

/// Like [`publish`], with a call of `step` before each part of the file is written and synced, so
/// that other work need not wait for all of it.
pub(crate) fn publish_in_steps(path: &Path, bytes: &[u8], step: impl Fn()) -> Result<(), Error> {
    let unfinished = path.with_extension(UNFINISHED);
    let written = create_truncated(&unfinished).and_then(|mut file| {
        let mut parts = bytes.chunks(STEP_BYTES).peekable();
        while let Some(part) = parts.next() {
            step();
            file.write_all(part)?;
            if parts.peek().is_some() {
                file.sync_data()?;
            }
        }
        if defect::has(Defect::PublishedUnsynced) { Ok(()) } else { file.sync_all() }
    });
    written.map_err(|source| Error::io("write", &unfinished, source))?;
    fs::rename(&unfinished, path).map_err(|source| Error::io("rename to", path, source))?;
    sync_directory(parent_of(path))
}

/// Reads a file up to one byte past `len_max`, the largest plausible length: enough to detect a
/// longer file.
pub(crate) fn read_bounded(path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(len_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text between the name of an item that was set aside and its number.
const DAMAGED: &str = ".damaged-";

/// Renames a damaged file or directory to `<name>.damaged-<n>`, with `n` counting up, makes that
/// durable, and returns the new path.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, Error> {
    let aside = aside_of(path, 1 + newest_aside(path)?);
    fs::rename(path, &aside).map_err(|source| Error::io("rename to", &aside, source))?;
    sync_directory(parent_of(path))?;
    Ok(aside)
}

/// Like [`set_aside`], for a file that is about to be replaced and stays until then.
pub(crate) fn keep_aside(path: &Path) -> Result<PathBuf, Error> {
    use std::os::unix::fs::MetadataExt;
    let newest = newest_aside(path)?;
    let place = |path: &Path| path.metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
    let known = aside_of(path, newest);
    // An earlier attempt was killed after this step.
    if place(path).is_some() && place(path) == place(&known) {
        return Ok(known);
    }
    let aside = aside_of(path, 1 + newest);
    if fs::hard_link(path, &aside).is_err() {
        // Not every file system supports links.
        return set_aside(path);
    }
    sync_directory(parent_of(path))?;
    Ok(aside)
}

fn aside_of(path: &Path, number: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}{DAMAGED}{number}"))
}

/// The highest number of the items set aside for a path; 0 if there are none.
fn newest_aside(path: &Path) -> Result<u32, Error> {
    let directory = parent_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let failed = |source| Error::io("read the directory", directory, source);
    let mut newest = 0;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?.file_name();
        let entry = entry.to_string_lossy();
        let number = entry.strip_prefix(&*name).and_then(|rest| rest.strip_prefix(DAMAGED));
        newest = newest.max(number.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0));
    }
    Ok(newest)
}

/// The name that an item had before it was set aside.
pub(crate) fn name_before_damage(name: &str) -> &str {
    match name.rsplit_once(DAMAGED) {
        Some((before, number)) if number.parse::<u32>().is_ok() => before,
        _ => name,
    }
}

/// The number that an item got when it was set aside; 0 for anything else.
pub(crate) fn number_of_damage(name: &str) -> u32 {
    let number = name.rsplit_once(DAMAGED).and_then(|(_, number)| number.parse().ok());
    number.unwrap_or(0)
}

/// Creates a file for reading and writing, or empties an existing one. A new file can be read by
/// exactly those who may list its directory: so the permissions of the store's directory apply to
/// everything in it.
pub(crate) fn create_truncated(path: &Path) -> io::Result<File> {
    let mode = mode_of_parent(path) & 0o666;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(mode).open(path)
}

/// The permissions of the directory that holds a path.
pub(crate) fn mode_of_parent(path: &Path) -> u32 {
    fs::metadata(parent_of(path)).map_or(PRIVATE, |metadata| metadata.permissions().mode() & 0o777)
}

/// Opens an existing file for reading. If the file belongs to this user, reading it leaves the time
/// of its last access alone: a reader must change nothing, and a changed time is one more block
/// that the next sync of the writer may have to write.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(target_os = "linux")]
    match options.clone().custom_flags(nix::libc::O_NOATIME).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        opened => return opened,
    }
    options.open(path)
}

/// Opens an existing file for reading and writing.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map_err(|source| Error::io("open", path, source))
}

/// Writes zeros over a range of a file in steps of 256 KiB, and calls `between` after each step.
pub(crate) fn write_zeros(
    file: &File,
    range: Range<u64>,
    mut between: impl FnMut(&File) -> io::Result<()>,
) -> io::Result<()> {
    const STEP: u64 = 256 << 10;
    /// The kernel keeps the data of one write as one piece, and every later write into a piece
    /// examines all of it. So the pieces are small.
    const PIECE: usize = 16 << 10;
    let Range { start: mut offset, end } = range;
    let zeros = [0; PIECE];
    while offset < end {
        let step_end = (offset + STEP).min(end);
        while offset < step_end {
            let len = usize::try_from(step_end - offset).unwrap_or(PIECE).min(PIECE);
            file.write_all_at(zeros.get(..len).unwrap_or_default(), offset)?;
            offset += len as u64;
        }
        between(file)?;
    }
    Ok(())
}

/// Bytes that this process may still use on the file system; `u64::MAX` if the system does not say.
pub(crate) fn available_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path)
        .map_or(u64::MAX, |system| system.f_bavail.saturating_mul(system.f_frsize))
}

/// Bytes used by the files below a directory, without following links.
pub(crate) fn bytes_below(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        total += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path())?,
            Ok(metadata) => metadata.blocks() * 512,
            // It has been renamed or removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
    }
    Ok(total)
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at what should not be")]
mod tests {
    use super::*;

    /// What is synced between the steps bounds how long the sync of an append waits.
    #[test]
    fn zeros_are_written_in_small_steps() {
        let file = tempfile::tempfile().expect("a file");
        for (from, to) in [(0, 1 << 20), (100, (1 << 20) + 1), (0, 1), (7, 7)] {
            let (mut reached, mut longest) = (from, 0);
            let between = |file: &File| {
                let len = file.metadata()?.len();
                longest = longest.max(len - reached);
                reached = len;
                Ok(())
            };
            file.set_len(0).expect("emptied");
            write_zeros(&file, from..to, between).expect("written");
            assert_eq!(reached, to);
            assert!(longest <= 256 << 10, "{longest}");
        }
    }
}
