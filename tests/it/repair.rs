//! Repairs: the plan changes nothing, what one copy has lost comes from the other, and what is
//! replaced is kept. `salvage` saves the rest.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use annals::{
    ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, RepairOptions, RepairReport, repair,
    salvage,
};

use crate::support::{
    files::{active, copy, copy_moment, first_position, flip, frames, sealed},
    numbered::{self, EVENTS},
    trees::open_trees,
};

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

fn plan(path: &Path) -> RepairReport {
    let before = contents(path);
    let report = repair(path, &RepairOptions::new()).unwrap();
    assert_eq!(contents(path), before, "a plan changes nothing");
    assert!(!report.applied);
    report
}

/// Repairs a store as its plan says, and returns the codes of the steps.
fn repaired(path: &Path) -> Vec<&'static str> {
    let plan = plan(path);
    let done = repair(path, &RepairOptions::new().apply(true)).unwrap();
    assert!(done.applied);
    assert_eq!(codes(&plan), codes(&done));
    assert_eq!(plan.lost.len(), done.lost.len());
    assert_eq!(plan.head, done.head);
    codes(&done)
}

fn codes(report: &RepairReport) -> Vec<&'static str> {
    report.steps.iter().map(|step| step.code).collect()
}

/// Everything in a directory, with the times of the last change.
fn contents(path: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let changed = path.symlink_metadata().unwrap().modified().unwrap();
        if path.is_dir() {
            found.append(&mut contents(&path));
            found.insert(path, (Vec::new(), changed));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, (bytes, changed));
        }
    }
    found
}

/// The store is whole, and so is its journal alone.
#[track_caller]
fn check_both_copies(path: &Path, what: &str) {
    let store = options().create(false).open(path).unwrap();
    assert!(store.recovery().reason().is_none(), "{what}");
    numbered::check_everything(&store, what);
    assert_eq!(store.verify().unwrap().findings, [], "{what}");
    store.close().unwrap();
    fs::remove_dir_all(path.join("trees")).unwrap();
    let store = options().create(false).open(path).unwrap();
    numbered::check_everything(&store, what);
    assert_eq!(store.verify().unwrap().findings, [], "{what}");
}

#[test]
fn a_sound_store_needs_no_step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    assert_eq!(repaired(&path), [""; 0]);
    check_both_copies(&path, "sound");
}

#[test]
fn a_sealed_file_is_rewritten_from_the_trees() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    numbered::closed(&original, &options());
    for (index, file) in sealed(&original).iter().enumerate() {
        let len = fs::metadata(file).unwrap().len() as usize;
        // A block, the index, the footer, and all of it.
        for at in [Some(100), Some(len - 300), Some(len - 1), None] {
            let what = format!("file {index}, damage at {at:?}");
            let path = directory.path().join("store");
            copy(&original, &path);
            let damaged = path.join("journal").join(file.file_name().unwrap());
            match at {
                Some(at) => flip(&damaged, at),
                None => fs::remove_file(&damaged).unwrap(),
            }
            assert_eq!(repaired(&path), ["journal-damaged"], "{what}");
            let aside = damaged.with_extension("sealed.damaged-1");
            assert_eq!(aside.exists(), at.is_some(), "{what}");
            check_both_copies(&path, &what);
            fs::remove_dir_all(&path).unwrap();
        }
    }
}

#[test]
fn several_neighbours_become_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let files = sealed(&path);
    flip(&files[1], 100);
    fs::remove_file(&files[2]).unwrap();
    fs::remove_file(files.last().unwrap()).unwrap();
    assert_eq!(repaired(&path), ["journal-damaged"; 2]);
    assert_eq!(sealed(&path).len(), files.len() - 1);
    check_both_copies(&path, "neighbours");
}

#[test]
fn a_lost_last_file_of_a_closed_store_is_rewritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    fs::remove_file(&active(&path)[0]).unwrap();
    assert_eq!(repaired(&path), ["journal-damaged"]);
    check_both_copies(&path, "the last file");
}

#[test]
fn a_lost_journal_is_rewritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    fs::remove_dir_all(path.join("journal")).unwrap();
    assert_eq!(repaired(&path), ["journal-damaged"; 2]);
    check_both_copies(&path, "the journal");
}

#[test]
fn checkpoints_survive_the_rewriting() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    for part in 1..=10 {
        numbered::append(&store, (part - 1) * EVENTS / 10 + 1..=part * EVENTS / 10);
        store.save_checkpoint("often", part * EVENTS / 10).unwrap();
        store.save_checkpoint(format!("once-{part}"), part).unwrap();
    }
    store.close().unwrap();
    for file in sealed(&path) {
        flip(&file, 100);
    }
    assert_eq!(repaired(&path), ["journal-damaged"]);
    fs::remove_dir_all(path.join("trees")).unwrap();
    let store = options().open(&path).unwrap();
    assert_eq!(store.checkpoint("often").unwrap(), EVENTS);
    for part in 1..=10 {
        assert_eq!(store.checkpoint(format!("once-{part}")).unwrap(), part);
    }
}

#[test]
fn frames_that_the_trees_have_are_rewritten() {
    let directory = tempfile::tempdir().unwrap();
    let running = directory.path().join("running");
    let options = Options::new();
    let store = options.open(&running).unwrap();
    numbered::append(&store, 1..=EVENTS / 2);
    store.close().unwrap();
    let store = options.open(&running).unwrap();
    numbered::append(&store, EVENTS / 2 + 1..=EVENTS);
    let path = directory.path().join("store");
    copy_moment(&running, &path);
    let first = active(&path).remove(0);
    let at = frames(&fs::read(&first).unwrap())[10].0;
    flip(&first, at + 100);
    assert_eq!(repaired(&path), ["journal-damaged"]);
    check_both_copies(&path, "a frame");
}

#[test]
fn a_superblock_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    numbered::closed(&original, &options());
    let bytes = fs::read(original.join("ANNALS")).unwrap();
    for at in [None, Some(0), Some(9), Some(13), Some(31)] {
        let path = directory.path().join("store");
        copy(&original, &path);
        match at {
            Some(at) => flip(&path.join("ANNALS"), at),
            None => fs::remove_file(path.join("ANNALS")).unwrap(),
        }
        assert_eq!(repaired(&path), ["superblock-damaged"], "{at:?}");
        assert_eq!(fs::read(path.join("ANNALS")).unwrap(), bytes);
        check_both_copies(&path, "the superblock");
        fs::remove_dir_all(&path).unwrap();
    }
}

/// A store as a kill leaves it, with a damaged frame that only the journal has; and the position of
/// the first event of that frame.
fn damaged_at_the_end(path: &Path) -> u64 {
    let running = path.with_extension("running");
    let options = Options::new();
    let store = options.open(&running).unwrap();
    numbered::append(&store, 1..=EVENTS / 2);
    store.save_snapshot("kept", EVENTS / 2, b"state").unwrap();
    store.close().unwrap();
    let store = options.open(&running).unwrap();
    numbered::append(&store, EVENTS / 2 + 1..=EVENTS);
    store.save_snapshot("lost", EVENTS, b"state").unwrap();
    copy_moment(&running, path);
    store.close().unwrap();
    let last = active(path).pop().unwrap();
    let bytes = fs::read(&last).unwrap();
    let frames = frames(&bytes);
    let at = frames[frames.len() - 10].0;
    flip(&last, at + 100);
    u64::from_le_bytes(bytes[at + 16..at + 24].try_into().unwrap())
}

#[test]
fn a_log_is_cut_off_only_where_nothing_else_helps() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let lost = damaged_at_the_end(&path);
    let error = options().open(&path).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupted);
    let whole = plan(&path);
    let step = &whole.steps[0];
    assert_eq!((step.code, step.position), ("log-cut", Some(lost)), "{step}");
    assert_eq!(repaired(&path), ["log-cut", "snapshot-damaged"]);
    let store = options().create(false).open(&path).unwrap();
    assert_eq!(store.head().unwrap(), lost - 1);
    assert_eq!(store.verify().unwrap().findings, []);
    assert!(store.load_snapshot("kept").unwrap().is_some());
    assert!(store.load_snapshot("lost").unwrap().is_none());
    let aside = store.stats().unwrap().set_aside;
    assert!(aside.iter().any(|name| name.ends_with(".journal.damaged-1")), "{aside:?}");
    numbered::append(&store, lost..=EVENTS);
    store.close().unwrap();
    check_both_copies(&path, "after the cut");
}

#[test]
fn what_a_cut_would_lose_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let lost = damaged_at_the_end(&path);
    let before = contents(&path);
    let mut saved = Vec::new();
    let report = salvage(&path, &mut saved).unwrap();
    assert_eq!(contents(&path), before, "a salvage changes nothing");
    assert_eq!(report.events, EVENTS - 1);
    let missing: Vec<_> = report.missing.iter().map(|found| found.position).collect();
    assert_eq!(missing, [Some(lost)]);
    let lines = String::from_utf8(saved).unwrap();
    let positions: Vec<u64> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| event["event_id"].as_u64().unwrap())
        .collect();
    let due: Vec<u64> = (1..=EVENTS).filter(|position| *position != lost).collect();
    assert_eq!(positions, due);
}

#[test]
fn positions_that_neither_copy_has_are_lost_and_the_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    // A file of several blocks, of which the first is damaged.
    let options = || Options::new().journal_bytes(128 << 10);
    numbered::closed(&path, &options());
    let files = sealed(&path);
    flip(&files[0], 100);
    let in_file = first_position(&files[0])..first_position(&files[1]);
    fs::remove_dir_all(path.join("trees")).unwrap();
    assert_eq!(options().open(&path).unwrap_err().code(), ErrorCode::Corrupted);
    let mut saved = Vec::new();
    let report = salvage(&path, &mut saved).unwrap();
    let missing = EVENTS - report.events;
    assert!(missing > 0 && missing < in_file.end - in_file.start, "one block is lost: {missing}");
    assert_eq!(report.missing.len(), 1);
    assert!(in_file.contains(&report.missing[0].position.unwrap()));
    let done = repair(&path, &RepairOptions::new().apply(true)).unwrap();
    assert_eq!(codes(&done), ["trees-damaged"]);
    assert!(done.lost.iter().any(|found| found.code == "journal-damaged"), "{:?}", done.lost);
    let store = options().open(&path).unwrap();
    assert_eq!(store.head().unwrap(), EVENTS);
    let is_read = |position| {
        let read = store.read_all().from_position(position).limit(1).next().unwrap();
        match read {
            Ok(event) => {
                assert_eq!(event.data(), format!("\"{}\"", numbered::data(position)).as_bytes());
                true
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Corrupted);
                false
            }
        }
    };
    assert_eq!((1..=EVENTS).filter(|position| !is_read(*position)).count() as u64, missing);
}

#[test]
fn the_first_and_the_newest_evidence_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    for _ in 0..4 {
        flip(&path.join("trees/conf"), 3);
        options().open(&path).unwrap().close().unwrap();
    }
    let report = repair(&path, &RepairOptions::new().discard_evidence(true)).unwrap();
    assert_eq!(codes(&report), [""; 0], "a plan removes nothing");
    let options = RepairOptions::new().apply(true).discard_evidence(true);
    assert_eq!(codes(&repair(&path, &options).unwrap()), ["evidence-discarded"; 2]);
    let kept = EventStore::open(&path).unwrap().stats().unwrap().set_aside;
    assert_eq!(kept, ["trees.damaged-1", "trees.damaged-4"]);
}

#[test]
fn a_path_without_a_store_and_a_store_in_use_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let apply = RepairOptions::new().apply(true);
    for options in [RepairOptions::new(), apply] {
        let error = repair(directory.path().join("nothing"), &options).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Io, "{error}");
        let empty = directory.path().join("empty");
        fs::create_dir_all(&empty).unwrap();
        assert_eq!(repair(&empty, &options).unwrap_err().code(), ErrorCode::Io);
        assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
        let path = directory.path().join("store");
        let store = EventStore::open(&path).unwrap();
        assert_eq!(repair(&path, &options).unwrap_err().code(), ErrorCode::Locked);
        let event = NewEvent::json("T", &1).unwrap();
        store.append("s", ExpectedVersion::Any, [event]).unwrap();
        // A salvage needs no lock.
        let mut saved = Vec::new();
        let report = salvage(&path, &mut saved).unwrap();
        assert_eq!(report.events, store.head().unwrap());
    }
}

/// A disk that was full for a moment marks the trees, and then a file of the journal rots.
#[test]
fn trees_that_are_marked_give_back_what_the_journal_has_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    fs::write(path.join("trees/damaged"), "the disk was full").unwrap();
    flip(&sealed(&path)[1], 100);
    let mut text = Vec::new();
    let saved = salvage(&path, &mut text).unwrap();
    assert_eq!((saved.events, saved.missing.len()), (EVENTS, 0));
    assert_eq!(repaired(&path), ["journal-damaged", "trees-damaged"]);
    let store = options().open(&path).unwrap();
    numbered::check_everything(&store, "marked trees");
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn an_index_of_tags_that_has_lost_its_entries_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    for _ in 0..3 {
        let event = NewEvent::raw_json("T", "1").unwrap().tag("t");
        store.append("s", ExpectedVersion::Any, [event]).unwrap();
    }
    store.close().unwrap();
    let db = open_trees(&path);
    let tags = db.open_tree("tags").unwrap();
    assert_eq!(tags.len(), 1);
    tags.clear().unwrap();
    db.flush().unwrap();
    drop((tags, db));
    let findings = annals::verify(&path, &annals::VerifyOptions::new()).unwrap().findings;
    assert_eq!(findings.iter().map(|one| one.code).collect::<Vec<_>>(), ["tag-index"]);
    assert_eq!(repaired(&path), ["trees-damaged"]);
    assert_eq!(options().open(&path).unwrap().verify().unwrap().findings, []);
}
