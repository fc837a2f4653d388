//! Exit codes, and what never happens.

use std::{fs, io::Read, process::Stdio};

use annals::EventStore;

use crate::support::{
    lines::numbered,
    program::{Place, assert_exists},
    trees::open_trees,
};

#[test]
fn commands_that_read_make_no_store() {
    let place = Place::new();
    for command in ["read", "streams", "stats", "export", "verify", "repair"] {
        place.refuse(&[command, "s.annals"], 6, "cannot open s.annals: ");
    }
    place.refuse(&["export", "s.annals", "out.ndjson"], 6, "cannot open s.annals: ");
    assert_exists(&place.path("s.annals"), false);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn a_store_that_is_open_is_locked() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=3));
    let store = EventStore::open(place.path("s.annals")).unwrap();
    for args in [
        &["append", "s.annals", "a", "T", "1"][..],
        &["append", "s.annals", "a", "T", "1", "--wait", "1"],
        &["compact", "s.annals"],
        &["import", "s.annals", "in.ndjson"],
        &["import", "s.annals", "in.ndjson", "--dry-run"],
        &["repair", "s.annals"],
        &["repair", "s.annals", "--apply"],
    ] {
        place.refuse(args, 4, "s.annals is open elsewhere, in process ");
    }
    assert_exists(&place.path("out.ndjson"), false);
    // Commands that only read work beside it.
    let event = annals::NewEvent::json("T", &1).unwrap();
    store.append("a", annals::ExpectedVersion::Any, [event]).unwrap();
    for command in ["read", "streams", "stats", "snapshots", "checkpoints", "export"] {
        place.succeed(&[command, "s.annals"]);
    }
    assert!(place.succeed(&["read", "s.annals"]).starts_with("{\"event_id\": 1, "));
    let process = format!("process {}", std::process::id());
    assert!(place.succeed(&["stats", "s.annals"]).contains(&process));
    place.succeed(&["backup", "s.annals", "copy.annals"]);
    let run = place.run(&["verify", "s.annals"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    assert!(run.stderr.ends_with("\ntrees: not checked (in use)\n"), "{run:?}");
    let report = place.succeed(&["verify", "s.annals", "--json"]);
    assert!(report.ends_with(",\"not_checked\":\"trees: not checked (in use)\"}\n"), "{report}");
    drop(store);
    assert!(!place.succeed(&["stats", "s.annals"]).contains(&process));
}

#[test]
fn a_damaged_store_is_reported() {
    let place = Place::new();
    place.succeed(&["append", "s.annals", "a", "T", "1"]);
    fs::write(place.path("s.annals").join("ANNALS"), "not a superblock").unwrap();
    place.refuse(&["read", "s.annals"], 5, "ANNALS");
    place.refuse(&["append", "s.annals", "a", "T", "1"], 5, "ANNALS");
}

#[test]
fn damage_is_planned_repaired_and_salvaged() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=3));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    let lines = place.succeed(&["export", "s.annals"]);
    assert_eq!(place.run(&["repair", "s.annals"]).stderr, "nothing to repair\n");
    let trees = place.path("s.annals").join("trees");
    fs::remove_file(trees.join("conf")).unwrap();
    let run = place.run(&["verify", "s.annals"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.starts_with("trees-damaged: "), "{run:?}");
    let run = place.run(&["repair", "s.annals"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.starts_with("trees-damaged: "), "{run:?}");
    assert_eq!(run.stderr, "nothing was changed: --apply carries out the repair\n");
    assert_exists(&trees.join("conf"), false);
    let run = place.run(&["salvage", "s.annals"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), lines.as_str()), "{run:?}");
    let run = place.run(&["salvage", "s.annals", "out.ndjson"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), "saved 3 events\n"), "{run:?}");
    assert_eq!(fs::read_to_string(place.path("out.ndjson")).unwrap(), lines);
    place.refuse(&["salvage", "s.annals", "out.ndjson"], 6, "out.ndjson");
    let run = place.run(&["repair", "s.annals", "--apply"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), "repaired\n"), "{run:?}");
    assert_eq!(place.run(&["verify", "s.annals"]).code, Some(0));
    assert!(place.succeed(&["stats", "s.annals"]).contains("trees.damaged-1"));
    // A reader does without the trees. The next command that writes rebuilds them, and says so.
    fs::remove_dir_all(&trees).unwrap();
    assert_eq!(place.succeed(&["read", "s.annals"]), lines);
    let append = ["append", "s.annals", "a", "T", "1"];
    let run = place.run(&append);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.starts_with("built the trees of s.annals from "), "{run:?}");
    fs::remove_file(trees.join("conf")).unwrap();
    let run = place.run(&append);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.starts_with("annals: warning: rebuilt the trees of s.annals"), "{run:?}");
}

#[test]
fn wrong_usage_is_two() {
    let place = Place::new();
    for args in [
        &[][..],
        &["frobnicate"],
        &["read"],
        &["read", "s.annals", "--limit", "x"],
        &["read", "s.annals", "--from-version", "-1"],
        &["append", "s.annals", "a"],
        &["import", "s.annals"],
        &["import", "s.annals", "f", "--torn-tail", "keep"],
        &["completions", "shell"],
        &["repair", "s.annals", "--discard-evidence"],
        &["read", "s.annals", "--from-position", "18446744073709551616"],
        &["read", "s.annals", "--limit", "-1"],
        &["streams", "s.annals", "--limit", "1e3"],
        &["tail", "s.annals", "-n", "-1"],
        &["append", "s.annals", "a", "T", "1", "--wait", "18446744073709551616"],
        &["append", "s.annals", "a", "T", "1", "--expected", "18446744073709551616"],
        &["read", "", "a"],
        &["append", "", "a", "T", "1"],
    ] {
        let run = place.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run:?}");
        assert!(!run.stderr.is_empty());
    }
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn the_largest_numbers_are_taken() {
    let place = Place::new();
    let text = numbered(1..=3);
    place.file("in.ndjson", &text);
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    let most = u64::MAX.to_string();
    let read = |options: &[&str]| place.succeed(&[&["read", "s.annals"], options].concat());
    assert_eq!(read(&["--limit", &most]), text);
    assert_eq!(read(&["--last", &most]), text);
    assert_eq!(read(&["--until-position", &most]), text);
    assert_eq!(read(&["--from-position", "0"]), text);
    assert_eq!(read(&["--from-position", &most]), "");
    assert_eq!(read(&["stream-1", "--from-version", &most]), "");
    assert_eq!(place.succeed(&["streams", "s.annals", "--limit", "0"]), "");
    let append = ["append", "s.annals", "a", "T", "1", "--wait", &most, "--expected", &most];
    place.refuse(&append, 1, &format!("is at version 0, expected {most}"));
}

#[test]
fn a_path_that_is_no_store_is_refused_and_left_alone() {
    let place = Place::new();
    place.file("file", "text");
    std::fs::create_dir(place.path("full")).unwrap();
    place.file("full/letter", "text");
    std::fs::create_dir(place.path("empty")).unwrap();
    std::fs::create_dir(place.path("linked")).unwrap();
    std::os::unix::fs::symlink("/", place.path("linked/root")).unwrap();
    for command in ["read", "tail", "streams", "stats", "snapshots", "checkpoints", "export"] {
        place.refuse(&[command, "file"], 6, "file");
        place.refuse(&[command, "full"], 6, "there is no store in the directory");
        place.refuse(&[command, "linked"], 6, "there is no store in the directory");
        place.refuse(&[command, "none"], 6, "only `annals append` and `annals import` create");
        place.refuse(&[command, "empty"], 6, "there is no store in the directory");
        place.refuse(&[command, ""], 2, "<STORE>");
    }
    for command in ["verify", "repair", "salvage", "compact"] {
        place.refuse(&[command, "file"], 6, "file");
        place.refuse(&[command, "full"], 6, "full");
        place.refuse(&[command, "linked"], 6, "linked");
    }
    // A file that was to be written is not left there empty.
    place.refuse(&["salvage", "none", "saved.ndjson"], 6, "none");
    assert_exists(&place.path("saved.ndjson"), false);
    place.refuse(&["append", "file", "a", "T", "1"], 6, "not a directory");
    place.refuse(&["append", "full", "a", "T", "1"], 2, "it contains full/letter");
    assert_eq!(fs::read_dir(place.path("full")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(place.path("empty")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "text");
}

/// Only root can become somebody else, and only others can lack a permission.
#[cfg(target_os = "linux")]
#[test]
fn a_store_of_somebody_else_is_no_missing_store() {
    use std::{os::unix::fs::PermissionsExt, process::Command};

    let place = Place::new();
    place.succeed(&["append", "s.annals", "a", "T", "1"]);
    let set_mode = |name: &str, mode: u32| {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode("", 0o755);
    set_mode("s.annals", 0);
    let id = Command::new("id").arg("-u").output().unwrap();
    let is_root = id.stdout == b"0\n";
    for command in ["read", "tail", "stats", "verify", "repair", "salvage", "compact"] {
        let mut program = place.command(&[command, "s.annals"]);
        if is_root {
            program = Command::new("setpriv");
            program.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            program.arg(env!("CARGO_BIN_EXE_annals")).args([command, "s.annals"]);
            program.current_dir(place.path(""));
        }
        let output = program.stdin(Stdio::null()).output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(6), "{command}: {words}");
        assert!(words.contains("Permission denied"), "{command}: {words}");
    }
    set_mode("s.annals", 0o700);
    assert_eq!(place.run(&["verify", "s.annals"]).code, Some(0));
}

#[test]
fn verify_finds_nothing_in_a_sound_store() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=3));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    let run = place.run(&["verify", "s.annals"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(run.stderr, "3 events, 3 streams: nothing is wrong\n");
    let report = place.succeed(&["verify", "s.annals", "--json"]);
    assert_eq!(
        report,
        "{\"events\":3,\"streams\":3,\"findings\":[],\"unreadable\":0,\"not_checked\":null}\n"
    );
}

#[test]
fn findings_of_verify_are_data_and_an_expected_no() {
    let place = Place::new();
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    place.succeed(&["append", "s.annals", "a", "T", "1", "--id", id]);
    // An entry of the index of ids that leads to the event of another id.
    let db = open_trees(&place.path("s.annals"));
    let ids = db.open_tree("ids").unwrap();
    let (_, position) = ids.first().unwrap().expect("the id is in the index");
    ids.insert([7; 16], position).unwrap();
    db.flush().unwrap();
    drop((ids, db));

    let run = place.run(&["verify", "s.annals"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.starts_with("id-index: the index of event ids: "), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    assert_eq!(run.stderr, "1 event, 1 stream: 1 finding\n");
    let run = place.run(&["verify", "s.annals", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.stdout.contains("\"findings\":[{\"code\":\"id-index\","), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let pad = "x".repeat(100_000);
    for _ in 0..3 {
        place.succeed(&["append", "s.annals", "a", "T", &format!("\"{pad}\"")]);
    }
    for args in [&["read", "s.annals"][..], &["export", "s.annals"], &["export", "s.annals", "-"]] {
        let mut command = place.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut start = [0; 14];
        // Then the pipe is closed with most of the data unread: it holds less than one line.
        child.stdout.take().unwrap().read_exact(&mut start).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(&start, b"{\"event_id\": 1");
    }
}

/// The reader of the output may be gone before the first byte, and standard error with it.
#[test]
fn a_closed_output_never_panics() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=3));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    for (index, args) in [
        &["--help"][..],
        &["--version"],
        &["completions", "bash"],
        &["append", "s.annals", "a", "T", "1"],
        &["read", "s.annals"],
        &["read", "s.annals", "--table"],
        &["tail", "s.annals"],
        &["streams", "s.annals"],
        &["checkpoints", "s.annals"],
        &["stats", "s.annals", "--types"],
        &["export", "s.annals"],
        &["salvage", "s.annals"],
        &["verify", "s.annals", "--json"],
        &["backup", "s.annals", "copy.annals", "--json"],
    ]
    .iter()
    .enumerate()
    {
        let run = |stderr: Stdio| {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = place.command(args);
            command.stdin(Stdio::null()).stdout(writer).stderr(stderr).output().unwrap()
        };
        let output = run(Stdio::piped());
        assert_eq!(output.status.code(), Some(0), "{index}: {args:?}: {output:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(!words.contains("panicked") && !words.contains("annals: "), "{args:?}: {words}");
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(run(closed.into()).status.code(), Some(0), "{args:?}");
    }
    // A failure keeps its exit code, although nobody reads why.
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let status = place.command(&["read", "none.annals"]).stderr(closed).status().unwrap();
    assert_eq!(status.code(), Some(6));
}

#[cfg(unix)]
#[test]
fn arguments_that_are_not_utf8_are_refused_or_taken() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let place = Place::new();
    let odd = OsStr::from_bytes(b"\xFF.annals");
    let arg = OsStr::new;
    let run = place.run(&[arg("append"), odd, odd, arg("T"), arg("1")]);
    assert_eq!(run.code, Some(2), "{run:?}");
    let run = place.run(&[arg("append"), odd, arg("a"), arg("T"), arg("1")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = place.run(&[arg("export"), odd, OsStr::from_bytes(b"out\xFE")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = place.run(&[arg("import"), arg("new"), OsStr::from_bytes(b"missing\xFE")]);
    assert_eq!(run.code, Some(6), "{run:?}");
}

#[test]
fn failures_have_their_details_as_members() {
    let place = Place::new();
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    place.succeed(&["append", "s.annals", "a", "T", "1", "--id", id]);
    place.file("in.ndjson", numbered(2..=3) + "{\"event_id\": 4}\n");
    for (args, code, members) in [
        (
            &["append", "s.annals", "a", "T", "1", "--expected", "7"][..],
            1,
            "\"actual\":1,\"expected\":\"7\",\"stream_id\":\"a\"",
        ),
        (
            &["append", "s.annals", "a", "T", "2", "--id", id],
            1,
            "\"id\":\"67e55044-10b1-426f-9247-bb680e5fe0c8\",\"position\":1",
        ),
        (&["import", "s.annals", "in.ndjson"], 3, "\"column\":15,\"events\":0,\"line\":3"),
    ] {
        let run = place.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, Some(code), "{run:?}");
        assert!(run.stderr.ends_with(&format!(",\"exit\":{code},{members}}}\n")), "{run:?}");
    }
}

#[test]
fn a_backup_and_a_compaction_leave_nothing_to_find() {
    let place = Place::new();
    place.succeed(&["append", "s.annals", "a", "T", "1"]);
    place.succeed(&["backup", "s.annals", "copy.annals"]);
    let run = place.run(&["verify", "copy.annals"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    let report = place.succeed(&["compact", "s.annals", "--json"]);
    assert!(report.starts_with("{\"bytes_before\":"), "{report}");
    assert!(report.contains(",\"bytes_after\":") && report.lines().count() == 1, "{report}");
    for command in ["verify", "repair", "salvage", "compact", "backup"] {
        let args = [command, "none.annals", "out"];
        let args = if command == "backup" { &args[..] } else { &args[..2] };
        place.refuse(args, 6, "check the path: only `annals append` and `annals import` create");
    }
}
