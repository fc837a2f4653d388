//! A private copy of a store's directory, in which a repair can be tried and damaged trees can be
//! opened: sled writes even to files that it only reads.
//!
//! Files that never change are linked; the rest is copied. The store itself does not change, not
//! even its time stamps.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::{
    Error,
    storage::{files, home::names, journal},
};

/// An upper bound for the size of the superblock or `HEAD`.
const START_BYTES_MAX: u64 = 64 << 10;

/// How often the copy is retried because files of a store in use have moved.
const ATTEMPTS: u32 = 20;

/// A copy that is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct PrivateCopy {
    path: PathBuf,
}

impl PrivateCopy {
    /// Copies a store into a new directory below `scratch`.
    ///
    /// # Errors
    /// `Io` and `NoSpace`.
    pub(crate) fn of(store: &Path, scratch: &Path) -> Result<PrivateCopy, Error> {
        let store = fs::canonicalize(store).map_err(|source| Error::io("open", store, source))?;
        let mut attempt = 1;
        loop {
            let path = scratch.join(format!("annals-{}", Uuid::new_v4().simple()));
            let made = fs::DirBuilder::new().mode(0o700).create(&path);
            made.map_err(|source| Error::io("create the directory", &path, source))?;
            let copy = PrivateCopy { path };
            match copy.fill(&store) {
                Ok(()) => return Ok(copy),
                // A file was sealed or removed between the listing and the copy.
                Err(Error::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn fill(&self, store: &Path) -> Result<(), Error> {
        for name in ["ANNALS", "HEAD"] {
            let from = store.join(name);
            if from.symlink_metadata().is_ok() {
                // Bytes past this limit are never read.
                let bytes = files::read_bounded(&from, START_BYTES_MAX);
                let copied = bytes.and_then(|bytes| fs::write(self.path.join(name), bytes));
                copied.map_err(|source| Error::io("copy", &from, source))?;
            }
        }
        // Trees that are older than the journal are harmless; a journal older than the trees would
        // not be.
        self.directory(store, names::TREES, false)?;
        self.journal(store)?;
        self.directory(store, names::SNAPSHOTS, true)
    }

    /// Copies the journal as it is at one moment: while it is copied, files of a store in use are
    /// sealed and removed, and new ones appear. Open files stay readable.
    fn journal(&self, store: &Path) -> Result<(), Error> {
        let (from, to) = (store.join(names::JOURNAL), self.path.join(names::JOURNAL));
        if !from.is_dir() {
            return Ok(());
        }
        fs::create_dir(&to).map_err(|source| Error::io("create the directory", &to, source))?;
        let before = journal::list(&from)?;
        let mut opened = Vec::new();
        for key in &before.unsealed {
            let path = key.active_path(&from);
            let failed = |source| Error::io("copy", &path, source);
            let file = File::open(&path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if metadata.is_file() {
                opened.push((path, file, metadata.len()));
            }
        }
        if journal::list(&from)? != before {
            let moved = io::Error::new(io::ErrorKind::NotFound, "its files moved during the copy");
            return Err(Error::io("copy", &from, moved));
        }
        // The newest first: the store may begin another file meanwhile.
        for (path, mut file, len) in opened.into_iter().rev() {
            let target = to.join(path.file_name().unwrap_or_default());
            // No writer uses a file that exceeds the maximum length.
            match len > journal::CAPACITY_MAX {
                true => link(&path, &target)?,
                false => copy_from(&mut file, &target)
                    .map_err(|source| Error::io("copy", &path, source))?,
            }
        }
        for key in before.sealed {
            let (path, target) = (key.sealed_path(&from), key.sealed_path(&to));
            if path.is_file() {
                link(&path, &target)?;
            }
        }
        Ok(())
    }

    /// Copies the files of a directory, or links them if they never change.
    fn directory(&self, store: &Path, name: &str, is_linked: bool) -> Result<(), Error> {
        let (from, to) = (store.join(name), self.path.join(name));
        if !from.is_dir() {
            return Ok(());
        }
        fs::create_dir(&to).map_err(|source| Error::io("create the directory", &to, source))?;
        let failed = |source| Error::io("read the directory", &from, source);
        for entry in fs::read_dir(&from).map_err(failed)? {
            let (path, name) =
                entry.map(|entry| (entry.path(), entry.file_name())).map_err(failed)?;
            let target = to.join(&name);
            let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
            if !is_file || path.extension().is_some_and(|ending| ending == files::UNFINISHED) {
                continue;
            }
            match is_linked {
                true => link(&path, &target)?,
                false => copy(&path, &target)?,
            }
        }
        Ok(())
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        // Anything left is in a directory for temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Copies only the bytes: the copy is writable even if the original is not.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let copied = File::open(from).and_then(|mut file| copy_from(&mut file, to));
    copied.map_err(|source| Error::io("copy", from, source))
}

fn copy_from(from: &mut File, to: &Path) -> io::Result<()> {
    io::copy(from, &mut File::create_new(to)?).map(drop)
}

fn link(path: &Path, target: &Path) -> Result<(), Error> {
    symlink(path, target).map_err(|source| Error::io("create the link", target, source))
}
