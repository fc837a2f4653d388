//! What a directory takes on the disk, and how its pages leave memory.

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Advice, fadvise};

/// The bytes of the blocks that the files below `path` have.
pub(crate) fn allocated(path: &Path) -> u64 {
    files(path).iter().map(|file| file.metadata().unwrap().blocks() * 512).sum()
}

/// Drops the pages of the files below `path` from memory, those of nobody else. A file that is
/// mapped keeps its pages.
pub(crate) fn forget(path: &Path) {
    for file in files(path) {
        let file = File::open(file).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}
