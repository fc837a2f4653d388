//! A private copy of a store's directory, on which a repair can be tried and damaged trees be
//! opened: sled writes even to files that it only reads.
//!
//! What never changes is linked to; the rest is copied. The store itself stays as it is, down to
//! its time stamps.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::{Error, storage::home::names};

/// How often the copy is made anew because files of a store that is in use have moved.
const ATTEMPTS: u32 = 20;

/// A copy that is removed with this value.
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
                copy(&from, &self.path.join(name))?;
            }
        }
        // Trees that are older than the journal do no harm; a journal older than the trees would.
        self.directory(store, names::TREES, &|_| false)?;
        self.directory(store, names::JOURNAL, &|name| name.ends_with(".sealed"))?;
        self.directory(store, names::SNAPSHOTS, &|_| true)
    }

    /// Copies the files of a directory, or links to those that never change.
    fn directory(
        &self,
        store: &Path,
        name: &str,
        is_linked: &dyn Fn(&str) -> bool,
    ) -> Result<(), Error> {
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
            if !is_file || path.extension().is_some_and(|ending| ending == "tmp") {
                continue;
            }
            match is_linked(&name.to_string_lossy()) {
                true => symlink(&path, &target)
                    .map_err(|source| Error::io("create the link", &target, source))?,
                false => copy(&path, &target)?,
            }
        }
        Ok(())
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        // What is left lies in a directory for temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map(drop).map_err(|source| Error::io("copy", from, source))
}
