//! Copies of stores, what is in their journal files, and damage to them.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
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
    // What two looks find alike, one after the other, was so for a moment between them.
    let mut earlier = None;
    let files = loop {
        // A file that has gone since it was listed is a change like any other.
        match contents(from) {
            Ok(files) if earlier.as_ref() == Some(&files) => break files,
            found => earlier = found.ok(),
        }
    };
    fs::create_dir_all(to).unwrap();
    for (path, bytes) in files {
        let target = to.join(path.strip_prefix(from).unwrap());
        match bytes {
            Some(bytes) => fs::write(target, bytes).unwrap(),
            None => fs::create_dir_all(target).unwrap(),
        }
    }
}

/// The files of a directory and of those in it, which have no bytes and come before their files.
fn contents(directory: &Path) -> io::Result<BTreeMap<PathBuf, Option<Vec<u8>>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut contents(&path)?);
            files.insert(path, None);
        } else {
            let bytes = fs::read(&path)?;
            files.insert(path, Some(bytes));
        }
    }
    Ok(files)
}

/// Replaces a directory of one store by that of another.
pub(crate) fn replace_directory(from: &Path, to: &Path, name: &str) {
    fs::remove_dir_all(to.join(name)).unwrap();
    copy(&from.join(name), &to.join(name));
}

/// The files of a store's journal, in the order of their positions.
pub(crate) fn journal(store: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.join("journal")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    // By number, of which the first one has none: a hyphen sorts before no digit.
    files.sort_by_key(|path| path.file_stem().unwrap().to_owned());
    files
}

/// The files of a store's journal with this ending.
pub(crate) fn journal_with(store: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = journal(store);
    files.retain(|path| path.extension().is_some_and(|found| found == ending));
    files
}

pub(crate) fn sealed(store: &Path) -> Vec<PathBuf> {
    journal_with(store, "sealed")
}

pub(crate) fn active(store: &Path) -> Vec<PathBuf> {
    journal_with(store, "journal")
}

/// The first position of a journal file, which is its name.
pub(crate) fn first_position(file: &Path) -> u64 {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    stem.split('-').next().unwrap().parse().unwrap()
}

/// Takes back the newest record of `HEAD`, as if a power cut had kept it from the disk.
pub(crate) fn unpublish(store: &Path) {
    let path = store.join("HEAD");
    let mut bytes = fs::read(&path).unwrap();
    let turn = |slot: usize| u64::from_le_bytes(bytes[slot + 8..slot + 16].try_into().unwrap());
    let newest = if turn(0) > turn(512) { 0 } else { 512 };
    bytes[newest..newest + 64].fill(0);
    fs::write(path, bytes).unwrap();
}

/// Changes one bit.
pub(crate) fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// The offsets and kinds of the frames in a file that is not sealed.
pub(crate) fn frames(bytes: &[u8]) -> Vec<(usize, u8)> {
    let starts = (512..bytes.len()).step_by(64).filter(|&at| bytes[at..].starts_with(b"ANFR"));
    starts.map(|at| (at, bytes[at + 4])).collect()
}

/// Bytes on the disk of a directory and everything in it.
pub(crate) fn disk_usage(directory: &Path) -> u64 {
    let own = fs::metadata(directory).unwrap().blocks() * 512;
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    own + entries
        .map(|path| match path.is_dir() {
            true => disk_usage(&path),
            false => fs::metadata(&path).unwrap().blocks() * 512,
        })
        .sum::<u64>()
}
