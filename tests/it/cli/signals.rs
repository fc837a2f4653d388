//! SIGINT while a command works: the message, the exit code, and what is left.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::support::{lines::numbered, program::Place};

const EVENTS: u64 = 60_000;

fn place() -> Place {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=EVENTS));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    fs::create_dir(place.path("work")).unwrap();
    place
}

fn signal(child: &Child, signal: &str) {
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
}

fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// How often a command may be done before its signal arrives.
const ATTEMPTS: usize = 50;

/// Runs a command that keeps temporary files in `work`, and interrupts it while it has some. It is
/// stopped before that is checked, so that it cannot end in between. What is left of its work may
/// still be done sooner than the signal is handled.
fn interrupted(place: &Place, args: &[&str]) -> Output {
    let work = place.path("work");
    let mut command = place.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    loop {
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap();
        }
        signal(&child, "-STOP");
        if names(&work).iter().any(|name| name.contains("annals-")) {
            break;
        }
        signal(&child, "-CONT");
        thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "-INT");
    signal(&child, "-CONT");
    child.wait_with_output().unwrap()
}

#[track_caller]
fn check(place: &Place, args: &[&str], message: &str) {
    let mut attempts = (0..ATTEMPTS).map(|_| {
        let _ = fs::remove_file(place.path("work/out.ndjson"));
        interrupted(place, args)
    });
    let output = attempts.find(|output| output.status.code() != Some(0)).expect("never in time");
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), words.as_str()), (Some(130), message), "{args:?}");
    assert_eq!(names(&place.path("work")), [""; 0], "{args:?} leaves nothing");
}

#[test]
fn an_interrupted_export_leaves_no_file() {
    let place = place();
    let message = "annals: interrupted: work/out.ndjson was not created\n";
    check(&place, &["export", "s.annals", "work/out.ndjson"], message);
    let message = "{\"error\":\"interrupted: work/out.ndjson was not created\",\"notes\":[],\
                   \"code\":null,\"name\":null,\"exit\":130}\n";
    check(&place, &["export", "s.annals", "work/out.ndjson", "--json"], message);
    place.succeed(&["export", "s.annals", "work/out.ndjson"]);
    let exported = fs::read_to_string(place.path("work/out.ndjson")).unwrap();
    assert!(exported == numbered(1..=EVENTS));
}

#[test]
fn interrupted_checks_leave_no_copies() {
    let place = place();
    let scratch = ["s.annals", "--scratch", "work"];
    let message = "annals: interrupted: the check is not complete\n";
    check(&place, &[&["verify"], &scratch[..]].concat(), message);
    let message = "annals: interrupted: nothing was changed\n";
    check(&place, &[&["repair"], &scratch[..]].concat(), message);
    // Without a signal they leave nothing either.
    assert_eq!(place.run(&[&["verify"], &scratch[..]].concat()).code, Some(0));
    assert_eq!(place.run(&[&["repair"], &scratch[..]].concat()).code, Some(0));
    assert_eq!(names(&place.path("work")), [""; 0]);
}
