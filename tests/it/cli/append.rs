//! `append` and `read`.

use annals::{EventStore, ExportOptions, limits};

use crate::support::{
    lines::numbered,
    program::{Place, assert_exists},
};

#[test]
fn append_makes_the_store_and_says_where_the_event_is() {
    let place = Place::new();
    let data = "{\"sku\": \"tea\", \"price\": 8.90}";
    let said = place.succeed(&["append", "s.annals", "order-7", "ItemAdded", data]);
    assert_eq!(said, "order-7: position 1, version 1\n");
    let more = ["append", "s.annals", "order-8", "ItemAdded", data, "--metadata", "{\"u\":1}"];
    assert_eq!(place.succeed(&more), "order-8: position 2, version 1\n");
    let last = ["append", "s.annals", "order-7", "Closed", "-1", "--json"];
    let report = "{\"stream_id\":\"order-7\",\"position\":3,\"version\":2}\n";
    assert_eq!(place.succeed(&last), report);

    let store = EventStore::open(place.path("s.annals")).unwrap();
    let events: Vec<_> = store.read_all().map(Result::unwrap).collect();
    assert_eq!(events[0].data(), data.as_bytes());
    assert_eq!(events[1].metadata(), Some("{\"u\":1}"));
    assert_eq!((events[2].data(), events[2].event_type()), (&b"-1"[..], "Closed"));
}

#[test]
fn append_reads_its_data_from_standard_input() {
    let place = Place::new();
    let dashed = ["append", "s.annals", "a", "T", "-"];
    assert_eq!(place.run_with(&dashed, b" [1,\n2]\n").code, Some(0));
    assert_eq!(place.run_with(&dashed[..4], b"\"x\"").code, Some(0));
    let store = EventStore::open(place.path("s.annals")).unwrap();
    let data: Vec<_> = store.read_all().map(|event| event.unwrap().data().to_vec()).collect();
    assert_eq!(data, [&b"[1, 2]"[..], b"\"x\""]);
}

#[test]
fn append_refuses_data_that_is_not_json() {
    let place = Place::new();
    place.refuse(&["append", "s.annals", "a", "T", "{oops}"], 2, "invalid data: ");
    place.refuse(&["append", "s.annals", "a", "T", "NaN"], 2, "invalid data: ");
    place.refuse(&["append", "s.annals", "a", "T", "tea"], 2, "as in '\"tea\"'");
    place.refuse(&["append", "s.annals", "a", "T", ""], 2, "invalid data: it is empty");
    let metadata = ["append", "s.annals", "a", "T", "1", "--metadata", "[]"];
    place.refuse(&metadata, 2, "invalid metadata: ");
    let run = place.run_with(&["append", "s.annals", "a", "T"], b"\"\xFF\"");
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.contains("byte 2 of standard input is not valid UTF-8"), "{run:?}");
    // What is refused makes no store.
    assert_exists(&place.path("s.annals"), false);
}

#[test]
fn a_refused_append_leaves_no_new_store() {
    let place = Place::new();
    place.refuse(&["append", "s.annals", "", "T", "1"], 2, "invalid stream id: it is empty");
    assert_exists(&place.path("s.annals"), false);
    for expected in ["5", "exists"] {
        let run = place.run(&["append", "s.annals", "a", "T", "1", "--expected", expected]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_exists(&place.path("s.annals"), false);
    }
    place.succeed(&["append", "s.annals", "a", "T", "1", "--expected", "no-stream"]);
    assert_exists(&place.path("s.annals"), true);
}

#[test]
fn append_keeps_to_the_limits() {
    let place = Place::new();
    place.refuse(&["append", "s.annals", "", "T", "1"], 2, "invalid stream id: it is empty");
    place.refuse(&["append", "s.annals", "a", "", "1"], 2, "invalid event type: it is empty");
    let long = "x".repeat(limits::NAME_BYTES_MAX + 1);
    place.refuse(&["append", "s.annals", &long, "T", "1"], 2, "exceeds the limit of 255: 256");
    place.succeed(&["append", "s.annals", &long[1..], &long[1..], "1"]);
    let data = format!("\"{}\"", "x".repeat(limits::EVENT_BYTES_MAX));
    let run = place.run_with(&["append", "s.annals", "a", "T"], data.as_bytes());
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("exceeds the limit"), "{}", run.stderr);
    let space = " ".repeat(2 * limits::EVENT_BYTES_MAX + 1);
    let run = place.run_with(&["append", "s.annals", "a", "T"], space.as_bytes());
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("standard input (bytes) exceeds the limit"), "{}", run.stderr);
}

#[test]
fn append_checks_the_expected_version() {
    let place = Place::new();
    let run =
        |expected: &str| place.run(&["append", "s.annals", "a", "T", "1", "--expected", expected]);
    assert_eq!(run("exists").code, Some(1));
    assert_eq!(run("no-stream").code, Some(0));
    let conflict = run("no-stream");
    assert_eq!((conflict.code, conflict.stdout.as_str()), (Some(1), ""), "{conflict:?}");
    let words = "annals: stream \"a\" is at version 1, expected no-stream\nannals: nothing was \
                 written: read the stream, and decide again\n";
    assert_eq!(conflict.stderr, words);
    assert_eq!(run("1").code, Some(0));
    assert_eq!(run("1").code, Some(1));
    assert_eq!(run("exists").code, Some(0));
    assert_eq!(run("any").code, Some(0));
    for wrong in ["-1", "some", "", "1.0"] {
        assert_eq!(run(wrong).code, Some(2), "{wrong}");
    }
}

#[test]
fn append_with_an_id_is_safe_to_repeat() {
    let place = Place::new();
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let once = ["append", "s.annals", "a", "T", "1", "--id", id, "--expected", "no-stream"];
    let first = place.run(&once);
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""), "{first:?}");
    let again = place.run(&once);
    assert_eq!((again.code, &again.stdout), (Some(0), &first.stdout), "{again:?}");
    assert_eq!(again.stdout, "a: position 1, version 1\n");
    assert_eq!(again.stderr, "the event was already stored: nothing was written\n");
    let report = "{\"stream_id\":\"a\",\"position\":1,\"version\":1,\"is_replay\":true}\n";
    assert_eq!(place.succeed(&[&once[..], &["--json"]].concat()), report);
    let other = ["append", "s.annals", "a", "T", "2", "--id", id];
    place.refuse(&other, 1, "is already used at position 1");
    let elsewhere = ["append", "s.annals", "b", "T", "1", "--id", id];
    place.refuse(&elsewhere, 1, "is already used at position 1");
    place.refuse(&["append", "s.annals", "b", "T", "1", "--id", "7"], 2, "--id");
    assert_eq!(place.succeed(&["read", "s.annals"]).lines().count(), 1);
}

#[test]
fn read_prints_the_lines_of_the_export() {
    let place = Place::new();
    let text = numbered(1..=9);
    place.file("in.ndjson", &text);
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    let read = |args: &[&str]| {
        let args: Vec<&str> = ["read", "s.annals"].iter().chain(args).copied().collect();
        let printed = place.succeed(&args);
        printed.lines().map(event_id).collect::<Vec<u64>>()
    };
    assert_eq!(place.succeed(&["read", "s.annals"]), text);
    assert_eq!(place.succeed(&["read", "s.annals", "--json"]), text);
    assert_eq!(place.succeed(&["export", "s.annals"]), text);
    assert_eq!(read(&["stream-1"]), [1, 4, 7]);
    assert_eq!(read(&["nobody"]), [0; 0]);
    assert_eq!(read(&["stream-1", "--from-version", "2"]), [4, 7]);
    assert_eq!(read(&["stream-1", "--from-position", "2", "--limit", "1"]), [4]);
    assert_eq!(read(&["--from-position", "8"]), [8, 9]);
    assert_eq!(read(&["--backward", "--from-position", "3"]), [3, 2, 1]);
    assert_eq!(read(&["--backward", "--limit", "2"]), [9, 8]);
    assert_eq!(read(&["--limit", "0"]), [0; 0]);
    assert_eq!(read(&["--prefix", "stream-2"]), [2, 5, 8]);
    assert_eq!(read(&["--type", "ItemAdded", "--type", "Other", "--limit", "1"]), [1]);
    assert_eq!(read(&["--type", "Other"]), [0; 0]);
    place.succeed(&["append", "t.annals", "s", "T", "1", "--tag", "b", "--tag", "a"]);
    place.succeed(&["append", "t.annals", "s", "U", "2", "--tag", "b"]);
    let tagged = |args: &[&str]| {
        let args: Vec<&str> = ["read", "t.annals"].iter().chain(args).copied().collect();
        place.succeed(&args).lines().map(event_id).collect::<Vec<u64>>()
    };
    assert!(place.succeed(&["read", "t.annals"]).contains("\"tags\": [\"a\", \"b\"]"));
    assert_eq!(tagged(&["--tag", "b"]), [1, 2]);
    assert_eq!(tagged(&["--tag", "b", "--tag", "a"]), [1]);
    assert_eq!(tagged(&["s", "--tag", "b", "--type", "U"]), [2]);
    place.refuse(&["read", "t.annals", "--tag", "b", "--prefix", "s"], 2, "cannot be used");
    place.refuse(&["read", "s.annals", "--from-version", "1"], 2, "invalid ");
    place.refuse(&["read", "s.annals", "stream-1", "--prefix", "s"], 2, "invalid ");
}

fn event_id(line: &str) -> u64 {
    let digits = line.strip_prefix("{\"event_id\": ").unwrap().split(',').next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn the_program_writes_what_the_library_writes() {
    let place = Place::new();
    for data in ["{\"n\": 1.50}", "\"\\u00e9\"", "null"] {
        place.succeed(&["append", "s.annals", "caf\u{e9}", "T\t", data]);
    }
    let printed = place.succeed(&["export", "s.annals", "-"]);
    let mut text = Vec::new();
    let store = EventStore::open(place.path("s.annals")).unwrap();
    store.export_ndjson(&mut text, &ExportOptions::new()).unwrap();
    assert_eq!(printed.as_bytes(), text);
    assert!(printed.contains("\"stream_id\": \"caf\\u00e9\", \"event_type\": \"T\\t\", "));
}
