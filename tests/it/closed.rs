//! Stores that were closed: the record of the close finds out what is lost later, and a closed
//! store is small.

use std::{fs, path::Path};

use annals::{ErrorCode, EventStore, ExpectedVersion, NewEvent, Options};

use crate::support::files::{active, copy, disk_usage, frames, journal, replace_directory, sealed};

const MIB: u64 = 1 << 20;

fn append(store: &EventStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let event = NewEvent::json("T", &format!("{number:0>200}")).unwrap();
        store.append("s", ExpectedVersion::Exact(number), [event]).unwrap();
    }
}

/// How a store is filled, which decides what its journal looks like once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One file, which is not sealed.
    Active,
    /// Sealed files and one that is not.
    Both,
    /// One file, which the close has sealed.
    Sealed,
}

const SHAPES: [Shape; 3] = [Shape::Active, Shape::Both, Shape::Sealed];

impl Shape {
    fn options(self) -> Options {
        match self {
            Shape::Both => Options::new().journal_bytes(64 << 10),
            Shape::Active | Shape::Sealed => Options::new(),
        }
    }

    /// Events that are added before each close.
    fn events(self) -> u64 {
        match self {
            Shape::Active => 20,
            Shape::Both => 400,
            Shape::Sealed => 2_000,
        }
    }

    fn fill(self, store: &EventStore, first: u64) {
        let numbers = first..first + self.events();
        if self != Shape::Sealed {
            return append(store, numbers);
        }
        let events = numbers.map(|number| NewEvent::json("T", &format!("{number:0>200}")).unwrap());
        store.append("s", ExpectedVersion::Exact(first), events).unwrap();
    }
}

/// A store at three moments, each of which has the events of the one before and as many more:
/// closed, in use, and closed.
struct Moments {
    shape: Shape,
    directory: tempfile::TempDir,
}

impl Moments {
    fn of(shape: Shape) -> Moments {
        let moments = Moments { shape, directory: tempfile::tempdir().unwrap() };
        let path = moments.path("store");
        let store = shape.options().open(&path).unwrap();
        shape.fill(&store, 0);
        store.close().unwrap();
        copy(&path, &moments.path("earlier"));
        let store = shape.options().open(&path).unwrap();
        shape.fill(&store, shape.events());
        fs::copy(path.join("HEAD"), moments.path("running")).unwrap();
        store.close().unwrap();
        copy(&path, &moments.path("closed"));
        let (sealed, active) = (sealed(&path).len(), active(&path).len());
        match shape {
            Shape::Active => assert_eq!((sealed, active), (0, 1)),
            Shape::Both => assert!(sealed > 1 && active == 1),
            Shape::Sealed => assert!(sealed > 0 && active == 0),
        }
        moments
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn events(&self) -> u64 {
        self.shape.events() * 2
    }

    /// Damages a copy of the closed store and opens it: it must be refused, or serve everything.
    /// Returns whether it opened, and how many findings a check had.
    #[track_caller]
    fn after(&self, what: &str, damage: impl FnOnce(&Path)) -> Option<usize> {
        let path = self.path("damaged");
        copy(&self.path("closed"), &path);
        damage(&path);
        let opened = self.shape.options().create(false).open(&path);
        let findings = match opened {
            Ok(store) => {
                self.check(&store, what);
                Some(store.verify().unwrap().findings.len())
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Corrupted, "{what}: {error}");
                None
            }
        };
        fs::remove_dir_all(&path).unwrap();
        findings
    }

    #[track_caller]
    fn check(&self, store: &EventStore, what: &str) {
        let shape = self.shape;
        assert_eq!(store.head().unwrap(), self.events(), "{shape:?}: {what}");
        for read in [store.read_all(), store.read_stream("s")] {
            for (number, event) in (0..).zip(read) {
                let due = format!("\"{number:0>200}\"");
                assert_eq!(event.unwrap().data(), due.as_bytes(), "{shape:?}: {what}");
            }
        }
        assert_eq!(store.read_all().count() as u64, self.events(), "{shape:?}: {what}");
        assert_eq!(store.stream_version("s").unwrap(), self.events(), "{shape:?}: {what}");
    }
}

#[test]
fn a_loss_at_the_end_of_a_closed_journal_is_found() {
    for shape in SHAPES {
        let moments = Moments::of(shape);
        let is_found = |what: &str, damage: &dyn Fn(&Path)| {
            let findings = moments.after(what, damage);
            assert_ne!(findings, Some(0), "{shape:?}: {what}: nobody says so");
        };
        is_found("the last file is lost", &|path| {
            fs::remove_file(journal(path).last().unwrap()).unwrap();
        });
        for file in sealed(&moments.path("closed")) {
            is_found("a sealed file is lost", &|path| {
                fs::remove_file(path.join("journal").join(file.file_name().unwrap())).unwrap();
            });
        }
        if shape == Shape::Sealed {
            continue;
        }
        let file = |path: &Path| active(path).pop().unwrap();
        let bytes = fs::read(file(&moments.path("closed"))).unwrap();
        let (last, _) = *frames(&bytes).last().unwrap();
        for from in [last, last + 64, last + 128, last + 192, 512, 0] {
            is_found("zeros at the end", &|path| {
                let mut damaged = bytes.clone();
                damaged[from..].fill(0);
                fs::write(file(path), damaged).unwrap();
            });
            is_found("the file is cut", &|path| fs::write(file(path), &bytes[..from]).unwrap());
        }
    }
}

#[test]
fn older_copies_of_either_half_or_of_both_do_not_hide_events() {
    for shape in SHAPES {
        let moments = Moments::of(shape);
        let earlier = moments.path("earlier");
        // The trees follow the journal, where it still has what they lack.
        moments.after("older trees", |path| replace_directory(&earlier, path, "trees"));
        moments.after("an older file of the trees", |path| {
            fs::copy(earlier.join("trees/db"), path.join("trees/db")).unwrap();
        });
        let findings = moments.after("an older journal", |path| {
            replace_directory(&earlier, path, "journal");
        });
        assert_ne!(findings, Some(0), "{shape:?}: nobody says so");
        // Each is whole, and fits the other. The record of the close alone knows better.
        let findings = moments.after("both are older", |path| {
            replace_directory(&earlier, path, "trees");
            replace_directory(&earlier, path, "journal");
        });
        assert_eq!(findings, None, "{shape:?}");
    }
}

#[test]
fn a_missing_damaged_or_foreign_head_says_nothing() {
    for shape in SHAPES {
        let moments = Moments::of(shape);
        let opens = |what: &str, damage: &dyn Fn(&Path)| {
            let findings = moments.after(what, damage);
            assert_eq!(findings, Some(0), "{shape:?}: {what}");
        };
        opens("it is missing", &|path| fs::remove_file(path.join("HEAD")).unwrap());
        let head = fs::read(moments.path("closed/HEAD")).unwrap();
        for len in [0, 1, 64, 512, 600, head.len() - 1] {
            opens("it is cut", &|path| fs::write(path.join("HEAD"), &head[..len]).unwrap());
        }
        opens("zeros", &|path| fs::write(path.join("HEAD"), vec![0; head.len()]).unwrap());
        for slot in [0, 512] {
            for at in [slot, slot + 4, slot + 16, slot + 32, slot + 63] {
                opens("it is damaged", &|path| {
                    let mut damaged = head.clone();
                    damaged[at] ^= 3;
                    fs::write(path.join("HEAD"), damaged).unwrap();
                });
            }
        }
        let other = moments.path("other");
        shape.options().open(&other).unwrap().close().unwrap();
        opens("it is that of another store", &|path| {
            fs::copy(other.join("HEAD"), path.join("HEAD")).unwrap();
        });
        // The store has more events than it says, which a writer would have noted.
        opens("it is that of an earlier close", &|path| {
            fs::copy(moments.path("earlier/HEAD"), path.join("HEAD")).unwrap();
        });
    }
}

#[test]
fn a_head_of_a_store_in_use_makes_a_cut_file_damage() {
    for shape in SHAPES {
        let moments = Moments::of(shape);
        let findings = moments.after("in use", |path| {
            fs::copy(moments.path("running"), path.join("HEAD")).unwrap();
        });
        // Without a file that was cut, nothing speaks against it.
        let expected = if shape == Shape::Sealed { Some(0) } else { None };
        assert_eq!(findings, expected, "{shape:?}");
    }
}

#[test]
fn a_closed_store_goes_on_where_it_ended() {
    for shape in SHAPES {
        let moments = Moments::of(shape);
        let path = moments.path("closed");
        for round in 0..3 {
            let store = shape.options().open(&path).unwrap();
            append(&store, moments.events() + round..moments.events() + round + 1);
            assert_eq!(store.verify().unwrap().findings, [], "{shape:?}");
            drop(store);
        }
        let store = shape.options().open(&path).unwrap();
        assert_eq!(store.read_all().map(Result::unwrap).count() as u64, moments.events() + 3);
    }
}

#[test]
fn a_store_that_is_opened_often_keeps_one_small_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for round in 0..60 {
        let store = EventStore::open(&path).unwrap();
        assert_eq!(store.head().unwrap(), round);
        append(&store, round..round + 1);
        store.close().unwrap();
        let files = journal(&path);
        assert_eq!(files, [path.join("journal/00000000000000000001.journal")]);
        // A header, and less than a kilobyte for each event.
        let len = fs::metadata(&files[0]).unwrap().len();
        assert!(len <= 512 + (round + 1) * 1_024, "{len} bytes in round {round}");
    }
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn a_closed_store_with_one_event_is_small() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, 0..1);
    store.close().unwrap();
    let first = disk_usage(&path);
    assert!(first <= 2 * MIB, "{first} bytes");
    for _ in 0..10 {
        let store = EventStore::open(&path).unwrap();
        assert_eq!(store.read_all().map(Result::unwrap).count(), 1);
        store.close().unwrap();
    }
    let last = disk_usage(&path);
    assert!(last <= 2 * MIB, "{last} bytes after ten opens, {first} before");
}

#[test]
fn the_first_file_after_a_close_is_missed_when_it_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    for is_new in [true, false] {
        let path = directory.path().join(format!("store-{is_new}"));
        let mut head = 0;
        if !is_new {
            let store = EventStore::open(&path).unwrap();
            Shape::Sealed.fill(&store, 0);
            store.close().unwrap();
            head = Shape::Sealed.events();
        }
        let store = EventStore::open(&path).unwrap();
        append(&store, head..head + 1);
        let killed = directory.path().join(format!("killed-{is_new}"));
        copy(&path, &killed);
        let lost = directory.path().join(format!("lost-{is_new}"));
        copy(&path, &lost);
        assert_eq!(EventStore::open(&killed).unwrap().head().unwrap(), head + 1);
        fs::remove_file(&active(&lost)[0]).unwrap();
        // Twice: an open that is refused forgets nothing.
        for _ in 0..2 {
            let error = Options::new().create(false).open(&lost).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Corrupted, "{error}");
        }
    }
}

#[test]
fn a_file_is_missed_after_the_one_before_it_was_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let options = Options::new().journal_bytes(256 << 10).tail_bytes(256 << 10);
    let store = options.open(&path).unwrap();
    let mut head = 0;
    // The drain thread seals every file but the one in use.
    while sealed(&path).is_empty() || active(&path).len() > 1 || active(&path).is_empty() {
        let event = NewEvent::binary("T", vec![7; 60_000]).unwrap();
        store.append("s", ExpectedVersion::Any, [event]).unwrap();
        head += 1;
    }
    append(&store, head..head + 1);
    head += 1;
    let (killed, lost) = (directory.path().join("killed"), directory.path().join("lost"));
    copy(&path, &killed);
    copy(&path, &lost);
    assert_eq!(options.open(&killed).unwrap().head().unwrap(), head);
    fs::remove_file(active(&lost).last().unwrap()).unwrap();
    let error = options.clone().create(false).open(&lost).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupted, "{error}");
}

#[test]
fn a_file_that_is_back_in_the_state_of_the_last_close_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, 0..1);
    store.close().unwrap();
    let file = active(&path).remove(0);
    let old = fs::read(&file).unwrap();
    let store = EventStore::open(&path).unwrap();
    append(&store, 1..11);
    let (killed, stale) = (directory.path().join("killed"), directory.path().join("stale"));
    copy(&path, &killed);
    copy(&path, &stale);
    assert_eq!(EventStore::open(&killed).unwrap().head().unwrap(), 11);
    fs::write(&active(&stale)[0], old).unwrap();
    for _ in 0..2 {
        let error = Options::new().create(false).open(&stale).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Corrupted, "{error}");
    }
}
