//! A file that appears under its name only when it is complete, and never replaces another.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use crate::Error;

const NAME_ATTEMPTS: u32 = 100;

/// A file being written under a temporary name next to its target. It is removed unless published.
#[derive(Debug)]
pub(super) struct NewFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
}

impl NewFile {
    /// Fails if the name is taken, by whatever kind of file.
    pub(super) fn check(target: &Path) -> Result<(), Error> {
        match fs::symlink_metadata(target) {
            Ok(_) => Err(taken(target)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(refused("create", target, error)),
        }
    }

    /// Creates the temporary file. Whether the name is free is known only when the file is
    /// published, so a caller with much to write should call `check` first.
    pub(super) fn create(target: &Path) -> Result<NewFile, Error> {
        for attempt in 0..NAME_ATTEMPTS {
            let hidden = format!(".annals-{}-{attempt}.tmp", process::id());
            let temporary = target.with_file_name(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok(NewFile { file, temporary, target: target.to_owned() }),
                // Left by a process that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused("create", target, error)),
            }
        }
        Err(refused("create", target, io::ErrorKind::AlreadyExists.into()))
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the contents durable, then gives the file its name, which must still be free.
    pub(super) fn publish(self) -> Result<(), Error> {
        self.file.sync_all().map_err(|error| refused("write", &self.target, error))?;
        match fs::hard_link(&self.temporary, &self.target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(taken(&self.target));
            }
            Err(_) => self.rename()?,
        }
        sync_directory(&self.target)
    }

    /// For file systems without hard links: reserves the name with an empty file, then replaces it.
    fn rename(&self) -> Result<(), Error> {
        let claim = OpenOptions::new().write(true).create_new(true).open(&self.target);
        claim.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(&self.target),
            _ => refused("create", &self.target, error),
        })?;
        fs::rename(&self.temporary, &self.target).map_err(|error| {
            // The empty file is our own.
            let _ = fs::remove_file(&self.target);
            refused("create", &self.target, error)
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn taken(path: &Path) -> Error {
    let reason = "it already exists, and nothing is overwritten";
    refused("create", path, io::Error::new(io::ErrorKind::AlreadyExists, reason))
}

fn refused(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source: Arc::new(source) }
}

/// Makes the name durable, where directories can be synced.
fn sync_directory(path: &Path) -> Result<(), Error> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    let synced = File::open(parent).and_then(|directory| directory.sync_all());
    synced.map_err(|error| refused("sync", parent, error))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(directory: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
        names.map(|name| name.map(|name| name.to_string_lossy().into_owned())).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_complete() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let target = directory.path().join("out");
        let new_file = NewFile::create(&target)?;
        new_file.file().write_all(b"new")?;
        assert!(!target.exists());
        new_file.publish()?;
        assert_eq!(fs::read(&target)?, b"new");
        assert_eq!(names(directory.path())?, ["out"]);
        Ok(())
    }

    #[test]
    fn a_name_that_was_taken_meanwhile_is_left_alone() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let target = directory.path().join("out");
        let new_file = NewFile::create(&target)?;
        fs::write(&target, "precious")?;
        let refused = new_file.publish().map_err(|error| error.chain());
        assert!(refused.is_err_and(|words| words.contains("it already exists")));
        assert_eq!(fs::read(&target)?, b"precious");
        assert_eq!(names(directory.path())?, ["out"]);
        Ok(())
    }

    #[test]
    fn without_hard_links_the_name_is_claimed_first() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let target = directory.path().join("out");
        let new_file = NewFile::create(&target)?;
        new_file.file().write_all(b"new")?;
        new_file.rename()?;
        drop(new_file);
        assert_eq!(fs::read(&target)?, b"new");
        let refused = NewFile::create(&target)?.rename().map_err(|error| error.chain());
        assert!(refused.is_err_and(|words| words.contains("it already exists")));
        assert_eq!(fs::read(&target)?, b"new");
        assert_eq!(names(directory.path())?, ["out"]);
        Ok(())
    }
}
