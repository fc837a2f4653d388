//! Tests of the tests: which method catches which deliberate defect.
//!
//! Method: `src/defect.rs` has a list of defects, one of which the environment chooses. Each method
//! runs against each of them, and against none. A method that fails has caught the defect; one that
//! fails without a defect proves nothing. A defect that no method catches in a short run meets a
//! long one; if that finds nothing either, it is a failure.
//!
//! `cargo test --features seeded-defects --test crash -- defects [NAME..]`, which takes some
//! minutes for each defect.

use std::{
    fs::Permissions,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use crate::child::{self, End};

/// Their names, each with a line of its own, after its comment.
const SOURCE: &str = include_str!("../../src/defect.rs");

/// The methods: groups of crash tests, the model checker, and the tests of the public API at last.
const METHODS: [&str; 9] =
    ["kill", "beside", "faults", "mending", "kernel", "power_cut", "rot", "model", "it"];

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

/// Longer than any method takes; a hang is a failure.
const LIMIT: Duration = Duration::from_secs(600);

/// The names of the defects.
fn defects() -> Vec<&'static str> {
    let (_, list) = SOURCE.split_once("\ndefects! {\n").expect("there is a list of defects");
    let (list, _) = list.split_once("\n}\n").expect("the list has an end");
    let lines = list.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    lines.filter_map(|line| line.strip_suffix(',')).collect()
}

/// Whether a method fails, in a short run or a long one.
fn fails(method: &str, defect: Option<&str>, is_long: bool) -> bool {
    // Open to all, because a test runs the program as another user.
    let open = Permissions::from_mode(0o755);
    let scratch = tempfile::Builder::new().permissions(open).tempdir();
    let scratch = scratch.expect("a temporary directory");
    let mut command = match method {
        "it" => {
            let mut command = Command::new(env!("CARGO"));
            command.args(["test", "--quiet", "--features", "seeded-defects", "--test", "it", "--"]);
            command.args(IT);
            command
        }
        "model" => {
            let mut command = Command::new(env!("CARGO"));
            let features = "seeded-defects,model-checking";
            command.args(["test", "--quiet", "--features", features, "--test", "model"]);
            command
        }
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
    defect.map(|name| command.env("ANNALS_DEFECT", name));
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().expect("a method can be started");
    child::wait(&mut child, LIMIT).expect("a method can be waited for") != End::Exit(0)
}

pub fn run(chosen: &[String]) -> ExitCode {
    let all = defects();
    let chosen: Vec<&str> = match chosen {
        [] => all.clone(),
        chosen => all.iter().copied().filter(|name| chosen.iter().any(|c| c == name)).collect(),
    };
    println!("| defect | {} |", METHODS.join(" | "));
    println!("|---|{}", "---|".repeat(METHODS.len()));
    let mut is_sound = true;
    for defect in [None].into_iter().chain(chosen.into_iter().map(Some)) {
        print!("| {} |", defect.unwrap_or("none"));
        let mut caught = 0;
        for method in METHODS {
            let has_failed = fails(method, defect, false);
            caught += u32::from(has_failed);
            print!(" {} |", if has_failed { "caught" } else { "-" });
            std::io::stdout().flush().expect("there is somebody to read the table");
        }
        println!();
        if caught == 0 && defect.is_some() {
            let late = METHODS.into_iter().find(|method| fails(method, defect, true));
            println!("|  | in a long run: {} |", late.unwrap_or("-"));
            caught += u32::from(late.is_some());
        }
        is_sound &= (caught > 0) == defect.is_some();
    }
    match is_sound {
        true => ExitCode::SUCCESS,
        false => {
            println!("a defect was not caught, or a method fails without one");
            ExitCode::FAILURE
        }
    }
}
