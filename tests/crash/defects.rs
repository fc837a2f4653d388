//! Tests of the tests: which method catches which deliberate defect.
//!
//! Method: `src/defect.rs` has a list of defects, one of which the environment chooses. Each method
//! runs against each of them, and against none. A method that fails has caught the defect; one that
//! fails without a defect proves nothing. A defect that no method catches in a short run meets a
//! long one; if that finds nothing either, it is a failure. A method that does not end has found a
//! hang, but not in a long run, which may merely be too long.
//!
//! `cargo test --features seeded-defects --test crash -- defects [NAME..]`, which takes some
//! minutes for each defect. `none` is a name too.

use std::{
    fs::Permissions,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use crate::child::{self, End};

/// Their names, each with a line of its own, after its comment.
const SOURCE: &str = include_str!("../../src/defect.rs");

/// The methods: groups of crash tests, the model checker, and the tests of the public API at last.
const METHODS: [&str; 9] =
    ["kill", "beside", "faults", "mending", "kernel", "power_cut", "rot", "model", "it"];

/// Those whose cases are drawn, so that a long run tries more of them. The power cuts first: only
/// they see what a disk may lose.
const LONG_METHODS: [&str; 6] = ["power_cut", "kernel", "rot", "beside", "mending", "kill"];

/// The tests of the public API that concern what the defects are about.
const IT: [&str; 9] = [
    "append::",
    "checkpoints::",
    "closed::",
    "concurrency::",
    "damage::",
    "mixed::a_frame",
    "open::",
    "reader::",
    "sealed_files::",
];

/// Longer than any method takes in a short run.
const LIMIT: Duration = Duration::from_secs(600);

/// How long a method may take in a long run.
const LONG_LIMIT: Duration = Duration::from_secs(1_800);

/// What the methods run against when there is no defect.
const NONE: &str = "none";

/// How a method ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    TooLate,
}

/// The names of the defects.
fn defects() -> Vec<&'static str> {
    let (_, list) = SOURCE.split_once("\ndefects! {\n").expect("there is a list of defects");
    let (list, _) = list.split_once("\n}\n").expect("the list has an end");
    let lines = list.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    lines.filter_map(|line| line.strip_suffix(',')).collect()
}

/// Tests of a program that cargo knows, built with these features.
fn cargo_test(program: &str, features: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--quiet", "--features", features, "--test", program]);
    command
}

fn model() -> Command {
    cargo_test("model", "seeded-defects,model-checking")
}

fn it() -> Command {
    cargo_test("it", "seeded-defects")
}

/// Runs a method, shortly or for long.
fn judge(method: &str, defect: &str, is_long: bool) -> Verdict {
    // Open to all, because a test runs the program as another user.
    let open = Permissions::from_mode(0o755);
    let scratch = tempfile::Builder::new().permissions(open).tempdir();
    let scratch = scratch.expect("a temporary directory");
    let mut command = match method {
        "it" => {
            let mut command = it();
            command.arg("--").args(IT);
            command
        }
        "model" => model(),
        group => {
            let program = std::env::current_exe().expect("the test program has a path");
            let mut command = Command::new(program);
            command.arg(format!("{group}::"));
            command
        }
    };
    // What failures keep for a person is of no use here.
    command.env("TMPDIR", scratch.path()).env("ANNALS_BRIEF", "1").env_remove("ANNALS_DEFECT");
    command.env("ANNALS_SOAK", if is_long { "1" } else { "0" });
    if defect != NONE {
        command.env("ANNALS_DEFECT", defect);
    }
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.process_group(0).spawn().expect("a method can be started");
    let limit = if is_long { LONG_LIMIT } else { LIMIT };
    match child::wait(&mut child, limit).expect("a method can be waited for") {
        End::Exit(0) => Verdict::Passed,
        End::TooLate => {
            // The tests that cargo has started hang too.
            let group = format!("-{}", child.id());
            let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
            killed.expect("there is a program kill");
            Verdict::TooLate
        }
        _ => Verdict::Failed,
    }
}

pub fn run(chosen: &[String]) -> ExitCode {
    let mut all = vec![NONE];
    all.extend(defects());
    if !chosen.is_empty() {
        all.retain(|name| chosen.iter().any(|chosen| chosen == name));
    }
    for mut tests in [model(), it()] {
        // Otherwise the first method that needs them builds them, in its own time.
        let built = tests.arg("--no-run").status().expect("cargo can be started");
        assert!(built.success(), "{tests:?}");
    }
    println!("| defect | {} |", METHODS.join(" | "));
    println!("|---|{}", "---|".repeat(METHODS.len()));
    let mut is_sound = !all.is_empty();
    for defect in all {
        print!("| {defect} |");
        let mut is_caught = false;
        for method in METHODS {
            let verdict = judge(method, defect, false);
            is_caught |= verdict != Verdict::Passed;
            let word = match verdict {
                Verdict::Passed => "-",
                Verdict::Failed => "caught",
                Verdict::TooLate => "hangs",
            };
            print!(" {word} |");
            std::io::stdout().flush().expect("there is somebody to read the table");
        }
        println!();
        if !is_caught && defect != NONE {
            let fails = |method: &&str| judge(method, defect, true) == Verdict::Failed;
            let late = LONG_METHODS.into_iter().find(fails);
            println!("|  | in a long run: {} |", late.unwrap_or("-"));
            is_caught = late.is_some();
        }
        is_sound &= is_caught == (defect != NONE);
    }
    match is_sound {
        true => ExitCode::SUCCESS,
        false => {
            println!("a defect was not caught, or a method fails without one");
            ExitCode::FAILURE
        }
    }
}
