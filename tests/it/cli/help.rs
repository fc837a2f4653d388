//! What `--help` says, and that it is true: examples that work, defaults and exit codes.

use std::{fs, process::Command};

use crate::support::{lines::line, program::Place, system::has_program};

/// The names of all commands, from the help of the program.
fn commands(place: &Place) -> Vec<String> {
    let help = place.succeed(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().lines();
    let names = list.map_while(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The command lines of the examples that end a help text.
fn examples(help: &str) -> Vec<String> {
    let start = help.find("Example").expect("every help has an example");
    let lines = help[start..].lines().skip(1).map_while(|line| line.strip_prefix("  "));
    lines.map(str::to_owned).collect()
}

#[test]
fn every_help_has_examples_and_exit_codes() {
    let place = Place::new();
    let names = commands(&place);
    assert_eq!(names.len(), 15);
    for name in names {
        let help = place.succeed(&[&name, "--help"]);
        let examples = examples(&help);
        assert!(examples.iter().all(|line| line.contains(&format!("annals {name} "))), "{help}");
        assert!(help.contains("\nExit codes: 0 "), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

/// An option that can be left out says what happens then. Those that only filter or add say it by
/// what they are: `Print only`, `List only`, `Also`, `Where`.
#[test]
fn every_option_with_a_value_has_a_default() {
    let place = Place::new();
    for name in commands(&place) {
        let help = place.succeed(&[&name, "--help"]);
        let entries = help.split("\n  -").skip(1).map(|entry| entry.split("\n\n").next().unwrap());
        for entry in entries.filter(|entry| entry.contains('<')) {
            let restricts = ["only", "Only", "instead", "inclusive", "several times"];
            let is_plain = restricts.iter().any(|word| entry.contains(word));
            assert!(is_plain || help_has_default(&help, entry), "{name}: {entry}");
        }
    }
}

/// Whether an entry, with the paragraphs that belong to it, has a default.
fn help_has_default(help: &str, entry: &str) -> bool {
    let rest = &help[help.find(entry).unwrap()..];
    let end = rest[1..].find("\n  -").map_or(rest.len(), |end| end + 1);
    rest[..end].contains("[default: ")
}

/// A place with everything that the examples use.
fn place_for_examples() -> Place {
    let place = Place::new();
    let of_7 = [("stream_id", "\"order-7\""), ("event_type", "\"ItemAdded\"")];
    let mut text = String::new();
    for event_id in ["1", "2", "3"] {
        text.push_str(&line(&[&of_7[..], &[("event_id", event_id)]].concat()));
        text.push('\n');
    }
    place.file("orders.ndjson", text);
    place.file("order.json", "{\"item\": {\"sku\": \"tea\"}}");
    fs::create_dir_all(place.path("backup")).unwrap();
    fs::create_dir_all(place.path(".local/share/bash-completion/completions")).unwrap();
    place
}

#[test]
fn the_examples_of_the_help_work() {
    if !has_program("gzip", "--version") {
        return;
    }
    let help_of = Place::new();
    let mut count = 0;
    for name in commands(&help_of) {
        for example in examples(&help_of.succeed(&[&name, "--help"])) {
            let place = place_for_examples();
            if name != "import" {
                place.succeed(&["import", "orders.annals", "orders.ndjson"]);
            }
            let mut gzip = Command::new("gzip");
            gzip.args(["-k", "orders.ndjson"]).current_dir(place.path(""));
            assert!(gzip.status().unwrap().success());
            if name == "export" {
                fs::remove_file(place.path("orders.ndjson")).unwrap();
                fs::remove_file(place.path("orders.ndjson.gz")).unwrap();
            }
            check_example(&place, &name, &example);
            count += 1;
        }
    }
    assert!(count > 20, "{count} examples");
}

#[test]
fn the_quick_start_of_the_readme_works() {
    let readme = include_str!("../../../README.md");
    let section = readme.split("### On the command line").nth(1).unwrap();
    let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let place = Place::new();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    std::os::unix::fs::symlink(data, place.path("examples")).unwrap();
    let lines: Vec<&str> = block.lines().collect();
    assert!(lines.len() >= 7, "{block}");
    for line in lines {
        let name = line.split_whitespace().nth(1).unwrap();
        check_example(&place, name, line);
    }
}

/// Runs an example as a shell would, and twice where it says that it can be repeated.
#[track_caller]
fn check_example(place: &Place, name: &str, example: &str) {
    let line = example.replace("/backup/", "backup/").replace("/var/tmp", ".");
    let line = line.replace("jq -c .item", "cat");
    // `tail` ends when nobody reads it any more.
    let line = match name {
        "tail" => {
            let line = line.split('#').next().unwrap().replace("| jq .data", "");
            format!("{line} | head -n 3")
        }
        _ => line.replace("| less", "| cat"),
    };
    for _ in 0..if name == "backup" { 2 } else { 1 } {
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-c", &line]).current_dir(place.path(""));
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_annals")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let output = shell.env("PATH", path).env("HOME", place.path("")).output().unwrap();
        assert!(output.status.success(), "{example}: {output:?}");
    }
}
