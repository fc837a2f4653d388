//! The examples do what they say.

use std::{path::PathBuf, process::Command};

/// Runs an example that `cargo test` has built, and returns what it prints.
#[track_caller]
fn run(name: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let built: PathBuf = own.ancestors().nth(2).unwrap().join("examples").join(name);
    if !built.is_file() {
        // A run of this test alone builds none.
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--example", name, "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        assert!(cargo.status().unwrap().success(), "{name} can be built");
    }
    let output = Command::new(built).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn check(name: &str, due: &[&str]) {
    let shown = run(name);
    let mut rest = shown.as_str();
    for line in due {
        let Some((_, after)) = rest.split_once(line) else {
            panic!("{line:?} is missing, or not in its place, in:\n{shown}");
        };
        rest = after;
    }
}

#[test]
fn tour() {
    check("tour", &["imported 304 events", "conflict, as it should be", "0 findings"]);
}

#[test]
fn ledger() {
    check(
        "ledger",
        &[
            "ada has 10000",
            "somebody was faster: stream \"ada\" is at version 2, expected 1",
            "took 2 attempts, ada has 4500",
            "after the transfer: {\"ada\": 3500, \"bob\": 1000}",
            "refused: bob holds 1000, which is less than 1001",
        ],
    );
}

#[test]
fn process_manager() {
    check(
        "process_manager",
        &[
            "going on at position 1",
            "1 OrderPlaced: PaymentRequested at 2",
            "stopped right after it had acted",
            "going on at position 2",
            "the order is paid",
            "3 PaymentReceived: ParcelShipped at 4",
            "version 4: ParcelShipped",
        ],
    );
}

#[test]
fn course_subscriptions() {
    check(
        "course_subscriptions",
        &[
            "ada takes algebra, at 4",
            "1 of 2 got the last seat",
            "ada takes biology",
            "refused: ada has 2 courses",
            "algebra has 2 students",
        ],
    );
}

#[test]
fn invoice_numbers() {
    check("invoice_numbers", &["20 invoices, in order and without a gap: true"]);
}

#[test]
fn user_names() {
    check(
        "user_names",
        &[
            "1 gets countess: true",
            "2 gets countess: false",
            "2 gets admiral: true",
            "3 gets countess: true",
        ],
    );
}

#[test]
fn read_model() {
    check(
        "read_model",
        &[
            "version 1: from 0 over 304 events to 304",
            "version 1: from 304 over 1 events to 305",
            "the snapshot of the projection \"overview\" at position 305 is ignored: it is \
             of version 1, not 2",
            "version 2: from 0 over 305 events to 305",
            "   1 NoteAdded",
        ],
    );
}

#[test]
fn time_travel() {
    check(
        "time_travel",
        &[
            "now:                             565",
            "at version 0:                      0",
            "at version 1:                    100",
            "at version 2:                     70",
            "at version 3:                    570",
            "at position 4 of the store:       70",
            "on 2024-05-04T00:00:00+00:00:     65",
            "from a snapshot, now:            565",
        ],
    );
}
