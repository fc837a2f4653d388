//! What a store that replaces another takes over from it: owner and permissions, the evidence that
//! repairs have set aside, and files that are not part of a store.

use std::{
    ffi::OsString,
    fs::{self, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use crate::{
    Error,
    storage::home::{files, names},
};

/// The permissions that a file can have in a directory with all of them.
const OF_FILES: u32 = 0o666;

/// The permissions of a directory, with the bits that decide about the group of new files.
const OF_DIRECTORIES: u32 = 0o7777;

/// Gives everything in the directory `to` the owner, the group and the permissions that the same
/// directory has in `from`. A directory that `from` lacks gets those of the directory above it.
///
/// # Errors
/// `Io`, also if the owner may not be changed.
pub(crate) fn inherit(from: &Path, to: &Path) -> Result<(), Error> {
    let wanted = fs::metadata(from).map_err(|source| Error::io("open", from, source))?;
    inherit_in(from, to, &wanted)
}

fn inherit_in(from: &Path, to: &Path, above: &Metadata) -> Result<(), Error> {
    let there = fs::metadata(from).ok().filter(Metadata::is_dir);
    let wanted = there.as_ref().unwrap_or(above);
    set(to, wanted, OF_DIRECTORIES)?;
    for name in entries(to)? {
        let file = to.join(&name);
        match file.is_dir() {
            true => inherit_in(&from.join(&name), &file, wanted)?,
            false => set(&file, wanted, OF_FILES)?,
        }
    }
    files::sync_directory(to)
}

/// Changes only what differs: some file systems have neither owners nor permissions.
fn set(path: &Path, wanted: &Metadata, of_kind: u32) -> Result<(), Error> {
    let look = || fs::symlink_metadata(path).map_err(|source| Error::io("open", path, source));
    let now = look()?;
    if (now.uid(), now.gid()) != (wanted.uid(), wanted.gid()) {
        chown(path, Some(wanted.uid()), Some(wanted.gid()))
            .map_err(|source| Error::io("change the owner of", path, source))?;
    }
    // A change of the owner clears some of the permissions.
    let mode = wanted.mode() & of_kind;
    if look()?.mode() & OF_DIRECTORIES != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(|source| Error::io("change the permissions of", path, source))?;
    }
    Ok(())
}

/// Makes everything in the directory of a store that is not part of the store appear in `to`, too.
/// Files are linked, so that nothing is lost if the process is killed at any moment.
///
/// # Errors
/// `Io` and `NoSpace`.
pub(crate) fn take_along(from: &Path, to: &Path) -> Result<(), Error> {
    for directory in ["", names::JOURNAL, names::SNAPSHOTS, names::TREES] {
        let (from, to) = (from.join(directory), to.join(directory));
        if !from.is_dir() {
            continue;
        }
        for name in entries(&from)? {
            if !names::is_part(directory, &name.to_string_lossy()) {
                files::create_directory(&to)?;
                link(&from.join(&name), &to.join(&name))?;
            }
        }
        if to.is_dir() {
            files::sync_directory(&to)?;
        }
    }
    Ok(())
}

fn link(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |source| Error::io("link", from, source);
    let metadata = fs::symlink_metadata(from).map_err(failed)?;
    if !metadata.is_dir() {
        return match fs::hard_link(from, to) {
            // Some file systems have no links.
            Err(error) if metadata.is_file() && error.kind() != io::ErrorKind::AlreadyExists => {
                copy(from, to, &metadata)
            }
            linked => linked.map_err(failed),
        };
    }
    fs::create_dir(to).map_err(|source| Error::io("create the directory", to, source))?;
    for name in entries(from)? {
        link(&from.join(&name), &to.join(&name))?;
    }
    set(to, &metadata, OF_DIRECTORIES)?;
    files::sync_directory(to)
}

fn copy(from: &Path, to: &Path, metadata: &Metadata) -> Result<(), Error> {
    let copied = fs::copy(from, to).and_then(|_| fs::File::open(to)?.sync_all());
    copied.map_err(|source| Error::io("copy", from, source))?;
    set(to, metadata, OF_DIRECTORIES)
}

fn entries(path: &Path) -> Result<Vec<OsString>, Error> {
    let names = fs::read_dir(path).and_then(|entries| {
        entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
    });
    names.map_err(|source| Error::io("read the directory", path, source))
}
