//! `import` and `export`.

use std::{fs, process::Stdio};

use crate::support::{
    lines::{line, numbered},
    program::{Place, assert_exists},
    samples,
};

#[test]
fn a_file_goes_in_and_comes_out() {
    let place = Place::new();
    let orders = samples::orders();
    place.file("in.ndjson", &orders);
    let run = place.run(&["import", "s.annals", "in.ndjson"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert_eq!(run.stderr, "imported 304 events\n");
    let run = place.run(&["export", "s.annals", "out.ndjson"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    let words = format!("exported 304 events, {} bytes, to out.ndjson\n", orders.len());
    assert_eq!(run.stderr, words);
    assert_eq!(fs::read_to_string(place.path("out.ndjson")).unwrap(), orders);
    assert_eq!(place.names(), ["in.ndjson", "out.ndjson", "s.annals"]);
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let place = Place::new();
    let text = numbered(1..=3);
    let run = place.run_with(&["import", "s.annals", "-"], text.as_bytes());
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(place.succeed(&["export", "s.annals", "-"]), text);
    let run = place.run(&["export", "s.annals", "--json"]);
    assert_eq!((run.stdout, run.stderr), (text, String::new()));
    let run = place.run_with(&["import", "s.annals", "-"], b"oops\n");
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.starts_with("annals: standard input: line 1, column 1: "), "{run:?}");
}

#[test]
fn reports_are_objects_of_one_line() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=3) + "{\"event_id\"");
    let import = ["--json", "import", "s.annals", "in.ndjson", "--torn-tail", "drop"];
    let run = place.run(&import);
    assert_eq!(run.code, Some(0), "{run:?}");
    let torn = "{\"line\":4,\"bytes\":11,\"reason\":\"EOF while parsing an object\"}";
    let report = format!(
        "{{\"events\":3,\"skipped\":0,\"lines\":4,\"torn_tail\":{torn},\"dry_run\":false}}\n"
    );
    assert_eq!(run.stdout, report);
    let warning = "annals: warning: in.ndjson: line 4 is torn and was dropped: \
                   11 bytes, EOF while parsing an object\n";
    assert_eq!(run.stderr, warning);
    let bytes = numbered(1..=3).len();
    let report = place.succeed(&["export", "s.annals", "out.ndjson", "--json"]);
    assert_eq!(report, format!("{{\"events\":3,\"bytes\":{bytes}}}\n"));
}

#[test]
fn a_wrong_line_is_reported_with_its_place_and_what_is_in() {
    let place = Place::new();
    let text = numbered(1..=5_000) + &line(&[("event_id", "5001"), ("timestamp", "\"now\"")]);
    place.file("in.ndjson", text + "\n");
    let run = place.run(&["import", "s.annals", "in.ndjson"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""), "{run:?}");
    let mut words = run.stderr.lines();
    let first = words.next().unwrap();
    assert!(first.starts_with("annals: in.ndjson: line 5001, column 108: invalid time"), "{first}");
    let events = place.succeed(&["read", "s.annals"]).lines().count();
    let second = format!("annals: imported {events} events before that, skipped 0");
    assert_eq!(words.next(), Some(second.as_str()));
    assert!(events > 0);

    place.file("bad.ndjson", "\n{}\n");
    let run = place.run(&["import", "new.annals", "bad.ndjson"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.starts_with("annals: bad.ndjson: line 2, column 2: "), "{run:?}");
    assert!(run.stderr.ends_with("annals: nothing was imported\n"), "{run:?}");
}

#[test]
fn the_modes_are_those_of_the_library() {
    let place = Place::new();
    place.file("three.ndjson", numbered(1..=3));
    place.file("five.ndjson", numbered(1..=5));
    place.succeed(&["import", "s.annals", "three.ndjson"]);
    place.refuse(&["import", "s.annals", "five.ndjson"], 3, "does not follow: expected 4");
    let resume = ["import", "s.annals", "five.ndjson", "--mode", "resume"];
    let run = place.run(&resume);
    assert_eq!(run.stderr, "imported 2 events, skipped 3 that the store already has\n");
    let append = ["import", "s.annals", "three.ndjson", "--mode", "append"];
    assert_eq!(place.run(&append).stderr, "imported 3 events\n");
    assert_eq!(place.succeed(&["read", "s.annals"]).lines().count(), 8);
    place.refuse(&["import", "s.annals", "five.ndjson", "--mode", "other"], 2, "--mode");
}

#[test]
fn a_torn_tail_is_refused_by_default() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=2).trim_end().trim_end_matches('}'));
    let import = ["import", "s.annals", "in.ndjson", "--torn-tail", "drop"];
    place.refuse(&import[..3], 3, "in.ndjson: line 2, column ");
    place.refuse(&[&import[..4], &["refuse"][..]].concat(), 3, "a torn last line");
    assert_eq!(place.run(&import).code, Some(0));
    assert_eq!(place.succeed(&["read", "s.annals"]), numbered(1..=1));
}

#[test]
fn a_dry_run_says_so_and_writes_nothing() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=3));
    let dry = ["import", "s.annals", "in.ndjson", "--dry-run"];
    let run = place.run(&dry);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stderr, "dry run: would import 3 events; nothing was written\n");
    assert_exists(&place.path("s.annals"), false);
    place.succeed(&dry[..3]);
    place.refuse(&dry, 3, "dry run: nothing was written");
    let report = place.succeed(&[&dry[..], &["--mode", "resume", "--json"]].concat());
    assert!(report.starts_with("{\"events\":0,\"skipped\":3,"), "{report}");
    assert!(report.ends_with("\"dry_run\":true}\n"), "{report}");
    assert_eq!(place.succeed(&["export", "s.annals"]), numbered(1..=3));
}

#[test]
fn export_overwrites_nothing() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=3));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    place.file("out.ndjson", "precious");
    place.refuse(&["export", "s.annals", "out.ndjson"], 6, "out.ndjson: it already exists");
    assert_eq!(fs::read_to_string(place.path("out.ndjson")).unwrap(), "precious");
    // Before the store is looked at, which may take long to export.
    place.refuse(&["export", "missing", "out.ndjson"], 6, "out.ndjson: it already exists");
    fs::create_dir(place.path("directory")).unwrap();
    place.refuse(&["export", "s.annals", "directory"], 6, "it already exists");
    place.refuse(&["export", "s.annals", "missing/out.ndjson"], 6, "missing/out.ndjson: No such");
    place.refuse(&["export", "s.annals", "directory/.."], 6, "it already exists");
    assert_eq!(place.names(), ["directory", "in.ndjson", "out.ndjson", "s.annals"]);
}

#[cfg(unix)]
#[test]
fn export_does_not_write_through_a_dangling_link() {
    let place = Place::new();
    place.succeed(&["append", "s.annals", "a", "T", "1"]);
    std::os::unix::fs::symlink("elsewhere.ndjson", place.path("link.ndjson")).unwrap();
    place.refuse(&["export", "s.annals", "link.ndjson"], 6, "it already exists");
    assert_eq!(place.names(), ["link.ndjson", "s.annals"]);
}

#[test]
fn an_input_that_cannot_be_read_is_reported_before_a_store_is_made() {
    let place = Place::new();
    place.refuse(&["import", "s.annals", "nothing.ndjson"], 6, "cannot open nothing.ndjson: ");
    assert_exists(&place.path("s.annals"), false);
    fs::create_dir(place.path("directory")).unwrap();
    place.refuse(&["import", "s.annals", "directory"], 6, "directory");
    assert_exists(&place.path("s.annals"), false);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_system_failure() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=3));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    for args in [&["export", "s.annals"][..], &["read", "s.annals"], &["stats", "s.annals"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = place.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(6), "{args:?}: {words}");
        assert!(words.starts_with("annals: cannot write to standard output: No space"), "{words}");
    }
}

#[cfg(unix)]
#[test]
fn a_bar_shows_on_a_terminal_only() {
    use crate::support::system::has_program;

    if !has_program("script", "--version") {
        return;
    }
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=20_000));
    let run = place.run(&["import", "a.annals", "in.ndjson"]);
    assert_eq!(run.stderr, "imported 20000 events\n");
    let terminal = place.run_on_terminal("annals import b.annals in.ndjson");
    assert!(terminal.contains("imported 20000 events"), "{terminal}");
    assert!(terminal.contains("MiB/"), "{terminal}");
}

#[test]
fn backup_makes_a_store_of_its_own() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=20));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    let report = place.succeed(&["backup", "s.annals", "copy.annals", "--json"]);
    assert!(report.starts_with("{\"events\":20,\"bytes\":"), "{report}");
    assert_eq!(place.succeed(&["export", "copy.annals"]), place.succeed(&["export", "s.annals"]));
    place.refuse(
        &["backup", "s.annals", "in.ndjson"],
        6,
        "it already exists, and nothing is overwritten",
    );
    // The copy has been opened since, and is continued all the same.
    place.succeed(&["append", "s.annals", "a", "T", "1"]);
    let report = place.succeed(&["backup", "s.annals", "copy.annals", "--json"]);
    assert!(report.starts_with("{\"events\":21,"), "{report}");
    place.refuse(&["backup", "none.annals", "new.annals"], 6, "none.annals");
    place.succeed(&["append", "other.annals", "a", "T", "1"]);
    let words = "it is not a backup of this store, and nothing is overwritten";
    place.refuse(&["backup", "other.annals", "copy.annals"], 6, words);
    assert_eq!(place.names(), ["copy.annals", "in.ndjson", "other.annals", "s.annals"]);
}
