//! The children: the writer and the checker of the crash tests, and the tools of the system.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the writer and the checker have in common.
pub const SETUP: [&str; 6] =
    ["mixed=0", "threads=1", "sync=1", "tail=49152", "journal=65536", "seed=7"];

/// Builds the crash tests, with deliberate defects in them or without, and returns the program.
pub fn crash_tests(with_defects: bool) -> io::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args(["test", "--release", "--no-run", "--test", "crash"]);
    if with_defects {
        command.args(["--features", "seeded-defects"]);
    }
    let output = command.args(["--message-format", "json"]).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(PathBuf::from(rest.split('"').next()?))
    });
    let found = programs.next_back().filter(|_| output.status.success());
    found.ok_or_else(|| io::Error::other("the crash tests do not build"))
}

/// Runs a tool of the system.
pub fn tool(name: &str, args: &[&str]) -> io::Result<()> {
    let output = Command::new(name).args(args).output()?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(io::Error::other(format!("{name} {args:?}: {stderr}")))
        }
    }
}

/// Runs a writer to its end.
pub fn write(
    program: &Path,
    (store, marks): (&Path, &Path),
    defect: Option<&str>,
) -> io::Result<()> {
    let mut command = Command::new(program);
    command.env("ANNALS_CRASH_ROLE", "write").args(SETUP);
    command.arg(format!("dir={}", store.display())).arg(format!("marks={}", marks.display()));
    command.args(["rounds=2", "units=25", "flush=9"]).stdout(Stdio::null());
    defect.map(|name| command.env("ANNALS_DEFECT", name));
    match command.status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("the writer fails")),
    }
}

/// Checks a store against the first `lines` marks. The `Err` is what is wrong with it.
pub fn check(program: &Path, (store, marks): (&Path, &Path), lines: usize) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let mut command = Command::new(program);
    command.env("ANNALS_CRASH_ROLE", "check").args(SETUP);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let job = format!("{}\t{}\t{lines}\n", store.display(), marks.display());
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(job.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    match answer.starts_with("ok\t") && stderr.is_empty() && output.status.success() {
        true => Ok(()),
        false => Err(format!("{} {} {}", output.status, answer.trim(), stderr.trim())),
    }
}
