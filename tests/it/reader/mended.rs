//! Readers that meet damage, or a file that cannot be read for a while: what they have is served,
//! what they lack is an error, and they go on once it is there again.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use annals::{
    ErrorCode, EventStore, Events, ExpectedVersion::Any, NewEvent, Query, QueryItem, Reader,
    RepairOptions, compact, repair,
};

use super::{check, options};
use crate::support::{
    files::{active, copy, copy_moment, first_position, flip, frames, sealed},
    numbered::{self, EVENTS, STREAMS},
};

/// A store as a kill leaves it, with its last frame damaged; the position before that frame.
fn damaged_at_its_end(running: &Path, path: &Path) -> u64 {
    let store = options().tail_bytes(1 << 20).open(running).unwrap();
    numbered::append(&store, 1..=10);
    copy_moment(running, path);
    let file = active(path).remove(0);
    let bytes = fs::read(&file).unwrap();
    flip(&file, frames(&bytes)[9].0 + 100);
    9
}

/// What is read before the end or an error, and whether it is an error.
fn read(events: Events) -> (Vec<u64>, bool) {
    let (mut positions, mut is_error) = (Vec::new(), false);
    for event in events {
        match event {
            Ok(event) => positions.push(event.position()),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Corrupted, "{error}");
                is_error = true;
            }
        }
    }
    (positions, is_error)
}

#[test]
fn damage_concerns_only_reads_that_come_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let known = damaged_at_its_end(&directory.path().join("running"), &path);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.head().unwrap_err().code(), ErrorCode::Corrupted);
    let item = QueryItem::new().types(["T"]);
    let query = Query::new().item(item.stream("s-1"));
    let all = || reader.read_all();
    let stream = || reader.read_stream("s-1");
    for until in [1, 5, known] {
        let due: Vec<u64> = (1..=until).collect();
        assert_eq!(read(all().until_position(until)), (due.clone(), false), "{until}");
        let of_stream: Vec<u64> = due.into_iter().filter(|at| at % 3 == 1).collect();
        assert_eq!(read(stream().until_position(until)), (of_stream.clone(), false), "{until}");
        let found = all().query(&query).until_position(until);
        assert_eq!(read(found), (of_stream, false), "{until}");
    }
    assert_eq!(read(all().until_position(known + 1)), ((1..=known).collect(), true));
    let backward: Vec<u64> = (1..=known).rev().collect();
    assert_eq!(read(all().backward().from_position(known)), (backward, false));
    for from in [known + 1, u64::MAX] {
        assert_eq!(read(all().backward().from_position(from)), (vec![], true), "{from}");
        assert_eq!(read(stream().backward().from_position(from)), (vec![], true), "{from}");
        let found = all().query(&query).backward().from_position(from);
        assert_eq!(read(found), (vec![], true), "{from}");
    }
    assert_eq!(read(stream().backward().from_version(2)), (vec![4, 1], false));
    assert_eq!(read(stream().backward().from_version(9)), (vec![], true));
}

#[test]
fn a_damaged_block_concerns_only_reads_that_come_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let (original, path) = (directory.path().join("original"), directory.path().join("store"));
    let store = EventStore::open(&original).unwrap();
    numbered::append(&store, 1..=3_000);
    store.close().unwrap();
    let mut damaged_blocks = 0;
    for part in 1..10 {
        let _ = fs::remove_dir_all(&path);
        copy(&original, &path);
        let file = sealed(&path).remove(1);
        flip(&file, fs::metadata(&file).unwrap().len() as usize * part / 10);
        let reader = Reader::open(&path).unwrap();
        let (before, is_damaged) = read(reader.read_all());
        let (after, _) = read(reader.read_all().backward());
        if !is_damaged {
            // The index of the file is damaged.
            continue;
        }
        damaged_blocks += 1;
        let (last_before, first_after) = (*before.last().unwrap(), *after.last().unwrap());
        for number in 0..STREAMS {
            let stream = || reader.read_stream(numbered::stream(number));
            let due = |positions: &[u64]| -> Vec<u64> {
                positions.iter().copied().filter(|at| at % STREAMS == number).collect()
            };
            assert_eq!(read(stream()), (due(&before), true), "{part}");
            assert_eq!(read(stream().backward()), (due(&after), true), "{part}");
            let versions = due(&(1..=3_000).collect::<Vec<_>>());
            for (version, position) in (1..).zip(versions).step_by(23) {
                let one = |events: Events| read(events.from_version(version).limit(1));
                let is_lost = (last_before + 1..first_after).contains(&position);
                let found = if is_lost { Vec::new() } else { vec![position] };
                assert_eq!(one(stream()), (found.clone(), is_lost), "{part}: {version}");
                assert_eq!(one(stream().backward()), (found, is_lost), "{part}: {version}");
            }
        }
    }
    assert!(damaged_blocks > 4, "{damaged_blocks}");
}

#[test]
fn a_search_goes_on_to_the_damage() {
    let directory = tempfile::tempdir().unwrap();
    let (running, path) = (directory.path().join("running"), directory.path().join("store"));
    let store = EventStore::open(&running).unwrap();
    let event = |tag: &str| NewEvent::binary("T", []).unwrap().tag(tag);
    store.append("s", Any, [event("wanted")]).unwrap();
    // More than a subscription searches at a time.
    for _ in 0..2 {
        store.append("s", Any, vec![event("other"); 60_000]).unwrap();
        store.append("s", Any, [event("wanted")]).unwrap();
    }
    store.append("s", Any, [event("wanted").id(uuid::Uuid::from_u128(1))]).unwrap();
    copy_moment(&running, &path);
    let file = active(&path).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    flip(&file, frames(&bytes).pop().unwrap().0 + 70);
    let reader = Reader::open(&path).unwrap();
    assert!(reader.head().is_err());
    let query = Query::new().item(QueryItem::new().tags(["wanted"]));
    let mut events = reader.subscribe(1).unwrap().query(&query);
    for due in [1, 60_002, 120_003] {
        assert_eq!(events.next().unwrap().unwrap().position(), due);
    }
    assert_eq!(events.next().unwrap().unwrap_err().code(), ErrorCode::Corrupted);
}

#[test]
fn a_reader_goes_on_after_a_repair() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let known = damaged_at_its_end(&directory.path().join("running"), &path);
    let reader = Reader::open(&path).unwrap();
    assert!(reader.head().is_err());
    let done = repair(&path, &RepairOptions::new().apply(true)).unwrap();
    assert_eq!(done.head, known);
    check(&reader, known);
    let store = options().open(&path).unwrap();
    check(&reader, known);
    for position in known + 1..=known + 300 {
        numbered::append(&store, position..=position);
        assert_eq!(reader.head().unwrap(), position);
    }
    check(&reader, known + 300);
    store.close().unwrap();
    check(&reader, known + 300);
}

/// Whether this process has a file or directory open that is or was below `directory`. Elsewhere,
/// another test may have one open by now that has got the same inode.
fn is_open(wanted: &fs::Metadata, directory: &Path) -> bool {
    let id = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    let files = fs::read_dir("/proc/self/fd").unwrap().map(|file| file.unwrap().path());
    let below = files.filter(|file| fs::read_link(file).is_ok_and(|to| to.starts_with(directory)));
    below.filter_map(|file| fs::metadata(file).ok()).any(|open| id(&open) == id(wanted))
}

/// A file system gives an inode to another directory once nobody has the first one open. Then a
/// reader that has missed two compactions cannot tell the directories apart.
#[test]
fn a_reader_that_misses_two_compactions_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let reader = Reader::open(&path).unwrap();
    let before = fs::metadata(&path).unwrap();
    for events in [EVENTS + 200, EVENTS + 400] {
        compact(&path).unwrap();
        let store = options().open(&path).unwrap();
        numbered::append(&store, events - 199..=events);
        store.close().unwrap();
    }
    assert!(
        is_open(&before, directory.path()),
        "its inode may be that of another directory by now"
    );
    check(&reader, EVENTS + 400);
    assert!(!is_open(&before, directory.path()), "the reader goes on in the new one");
}

/// Puts something in the place of a file that cannot be opened; gives where the file is.
fn hide(file: &Path) -> PathBuf {
    let aside = file.with_extension("aside");
    fs::rename(file, &aside).unwrap();
    symlink(file.file_name().unwrap(), file).unwrap();
    aside
}

fn unhide(file: &Path, aside: &Path) {
    fs::remove_file(file).unwrap();
    fs::rename(aside, file).unwrap();
}

#[test]
fn a_file_that_cannot_be_opened_for_a_while_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    numbered::append(&store, 1..=50);
    let readers = [(); 2].map(|()| Reader::open(&path).unwrap());
    numbered::append(&store, 51..=EVENTS);
    store.close().unwrap();
    // The one that the readers have in memory, and one that they come to.
    let files = sealed(&path);
    assert_eq!(first_position(&files[0]), 1);
    for (file, reader) in [&files[0], &files[2]].into_iter().zip(&readers) {
        let aside = hide(file);
        for _ in 0..2 {
            let error = reader.head().unwrap_err();
            assert_eq!(error.code(), ErrorCode::Io, "{file:?}: {error}");
        }
        unhide(file, &aside);
        check(reader, EVENTS);
    }
}
