//! Who may read the files of a store, and links that would lead out of it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
};

use annals::{
    BackupOptions, ErrorCode, EventStore, Options, RepairOptions, VerifyOptions, backup, compact,
    repair, salvage, verify,
};

use crate::support::{files::sealed, numbered};

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

/// The permissions of everything that the store itself makes; sled's files are shut in by those of
/// their directory.
fn modes(path: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "trees" {
            found.extend(modes(&path));
        }
        found.push((name, mode));
    }
    found
}

#[test]
fn nobody_else_may_read_a_new_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let store = options().open(&path).unwrap();
    store.save_snapshot("x", 1, "state").unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for (name, mode) in modes(&path) {
        let is_directory = ["journal", "snapshots", "trees"].contains(&name.as_str());
        assert_eq!(mode, if is_directory { 0o700 } else { 0o600 }, "{name}");
    }
    let copy = directory.path().join("copy");
    store.backup(&copy).unwrap();
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(modes(&copy).iter().all(|(_, mode)| mode & 0o077 == 0), "{:?}", modes(&copy));
}

#[test]
fn a_directory_that_is_there_decides_for_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    numbered::closed(&path, &options());
    for (name, mode) in modes(&path) {
        let is_directory = ["journal", "snapshots", "trees"].contains(&name.as_str());
        assert_eq!(mode, if is_directory { 0o750 } else { 0o640 }, "{name}");
    }
}

#[test]
fn a_compaction_keeps_permissions_and_owner() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o2755)).unwrap();
    numbered::closed(&path, &options());
    let trees = path.join("trees");
    fs::set_permissions(&trees, fs::Permissions::from_mode(0o711)).unwrap();
    // Only root can give files away.
    let owner = match path.metadata().unwrap().uid() {
        0 => (65_533, 65_532),
        uid => (uid, path.metadata().unwrap().gid()),
    };
    chown(&path, Some(owner.0), Some(owner.1)).unwrap();
    for name in ["journal", "snapshots", "trees"] {
        chown(path.join(name), Some(owner.0), Some(owner.1)).unwrap();
    }
    compact(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o2755);
    assert_eq!(trees.metadata().unwrap().permissions().mode() & 0o777, 0o711);
    for (name, mode) in modes(&path) {
        match name.as_str() {
            "trees" => {}
            "journal" | "snapshots" => assert_eq!(mode, 0o755, "{name}"),
            _ => assert_eq!(mode, 0o644, "{name}"),
        }
    }
    for place in [path.clone(), path.join("HEAD"), path.join("journal"), trees.join("db")] {
        let metadata = place.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), owner, "{}", place.display());
    }
    numbered::check_everything(&options().open(&path).unwrap(), "compacted");
}

#[test]
fn links_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let precious = directory.path().join("precious");
    for name in ["ANNALS", "HEAD", "LOCK", "trees/db", "journal", "trees", "snapshots", "sealed"] {
        let victim = match name {
            "sealed" => sealed(&path)[0].clone(),
            _ => path.join(name),
        };
        let aside = directory.path().join("aside");
        fs::rename(&victim, &aside).unwrap();
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, &victim).unwrap();
        let codes = [
            options().open(&path).map(drop),
            verify(&path, &VerifyOptions::new()).map(drop),
            repair(&path, &RepairOptions::new().apply(true)).map(drop),
            salvage(&path, Vec::new()).map(drop),
            backup(&path, directory.path().join("copy"), &BackupOptions::new()).map(drop),
        ];
        for code in codes.map(|done| done.unwrap_err().code()) {
            assert_eq!(code, ErrorCode::Corrupted, "{name}");
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        fs::remove_file(&victim).unwrap();
        fs::rename(&aside, &victim).unwrap();
    }
    // The store itself may be reached through one.
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(EventStore::open(&link).unwrap().head().unwrap(), numbered::EVENTS);
}
