//! A terminal of any width, and text from a store that would steer it.

use crate::support::{lines::line, program::Place, system::has_program};

const WIDTHS: [usize; 4] = [20, 40, 80, 200];

/// A store with names, types and data that are long, wide, or full of control characters; also raw
/// ones, which JSON allows in strings from U+007F on.
fn odd_place() -> Place {
    let place = Place::new();
    let long = format!("\"{}\"", "a".repeat(255));
    let wide = format!("\"{}\"", "\u{6f22}\u{5b57}".repeat(40));
    let steering = "\"\\u001b[31m\\u001b]0;title\\u0007\\n\\r\\u009b2J\\u202e\"";
    let raw = "{\"\u{9b}31m\": \"\u{7f}\u{202e}\u{e0041}\"}";
    let mut text = String::new();
    for (index, name) in [long.as_str(), &wide, steering, "\"order-7\""].iter().enumerate() {
        for (number, data) in [steering, raw].iter().enumerate() {
            let event_id = (2 * index + number + 1).to_string();
            let metadata = if *data == raw { raw } else { "null" };
            text.push_str(&line(&[
                ("event_id", &event_id),
                ("stream_id", name),
                ("event_type", name),
                ("data", data),
                ("metadata", metadata),
            ]));
            text.push('\n');
        }
    }
    place.file("in.ndjson", text);
    place.succeed(&["import", "s.annals", "in.ndjson"]);
    place
}

/// The columns that a line takes, where every character outside of ASCII takes two.
fn columns(line: &str) -> usize {
    line.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

#[track_caller]
fn check_harmless(shown: &str) {
    let harmful = |c: char| {
        let is_text = c == '\r' || c == '\n' || !c.is_control();
        !is_text || ['\u{202e}', '\u{e0041}'].contains(&c)
    };
    assert!(!shown.contains(harmful), "{shown:?}");
}

#[test]
fn nothing_from_a_store_steers_a_terminal() {
    if !has_program("script", "--version") {
        return;
    }
    let place = odd_place();
    for command in [
        "read s.annals",
        "read s.annals --full",
        "read s.annals --json",
        "read s.annals --with-version",
        "export s.annals",
        "salvage s.annals",
        "streams s.annals",
        "streams s.annals --times --json",
        "stats s.annals --types --days",
        "stats s.annals --types --json",
        "verify s.annals",
    ] {
        for width in WIDTHS {
            let shown = place.run_on_terminal_of(width, &format!("annals {command}"));
            check_harmless(&shown);
            assert!(shown.lines().count() > 0, "{command}");
        }
    }
    // Elsewhere than on a terminal the lines stay as they are.
    let piped = place.succeed(&["read", "s.annals"]);
    assert!(piped.contains("{\"\u{9b}31m\": \"\u{7f}\u{202e}\u{e0041}\"}"));
    // What people read is escaped everywhere, because a pager may follow.
    for args in [&["stats", "s.annals", "--types"][..], &["read", "s.annals", "--table"]] {
        check_harmless(&place.succeed(args));
    }
}

#[test]
fn json_on_a_terminal_means_the_same() {
    if !has_program("script", "--version") {
        return;
    }
    let place = odd_place();
    let values = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let due = values(&place.succeed(&["export", "s.annals"]));
    for command in ["read s.annals --json", "export s.annals"] {
        let shown = place.run_on_terminal_of(80, &format!("annals {command}"));
        assert_eq!(values(&shown), due, "{command}");
    }
}

#[test]
fn tables_and_charts_fit_every_width() {
    if !has_program("script", "--version") {
        return;
    }
    let place = odd_place();
    for width in WIDTHS {
        let shown = place.run_on_terminal_of(width, "annals read s.annals");
        assert!(shown.lines().all(|line| columns(line) <= width), "{width}: {shown}");
        assert_eq!(shown.lines().count(), 9, "{shown}");
        let shown = place.run_on_terminal_of(width, "annals stats s.annals --types --days");
        let charts = shown.split_once("\r\n\r\n").unwrap().1;
        assert!(charts.lines().all(|line| columns(line) <= width), "{width}: {charts}");
        assert!(charts.starts_with("events by type\r\n"), "{charts:?}");
        // A stream's name is never cut, so that it can be copied.
        let shown = place.run_on_terminal_of(width, "annals streams s.annals");
        assert!(shown.contains(&"a".repeat(255)), "{shown}");
    }
}
