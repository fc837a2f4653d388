//! Runs the tests one after the other, their cases in parallel, and reports.
//!
//! Method: a test is a function that tries cases until its share of the time is over. Every case
//! has a number from which it can be made again; of a case that fails, the state of the disk before
//! the check is kept besides, so that it can be checked alone, whatever threads did.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    beside,
    child::{self, Answer, Checker, Job},
    faults, fixed_cuts, kernel, kill,
    marks::{Args, Setup},
    mending,
    plan::Random,
    power_cut, rot, shim, wide,
};

/// What every test gets.
pub struct Context {
    pub seed: u64,
    /// Run this case only.
    pub case: Option<u64>,
    /// Multiplies times and rounds.
    pub factor: u32,
    /// Ends with the first failure, and divides times.
    is_brief: bool,
    pub jobs: usize,
    /// The preloaded libraries; `None` without a C compiler.
    pub library: Option<PathBuf>,
    pub kernel: Option<PathBuf>,
    /// A directory in memory where there is one: for whatever does not need a real disk.
    pub scratch: PathBuf,
    /// A directory on a disk.
    pub disk: PathBuf,
    names: AtomicU64,
    test: Mutex<&'static str>,
}

/// One case that went wrong.
pub struct Failure {
    pub case: u64,
    pub text: String,
    pub kept: Option<PathBuf>,
}

/// What a test has found.
pub enum Outcome {
    /// What was tried, in words, and what failed.
    Ran(String, Vec<Failure>),
    Skipped(&'static str),
}

type Test = fn(&Context) -> Outcome;

const TESTS: [(&str, Test); 45] = [
    ("kill::random", kill::random),
    ("kill::reopened", kill::reopened),
    ("kill::buffered", kill::buffered),
    ("kill::nth_call", kill::nth_call),
    ("kill::during_recovery", kill::during_recovery),
    ("beside::sync", beside::sync),
    ("beside::buffered", beside::buffered),
    ("beside::failing_reads", beside::failing_reads),
    ("faults::eio_once", faults::eio_once),
    ("faults::enospc_once", faults::enospc_once),
    ("faults::eio_forever", faults::eio_forever),
    ("faults::enospc_forever", faults::enospc_forever),
    ("faults::short_write", faults::short_write),
    ("faults::interrupted", faults::interrupted),
    ("faults::reads", faults::reads),
    ("faults::bad_sectors", faults::bad_sectors),
    ("mending::rebuild_killed", mending::rebuild_killed),
    ("mending::rebuild_fails", mending::rebuild_fails),
    ("mending::repair_killed", mending::repair_killed),
    ("mending::repair_fails", mending::repair_fails),
    ("mending::backup_killed", mending::backup_killed),
    ("mending::backup_fails", mending::backup_fails),
    ("mending::import_killed", mending::import_killed),
    ("mending::import_fails", mending::import_fails),
    ("kernel::lost_write_back", kernel::lost_write_back),
    ("kernel::failed_close", kernel::failed_close),
    ("kernel::suspended", kernel::suspended),
    ("kernel::panicked", kernel::panicked),
    ("power_cut::sync", power_cut::sync),
    ("power_cut::buffered", power_cut::buffered),
    ("power_cut::threads", power_cut::threads),
    ("power_cut::segments", power_cut::segments),
    ("power_cut::during_recovery", power_cut::during_recovery),
    ("power_cut::after_kill", power_cut::after_kill),
    ("power_cut::failed_fsync", power_cut::failed_fsync),
    ("power_cut::control", power_cut::control),
    ("power_cut::shown_after_kill", fixed_cuts::shown_after_kill),
    ("power_cut::created_after_kill", fixed_cuts::created_after_kill),
    ("power_cut::snapshot_after_kill", fixed_cuts::snapshot_after_kill),
    ("power_cut::next_file_first", fixed_cuts::next_file_first),
    ("rot::closed", rot::closed),
    ("rot::killed", rot::killed),
    ("rot::closed_beside", rot::closed_beside),
    ("rot::killed_beside", rot::killed_beside),
    ("wide::between_syncs", wide::between_syncs),
];

/// Cases that fail alike teach nothing new.
const FAILURES_MAX: usize = 8;

pub fn main(args: &[String]) -> ExitCode {
    let is_list = args.iter().any(|arg| arg == "--list");
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let chosen = |name: &str| filters.is_empty() || filters.iter().any(|part| name.contains(*part));
    let tests: Vec<_> = TESTS.iter().filter(|(name, _)| chosen(name)).collect();
    if is_list {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let memory = Path::new("/dev/shm");
    let scratch = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    let scratch = scratch.expect("a temporary directory");
    let context = Context::new(scratch.path(), temporary.path());
    if let Some(dir) = std::env::var_os("ANNALS_REPLAY") {
        return replay(&context, Path::new(&dir));
    }
    println!("\nrunning {} crash tests, seed {}", tests.len(), context.seed);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, test) in tests {
        if context.is_brief && failed > 0 {
            break;
        }
        *context.test.lock().expect("no test panics") = name;
        let start = Instant::now();
        let outcome = test(&context);
        let time = start.elapsed().as_secs_f32();
        match outcome {
            Outcome::Ran(words, failures) if failures.is_empty() => {
                passed += 1;
                println!("test {name} ... ok ({time:.1} s): {words}");
            }
            Outcome::Ran(words, failures) => {
                failed += 1;
                println!("test {name} ... FAILED ({time:.1} s): {words}");
                failures.iter().for_each(|failure| context.show(name, failure));
            }
            // A machine that builds this crate for others has a compiler, or has lost it.
            Outcome::Skipped(reason) if std::env::var("CI").as_deref() == Ok("true") => {
                failed += 1;
                println!("test {name} ... FAILED: {reason}");
            }
            Outcome::Skipped(reason) => {
                skipped += 1;
                println!("test {name} ... SKIPPED: {reason}");
                list_skipped(reason);
            }
        }
    }
    let rest = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    println!("\n{passed} passed, {failed} failed{rest}\n");
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Notes why a test is skipped for the list that `tests/skipped.rs` prints after all tests.
fn list_skipped(reason: &str) {
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped-tests");
    let list = OpenOptions::new().create(true).append(true).open(list);
    let noted = list.and_then(|mut list| writeln!(list, "{reason}, for tests of crashes"));
    noted.expect("the directory of the tests can be written");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

impl Context {
    fn new(scratch: &Path, disk: &Path) -> Context {
        let canonical = |path: &Path| path.canonicalize().expect("it was just made");
        let jobs = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        Context {
            seed: number("ANNALS_SEED").unwrap_or(1),
            case: number("ANNALS_CASE"),
            factor: if number("ANNALS_SOAK") == Some(1) { 20 } else { 1 },
            is_brief: number("ANNALS_BRIEF") == Some(1),
            jobs,
            library: shim::build(disk, shim::SHIM).expect("shim.c compiles"),
            kernel: shim::build(disk, shim::KERNEL).expect("kernel.c compiles"),
            scratch: canonical(scratch),
            disk: canonical(disk),
            names: AtomicU64::new(0),
            test: Mutex::new(""),
        }
    }

    /// A test's share of the time.
    pub fn time(&self, seconds: u64) -> Duration {
        Duration::from_secs(seconds) * self.factor / if self.is_brief { 3 } else { 1 }
    }

    /// The time of a test whose cases are the calls of a life: a sample of them in a short run,
    /// each of them in a long one.
    pub fn time_for_each(&self, seconds: u64) -> Duration {
        if self.factor > 1 { Duration::from_secs(24 * 3_600) } else { self.time(seconds) }
    }

    /// For a test whose cases are few and fixed.
    pub fn all_time(&self) -> Duration {
        Duration::from_secs(600)
    }

    /// A new directory below `root`.
    pub fn new_dir(&self, root: &Path) -> PathBuf {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let dir = root.join(format!("{number}"));
        std::fs::create_dir(&dir).expect("a new directory");
        dir
    }

    /// A checking child with a file for its stderr.
    pub fn checker(&self, role: &'static str, setup: &Setup, more: &[String]) -> Checker {
        Checker::new(role, setup, more, self.new_dir(&self.disk).join("stderr"))
    }

    /// Runs cases in parallel until they, the time or the patience are used up. Gives the number of
    /// cases that were run.
    pub fn run_cases(
        &self,
        cases: impl Iterator<Item = u64> + Send,
        time: Duration,
        jobs: usize,
        run: impl Fn(u64) -> Result<(), Failure> + Sync,
    ) -> (u64, Vec<Failure>) {
        let end = Instant::now() + time;
        let cases = Mutex::new(cases.filter(|case| self.case.is_none_or(|only| only == *case)));
        let (count, failures) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while Instant::now() < end || self.case.is_some() {
                        let case = cases.lock().expect("no case panics").next();
                        let Some(case) = case else { return };
                        count.fetch_add(1, Ordering::Relaxed);
                        if let Err(failure) = run(case) {
                            let mut failures = failures.lock().expect("no case panics");
                            failures.push(failure);
                            if failures.len() >= FAILURES_MAX || self.is_brief {
                                return;
                            }
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().expect("no case panics");
        (count.into_inner(), failures)
    }

    /// The state of a disk, its marks and its setup, where a person can find them.
    pub fn keep(&self, setup: &Setup, base: &Path, marks: &Path, lines: usize) -> Option<PathBuf> {
        let kept = tempfile::Builder::new().prefix("annals-crash-").tempdir().ok()?.keep();
        copy_tree(base, &kept.join("base")).ok()?;
        std::fs::copy(marks, kept.join("marks")).ok()?;
        let mut args = setup.to_args();
        args.push(format!("lines={lines}"));
        std::fs::write(kept.join("setup"), args.join("\n")).ok()?;
        Some(kept)
    }

    fn show(&self, name: &str, failure: &Failure) {
        println!("  seed {}, case {}: {}", self.seed, failure.case, failure.text);
        let (seed, case) = (self.seed, failure.case);
        let again = "cargo test --test crash --";
        println!("    again: ANNALS_SEED={seed} ANNALS_CASE={case} {again} {name}");
        if let Some(kept) = &failure.kept {
            println!("    its disk alone: ANNALS_REPLAY={} {again}", kept.display());
        }
    }
}

/// Numbers 0..count in a seeded order.
pub fn shuffled(seed: u64, count: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    let mut random = Random::new(&[seed, count]);
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, random.below(last as u64 + 1) as usize);
    }
    numbers
}

/// Copies a directory; runs of zeros stay holes, because sled's files are mostly that.
pub fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Checks a disk with a fresh child. The `Err` is what is wrong with it.
pub fn ask(checker: &mut Checker, job: &Job) -> Result<Answer, String> {
    let answer = checker.check(job).map_err(|error| format!("the checker fails: {error}"))?;
    let stderr = child::complaint(&answer.stderr);
    match (answer.word.as_str(), stderr) {
        ("bad", stderr) => Err(format!("{} {}", answer.text, stderr.unwrap_or_default())),
        (_, Some(stderr)) => Err(stderr),
        (_, None) => Ok(answer),
    }
}

fn replay(context: &Context, kept: &Path) -> ExitCode {
    let text = std::fs::read_to_string(kept.join("setup")).expect("a kept setup");
    let args = Args(text.lines().map(str::to_owned).collect());
    let base = context.new_dir(&context.scratch);
    copy_tree(&kept.join("base"), &base).expect("a kept disk can be copied");
    let pristine = kept.join("pristine");
    let (role, more) = match pristine.is_dir() {
        true => {
            copy_tree(&pristine, &base.join("pristine")).expect("a kept store can be copied");
            let role = std::fs::read_to_string(kept.join("role")).unwrap_or_default();
            let role = if role == "rot-beside" { "rot-beside" } else { "rot" };
            (role, vec![format!("pristine={}", base.join("pristine").display())])
        }
        false => ("check", Vec::new()),
    };
    let job = Job {
        dir: base.join("store"),
        marks: kept.join("marks"),
        lines: args.number("lines", u64::MAX) as usize,
    };
    let setup = Setup::from_args(&args);
    match ask(&mut context.checker(role, &setup, &more), &job) {
        Ok(answer) => println!("{}: {}\n1 passed, 0 failed", answer.word, answer.text),
        Err(text) => {
            println!("{text}\n0 passed, 1 failed");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
