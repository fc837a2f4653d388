//! Commands that only read, run by a user who may only read: they work, and leave no trace.

use std::{
    fs::{self, File, FileTimes, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use annals::Reader;

use super::{options, traces};
use crate::support::{
    numbered::{self, EVENTS},
    system::skipped,
};

/// A user and a group without rights of their own.
const NOBODY: u32 = 65_534;

fn everything_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.append(&mut everything_below(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Files that everybody may read and nobody may write.
fn make_read_only(directory: &Path) {
    for path in everything_below(directory) {
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}

/// The program as that user; `None` where the tests may not do that.
fn as_nobody(program: &Path, args: &[&str]) -> Option<std::process::Output> {
    let mut command = Command::new(program);
    // The directory of the tests may be closed to that user.
    command.env_remove("TMPDIR").args(args).uid(NOBODY).gid(NOBODY);
    command.current_dir("/").output().ok()
}

/// The program in this directory; `None`, with a line, where nobody else can run it.
fn program_for_nobody(directory: &Path) -> Option<PathBuf> {
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    // Where it was built, others may have no access.
    let program = directory.join("annals");
    fs::copy(env!("CARGO_BIN_EXE_annals"), &program).unwrap();
    let can_run = as_nobody(&program, &["--version"]).is_some();
    if !can_run {
        skipped("only root runs programs as another user");
    }
    can_run.then_some(program)
}

/// The name of a store's directory is synced through its parent, which a service may pass through
/// and not read.
#[test]
fn a_store_opens_below_a_directory_that_its_user_may_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let Some(program) = program_for_nobody(directory.path()) else { return };
    let parent = directory.path().join("parent");
    let path = parent.join("store");
    fs::create_dir_all(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(&parent, Permissions::from_mode(0o711)).unwrap();
    let name = path.to_str().unwrap();
    for expected in ["no-stream", "1"] {
        let args = ["append", name, "s", "T", "{}", "--expected", expected];
        let run = as_nobody(&program, &args).unwrap();
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{stderr}");
    }
}

#[test]
fn another_user_reads_files_that_are_read_only() {
    let directory = tempfile::tempdir().unwrap();
    let Some(program) = program_for_nobody(directory.path()) else { return };
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS);
    store.save_checkpoint("mailer", 7).unwrap();
    store.save_snapshot("x", 9, "state").unwrap();
    store.close().unwrap();
    let name = path.to_str().unwrap();
    let commands: [&[&str]; 8] = [
        &["read", name],
        &["read", name, "s-1", "--backward", "--limit", "3"],
        &["streams", name],
        &["stats", name],
        &["checkpoints", name],
        &["snapshots", name],
        &["export", name],
        &["verify", name],
    ];
    let refused = as_nobody(&program, commands[0]).unwrap();
    assert_eq!(refused.status.code(), Some(6), "a new store is private");
    make_read_only(&path);
    let before = traces(&path);
    for args in commands {
        let run = as_nobody(&program, args).unwrap();
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{args:?}: {stderr}");
    }
    let lines = as_nobody(&program, commands[0]).unwrap().stdout;
    assert_eq!(lines.split(|byte| *byte == b'\n').count() as u64, EVENTS + 1);
    assert_eq!(traces(&path), before);
    // Beside a writer, to whom the rights of files mean nothing.
    let store = options().open(&path).unwrap();
    numbered::append(&store, EVENTS + 1..=EVENTS + 1);
    let run = as_nobody(&program, &["read", name, "--backward", "--limit", "1"]).unwrap();
    let position = format!("\"event_id\": {}", EVENTS + 1);
    assert!(String::from_utf8_lossy(&run.stdout).contains(&position), "{run:?}");
    assert!(Reader::open(&path).unwrap().stats().unwrap().is_written);
}

#[test]
fn reading_leaves_the_time_of_the_last_access_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=EVENTS);
    store.save_snapshot("x", 9, "state").unwrap();
    // A writer reads its own files when it seals them.
    store.close().unwrap();
    // A file system that records accesses at all does so for a time as old as this.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mut files: Vec<PathBuf> = everything_below(&path);
    files.retain(|file| file.is_file() && file.parent() != Some(&path.join("trees")));
    assert!(files.len() > 4, "{files:?}");
    for file in &files {
        let opened = File::options().write(true).open(file).unwrap();
        opened.set_times(FileTimes::new().set_accessed(long_ago)).unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    super::check(&reader, EVENTS);
    assert!(reader.load_snapshot("x").unwrap().is_some());
    assert!(reader.verify().unwrap().findings.is_empty());
    for file in &files {
        assert_eq!(file.metadata().unwrap().accessed().unwrap(), long_ago, "{file:?}");
    }
}
