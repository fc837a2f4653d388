//! Kills: the process dies at any time, and at every single system call that writes.
//!
//! Method: SIGKILL leaves the page cache as it is, so everything acknowledged that reached the
//! operating system must be there afterwards. Random kills come in chains on one growing store;
//! kills at the n-th call run a small life of a store (create, append, checkpoint, close, reopen)
//! once for each n, before the call or in the middle of its write; and recovery itself is killed at
//! its first call, its second and so on until it gets through.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{
    child::{self, Checker, DEADLINE, End, Job, Life, SIGKILL},
    harness::{Context, Failure, Outcome, ask, shuffled},
    marks::{Expected, Marker, Setup},
    plan::Random,
    shim::Injection,
};

/// A store below a directory of its own, with the marks of its writers beside it.
pub struct Place {
    pub base: PathBuf,
    pub store: PathBuf,
    pub marks: PathBuf,
    pub stderr: PathBuf,
    root: PathBuf,
}

impl Place {
    pub fn new(context: &Context, below: &Path) -> Place {
        let root = context.new_dir(below);
        let base = root.join("base");
        std::fs::create_dir(&base).expect("a new directory");
        let (store, marks) = (base.join("store"), root.join("marks"));
        std::fs::write(&marks, "").expect("a new file");
        Place { store, marks, stderr: root.join("stderr"), base, root }
    }

    /// The arguments of a writing child.
    pub fn args(&self, setup: &Setup, more: &[&str]) -> Vec<String> {
        let mut args = setup.to_args();
        args.push(format!("dir={}", self.store.display()));
        args.push(format!("marks={}", self.marks.display()));
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        args
    }

    pub fn injection(&self, library: &Path) -> Injection {
        Injection {
            library: library.to_owned(),
            base: self.base.clone(),
            marks: self.marks.clone(),
            count: Some(self.root.join("count")),
            ..Injection::default()
        }
    }

    /// A file that is not watched.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Checks the store; the units found become what must be there from now on.
    pub fn check(&self, context: &Context, setup: &Setup, case: u64) -> Result<(), Failure> {
        let before = self.root.join("before");
        let _ = std::fs::remove_dir_all(&before);
        crate::harness::copy_tree(&self.base, &before).expect("a store can be copied");
        let lines = usize::MAX;
        let job = Job { dir: self.store.clone(), marks: self.marks.clone(), lines };
        let mut checker: Checker = context.checker("check", setup, &[]);
        let answer = ask(&mut checker, &job).map_err(|text| {
            let kept = context.keep(setup, &before, &self.marks, lines);
            Failure { case, text: format!("{text}; {}", self.notes(setup)), kept }
        })?;
        let marker = Marker::open(&self.marks).expect("the marks can be written");
        for (thread, units) in answer.text.split(' ').enumerate() {
            marker.mark(&format!("seen {thread} {units}"));
        }
        marker.mark("settled");
        Ok(())
    }

    /// What happened to the writer, for the reader of a failure.
    pub fn notes(&self, setup: &Setup) -> String {
        let expected = Expected::new(setup.threads, setup.is_sync).read(&self.marks, None);
        expected.map(|expected| expected.notes.join("; ")).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays behind is removed with the whole scratch directory.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// A writer must end well, or by the kill that it was given; and say nothing.
pub fn check_end(end: &End, stderr: &str) -> Result<(), String> {
    match (end, child::complaint(stderr)) {
        (_, Some(complaint)) => Err(format!("{end:?}, {complaint}")),
        (End::Exit(0) | End::Signal(SIGKILL), None) => Ok(()),
        (End::TooLate, None) => Err("the writer hangs".to_owned()),
        (end, None) => Err(format!("the writer ended with {end:?}")),
    }
}

pub fn fail<T>(case: u64, text: String) -> Result<T, Failure> {
    Err(Failure { case, text, kept: None })
}

/// Kills in a chain on one store. Long chains make sled start new segments, and free old ones.
fn links(context: &Context) -> u64 {
    if context.factor > 1 { 24 } else { 4 }
}

fn chain(context: &Context, setup: &Setup, case: u64) -> Result<(), Failure> {
    let place = Place::new(context, &context.disk);
    let mut random = Random::new(&[context.seed, case]);
    for link in 0..links(context) {
        let life = match random.one_in(3) {
            // Dies while the store is opened, mostly.
            true => Life::Until(Duration::from_micros(random.below(100_000))),
            false => Life::After(&place.marks, Duration::from_micros(random.below(400_000))),
        };
        let args = place.args(setup, &["rounds=1000", "units=20", "flush=7"]);
        let ended = child::run("write", &args, None, &place.stderr, life);
        let (end, stderr) = ended.expect("a child can be started");
        if let Err(text) = check_end(&end, &stderr) {
            return fail(case, format!("link {link}: {text}"));
        }
        place.check(context, setup, case)?;
    }
    Ok(())
}

pub fn random(context: &Context) -> Outcome {
    let (count, failures) = context.run_cases(0.., context.time(3), context.jobs, |case| {
        let mut setup = Setup::mixed(context.seed ^ case, 1 + case as usize % 3);
        setup.is_sync = !case.is_multiple_of(4);
        chain(context, &setup, case)
    });
    Outcome::Ran(format!("{} kills in {count} chains", count * links(context)), failures)
}

/// A store that is opened and closed many times: sled starts segments, rewrites what lives in the
/// old ones, and frees those when it is opened. The last time, one of the two is left as by a kill.
pub fn reopened(context: &Context) -> Outcome {
    let (count, failures) = context.run_cases(0..2, context.time(8), context.jobs, |case| {
        let place = Place::new(context, &context.scratch);
        let setup = Setup::small(context.seed ^ case ^ 0x0BE7);
        let leave = if case == 1 { "leave=1" } else { "" };
        let args = place.args(&setup, &["rounds=18", "units=40", leave]);
        let life = Life::AtMost(DEADLINE);
        let ended = child::run("write", &args, None, &place.stderr, life);
        let (end, stderr) = ended.expect("a child can be started");
        check_end(&end, &stderr).or_else(|text| fail(case, text))?;
        place.check(context, &setup, case)
    });
    Outcome::Ran(format!("{count} stores, opened 18 times each"), failures)
}

/// What was acknowledged long enough ago survives, even without a flush.
pub fn buffered(context: &Context) -> Outcome {
    let (count, failures) = context.run_cases(0..2, context.time(8), context.jobs, |case| {
        let place = Place::new(context, &context.disk);
        let mut setup = Setup::small(context.seed ^ case);
        setup.is_sync = false;
        let args = place.args(&setup, &["units=31", "settle=30", "leave=1"]);
        let life = Life::AtMost(DEADLINE);
        let ended = child::run("write", &args, None, &place.stderr, life);
        let (end, stderr) = ended.expect("a child can be started");
        check_end(&end, &stderr).or_else(|text| fail(case, text))?;
        place.check(context, &setup, case)
    });
    Outcome::Ran(format!("{count} kills long after the last flush"), failures)
}

/// The small life whose calls are counted.
pub const LIFE: [&str; 3] = ["rounds=2", "units=12", "flush=0"];

/// The number of calls that a life makes when nothing happens to it.
pub fn count_calls(
    context: &Context,
    library: &Path,
    setup: &Setup,
    life: &[&str],
    kinds: Option<&'static str>,
) -> Result<u64, Failure> {
    let place = Place::new(context, &context.scratch);
    let mut injection = place.injection(library);
    injection.kinds = kinds;
    let args = place.args(setup, life);
    let ended = child::run("write", &args, Some(&injection), &place.stderr, Life::AtMost(DEADLINE));
    let (end, stderr) = ended.expect("a child can be started");
    check_end(&end, &stderr).or_else(|text| fail(0, text))?;
    if end != End::Exit(0) || !place.notes(setup).ends_with("end done") {
        return fail(0, format!("a life without faults ends with {}", place.notes(setup)));
    }
    place.check(context, setup, 0)?;
    Ok(injection.calls())
}

/// Whether the child was killed at the call, and not over before.
fn kill_once(
    place: &Place,
    library: &Path,
    setup: &Setup,
    life: &[&str],
    (call, prefix): (u64, u64),
) -> Result<bool, String> {
    let mut injection = place.injection(library);
    injection.kill = call;
    injection.prefix = prefix;
    let args = place.args(setup, life);
    let ended = child::run("write", &args, Some(&injection), &place.stderr, Life::AtMost(DEADLINE));
    let (end, stderr) = ended.expect("a child can be started");
    check_end(&end, &stderr)?;
    Ok(end == End::Signal(SIGKILL))
}

pub fn nth_call(context: &Context) -> Outcome {
    let Some(library) = &context.library else { return Outcome::Skipped("no C compiler") };
    let setup = Setup::small(context.seed);
    let calls = match count_calls(context, library, &setup, &LIFE, None) {
        Ok(calls) => calls,
        Err(failure) => return Outcome::Ran("no life".to_owned(), vec![failure]),
    };
    // Case 2n is before call n + 1, case 2n + 1 in the middle of it.
    let cases = shuffled(context.seed, 2 * calls).into_iter();
    let (count, failures) = context.run_cases(cases, context.time(6), context.jobs, |case| {
        let place = Place::new(context, &context.scratch);
        let prefix = case % 2 * Random::new(&[context.seed, case]).between(1, 999);
        kill_once(&place, library, &setup, &LIFE, (case / 2 + 1, prefix))
            .or_else(|text| fail(case, text))?;
        place.check(context, &setup, case)
    });
    Outcome::Ran(format!("{count} of {} kill points of {calls} calls", 2 * calls), failures)
}

/// A recovery: opening, one append, closing.
const RECOVERY: [&str; 2] = ["rounds=1", "units=1"];

pub fn during_recovery(context: &Context) -> Outcome {
    let Some(library) = &context.library else { return Outcome::Skipped("no C compiler") };
    let setup = Setup::small(context.seed ^ 0xD0);
    let calls = match count_calls(context, library, &setup, &LIFE, None) {
        Ok(calls) => calls,
        Err(failure) => return Outcome::Ran("no life".to_owned(), vec![failure]),
    };
    let cases = shuffled(context.seed, calls).into_iter();
    let kills = std::sync::atomic::AtomicU64::new(0);
    let (count, failures) = context.run_cases(cases, context.time(4), context.jobs, |case| {
        let place = Place::new(context, &context.scratch);
        let bad = |text: String| fail(case, format!("{text}; {}", place.notes(&setup)));
        kill_once(&place, library, &setup, &LIFE, (case + 1, 0))
            .or_else(|text| bad(text).map(|()| false))?;
        // Each recovery gets one call further than the one before, on what that one has left.
        let mut call = 1;
        while kill_once(&place, library, &setup, &RECOVERY, (call, call % 2 * 500))
            .or_else(|text| bad(text).map(|()| false))?
        {
            kills.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            call += 1;
        }
        place.check(context, &setup, case)
    });
    let kills = kills.into_inner();
    Outcome::Ran(format!("{count} of {calls} crashes, {kills} kills of their recovery"), failures)
}
