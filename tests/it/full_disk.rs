//! A disk that is really full: a small file system in memory, which takes a superuser to make.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use annals::{
    AppendError, Error, ErrorCode, EventStore, ExpectedVersion, ExportOptions, NewEvent, Options,
    RepairOptions, compact, repair,
};

use crate::support::{
    files::{copy, flip, sealed},
    system::skipped,
};

/// A mounted file system that goes away with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with a visible line, where mounting is not allowed.
    fn mount(megabytes: u32) -> Option<SmallDisk> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mount = ["-t", "tmpfs", "-o", &size, "annals-test"];
        let output = Command::new("mount").args(mount).arg(directory.path()).output();
        if output.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk(directory));
        }
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "mounting must be allowed here");
        skipped("a full disk needs the right to mount a file system");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let filler = self.path().join("filler");
        let copy = fs::File::open("/dev/zero")
            .and_then(|mut zeros| std::io::copy(&mut zeros, &mut fs::File::create(filler)?));
        assert!(copy.is_err(), "the disk must be full now");
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "it was mounted");
    }
}

fn append(store: &EventStore) -> Result<(), AppendError> {
    let events = (0..50).map(|_| NewEvent::json("T", &"x".repeat(1_000)).unwrap());
    store.append("s", ExpectedVersion::Any, events).map(drop)
}

#[track_caller]
fn check_readable(store: &EventStore, head: u64) {
    assert_eq!(store.head().unwrap(), head);
    assert_eq!(store.read_all().map(Result::unwrap).count() as u64, head);
    assert_eq!(store.stream_version("s").unwrap(), head);
    let last = store.read_stream("s").backward().limit(1).next().unwrap().unwrap();
    assert_eq!((last.version(), last.position()), (head, head));
    assert_eq!(store.streams().map(Result::unwrap).count(), 1);
    let mut lines = Vec::new();
    let report = store.export_ndjson(&mut lines, &ExportOptions::new()).unwrap();
    assert_eq!(report.events, head);
}

#[test]
fn a_full_disk_refuses_appends_and_nothing_else() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    let path = disk.path().join("store");
    let options = Options::new().tail_bytes(1 << 20).journal_bytes(1 << 20);
    let store = options.open(&path).unwrap();
    for _ in 0..100 {
        append(&store).unwrap();
    }
    // sled does not recover from a full disk, so a drain that meets one poisons the store. After a
    // close nothing is left to drain.
    store.close().unwrap();
    let store = options.open(&path).unwrap();
    append(&store).unwrap();
    disk.fill();
    let error = loop {
        if let Err(error) = append(&store) {
            break error;
        }
    };
    assert_eq!(error.code(), ErrorCode::NoSpace, "{error:?}");
    let head = store.head().unwrap();
    check_readable(&store, head);
    assert_eq!(append(&store).unwrap_err().code(), ErrorCode::NoSpace);
    // The same store goes on as soon as there is space.
    disk.free();
    append(&store).unwrap();
    assert_eq!(store.verify().unwrap().findings, []);
    store.close().unwrap();
}

#[test]
fn a_store_on_a_full_disk_opens_for_reading() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    let path = disk.path().join("store");
    let store = EventStore::open(&path).unwrap();
    for _ in 0..100 {
        append(&store).unwrap();
    }
    store.close().unwrap();
    disk.fill();
    let store = EventStore::open(&path).unwrap();
    check_readable(&store, 5_000);
    match append(&store) {
        Err(AppendError::Failed(Error::Poisoned { cause })) => {
            assert_eq!(cause.code(), ErrorCode::NoSpace);
        }
        other => panic!("{other:?}"),
    }
    let findings = store.verify().unwrap().findings;
    assert_eq!(findings.iter().map(|f| f.code).collect::<Vec<_>>(), ["not-checked"]);
    assert_eq!(EventStore::open(&path).unwrap_err().code(), ErrorCode::Locked);
    assert_eq!(store.close().unwrap_err().code(), ErrorCode::Poisoned);
    disk.free();
    let store = EventStore::open(&path).unwrap();
    append(&store).unwrap();
    check_readable(&store, 5_050);
    assert_eq!(store.verify().unwrap().findings, []);
}

/// Makes a closed store of 50 events on a disk that is full afterwards.
fn fill_after_a_close(disk: &SmallDisk) -> PathBuf {
    let path = disk.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store).unwrap();
    store.close().unwrap();
    disk.fill();
    path
}

#[test]
fn a_compaction_on_a_full_disk_lacks_space_and_finds_no_damage() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let path = fill_after_a_close(&disk);
    let error = compact(&path).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoSpace, "{error}");
    disk.free();
    compact(&path).unwrap();
    check_readable(&EventStore::open(&path).unwrap(), 50);
}

#[test]
fn a_repair_on_a_full_disk_lacks_space_and_nothing_else() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let path = fill_after_a_close(&disk);
    let apply = RepairOptions::new().apply(true);
    let error = repair(&path, &apply).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoSpace, "{error}");
    let scratch = RepairOptions::new().scratch(disk.path());
    let error = repair(&path, &scratch).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoSpace, "{error}");
    disk.free();
    repair(&path, &apply).unwrap();
    check_readable(&EventStore::open(&path).unwrap(), 50);
}

#[test]
#[cfg(feature = "cli")]
fn a_full_disk_is_named_with_what_to_do() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let path = disk.path().join("store");
    EventStore::open(&path).unwrap().close().unwrap();
    disk.fill();
    let append = Command::new(env!("CARGO_BIN_EXE_annals"))
        .args(["append".as_ref(), path.as_os_str(), "s".as_ref(), "T".as_ref(), "1".as_ref()])
        .output()
        .unwrap();
    let words = String::from_utf8(append.stderr).unwrap();
    assert_eq!(append.status.code(), Some(6), "{words}");
    assert!(words.contains("no space left for "), "{words}");
    assert!(words.contains("free some space, then run the command again"), "{words}");
}

#[test]
#[cfg(feature = "cli")]
fn a_limit_on_the_size_of_files_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    // 20 blocks of 512 bytes: less than a journal file.
    let script = "ulimit -f 20; exec \"$0\" append \"$1\" s T 1";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_annals")])
        .arg(directory.path().join("store"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("File too large"), "{words}");
}

#[test]
fn a_full_disk_does_not_hide_that_a_newer_checkpoint_is_damaged() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let path = disk.path().join("store");
    let store = Options::new().journal_bytes(64 << 10).open(&path).unwrap();
    append(&store).unwrap();
    store.save_checkpoint("c", 10).unwrap();
    append(&store).unwrap();
    store.save_checkpoint("c", 20).unwrap();
    append(&store).unwrap();
    store.close().unwrap();
    // The sealed file that holds the newer one, damaged in one place after another.
    let files = sealed(&path);
    let file = files.last().expect("each append fills a file");
    let sound = fs::read(file).unwrap();
    for at in [sound.len() / 4, sound.len() / 2, sound.len() - 70, sound.len() - 1] {
        flip(file, at);
        disk.fill();
        let store = EventStore::open(&path).unwrap();
        match store.checkpoint("c") {
            Ok(position) => assert_eq!(position, 20, "damage at {at}"),
            Err(error) => assert_eq!(error.code(), ErrorCode::Corrupted, "damage at {at}"),
        }
        drop(store);
        disk.free();
        fs::write(file, &sound).unwrap();
    }
    flip(file, sound.len() - 1);
    disk.fill();
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.checkpoint("c").unwrap_err().code(), ErrorCode::Corrupted);
    drop(store);
    disk.free();
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.checkpoint("c").unwrap(), 20, "the trees have it");
}

/// Appends to the store at `path` until it has `head` events, all of one length.
fn fill_with(path: &Path, letter: &str, head: u64) {
    let store = Options::new().journal_bytes(64 << 10).open(path).unwrap();
    while store.head().unwrap() < head {
        let event = NewEvent::json("T", &letter.repeat(1_000)).unwrap();
        store.append("s", ExpectedVersion::Any, [event]).unwrap();
    }
    store.close().unwrap();
}

#[test]
fn a_full_disk_does_not_hide_a_journal_file_of_another_history() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (disk.path().join("store"), directory.path().join("other"));
    fill_with(&path, "a", 10);
    copy(&path, &other);
    fill_with(&path, "a", 600);
    fill_with(&other, "b", 600);
    let mut names: Vec<_> =
        fs::read_dir(path.join("journal")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    // Files in the middle, each with a name that both histories have.
    let middle = &names[2..names.len() - 2];
    assert!(middle.len() > 2, "{names:?}");
    disk.fill();
    for name in middle {
        let (file, foreign) = (path.join("journal").join(name), other.join("journal").join(name));
        let own = fs::read(&file).unwrap();
        fs::write(&file, fs::read(foreign).unwrap()).unwrap();
        match EventStore::open(&path) {
            Err(error) => assert_eq!(error.code(), ErrorCode::Corrupted, "{name:?}: {error}"),
            Ok(store) => {
                let data = store.read_all().map(|event| Ok::<_, Error>(event?.data().to_vec()));
                let foreign = |data: &Result<Vec<u8>, Error>| match data {
                    Ok(data) => data.contains(&b'b'),
                    Err(_) => false,
                };
                assert_eq!(data.filter(foreign).count(), 0, "{name:?}: foreign events are served");
                let close = store.close();
                assert_eq!(close.unwrap_err().code(), ErrorCode::Poisoned, "{name:?}");
            }
        }
        fs::write(&file, own).unwrap();
    }
    let store = EventStore::open(&path).unwrap();
    check_readable(&store, 600);
}
