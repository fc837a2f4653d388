//! Copies of stores, and what is in their journal files.

use std::{fs, path::Path};

/// Copies a directory with everything in it, as a kill would leave it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The offsets and kinds of the frames in a journal file.
pub(crate) fn frames(bytes: &[u8]) -> Vec<(usize, u8)> {
    let starts = (512..bytes.len()).step_by(64).filter(|&at| bytes[at..].starts_with(b"ANFR"));
    starts.map(|at| (at, bytes[at + 4])).collect()
}
