//! Programs of the system, which may be missing.

use std::{
    fs::OpenOptions,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Whether a program of the system can be run. When it cannot, a line says that the test is
/// skipped; on a build server that is a failure.
pub(crate) fn has_program(name: &str, probe: &str) -> bool {
    let probed = Command::new(name).arg(probe).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = probed.is_ok_and(|status| status.success());
    if !is_there {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{name} is missing");
        skipped(&format!("{name} is missing"));
    }
    is_there
}

/// Says that a test is skipped, past the capture of the output of tests that pass, and notes it for
/// the list that `tests/skipped.rs` prints after all tests.
pub(crate) fn skipped(reason: &str) {
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped-tests");
    let mut list = OpenOptions::new().create(true).append(true).open(list).unwrap();
    list.write_all(format!("{reason}\n").as_bytes()).unwrap();
    std::io::stderr().write_all(format!("SKIPPED: {reason}\n").as_bytes()).unwrap();
}
