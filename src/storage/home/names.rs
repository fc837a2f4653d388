//! The names in a store's directory, and whether a directory is a store or can become one.

use std::{fs, io, path::Path};

use crate::{Error, storage::home::files};

pub(crate) const JOURNAL: &str = "journal";
pub(crate) const TREES: &str = "trees";
/// Trees that are being rebuilt.
pub(crate) const TREES_UNFINISHED: &str = "trees.tmp";
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// The contents of a store, and the remains of an interrupted creation. Some file systems have a
/// `lost+found` directory at their root.
const OWN_ENTRIES: [&str; 9] = [
    "LOCK",
    "ANNALS",
    "ANNALS.tmp",
    "HEAD",
    JOURNAL,
    TREES,
    TREES_UNFINISHED,
    SNAPSHOTS,
    "lost+found",
];

/// The file in the trees that says that they are damaged.
pub(crate) const DAMAGE_MARK: &str = "damaged";

/// What sled keeps in its directory, besides snapshots of its own.
const OF_SLED: [&str; 3] = ["conf", "db", "blobs"];

/// The extensions of journal and snapshot files.
const OWN_ENDINGS: [&str; 4] = ["journal", "sealed", "snapshot", files::UNFINISHED];

/// Trees without events are smaller than this. Closed trees with events are larger than their
/// journal shows.
const EMPTY_TREES_BYTES: u64 = 1 << 10;

/// Checks that `path` is a store or can become one, and creates the directory if it can.
pub(crate) fn prepare_directory(path: &Path, creates: bool) -> Result<(), Error> {
    let open = |source| Error::io("open", path, source);
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            return Err(open(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && creates => {
            return files::create_store_directory(path);
        }
        Err(error) => return Err(open(error)),
    }
    if path.join("ANNALS").exists() {
        return Ok(());
    }
    let names = entry_names(path)?;
    let is_own = |name: &str| OWN_ENTRIES.contains(&files::name_before_damage(name));
    if let Some(name) = names.iter().find(|name| !is_own(name)) {
        return Err(foreign(path, &path.join(name)));
    }
    if creates || path.join("LOCK").exists() {
        return Ok(());
    }
    // A refusal creates nothing, not even a lock.
    refuse_remains(path)?;
    Err(no_store(path))
}

/// Refuses symbolic links in a store: their creator would decide which files an open reads and
/// overwrites.
pub(crate) fn refuse_links(path: &Path) -> Result<(), Error> {
    let within = [JOURNAL, TREES, SNAPSHOTS].map(|name| path.join(name));
    for directory in std::iter::once(path.to_owned()).chain(within) {
        if !directory.is_dir() {
            continue;
        }
        let failed = |source| Error::io("read the directory", &directory, source);
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_symlink() {
                let place = entry.path().display().to_string();
                let reason = "a store has no symbolic links: move it away";
                return Err(Error::corrupted(place, None, reason));
            }
        }
    }
    Ok(())
}

/// Whether a directory is a store, or was one before it lost its superblock.
pub(crate) fn is_store(path: &Path) -> Result<bool, Error> {
    match path.join("ANNALS").symlink_metadata() {
        Ok(_) => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // What cannot be looked at may well be a store.
        Err(source) => return Err(Error::io("open", path, source)),
    }
    Ok(names_in(&path.join(JOURNAL))?.iter().any(|name| is_own(name)))
}

pub(crate) fn no_store(path: &Path) -> Error {
    let reason = "there is no store in the directory";
    Error::io("open", path, io::Error::new(io::ErrorKind::NotFound, reason))
}

/// Without a superblock, everything in the directory must come from an unfinished creation. Journal
/// files, snapshots, or trees with events mean that a store has lost its superblock.
pub(crate) fn refuse_remains(path: &Path) -> Result<(), Error> {
    let lost = |place: &Path| {
        let reason = "it is missing, although the store has events";
        let first = path.join("ANNALS").display().to_string();
        Err(Error::corrupted(format!("{first} (beside {})", place.display()), None, reason))
    };
    for directory in [JOURNAL, SNAPSHOTS].map(|name| path.join(name)) {
        // A creation makes both empty.
        let names = names_in(&directory)?;
        if let Some(own) = names.iter().find(|name| is_own(name)) {
            return lost(&directory.join(own));
        }
        if let Some(other) = names.first() {
            return Err(foreign(path, &directory.join(other)));
        }
    }
    let trees = path.join(TREES);
    for name in names_in(&trees)? {
        let file = trees.join(&name);
        if !OF_SLED.contains(&name.as_str()) && !name.starts_with("snap.") {
            return Err(foreign(path, &file));
        }
        let len = fs::metadata(&file).map_err(|source| Error::io("read", &file, source))?.len();
        if name == "db" && len > EMPTY_TREES_BYTES {
            return lost(&file);
        }
    }
    match names_in(&trees.join("blobs"))?.first() {
        Some(name) => Err(foreign(path, &trees.join("blobs").join(name))),
        None => Ok(()),
    }
}

/// Removes the remains of an unfinished creation; `refuse_remains` has checked that there is
/// nothing else.
pub(crate) fn clear_unfinished(path: &Path) -> Result<(), Error> {
    for name in [JOURNAL, SNAPSHOTS, TREES] {
        files::remove_directory(&path.join(name))?;
    }
    match fs::remove_file(path.join("HEAD")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", path.join("HEAD"), error));
        }
        _ => {}
    }
    files::sync_directory(path)
}

/// Whether a journal file or a snapshot can have this name.
fn is_own(name: &str) -> bool {
    let name = files::name_before_damage(name);
    OWN_ENDINGS.contains(&name.rsplit_once('.').map_or("", |(_, ending)| ending))
}

/// Whether an entry of a store's directory, or of a directory in it, is part of the store. What was
/// set aside is not.
pub(crate) fn is_part(directory: &str, name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match directory {
        JOURNAL | SNAPSHOTS => OWN_ENDINGS.contains(&ending),
        TREES => OF_SLED.contains(&name) || name.starts_with("snap.") || name == DAMAGE_MARK,
        _ => OWN_ENTRIES.contains(&name),
    }
}

/// The items set aside as damaged: paths relative to the store's directory, in order.
pub(crate) fn set_aside(store: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for (directory, prefix) in [(store.to_owned(), ""), (store.join(JOURNAL), "journal/")] {
        let names = names_in(&directory)?;
        let damaged = names.iter().filter(|name| files::name_before_damage(name) != *name);
        found.extend(damaged.map(|name| format!("{prefix}{name}")));
    }
    found.sort_unstable();
    Ok(found)
}

fn foreign(path: &Path, found: &Path) -> Error {
    let reason =
        format!("{} is neither a store nor empty: it contains {}", path.display(), found.display());
    Error::invalid("path", reason)
}

fn entry_names(path: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::io("read the directory", path, source);
    fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// The names in a directory; none if it is missing.
fn names_in(path: &Path) -> Result<Vec<String>, Error> {
    if path.is_dir() { entry_names(path) } else { Ok(Vec::new()) }
}
