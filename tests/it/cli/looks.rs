//! How things look: tables on a terminal, objects elsewhere, help.

use crate::support::{
    lines::{line, numbered},
    program::Place,
};

#[test]
fn streams_are_objects_in_byte_order() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=5));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    let row = |stream: u64, version: u64| {
        format!("{{\"stream_id\":\"stream-{stream}\",\"version\":{version}}}\n")
    };
    let all = row(0, 1) + &row(1, 2) + &row(2, 2);
    assert_eq!(place.succeed(&["streams", "s.annals"]), all);
    assert_eq!(place.succeed(&["streams", "s.annals", "--json"]), all);
    assert_eq!(place.succeed(&["streams", "s.annals", "--prefix", "stream-1"]), row(1, 2));
    assert_eq!(place.succeed(&["streams", "s.annals", "--prefix", "x"]), "");
}

#[test]
fn stats_are_lines_or_an_object() {
    let place = Place::new();
    place.file("in.ndjson", numbered(1..=5));
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    let text = place.succeed(&["stats", "s.annals"]);
    assert!(text.starts_with("events          5\nstreams         3\nstore id        "), "{text}");
    let report = place.succeed(&["stats", "s.annals", "--json"]);
    assert_eq!(report.lines().count(), 1);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["head"], &report["streams"]), (&5.into(), &3.into()));
    let store_id = report["store_id"].as_str().expect("the store id is a text");
    assert!(text.contains(&format!("store id        {store_id}\n")), "{text}");
}

#[cfg(unix)]
#[test]
fn a_terminal_gets_a_table_that_cannot_steer_it() {
    use crate::support::system::has_program;

    if !has_program("script", "--version") {
        return;
    }
    let place = Place::new();
    let odd = [
        line(&[("stream_id", "\"a\\u001b[31m\""), ("data", "\"\u{9b}2J\u{202e}\"")]),
        line(&[("event_id", "2"), ("data", &format!("\"{}\"", "x".repeat(300)))]),
        line(&[("event_id", "3"), ("data", "null"), ("data_base64", "\"+/8=\"")]),
    ];
    place.file("in.ndjson", odd.join("\n"));
    place.succeed(&["import", "s.annals", "in.ndjson"]);

    let table = place.run_on_terminal("annals read s.annals");
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 4, "{table:?}");
    let titles = ["POSITION", "STREAM", "VERSION", "TYPE", "TIME", "DATA"];
    assert_eq!(rows[0].split_whitespace().collect::<Vec<_>>(), titles);
    assert!(rows[1].starts_with("       1  a\\u{1b}[31m  "), "{table:?}");
    assert!(rows[1].ends_with("  \"\\u{9b}2J\\u{202e}\""), "{table:?}");
    assert!(rows[2].ends_with("xxx...") && rows[2].len() == 120, "{table:?}");
    assert!(rows[3].ends_with("  (2 bytes)"), "{table:?}");
    let streams = place.run_on_terminal("annals streams s.annals");
    let expected = "VERSION  STREAM\r\n      1  a\\u{1b}[31m\r\n      2  order-7\r\n";
    assert_eq!(streams, expected);
    let json = place.run_on_terminal("annals read s.annals --json --from-position 3");
    assert_eq!(json.trim_end(), odd[2]);
}

#[test]
fn help_and_version_are_data() {
    let place = Place::new();
    let help = place.succeed(&["--help"]);
    for words in ["append", "completions", "Exit codes:", "4  the store is open elsewhere"] {
        assert!(help.contains(words), "{words:?} is not in:\n{help}");
    }
    let version = place.succeed(&["--version"]);
    assert_eq!(version, concat!("annals ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(place.succeed(&["import", "--help"]).contains("--torn-tail <ACTION>"));
}

#[test]
fn completions_are_printed_for_each_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.succeed(&["completions", shell]);
        assert!(script.contains("torn-tail"), "{shell}: {script}");
    }
}
