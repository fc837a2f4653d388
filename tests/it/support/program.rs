//! Runs the `annals` program.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A directory for one test, removed at its end, in which the program runs.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The names of all that is in the directory.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
        command.args(args).current_dir(self.directory.path());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        self.run_with(args, b"")
    }

    /// Runs the program with `input` as its standard input.
    pub(crate) fn run_with<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Run {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = thread::scope(|scope| {
            // The program may end before it has read all.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a shell command line on a terminal of 120 columns, with the program as `annals`, and
    /// returns what the terminal gets of it, standard error included.
    #[cfg(unix)]
    pub(crate) fn run_on_terminal(&self, line: &str) -> String {
        self.run_on_terminal_of(120, line)
    }

    /// The same on a terminal with so many columns.
    #[cfg(unix)]
    pub(crate) fn run_on_terminal_of(&self, columns: usize, line: &str) -> String {
        let line = line.replacen("annals", env!("CARGO_BIN_EXE_annals"), 1);
        let mut command = Command::new("script");
        let line = format!("stty rows 50 cols {columns}; {line}");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let command = command.current_dir(self.directory.path()).stdin(Stdio::null());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// Runs the program and expects success; returns its standard output.
    #[track_caller]
    pub(crate) fn succeed<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.stdout
    }

    /// Runs the program and expects an exit code, and words on standard error that contain `words`.
    #[track_caller]
    pub(crate) fn refuse<S: AsRef<OsStr>>(&self, args: &[S], code: i32, words: &str) {
        let run = self.run(args);
        assert_eq!(run.code, Some(code), "{run:?}");
        assert!(run.stderr.contains(words), "{run:?}");
        assert_eq!(run.stdout, "", "words belong on standard error");
    }
}

/// Asserts that something is, or is not, at a path.
#[track_caller]
pub(crate) fn assert_exists(path: &Path, is_expected: bool) {
    assert_eq!(path.symlink_metadata().is_ok(), is_expected, "{}", path.display());
}
