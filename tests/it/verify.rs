//! `annals::verify`: a check by path, whether the store opens, is in use, or neither.

use std::{fs, path::Path};

use annals::{EventStore, Options, Report, VerifyOptions, verify};

use crate::support::{
    files::{copy, flip, sealed},
    numbered::{self, EVENTS},
};

fn options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

fn checked(path: &Path) -> Report {
    verify(path, &VerifyOptions::new()).unwrap()
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|found| found.code).collect()
}

#[test]
fn a_sound_store_has_no_findings_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    let names = || {
        let names = fs::read_dir(&path).unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), entry.metadata().unwrap().modified().unwrap())
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let before = names();
    let report = checked(&path);
    assert_eq!((report.events, report.streams), (EVENTS, numbered::STREAMS));
    assert_eq!((codes(&report), report.unreadable, report.not_checked), (vec![], 0, None));
    assert_eq!(names(), before);
}

#[test]
fn of_a_store_in_use_the_trees_are_not_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = options().open(&path).unwrap();
    for part in 1..=10 {
        numbered::append(&store, (part - 1) * EVENTS / 10 + 1..=part * EVENTS / 10);
        let report = checked(&path);
        assert_eq!(codes(&report), [""; 0]);
        assert_eq!(report.events, part * EVENTS / 10);
        let not_checked = report.not_checked.expect("the trees are in use");
        assert_eq!((not_checked.what, &*not_checked.reason), ("trees", "in use"));
        assert_eq!(not_checked.to_string(), "trees: not checked (in use)");
    }
    store.close().unwrap();
    let store = options().open(&path).unwrap();
    flip(&sealed(&path)[1], 100);
    assert_eq!(codes(&checked(&path)), ["journal-damaged"]);
    drop(store);
}

#[test]
fn damage_of_one_copy_leaves_every_event_readable() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    numbered::closed(&original, &options());
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 5] = [
        ("superblock-damaged", |path| flip(&path.join("ANNALS"), 3)),
        ("trees-damaged", |path| flip(&path.join("trees/conf"), 3)),
        ("trees-damaged", |path| fs::remove_dir_all(path.join("trees")).unwrap()),
        ("journal-damaged", |path| flip(&sealed(path)[0], 100)),
        ("journal-damaged", |path| fs::remove_file(&sealed(path)[0]).unwrap()),
    ];
    for (code, damage) in cases {
        let path = directory.path().join("store");
        copy(&original, &path);
        damage(&path);
        let report = checked(&path);
        assert_eq!((codes(&report), report.unreadable), (vec![code], 0));
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn damage_of_both_copies_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    numbered::closed(&path, &options());
    flip(&sealed(&path)[0], 100);
    fs::remove_dir_all(path.join("trees")).unwrap();
    let report = checked(&path);
    assert_eq!(codes(&report)[0], "trees-damaged");
    assert!(codes(&report).contains(&"journal-damaged"));
    assert!((1..EVENTS).contains(&report.unreadable), "{}", report.unreadable);
    assert_eq!(report.events + report.unreadable, EVENTS);
}

#[test]
fn a_path_without_a_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["nothing", "empty"] {
        let path = directory.path().join(name);
        if name == "empty" {
            fs::create_dir(&path).unwrap();
        }
        let error = verify(&path, &VerifyOptions::new()).unwrap_err();
        assert_eq!(error.code(), annals::ErrorCode::Io, "{error}");
    }
    // One that nobody has ever appended to is a store.
    let path = directory.path().join("new");
    EventStore::open(&path).unwrap().close().unwrap();
    assert_eq!(codes(&checked(&path)), [""; 0]);
}
