//! What is done to stores that are healed or copied, and what must be there afterwards.
//!
//! Method: each [`Work`] is a store in some state and one thing to be done to it. It is prepared
//! once; every case takes a copy, lets a child do the work with a fault, and then checks: the work
//! can be repeated and then shows what it shows without a fault, and whatever was there before is
//! there still.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    child::{self, DEADLINE, Life},
    harness::{Context, copy_tree},
    kill::{Place, check_end},
    marks::{Args, Setup},
    mender::Task,
};

/// A store in some state, and what is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// An open that rebuilds trees which are missing, damaged, cut short or marked.
    Rebuild(usize),
    /// A repair: damaged and lost sealed files; damaged trees; both at once; a log to be cut off.
    Repair(usize),
    /// A new backup, or an earlier one that is continued.
    Backup(Task, Earlier),
    /// An import into a new store, or into one that has the first part already.
    Import(Earlier),
}

/// The backup, or the store with a part of the import, that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    None,
    Untouched,
    /// It was opened meanwhile, so that it has trees.
    Opened,
}

pub const REBUILDS: &[Work] =
    &[Work::Rebuild(0), Work::Rebuild(1), Work::Rebuild(2), Work::Rebuild(3)];
pub const REPAIRS: &[Work] = &[Work::Repair(0), Work::Repair(1), Work::Repair(2), Work::Repair(3)];
pub const BACKUPS: &[Work] = &[
    Work::Backup(Task::Backup, Earlier::None),
    Work::Backup(Task::Backup, Earlier::Untouched),
    Work::Backup(Task::Link, Earlier::Opened),
    Work::Backup(Task::BackupOpen, Earlier::Untouched),
];
pub const IMPORTS: &[Work] = &[Work::Import(Earlier::None), Work::Import(Earlier::Untouched)];

/// A tail that nothing is drained from before a close.
const WIDE: u64 = 64 << 20;

/// The state before the work, and what the work shows without a fault.
pub struct Prepared {
    pub work: Work,
    pub setup: Setup,
    /// The store, and where there is one its backup.
    base: PathBuf,
    marks: String,
    /// The marks when the earlier backup was made.
    earlier: String,
    due: Due,
}

/// What a work without a fault leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Due {
    /// What it said, and what a salvage says after it.
    words: Vec<String>,
    /// The files of the journal.
    files: Vec<String>,
}

impl Prepared {
    pub fn new(context: &Context, work: Work) -> Result<Prepared, String> {
        let mut setup = Setup::small(context.seed ^ 0x3E4D);
        let place = Place::new(context, &context.scratch);
        let write = |setup: &Setup, more: &[&str]| run(&place, "write", &place.args(setup, more));
        let mut earlier = String::new();
        match work {
            Work::Import(_) => {}
            Work::Rebuild(_) => {
                write(&setup, &["rounds=2", "units=15"])?;
                write(&Setup { tail_bytes: WIDE, ..setup.clone() }, &["units=8", "leave=1"])?;
            }
            Work::Repair(3) => {
                write(&setup, &["rounds=1", "units=15"])?;
                write(&Setup { tail_bytes: WIDE, ..setup.clone() }, &["units=35", "leave=1"])?;
            }
            Work::Repair(_) => write(&setup, &["rounds=2", "units=25"])?,
            Work::Backup(task, there) => {
                write(&setup, &["rounds=1", "units=15"])?;
                if there != Earlier::None {
                    run(&place, "mend", &task_args(&place, &setup, Task::Backup))?;
                    earlier = read(&place.marks);
                }
                if there == Earlier::Opened {
                    let args = task_args(&place, &setup, Task::Open);
                    let store = format!("dir={}", place.store.display());
                    let copy = format!("dir={}", place.base.join("copy").display());
                    let args = args.into_iter();
                    let args = args.map(|arg| if arg == store { copy.clone() } else { arg });
                    run(&place, "mend", &args.collect::<Vec<_>>())?;
                }
                if task != Task::BackupOpen {
                    setup.tail_bytes = WIDE;
                }
                write(&setup, &["units=25", "leave=1"])?;
            }
        }
        if let Work::Import(there) = work {
            write(&setup, &["rounds=1", "units=15"])?;
            if there != Earlier::None {
                run(&place, "mend", &task_args(&place, &setup, Task::Import))?;
                earlier = read(&place.marks);
            }
            write(&setup, &["units=25", "leave=1"])?;
        }
        damage(work, &place.store);
        let base = context.new_dir(&context.scratch);
        copy_tree(&place.base, &base).map_err(|error| error.to_string())?;
        let marks = read(&place.marks);
        Ok(Prepared { work, setup, base, marks, earlier, due: Due::default() })
    }

    /// A copy for one case.
    pub fn place(&self, context: &Context) -> Place {
        let place = Place::new(context, &context.scratch);
        copy_tree(&self.base, &place.base).expect("a store can be copied");
        fs::write(&place.marks, &self.marks).expect("the marks can be written");
        place
    }

    /// The child that does the work: its role and its arguments.
    pub fn child(&self, place: &Place) -> (&'static str, Vec<String>) {
        match self.work {
            Work::Rebuild(_) => ("write", place.args(&self.setup, &["rounds=1", "units=1"])),
            Work::Repair(_) => ("mend", task_args(place, &self.setup, Task::Repair)),
            Work::Backup(task, _) => ("mend", task_args(place, &self.setup, task)),
            Work::Import(_) => ("mend", task_args(place, &self.setup, Task::Import)),
        }
    }

    /// Notes what the work shows without a fault, after it.
    pub fn note_due(&mut self, place: &Place) -> Result<(), String> {
        self.due = self.found(place)?;
        Ok(())
    }

    fn found(&self, place: &Place) -> Result<Due, String> {
        let mut found = Due::default();
        if let Work::Repair(_) = self.work {
            run(place, "mend", &task_args(place, &self.setup, Task::Repair))?;
            found.words.push(last_line(place));
            run(place, "mend", &task_args(place, &self.setup, Task::Salvage))?;
            found.words.push(last_line(place));
            found.files = names(&place.store.join("journal"));
            found.files.retain(|name| !name.contains(".damaged-"));
            // A repair that cuts the log off seals the last file. If it was killed after the cut,
            // the next one finds nothing to cut, and goes on in that file.
            if let Some(last) = found.files.last_mut() {
                *last = last.replace(".sealed", ".journal");
            }
        }
        Ok(found)
    }

    /// Checks what a fault has left. `Err` is what is wrong.
    pub fn check(&self, context: &Context, place: &Place, case: u64) -> Result<(), String> {
        let strict = |place: &Place| {
            place.check(context, &self.setup, case).map_err(|failure| match failure.kept {
                Some(kept) => format!("{}; kept in {}", failure.text, kept.display()),
                None => failure.text,
            })
        };
        match self.work {
            Work::Rebuild(_) => {
                strict(place)?;
                check_names(&place.store, |name| name.starts_with("trees.damaged-"))
            }
            Work::Repair(number) => {
                let found = self.found(place)?;
                if found != self.due {
                    return Err(format!("{found:?} is left, and was {:?}", self.due));
                }
                check_names(&place.store, |_| true)?;
                if number < 2 {
                    strict(place)?;
                    // The journal alone.
                    let gone = fs::remove_dir_all(place.store.join("trees"));
                    gone.map_err(|error| error.to_string())?;
                    strict(place)?;
                }
                Ok(())
            }
            Work::Import(earlier) => {
                if contents(&place.store) != contents(&self.base.join("store")) {
                    return Err("the store that is exported has changed".to_owned());
                }
                self.check_target(context, place, (Task::Import, earlier), &strict)
            }
            Work::Backup(task, earlier) => {
                if task == Task::BackupOpen {
                    let store = self.other(context, &place.store, &self.marks);
                    strict(&store).map_err(|text| format!("the store: {text}"))?;
                } else if contents(&place.store) != contents(&self.base.join("store")) {
                    return Err("the store has changed".to_owned());
                }
                self.check_target(context, place, (task, earlier), &strict)
            }
        }
    }

    /// Checks what a fault has left of a copy, that the work can be repeated, and what that gives.
    fn check_target(
        &self,
        context: &Context,
        place: &Place,
        (task, earlier): (Task, Earlier),
        strict: &dyn Fn(&Place) -> Result<(), String>,
    ) -> Result<(), String> {
        let target = place.base.join("copy");
        let at_least = match earlier {
            // A new backup appears under its name when it is whole.
            Earlier::None if task != Task::Import => {
                Some(&self.marks).filter(|_| target.exists()).cloned()
            }
            // What came later may be there.
            _ => {
                let later = self.marks.strip_prefix(&self.earlier).unwrap_or_default();
                let is_try = |line: &&str| line.starts_with("try ") || line.starts_with("save ");
                let tried: Vec<&str> = later.lines().filter(is_try).collect();
                Some(format!("{}{}\n", self.earlier, tried.join("\n")))
            }
        };
        if let Some(marks) = at_least {
            let marks = without_saves(task, &marks);
            let copy = self.other(context, &target, &marks);
            strict(&copy).map_err(|text| format!("the copy: {text}"))?;
        }
        run(place, "mend", &task_args(place, &self.setup, task))?;
        let notes = last_line(place);
        if !notes.starts_with("end done") {
            return Err(format!("it cannot be repeated: {notes}"));
        }
        check_names(&target, |_| true)?;
        let copy = self.other(context, &target, &without_saves(task, &self.marks));
        strict(&copy).map_err(|text| format!("the repeated copy: {text}"))
    }

    /// A copy of a directory as a store of its own.
    fn other(&self, context: &Context, store: &Path, marks: &str) -> Place {
        let other = Place::new(context, &context.scratch);
        if store.exists() {
            copy_tree(store, &other.store).expect("a store can be copied");
        }
        fs::write(&other.marks, marks).expect("the marks can be written");
        other
    }
}

/// The marks of what an import carries: neither checkpoints nor snapshots.
fn without_saves(task: Task, marks: &str) -> String {
    let is_save = |line: &str| {
        let words = ["save ", "saved ", "found ", "checkpoints"];
        task == Task::Import && words.iter().any(|word| line.starts_with(word))
    };
    marks.lines().filter(|line| !is_save(line)).map(|line| format!("{line}\n")).collect()
}

fn task_args(place: &Place, setup: &Setup, task: Task) -> Vec<String> {
    let task = format!("task={task:?}");
    let target = format!("target={}", place.base.join("copy").display());
    let scratch = format!("scratch={}", place.base.parent().expect("a parent").display());
    place.args(setup, &[&task, &target, &scratch])
}

/// Runs a child without a fault, which must go well.
fn run(place: &Place, role: &str, args: &[String]) -> Result<(), String> {
    let ended = child::run(role, args, None, &place.stderr, Life::AtMost(DEADLINE));
    let (end, stderr) = ended.map_err(|error| error.to_string())?;
    check_end(&end, &stderr)?;
    let is_left = Args(args.to_vec()).number("leave", 0) == 1;
    let last = last_line(place);
    match is_left || last.starts_with("end done") {
        true => Ok(()),
        false => Err(format!("without a fault: {last}")),
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a text")
}

fn last_line(place: &Place) -> String {
    read(&place.marks).lines().last().unwrap_or_default().to_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
    names.sort();
    names
}

/// Nothing unfinished is left, and no evidence but that which is expected.
fn check_names(store: &Path, is_expected: impl Fn(&str) -> bool) -> Result<(), String> {
    for directory in [store.to_owned(), store.join("journal"), store.join("snapshots")] {
        for name in names(&directory) {
            if name.ends_with(".tmp") || name.contains(".damaged-") && !is_expected(&name) {
                return Err(format!("{name} is left in {}", directory.display()));
            }
        }
    }
    Ok(())
}

/// The bytes of every file below a directory.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in names(directory) {
        let path = directory.join(&name);
        match path.is_dir() {
            true => {
                let inner = contents(&path).into_iter();
                found.extend(inner.map(|(rest, bytes)| (Path::new(&name).join(rest), bytes)));
            }
            false => drop(found.insert(name.into(), fs::read(&path).expect("a file"))),
        }
    }
    found
}

/// Damages a store as its work requires.
fn damage(work: Work, store: &Path) {
    let (trees, journal) = (store.join("trees"), store.join("journal"));
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).expect("a file");
        bytes[at] ^= 1;
        fs::write(path, bytes).expect("a file");
    };
    let with_ending = |ending: &str| {
        let mut found = names(&journal);
        found.retain(|name| name.ends_with(ending));
        found.into_iter().map(|name| journal.join(name)).collect::<Vec<_>>()
    };
    let sealed = with_ending(".sealed");
    let lose_sealed = || {
        assert!(sealed.len() > 1, "{sealed:?}");
        flip(&sealed[(sealed.len() - 1) / 2], 100);
        fs::remove_file(&sealed[sealed.len() - 1]).expect("a file");
    };
    match work {
        Work::Rebuild(0) => fs::remove_dir_all(&trees).expect("a directory"),
        Work::Rebuild(1) | Work::Repair(1) => flip(&trees.join("conf"), 3),
        Work::Rebuild(2) => fs::write(trees.join("db"), [7; 100_000]).expect("a file"),
        Work::Rebuild(_) => fs::write(trees.join("damaged"), "a page").expect("a file"),
        Work::Repair(0) => lose_sealed(),
        Work::Repair(2) => {
            lose_sealed();
            flip(&trees.join("conf"), 3);
        }
        Work::Repair(_) => {
            // In the middle of one of several files that only the journal has.
            let files = with_ending(".journal");
            assert!(files.len() > 1, "{files:?}");
            let file = &files[(files.len() - 1) / 2];
            let bytes = fs::read(file).expect("a file");
            let starts = (512..bytes.len()).step_by(64);
            let frames: Vec<_> = starts.filter(|&at| bytes[at..].starts_with(b"ANFR")).collect();
            let at = frames[(frames.len() - 1) / 2];
            flip(file, at + 66);
        }
        Work::Backup(..) | Work::Import(_) => {}
    }
}
