//! Finding events, streams and figures; what is said where there is nothing.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    lines::{line, numbered},
    program::Place,
};

/// A store of events with these metadata and ids, a day apart, in two streams.
fn place() -> Place {
    let place = Place::new();
    let mut text = String::new();
    for number in 1..=6 {
        let (event_id, day) = (number.to_string(), format!("\"2024-05-0{number}T12:00:00+00:00\""));
        let stream = format!("\"order-{}\"", number % 2);
        let metadata = match number {
            2 | 5 => "{\"correlation_id\": \"r-1\"}",
            3 => "{\"correlation_id\": \"4\"}",
            4 => "{\"correlation_id\": null}",
            6 => "{\"correlation_id\": 4}",
            _ => "null",
        };
        let event_type = if number > 4 { "\"Closed\"" } else { "\"Opened\"" };
        text.push_str(&line(&[
            ("event_id", &event_id),
            ("stream_id", &stream),
            ("event_type", event_type),
            ("timestamp", &day),
            ("metadata", metadata),
        ]));
        text.push('\n');
    }
    place.file("in.ndjson", text);
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    place
}

#[track_caller]
fn check(place: &Place, options: &[&str], due: &[u64]) {
    let text = place.succeed(&[&["read", "s.annals"], options].concat());
    let position = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["event_id"].as_u64().unwrap()
    };
    assert_eq!(text.lines().map(position).collect::<Vec<_>>(), due, "{options:?}");
}

#[test]
fn events_are_found_by_time_place_and_correlation() {
    let place = place();
    check(&place, &["--since", "2024-05-03"], &[3, 4, 5, 6]);
    check(&place, &["--since", "2024-05-03T12:00:00+00:00", "--until", "2024-05-04"], &[3, 4]);
    check(&place, &["--until", "2024-05-03T13:59:00+02:00"], &[1, 2]);
    check(&place, &["--until-position", "2"], &[1, 2]);
    check(&place, &["--last", "2"], &[5, 6]);
    check(&place, &["order-1", "--last", "2"], &[3, 5]);
    check(&place, &["--last", "2", "--until-position", "4", "--from-position", "2"], &[3, 4]);
    check(&place, &["--last", "9", "--from-position", "4"], &[4, 5, 6]);
    check(&place, &["order-1", "--last", "2", "--from-version", "2"], &[3, 5]);
    check(&place, &["order-1", "--last", "9", "--from-version", "2"], &[3, 5]);
    check(&place, &["--last", "1", "--type", "Opened"], &[4]);
    check(&place, &["--correlation", "r-1"], &[2, 5]);
    check(&place, &["--correlation", "r-1", "--limit", "1", "--backward"], &[5]);
    check(&place, &["--correlation", "r-1", "--last", "1"], &[5]);
    // The event at position 4 started it.
    check(&place, &["--correlation", "4"], &[3, 4, 6]);
    check(&place, &["--correlation", "none"], &[]);
    let wrong = place.run(&["read", "s.annals", "--since", "yesterday"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("'yesterday' for '--since <TIME>': expected a day such as"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn an_event_is_found_by_its_id() {
    let place = Place::new();
    let id = "6b1cf8b4-5b1a-4c7f-9d0e-0f2f0a3f7c11";
    place.succeed(&["append", "s.annals", "a", "T", "1", "--id", id]);
    place.succeed(&["append", "s.annals", "a", "T", "2"]);
    check(&place, &["--id", id], &[1]);
    let none = place.run(&["read", "s.annals", "--id", "00000000-0000-0000-0000-000000000001"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""));
    let words = "annals: no event has the id 00000000-0000-0000-0000-000000000001\n";
    assert_eq!(none.stderr, words);
}

#[test]
fn a_stream_that_is_not_there_is_said() {
    let place = place();
    let run = place.run(&["read", "s.annals", "order-7"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert_eq!(run.stderr, "annals: there is no stream \"order-7\" in s.annals\n");
    assert_eq!(place.run(&["read", "s.annals", "order-1", "--type", "None"]).stderr, "");
}

#[test]
fn forms_of_events() {
    let place = Place::new();
    place.succeed(&["append", "s.annals", "a", "T", "{\"b\": [1.00, {}]}", "--metadata", "{}"]);
    let full = place.succeed(&["read", "s.annals", "--full"]);
    let lines: Vec<&str> = full.lines().collect();
    assert_eq!(lines[..3], ["position  1", "stream    a, version 1", "type      T"]);
    let due = ["metadata  {}", "data      {", "            \"b\": [", "              1.00,"];
    assert_eq!(lines[4..8], due, "{full}");
    let table = place.succeed(&["read", "s.annals", "--table"]);
    assert!(table.starts_with("POS  STREAM  VER  TYPE  TIME"), "{table}");
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    let with_version = place.succeed(&["read", "s.annals", "--with-version"]);
    assert!(with_version.ends_with(", \"metadata\": {}, \"version\": 1}\n"), "{with_version}");
    let plain = place.succeed(&["read", "s.annals"]);
    assert_eq!(plain, with_version.replace(", \"version\": 1", ""));
    place.succeed(&["append", "s.annals", "b", "T", "1", "--tag", "show:7", "--tag", "\u{7}"]);
    let full = place.succeed(&["read", "s.annals", "b", "--full"]);
    let due = ["tags      \\u{7}", "          show:7", "data      1"];
    assert_eq!(full.lines().collect::<Vec<_>>()[4..7], due, "{full}");
}

#[test]
fn streams_are_sorted_and_limited() {
    let place = place();
    place.succeed(&["append", "s.annals", "late", "T", "1"]);
    place.succeed(&["append", "s.annals", "order-0", "T", "1"]);
    let ids = |options: &[&str]| -> Vec<String> {
        let text = place.succeed(&[&["streams", "s.annals", "--json"], options].concat());
        let id = |line| serde_json::from_str::<Value>(line).unwrap()["stream_id"].to_string();
        text.lines().map(id).collect()
    };
    assert_eq!(ids(&["--limit", "2"]), ["\"late\"", "\"order-0\""]);
    assert_eq!(ids(&["--sort", "events"]), ["\"order-0\"", "\"order-1\"", "\"late\""]);
    assert_eq!(ids(&["--sort", "last", "--limit", "2"]), ["\"order-0\"", "\"late\""]);
    let text = place.succeed(&["streams", "s.annals", "--times", "--prefix", "order-1"]);
    let due = "{\"stream_id\":\"order-1\",\"version\":3,\"last_position\":5,\
               \"last_time\":\"2024-05-05T12:00:00+00:00\"}\n";
    assert_eq!(text, due);
}

#[test]
fn stats_count_types_and_days() {
    let place = place();
    let text = place.succeed(&["stats", "s.annals", "--types", "--days"]);
    let due = "\nevents by type\n  Closed          2  ###############\n  Opened          4  \
               ##############################\n\nevents by day\n  2024-05-01          1  ";
    assert!(text.contains(due), "{text}");
    let json = place.succeed(&["stats", "s.annals", "--types", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["types"]["Opened"], &json["head"]), (&4.into(), &6.into()));
    assert!(json.get("days").is_none());
}

#[test]
fn a_failure_under_json_is_an_object() {
    let place = place();
    let run = place.run(&["append", "s.annals", "order-1", "T", "1", "--expected", "9", "--json"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    let failure: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!((&failure["code"], &failure["exit"]), (&(-20).into(), &1.into()));
    assert_eq!(failure["name"], "VersionConflict");
    assert_eq!(failure["error"], "stream \"order-1\" is at version 3, expected 9");
    let run = place.run(&["read", "none.annals", "--json"]);
    let failure: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!((run.code, &failure["name"]), (Some(6), &"Io".into()));
    // Wrong usage too, wherever the option stands.
    for args in [&["--json", "read"][..], &["read", "s.annals", "--limit", "x", "--json"]] {
        let run = place.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}");
        let failure: Value = serde_json::from_str(&run.stderr).unwrap();
        assert_eq!((&failure["code"], &failure["exit"]), (&Value::Null, &2.into()));
        assert!(!failure["error"].as_str().unwrap().starts_with("error"), "{failure}");
    }
}

#[test]
fn wrong_data_on_standard_input_is_wrong_input() {
    let place = Place::new();
    let append = ["append", "s.annals", "a", "T"];
    for input in ["", "{", "\u{1}", "NaN"] {
        let run = place.run_with(&append, input.as_bytes());
        assert_eq!(run.code, Some(3), "{input:?}: {}", run.stderr);
    }
    assert_eq!(place.run_with(&append, b"\xFF").code, Some(3));
    let large = format!("\"{}\"", "x".repeat(16 << 20));
    assert_eq!(place.run_with(&append, large.as_bytes()).code, Some(3));
    assert_eq!(place.run(&["append", "s.annals", "a", "T", "{"]).code, Some(2));
    assert_eq!(place.run_with(&["append", "s.annals", "", "T"], b"1").code, Some(2));
}

#[test]
fn a_failed_import_leaves_no_new_store() {
    let place = Place::new();
    place.file("bad.ndjson", "{\n");
    let run = place.run(&["import", "s.annals", "bad.ndjson"]);
    assert_eq!(run.code, Some(3));
    assert!(run.stderr.starts_with("annals: bad.ndjson: line 1, column 1: "), "{run:?}");
    let run = place.run_with(&["import", "s.annals", "-"], b"{\n");
    assert_eq!(run.code, Some(3));
    assert!(run.stderr.starts_with("annals: standard input: line 1, column 1: "), "{run:?}");
    assert_eq!(place.names(), ["bad.ndjson"]);
    // A store that was there, and one that has got events, stay.
    place.succeed(&["append", "s.annals", "a", "T", "1"]);
    assert_eq!(place.run(&["import", "s.annals", "bad.ndjson"]).code, Some(3));
    place.file("half.ndjson", numbered(1..=20_000) + "{\n");
    assert_eq!(place.run(&["import", "t.annals", "half.ndjson"]).code, Some(3));
    assert_eq!(place.names(), ["bad.ndjson", "half.ndjson", "s.annals", "t.annals"]);
    // A directory that was there stays, empty.
    fs::create_dir(place.path("empty.annals")).unwrap();
    assert_eq!(place.run(&["import", "empty.annals", "bad.ndjson"]).code, Some(3));
    assert_eq!(fs::read_dir(place.path("empty.annals")).unwrap().count(), 0);
}

/// A process that waits for the store of a failing import gets a store of its own, and nothing
/// removes it.
#[test]
fn a_failed_import_removes_no_store_of_another_process() {
    for is_empty_directory in [false, true] {
        let place = Place::new();
        if is_empty_directory {
            fs::create_dir(place.path("s.annals")).unwrap();
        }
        let mut import = place.command(&["import", "s.annals", "-"]);
        import.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut import = import.spawn().unwrap();
        while !place.path("s.annals/HEAD").exists() {
            thread::sleep(Duration::from_millis(1));
        }
        let mut append = place.command(&["append", "s.annals", "a", "T", "1", "--wait", "60"]);
        append.stdout(Stdio::null()).stderr(Stdio::piped());
        let append = append.spawn().unwrap();
        import.stdin.take().unwrap().write_all(b"{\n").unwrap();
        assert_eq!(import.wait().unwrap().code(), Some(3));
        let appended = append.wait_with_output().unwrap();
        let words = String::from_utf8(appended.stderr).unwrap();
        assert_eq!((appended.status.code(), words.as_str()), (Some(0), ""));
        assert_eq!(place.succeed(&["read", "s.annals"]).lines().count(), 1);
        assert_eq!(place.names(), ["s.annals"]);
    }
}

#[test]
fn a_repeated_import_names_the_mode_for_it() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=5));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    let run = place.run(&["import", "s.annals", "in.ndjson"]);
    assert_eq!(run.code, Some(3));
    let hint = "the store already has 5 events: --mode resume skips those that the file repeats";
    assert!(run.stderr.contains(hint), "{}", run.stderr);
}

/// What a failed import of `text` into a store of five events says last.
#[track_caller]
fn last_words(options: &[&str], text: &str) -> String {
    let place = Place::new();
    place.file("five.ndjson", numbered(1..=5));
    place.succeed(&["import", "s.annals", "five.ndjson"]);
    place.file("in.ndjson", text);
    let run = place.run(&[&["import", "s.annals", "in.ndjson"], options].concat());
    assert_eq!(run.code, Some(3), "{run:?}");
    run.stderr.lines().last().unwrap().to_owned()
}

#[test]
fn a_failed_import_suggests_a_mode_only_where_it_helps() {
    let nothing = "annals: nothing was imported";
    // A malformed line, whatever the store has and whatever the line says of its place.
    for text in ["oops\n", "{\n", "{\"event_id\": 1}\n", "{\"event_id\": 6, \"x\": 1}\n"] {
        assert_eq!(last_words(&[], text), nothing, "{text}");
        assert_eq!(last_words(&["--mode", "resume"], text), nothing, "{text}");
        assert_eq!(last_words(&["--mode", "append"], text), nothing, "{text}");
    }
    // The file repeats events of the store.
    let repeated = last_words(&[], &numbered(1..=7));
    assert!(repeated.contains("--mode resume skips"), "{repeated}");
    // Events are missing between the store and the file: resuming does not help.
    for options in [&[][..], &["--mode", "resume"]] {
        let gap = last_words(options, &numbered(9..=10));
        let due = "annals: events before it are missing; --mode append gives new positions";
        assert_eq!(gap, due, "{options:?}");
    }
    // Events of the file differ from those of the store: no mode helps.
    let other = numbered(1..=5).replace("tea", "ale");
    assert_eq!(last_words(&["--mode", "resume"], &other), nothing);
    // Batches before the wrong line are in.
    let late = last_words(&[], &(numbered(6..=20_000) + "oops\n"));
    assert_eq!(late, "annals: once the line is corrected, --mode resume continues");
    let late = last_words(&["--mode", "append"], &(numbered(6..=20_000) + "oops\n"));
    assert!(late.starts_with("annals: imported "), "{late}");
    // A torn line has an option of its own.
    let torn = last_words(&[], &(numbered(6..=8) + "{\"event_id\""));
    assert_eq!(torn, "annals: --torn-tail drop leaves the torn line out");
    let torn = last_words(&[], &(numbered(6..=20_000) + "{\"event_id\""));
    assert_eq!(torn, "annals: --mode resume --torn-tail drop continues without the torn line");
}

#[test]
fn an_interrupted_import_says_what_is_in_and_how_to_go_on() {
    let place = Place::new();
    let mut import = place.command(&["import", "s.annals", "-"]);
    import.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = import.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(numbered(1..=20_000).as_bytes()).unwrap();
    stdin.flush().unwrap();
    // Once events are in, the signals are watched too.
    let reader = loop {
        match annals::Reader::open(place.path("s.annals")) {
            Ok(reader) if reader.head().is_ok_and(|head| head > 0) => break reader,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(130));
    let words = String::from_utf8(output.stderr).unwrap();
    drop(reader);
    let events = annals::Reader::open(place.path("s.annals")).unwrap().head().unwrap();
    let due =
        format!("imported {events} events; to continue: annals import s.annals - --mode resume\n");
    assert!(words.ends_with(&due), "{words}");
    let place_again = place.run_with(
        &["import", "s.annals", "-", "--mode", "resume"],
        numbered(1..=20_000).as_bytes(),
    );
    assert_eq!(place_again.code, Some(0), "{}", place_again.stderr);
}
