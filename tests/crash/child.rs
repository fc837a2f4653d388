//! Starting children, ending them in time, and asking one child to check many stores.
//!
//! Method: every child is this same program with a role in its environment. Its stderr goes to a
//! file, so that nothing can block, and whatever stands there afterwards is a finding: the library
//! has no output of its own, and a panic is a bug. No child outlives its deadline.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use crate::{marks::Setup, shim::Injection};

/// The variable that makes this program a child; its value is the role.
pub const ROLE: &str = "ANNALS_CRASH_ROLE";

/// No single open, run or check may take longer.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How long a child may live.
#[derive(Clone, Copy, Debug)]
pub enum Life<'a> {
    /// It must have ended by itself.
    AtMost(Duration),
    /// It is killed then, if it has not ended before.
    Until(Duration),
    /// It is killed so long after it has written to this file.
    After(&'a Path, Duration),
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    Signal(i32),
    TooLate,
}

impl End {
    fn of(status: ExitStatus) -> End {
        match (status.code(), status.signal()) {
            (Some(code), _) => End::Exit(code),
            (None, signal) => End::Signal(signal.unwrap_or_default()),
        }
    }
}

pub const SIGKILL: i32 = 9;

fn command(role: &str, args: &[String], stderr: File) -> Command {
    let program = std::env::current_exe().expect("the test program has a path");
    let mut command = Command::new(program);
    command.env(ROLE, role).args(args).stderr(stderr);
    // A backtrace would only make a panic's text longer.
    command.env("RUST_BACKTRACE", "0").env_remove("LD_PRELOAD");
    command
}

/// Starts a child that lives until its standard input is closed, or it is killed.
pub fn start(
    role: &str,
    args: &[String],
    injection: Option<&Injection>,
    stderr: &Path,
) -> io::Result<Child> {
    let mut command = command(role, args, File::create(stderr)?);
    if let Some(injection) = injection {
        injection.apply(&mut command);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
}

/// Waits for the end of a child; it is killed when that takes too long.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<End> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(End::of(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(End::TooLate);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs a child to its end or that of its `life`, and says what it wrote to stderr.
pub fn run(
    role: &str,
    args: &[String],
    injection: Option<&Injection>,
    stderr: &Path,
    life: Life<'_>,
) -> io::Result<(End, String)> {
    let mut command = command(role, args, File::create(stderr)?);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(injection) = injection {
        injection.apply(&mut command);
    }
    let mut child = command.spawn()?;
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let (mut limit, waits_for) = match life {
        Life::AtMost(limit) | Life::Until(limit) => (limit, None),
        Life::After(path, delay) => (DEADLINE, Some((path, size(path), delay))),
    };
    let mut has_begun = false;
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    let end = loop {
        if let Some(status) = child.try_wait()? {
            break End::of(status);
        }
        if let Some((path, before, delay)) = waits_for
            && !has_begun
            && size(path) != before
        {
            (limit, has_begun) = (start.elapsed() + delay, true);
        }
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            child.kill()?;
            child.wait()?;
            let is_due = has_begun || matches!(life, Life::Until(_));
            break if is_due { End::Signal(SIGKILL) } else { End::TooLate };
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(5));
    };
    Ok((end, std::fs::read_to_string(stderr)?))
}

/// Where a panic's text says that it comes from sled.
pub const SLED: &str = "/sled-0.34.7/";

/// The first lines of all panics on stderr.
pub fn panics(stderr: &str) -> impl Iterator<Item = &str> {
    stderr.lines().filter(|line| line.contains("panicked at"))
}

/// The first panic on stderr, or else its first line; `None` when it is empty.
pub fn complaint(stderr: &str) -> Option<String> {
    let panic = stderr.lines().position(|line| line.contains("panicked at"));
    let lines: Vec<&str> = stderr.lines().skip(panic.unwrap_or_default()).take(2).collect();
    (!lines.is_empty()).then(|| format!("stderr: {}", lines.join(" ")))
}

/// A store to check.
pub struct Job {
    /// The directory of the store.
    pub dir: PathBuf,
    pub marks: PathBuf,
    /// How many lines of the marks were written before the fault; `usize::MAX` for all.
    pub lines: usize,
}

/// What a checking child says about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// "ok", "bad", or a word of the check's own.
    pub word: String,
    pub text: String,
    /// What appeared on stderr meanwhile.
    pub stderr: String,
}

/// Checks many stores in one child, which is started again when it dies or hangs.
pub struct Checker {
    role: &'static str,
    args: Vec<String>,
    stderr: PathBuf,
    process: Option<Process>,
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    stderr: File,
    checked: u32,
}

/// A child is renewed after so many stores, because each leaves threads and memory of sled behind.
const CHECKS_MAX: u32 = 60;

impl Checker {
    pub fn new(role: &'static str, setup: &Setup, more: &[String], stderr: PathBuf) -> Checker {
        let mut args = setup.to_args();
        args.extend_from_slice(more);
        Checker { role, args, stderr, process: None }
    }

    pub fn check(&mut self, job: &Job) -> io::Result<Answer> {
        if self.process.as_ref().is_some_and(|process| process.checked >= CHECKS_MAX) {
            self.stop();
        }
        if self.process.is_none() {
            self.process = Some(self.start()?);
        }
        let Some(process) = &mut self.process else { unreachable!("it was just started") };
        process.checked += 1;
        let line = format!("{}\t{}\t{}\n", job.dir.display(), job.marks.display(), job.lines);
        // A child that has died in between shows below, as a missing answer.
        let _ = process.stdin.write_all(line.as_bytes());
        let answer = process.answers.recv_timeout(DEADLINE);
        let (word, text) = match &answer {
            Ok(line) => line.split_once('\t').unwrap_or((line, "")),
            Err(RecvTimeoutError::Timeout) => ("bad", "it hangs"),
            Err(RecvTimeoutError::Disconnected) => ("bad", "the process died"),
        };
        let mut stderr = String::new();
        process.stderr.read_to_string(&mut stderr)?;
        let mut text = text.to_owned();
        let (word, is_over) = (word.to_owned(), answer.is_err());
        if is_over {
            text = format!("{text}: {:?}", self.stop());
        }
        Ok(Answer { word, text, stderr })
    }

    fn start(&self) -> io::Result<Process> {
        let stderr = File::create(&self.stderr)?;
        let mut command = command(self.role, &self.args, stderr);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().ok_or_else(|| io::Error::other("no stdin"))?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = File::open(&self.stderr)?;
        stderr.seek(SeekFrom::Start(0))?;
        Ok(Process { child, stdin, answers, stderr, checked: 0 })
    }

    /// Ends the child and says how.
    fn stop(&mut self) -> Option<std::process::ExitStatus> {
        let mut process = self.process.take()?;
        // Having been killed already is as good.
        let _ = process.child.kill();
        process.child.wait().ok()
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.stop();
    }
}
