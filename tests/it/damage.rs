//! Stores whose files were damaged, lost, exchanged or mixed up: everything acknowledged is served,
//! or somebody says that it is not.

use std::{fs, path::Path, process::Command};

use annals::{ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, Reader, RecordedEvent};

use crate::support::files::{
    self, active, copy, copy_moment, first_position, replace_directory, unpublish,
};

const FIRST: &str = "journal/00000000000000000001.journal";

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

fn append(store: &EventStore, number: u64, data: &str) {
    let event = NewEvent::json("T", data).unwrap();
    store.append("s", ExpectedVersion::Exact(number), [event]).unwrap();
}

/// A store of `in_trees` events that were closed into the trees, and `in_tail` after them, left as
/// a kill leaves it. The events have some 200 bytes.
fn killed(path: &Path, in_trees: u64, in_tail: u64) {
    let scratch = tempfile::tempdir().unwrap();
    let original = scratch.path().join("store");
    let store = options().open(&original).unwrap();
    (0..in_trees).for_each(|number| append(&store, number, &format!("{number:0>200}")));
    store.close().unwrap();
    let store = options().open(&original).unwrap();
    (in_trees..in_trees + in_tail)
        .for_each(|number| append(&store, number, &format!("{number:0>200}")));
    copy_moment(&original, path);
}

/// The trees have what the file has lost, but nobody knows whether it had more.
#[test]
fn a_lost_end_may_have_hidden_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    killed(&path, 20, 0);
    let file = path.join(FIRST);
    let mut bytes = fs::read(&file).unwrap();
    let (from, _) = files::frames(&bytes)[14];
    bytes[from..].fill(0);
    fs::write(&file, bytes).unwrap();
    assert_eq!(code_of(&path), Some(ErrorCode::Corrupted));
}

fn code_of(path: &Path) -> Option<ErrorCode> {
    options().create(false).open(path).err().map(|error| error.code())
}

/// Where the frames of a journal file start.
fn frames(bytes: &[u8]) -> Vec<usize> {
    files::frames(bytes).into_iter().map(|(at, _)| at).collect()
}

#[test]
fn frames_after_damage_in_what_the_trees_hold_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    killed(&original, 20, 10);
    let bytes = fs::read(original.join(FIRST)).unwrap();
    for (number, at) in frames(&bytes).into_iter().enumerate() {
        let path = directory.path().join("damaged");
        copy(&original, &path);
        let mut damaged = bytes.clone();
        damaged[at + 100] ^= 1;
        fs::write(path.join(FIRST), damaged).unwrap();
        if number >= 20 {
            assert_eq!(code_of(&path), Some(ErrorCode::Corrupted), "frame {number}");
        } else {
            // Twice, for the first time moves the events on.
            for round in 0..2 {
                let store = options().open(&path).unwrap();
                assert_eq!(store.head().unwrap(), 30 + round, "frame {number}");
                let codes: Vec<_> =
                    store.verify().unwrap().findings.iter().map(|found| found.code).collect();
                assert_eq!(codes, ["journal-damaged"]);
                append(&store, 30 + round, "more");
            }
        }
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_record_of_an_earlier_close_does_not_hide_what_came_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let closed = directory.path().join("closed");
    killed(&closed, 5, 0);
    // `HEAD` says by now that the store is in use.
    options().open(&closed).unwrap().close().unwrap();
    let head = fs::read(closed.join("HEAD")).unwrap();
    let end = fs::read(closed.join(FIRST)).unwrap().len();
    // Three more events, and a kill; then `HEAD` is as it was before.
    let scratch = directory.path().join("scratch");
    copy(&closed, &scratch);
    let store = options().open(&scratch).unwrap();
    (5..8).for_each(|number| append(&store, number, "more"));
    let path = directory.path().join("killed");
    copy_moment(&scratch, &path);
    fs::write(path.join("HEAD"), &head).unwrap();
    let bytes = fs::read(path.join(FIRST)).unwrap();
    assert_eq!(frames(&bytes)[5], end, "the frame after the close");
    let sound = directory.path().join("sound");
    copy(&path, &sound);
    let store = options().open(&sound).unwrap();
    assert_eq!(store.read_all().map(Result::unwrap).count(), 8);
    assert_eq!(store.verify().unwrap().findings, []);
    // The header of the first one, and all of it: frames after it prove that it was durable.
    for lost in [end..end + 64, end..frames(&bytes)[6]] {
        let mut damaged = bytes.clone();
        damaged[lost.clone()].fill(0);
        fs::write(path.join(FIRST), damaged).unwrap();
        fs::write(path.join("HEAD"), &head).unwrap();
        assert_eq!(code_of(&path), Some(ErrorCode::Corrupted), "{lost:?}");
    }
}

#[test]
fn a_journal_that_ends_before_the_trees_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    killed(&original, 20, 10);
    let bytes = fs::read(original.join(FIRST)).unwrap();
    let starts = frames(&bytes).into_iter().take(20);
    // At a frame, inside of its header, and inside of its payload.
    for at in starts.flat_map(|at| [at, at + 40, at + 200]) {
        let path = directory.path().join("damaged");
        copy(&original, &path);
        let mut damaged = bytes.clone();
        damaged[at..].fill(0);
        fs::write(path.join(FIRST), &damaged).unwrap();
        assert_eq!(code_of(&path), Some(ErrorCode::Corrupted), "zeros from {at} on");
        fs::write(path.join(FIRST), &damaged[..at]).unwrap();
        assert_eq!(code_of(&path), Some(ErrorCode::Corrupted), "cut at {at}");
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_lost_last_file_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    for (in_trees, in_tail) in [(400, 300), (10, 690), (0, 700)] {
        let path = directory.path().join(format!("{in_trees}"));
        killed(&path, in_trees, in_tail);
        let files = active(&path);
        assert!(files.len() > 2, "{} files", files.len());
        fs::remove_file(files.last().unwrap()).unwrap();
        assert_eq!(code_of(&path), Some(ErrorCode::Corrupted), "{in_trees} in the trees");
    }
}

#[test]
fn a_second_name_for_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["1.journal", "+1.journal", "000000000000000000001.journal", "copy.journal"] {
        let path = directory.path().join("store");
        killed(&path, 2, 3);
        fs::copy(path.join(FIRST), path.join("journal").join(name)).unwrap();
        assert_eq!(code_of(&path), Some(ErrorCode::Corrupted), "{name}");
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn histories_that_parted_are_not_mixed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    killed(&path("common"), 3, 0);
    for (name, letter) in [("one", "a"), ("other", "b")] {
        let scratch = path("scratch");
        copy(&path("common"), &scratch);
        let store = options().open(&scratch).unwrap();
        (3..600).for_each(|number| append(&store, number, &letter.repeat(200)));
        copy_moment(&scratch, &path(name));
        store.close().unwrap();
        copy(&scratch, &path(&format!("{name}-closed")));
        fs::remove_dir_all(&scratch).unwrap();
    }
    // The last journal file of the other.
    let files = active(&path("other"));
    let last = files.last().unwrap();
    copy(&path("one"), &path("mixed"));
    fs::copy(last, path("mixed").join("journal").join(last.file_name().unwrap())).unwrap();
    assert_eq!(code_of(&path("mixed")), Some(ErrorCode::Corrupted));
    // Its trees.
    for (journal, trees) in [("one", "other-closed"), ("one-closed", "other-closed")] {
        let mixed = path("mixed-trees");
        copy(&path(journal), &mixed);
        replace_directory(&path(trees), &mixed, "trees");
        assert_eq!(code_of(&mixed), Some(ErrorCode::Corrupted), "{journal} with {trees}");
        fs::remove_dir_all(&mixed).unwrap();
    }
    // Older trees of its own are no damage: the journal has the rest.
    let mixed = path("older-trees");
    copy(&path("one-closed"), &mixed);
    replace_directory(&path("common"), &mixed, "trees");
    match code_of(&mixed) {
        None => {
            let store = options().open(&mixed).unwrap();
            assert_eq!(store.read_all().map(Result::unwrap).count(), 600);
        }
        refused => assert_eq!(refused, Some(ErrorCode::Corrupted)),
    }
}

/// Wherever a reader starts, what it returns after position 300 has this byte.
#[track_caller]
fn check_own(reader: &Reader, own: u8, what: &str) {
    for start in [1, 301, 351, 601, 1_201, 1_801] {
        let all = || reader.read_all().from_position(start);
        let stream = || reader.read_stream("s").from_version(start);
        let reads = [all(), all().backward(), stream(), stream().backward()];
        for (number, read) in reads.into_iter().enumerate() {
            let foreign =
                |event: &RecordedEvent| event.position() > 300 && !event.data().contains(&own);
            let foreign = read.map_while(Result::ok).find(foreign).map(|event| event.position());
            assert_eq!(foreign, None, "{what}: read {number} from {start}");
        }
    }
}

/// A sealed file of another history is whole, and starts where this one ends, or after that.
#[test]
fn a_sealed_file_of_another_history_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    killed(&path("common"), 300, 0);
    for (name, letter, events) in [("long", "a", 2_000), ("short", "b", 350)] {
        copy(&path("common"), &path(name));
        let store = options().open(path(name)).unwrap();
        (300..events).for_each(|number| append(&store, number, &letter.repeat(200)));
        store.close().unwrap();
    }
    let own = fs::read(path("common").join("HEAD")).unwrap();
    let others: Vec<_> =
        files::sealed(&path("long")).into_iter().filter(|f| first_position(f) > 300).collect();
    assert!(others.len() > 2);
    // Besides the shorter history, and besides the common start with and without its record.
    for (base, head) in [("short", None), ("common", None), ("common", Some(&own))] {
        for other in &others {
            let mixed = path("mixed");
            copy(&path(base), &mixed);
            if let Some(head) = head {
                fs::write(mixed.join("HEAD"), head).unwrap();
            }
            fs::copy(other, mixed.join("journal").join(other.file_name().unwrap())).unwrap();
            let what = format!("{base} with {other:?}");
            assert_eq!(code_of(&mixed), Some(ErrorCode::Corrupted), "{what}");
            let own = if base == "short" { b'b' } else { b'0' };
            check_own(&Reader::open(&mixed).unwrap(), own, &what);
            fs::remove_dir_all(&mixed).unwrap();
        }
    }
}

#[test]
fn rot_in_a_payload_of_zeros_is_no_unfinished_write() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    let store = options().open(&original).unwrap();
    let mut data = vec![7; 3_000];
    data[500..2_500].fill(0);
    for _ in 0..2 {
        let event = NewEvent::binary("T", data.clone()).unwrap();
        store.append("s", ExpectedVersion::Any, [event]).unwrap();
    }
    let path = directory.path().join("killed");
    copy(&original, &path);
    let mut bytes = fs::read(path.join(FIRST)).unwrap();
    let last = *frames(&bytes).last().unwrap();
    bytes[last + 64 + 2_700] ^= 1;
    fs::write(path.join(FIRST), bytes).unwrap();
    assert_eq!(code_of(&path), Some(ErrorCode::Corrupted));
}

#[test]
fn a_rotten_end_of_a_closed_store_is_damage_or_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    killed(&original, 5, 0);
    let bytes = fs::read(original.join(FIRST)).unwrap();
    let ends = frames(&bytes);
    let (last, closed) = (ends[ends.len() - 2], ends[ends.len() - 1]);
    for lost in [last..last + 64, last..closed, last + 128..closed, closed..closed + 64] {
        let path = directory.path().join("damaged");
        copy(&original, &path);
        let mut damaged = bytes.clone();
        damaged[lost.clone()].fill(0);
        fs::write(path.join(FIRST), damaged).unwrap();
        let store = options().open(&path);
        if let Ok(store) = store {
            assert_eq!(store.read_all().map(Result::unwrap).count(), 5, "{lost:?}");
        }
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn foreign_files_are_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    for place in ["journal/2024-01.md", "trees/oak.txt", "trees/blobs/photo", "notes.txt"] {
        let path = directory.path().join("foreign");
        let file = path.join(place);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "precious").unwrap();
        let error = EventStore::open(&path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{place}: {error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn trees_without_a_superblock_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    killed(&path, 40, 0);
    fs::remove_file(path.join("ANNALS")).unwrap();
    fs::remove_dir_all(path.join("journal")).unwrap();
    let before = fs::read(path.join("trees/db")).unwrap();
    assert_eq!(EventStore::open(&path).unwrap_err().code(), ErrorCode::Corrupted);
    assert_eq!(fs::read(path.join("trees/db")).unwrap(), before);
}

#[test]
fn a_directory_in_place_of_a_file_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["ANNALS", FIRST, "trees/conf", "trees/db"] {
        let path = directory.path().join("store");
        killed(&path, 2, 3);
        fs::remove_file(path.join(name)).unwrap();
        fs::create_dir(path.join(name)).unwrap();
        // Trees are rebuilt.
        let due = if name.starts_with("trees") { None } else { Some(ErrorCode::Corrupted) };
        assert_eq!(code_of(&path), due, "{name}");
        fs::remove_dir_all(&path).unwrap();
    }
}

/// Set for the run of this program that changes its directory, which would disturb other tests.
const CHILD: &str = "ANNALS_TEST_RELATIVE";

#[test]
fn a_relative_path_means_the_directory_of_the_open() {
    if let Some(directory) = std::env::var_os(CHILD) {
        std::env::set_current_dir(&directory).unwrap();
        fs::create_dir("elsewhere").unwrap();
        let store = options().tail_bytes(16 << 10).open("store").unwrap();
        append(&store, 0, "first");
        std::env::set_current_dir("elsewhere").unwrap();
        (1..600).for_each(|number| append(&store, number, &"x".repeat(200)));
        store.close().unwrap();
        assert_eq!(fs::read_dir(".").unwrap().count(), 0, "nothing is written elsewhere");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let name = "damage::a_relative_path_means_the_directory_of_the_open";
    let child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(CHILD, directory.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let store = EventStore::open(directory.path().join("store")).unwrap();
    assert_eq!(store.read_all().map(Result::unwrap).count(), 600);
}

/// A header of a journal frame that says that everything up to it is durable, and that fits the
/// store: its checksum starts from the store's id, which every caller can ask for.
fn forged_header(store: &EventStore) -> [u8; 64] {
    let id = store.stats().unwrap().store_id;
    let mut header = [0; 64];
    header[..4].copy_from_slice(b"ANFR");
    (header[4], header[5]) = (1, 1);
    header[12] = 1;
    header[16..24].copy_from_slice(&1_000_u64.to_le_bytes());
    header[24..32].copy_from_slice(&999_u64.to_le_bytes());
    header[40..56].copy_from_slice(id.as_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(id.as_bytes());
    sum.update(&header[..60]);
    header[60..].copy_from_slice(&sum.finalize().to_le_bytes());
    header
}

#[test]
fn event_data_that_imitates_a_frame_does_not_make_a_torn_write_damage() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    let store = options().open(&original).unwrap();
    let first = NewEvent::json("T", "first").unwrap();
    store.append("s", ExpectedVersion::Exact(0), [first]).unwrap();
    // Wherever the data starts, one of the copies stands where a frame could.
    let header = forged_header(&store);
    let data: Vec<u8> = (0..64).flat_map(|_| header.iter().copied().chain([7])).collect();
    let len = data.len();
    let second = NewEvent::binary("T", data).unwrap();
    store.append("s", ExpectedVersion::Exact(1), [second]).unwrap();
    let path = directory.path().join("torn");
    for lost in [1, 10, 100, 1_000] {
        copy(&original, &path);
        let mut bytes = fs::read(path.join(FIRST)).unwrap();
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        assert!(bytes[..end].windows(64).any(|window| window == header) && end > len);
        bytes[end - lost..].fill(0);
        fs::write(path.join(FIRST), bytes).unwrap();
        // It was acknowledged, as `HEAD` still says.
        let head = fs::read(path.join("HEAD")).unwrap();
        assert_eq!(code_of(&path), Some(ErrorCode::Corrupted), "{lost} bytes are lost");
        fs::write(path.join("HEAD"), head).unwrap();
        unpublish(&path);
        let store = options().open(&path).unwrap();
        assert_eq!(store.head().unwrap(), 1, "{lost} bytes are lost");
        append(&store, 1, "next");
        drop(store);
        assert_eq!(code_of(&path), None, "{lost} bytes are lost");
        fs::remove_dir_all(&path).unwrap();
    }
}

/// Set for the run of this program whose memory is limited, which would disturb other tests.
#[cfg(target_os = "linux")]
const LIMITED: &str = "ANNALS_TEST_LIMITED";
#[cfg(target_os = "linux")]
const TERABYTE: u64 = 1 << 40;

/// Makes a file a terabyte long, without anything on the disk.
#[cfg(target_os = "linux")]
fn make_sparse(path: &Path) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(TERABYTE).unwrap();
}

/// Stores in one directory, each with one file of a terabyte.
#[cfg(target_os = "linux")]
fn make_stores_with_a_terabyte(directory: &Path) {
    let original = directory.join("original");
    let store = options().open(&original).unwrap();
    append(&store, 0, "first");
    let id = store.stats().unwrap().store_id;
    let damaged = |name: &str, damage: &dyn Fn(&Path)| {
        let path = directory.join(name);
        copy(&original, &path);
        damage(&path);
    };
    damaged("superblock", &|path| make_sparse(&path.join("ANNALS")));
    damaged("conf", &|path| make_sparse(&path.join("trees/conf")));
    damaged("journal", &|path| {
        // The header's capacity, its checksum, and the length of the file agree with each other.
        let mut bytes = fs::read(path.join(FIRST)).unwrap();
        bytes[36..44].copy_from_slice(&TERABYTE.to_le_bytes());
        let mut sum = crc32fast::Hasher::new();
        sum.update(id.as_bytes());
        sum.update(&bytes[..60]);
        bytes[60..64].copy_from_slice(&sum.finalize().to_le_bytes());
        fs::write(path.join(FIRST), &bytes).unwrap();
        make_sparse(&path.join(FIRST));
    });
    store.close().unwrap();
    fs::remove_dir_all(&original).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_of_a_terabyte_is_damage_and_takes_no_memory() {
    if let Some(directory) = std::env::var_os(LIMITED) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            // Trees are rebuilt.
            let due = if path.ends_with("conf") { None } else { Some(ErrorCode::Corrupted) };
            assert_eq!(code_of(&path), due, "{}", path.display());
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    make_stores_with_a_terabyte(directory.path());
    // In kibibytes: enough for a store, and nothing near the file.
    let child = Command::new("sh")
        .args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["damage::a_file_of_a_terabyte_is_damage_and_takes_no_memory", "--exact"])
        .env(LIMITED, directory.path())
        .output()
        .unwrap();
    let (stdout, stderr) = (child.stdout, String::from_utf8_lossy(&child.stderr));
    let text = format!("{} {stderr}", String::from_utf8_lossy(&stdout));
    assert!(child.status.success() && text.contains("1 passed"), "{:?}: {text}", child.status);
}
