//! Compiles C and C++ programs against the library that the tests were built with, and runs them.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::support::system::has_program;

/// What a static library of Rust needs besides: `rustc --print native-static-libs`.
pub(crate) const NATIVE_LIBRARIES: [&str; 7] =
    ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

/// The warnings that no program, and no header in it, may cause.
pub(crate) const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// The project.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the libraries, which Cargo builds for the tests along with the one in Rust.
pub(crate) fn libraries() -> PathBuf {
    let libraries = env::current_exe().unwrap().parent().unwrap().to_owned();
    assert!(libraries.join("libannals.so").is_file(), "no libannals.so in {libraries:?}");
    libraries
}

/// The shared library.
pub(crate) fn shared_library() -> PathBuf {
    libraries().join("libannals.so")
}

/// How a program gets the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linkage {
    Shared,
    Static,
    /// It loads the library itself.
    Loaded,
}

/// A folder for one test, removed at its end, with the shared library under its names.
pub(crate) struct Workshop {
    directory: TempDir,
}

impl Workshop {
    /// `None`, and a line that says so, where a compiler is missing.
    pub(crate) fn with(compiler: &str) -> Option<Workshop> {
        has_program(compiler, "--version").then(Workshop::new)
    }

    fn new() -> Workshop {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let minor = env!("CARGO_PKG_VERSION_MINOR");
        for name in ["libannals.so".to_owned(), format!("libannals.so.0.{minor}")] {
            let link = directory.path().join(name);
            std::os::unix::fs::symlink(shared_library(), link).unwrap();
        }
        Workshop { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Lets a compiler look at a source, and expects no word from it.
    #[track_caller]
    pub(crate) fn check(&self, compiler: &str, flags: &[&str], source: &Path) {
        let mut command = Command::new(compiler);
        command.arg("-fsyntax-only").args(WARNINGS).args(flags);
        command.arg("-I").arg(root().join("include")).arg(source);
        let output = succeed(&mut command);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
    }

    /// Writes a source.
    pub(crate) fn source(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Compiles `sources` and returns the program.
    #[track_caller]
    pub(crate) fn compile<S: AsRef<Path>>(
        &self,
        compiler: &str,
        flags: &[&str],
        sources: &[S],
        linkage: Linkage,
    ) -> PathBuf {
        let program = self.path("bin").join(sources[0].as_ref().file_stem().unwrap());
        std::fs::create_dir_all(self.path("bin")).unwrap();
        let mut command = Command::new(compiler);
        command.args(WARNINGS).args(flags);
        command.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("tests/c"));
        command.args(sources.iter().map(AsRef::as_ref)).arg("-o").arg(&program);
        match linkage {
            Linkage::Shared => {
                command.arg("-L").arg(self.directory.path()).arg("-lannals").arg("-lpthread");
            }
            Linkage::Static => {
                command.arg(libraries().join("libannals.a")).args(NATIVE_LIBRARIES);
            }
            Linkage::Loaded => {
                command.arg("-ldl").arg("-lpthread");
            }
        }
        succeed(&mut command);
        program
    }

    /// A command that runs in the folder and finds the library there.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).env("LD_LIBRARY_PATH", self.directory.path());
        command
    }
}

/// Runs a command and shows everything it said if it fails.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
