//! Copies of stores, and what is in their journal files.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Copies a directory with everything in it, as a kill would leave it. Nobody may write to it.
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

/// As [`copy`], of a store that moves events to its trees meanwhile: the copy shows one moment, as
/// a kill does.
pub(crate) fn copy_moment(from: &Path, to: &Path) {
    // What two looks find alike, one behind the other, was so for a moment between them.
    let mut earlier = None;
    let files = loop {
        // A file that has gone since it was listed is a change like any other.
        match contents(from) {
            Ok(files) if earlier.as_ref() == Some(&files) => break files,
            found => earlier = found.ok(),
        }
    };
    for (path, bytes) in files {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
}

/// The files of a directory and of those in it.
fn contents(directory: &Path) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut contents(&path)?);
        } else {
            let bytes = fs::read(&path)?;
            files.insert(path, bytes);
        }
    }
    Ok(files)
}

/// The offsets and kinds of the frames in a journal file.
pub(crate) fn frames(bytes: &[u8]) -> Vec<(usize, u8)> {
    let starts = (512..bytes.len()).step_by(64).filter(|&at| bytes[at..].starts_with(b"ANFR"));
    starts.map(|at| (at, bytes[at + 4])).collect()
}
