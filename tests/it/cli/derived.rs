//! `tail` and `snapshots`.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use annals::{EventStore, SnapshotKey};

use crate::support::{lines::numbered, program::Place};

fn tail(place: &Place, args: &[&str]) -> Child {
    let args = [&["tail", "s.annals"], args].concat();
    let mut command = place.command(&args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

fn place_with_events() -> Place {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=50));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    place
}

#[test]
fn tail_prints_what_export_writes_and_ends_cleanly_when_it_is_interrupted() {
    let place = place_with_events();
    let due = place.succeed(&["export", "s.annals"]);
    for stop in ["-INT", "-TERM"] {
        let mut child = tail(&place, &["--from", "1"]);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut found = String::new();
        // History is there at once, although the program goes on.
        for _ in 0..50 {
            lines.read_line(&mut found).unwrap();
        }
        assert_eq!(found, due);
        assert!(child.try_wait().unwrap().is_none(), "it waits for more");
        signal(&child, stop);
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), rest.as_str()), (Some(0), ""), "{stop}");
        assert!(output.stderr.is_empty());
        place.succeed(&["verify", "s.annals"]);
    }
}

#[test]
fn tail_prints_the_last_events_and_what_others_append() {
    let place = place_with_events();
    for (args, first) in [(&[][..], 41), (&["-n", "3"], 48), (&["-n", "0"], 51)] {
        let mut child = tail(&place, args);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || {
            let line = lines.next().unwrap().unwrap();
            serde_json::from_str::<serde_json::Value>(&line).unwrap()["event_id"].as_u64().unwrap()
        };
        for position in first..=50 {
            assert_eq!(next(), position);
        }
        let store = annals::EventStore::open(place.path("s.annals")).unwrap();
        let head = store.head().unwrap();
        for position in head + 1..=head + 3 {
            let event = annals::NewEvent::json("T", &position).unwrap();
            store.append("a", annals::ExpectedVersion::Any, [event]).unwrap();
        }
        (head.max(first - 1) + 1..=head + 3).for_each(|position| assert_eq!(next(), position));
        signal(&child, "-INT");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        // The next round starts anew.
        drop(store);
        fs::remove_dir_all(place.path("s.annals")).unwrap();
        place.succeed(&["import", "s.annals", "in.ndjson"]);
    }
}

#[test]
fn tail_starts_at_the_given_position() {
    let place = place_with_events();
    let mut child = tail(&place, &["--from", "49"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let two: Vec<String> = lines.by_ref().take(2).map(Result::unwrap).collect();
    assert!(two[0].starts_with("{\"event_id\": 49,") && two[1].starts_with("{\"event_id\": 50,"));
    signal(&child, "-TERM");
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn tail_ends_when_nobody_reads_it_any_more() {
    let place = place_with_events();
    let mut child = tail(&place, &[]);
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "a broken pipe is a quiet end");
    assert!(output.stderr.is_empty());
}

#[test]
fn tail_ends_with_its_store() {
    let place = place_with_events();
    let mut child = tail(&place, &[]);
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    fs::remove_dir_all(place.path("s.annals")).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6), "there is no such store any more");
}

#[test]
fn tail_makes_no_store() {
    let place = Place::new();
    place.refuse(&["tail", "none.annals"], 6, "none.annals");
    assert!(place.names().is_empty());
}

#[test]
fn snapshots_are_listed() {
    let place = place_with_events();
    assert_eq!(place.succeed(&["snapshots", "s.annals"]), "");
    let store = EventStore::open(place.path("s.annals")).unwrap();
    store.save_snapshot("mine", 7, b"1234").unwrap();
    store.save_snapshot(SnapshotKey::of_projection("sums", 3), 40, b"{}").unwrap();
    store.save_snapshot(SnapshotKey::of_projection("sums", 3), 50, b"{ }").unwrap();
    store.close().unwrap();
    let row = |owner: &str, name: &str, version: u32, position: u64, bytes: u64| {
        format!(
            "{{\"owner\":\"{owner}\",\"name\":\"{name}\",\"version\":{version},\
             \"position\":{position},\"bytes\":{bytes},\"fault\":null}}\n"
        )
    };
    let of_sums = row("projection", "sums", 3, 50, 3) + &row("projection", "sums", 3, 40, 2);
    let all = row("caller", "mine", 0, 7, 4) + &of_sums;
    assert_eq!(place.succeed(&["snapshots", "s.annals"]), all);
    assert_eq!(place.succeed(&["snapshots", "s.annals", "sums", "--json"]), of_sums);
    assert_eq!(place.succeed(&["snapshots", "s.annals", "other"]), "");
}

#[test]
fn a_terminal_gets_a_table_of_snapshots() {
    use crate::support::system::has_program;

    if !has_program("script", "--version") {
        return;
    }
    let place = place_with_events();
    let store = EventStore::open(place.path("s.annals")).unwrap();
    store.save_snapshot("mi\u{1b}ne", 7, b"1234").unwrap();
    store.close().unwrap();
    let shown = place.run_on_terminal("annals snapshots s.annals");
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "POSITION       BYTES  OWNER       VERSION  NAME",
            "       7           4  caller            0  mi\\u{1b}ne"
        ]
    );
}
