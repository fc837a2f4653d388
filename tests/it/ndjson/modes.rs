//! The import modes, dry runs and torn tails.

use std::io::{self, Read};

use annals::{
    Error, EventStore, ExpectedVersion, ImportFault, ImportMode, ImportOptions, NewEvent, TornTail,
};

use crate::support::lines::{
    assert_fault, check_fault, check_fault_in, export, import, line, numbered, store_of,
};

const ID: (&str, &str) = ("id", "\"67e55044-10b1-426f-9247-bb680e5fe0c8\"");

fn mode(mode: ImportMode) -> ImportOptions {
    ImportOptions::new().mode(mode)
}

#[test]
fn faithful_continues_the_head() {
    let store = store_of(numbered(1..=3));
    let report = import(&store, numbered(4..=6), &ImportOptions::new()).unwrap();
    assert_eq!((report.events, report.skipped, report.lines), (3, 0, 3));
    assert_eq!(export(&store), numbered(1..=6));
}

#[test]
fn faithful_refuses_an_event_id_that_does_not_follow() {
    check_fault(&line(&[("event_id", "<!>2")]), "event_id 2 does not follow: expected 1");
    let second = |event_id: &str| numbered(1..=1) + &line(&[("event_id", event_id)]) + "\n";
    check_fault(&second("<!>1"), "event_id 1 does not follow: expected 2");
    check_fault(&second("<!>3"), "event_id 3 does not follow: expected 2");
    let options = mode(ImportMode::Faithful);
    let again = line(&[("event_id", "<!>3")]);
    check_fault_in(&store_of(numbered(1..=3)), &again, "does not follow: expected 4", &options);
}

/// Appends an event before it supplies its text.
struct Late<'a>(&'a EventStore, Option<&'a [u8]>);

impl Read for Late<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(text) = self.1.take() else { return Ok(0) };
        let event = NewEvent::json("T", &1).unwrap();
        self.0.append("other", ExpectedVersion::Any, [event]).unwrap();
        buffer[..text.len()].copy_from_slice(text);
        Ok(text.len())
    }
}

#[test]
fn an_import_that_others_overtake_names_the_line_that_does_not_follow() {
    for mode_of in [ImportMode::Faithful, ImportMode::Resume] {
        let store = store_of(numbered(1..=3));
        let text = numbered(4..=6);
        let late = Late(&store, Some(text.as_bytes()));
        let failure = store.import_ndjson(late, &mode(mode_of)).unwrap_err();
        let reason = "line 1, column 14: event_id 4 does not follow: expected 5, because others \
                      have appended during the import";
        assert_eq!(failure.to_string(), reason);
        let fault = ImportFault::EventId { found: 4, expected: 5 };
        assert_eq!((failure.line, failure.fault), (Some(1), Some(fault)));
        assert_eq!((failure.report.events, store.head().unwrap()), (0, 4));
    }
}

#[test]
fn append_gives_new_positions() {
    let store = store_of(numbered(1..=3));
    let text = [line(&[("event_id", "900"), ID]), line(&[("event_id", "1")])].join("\n");
    let report = import(&store, text, &mode(ImportMode::Append)).unwrap();
    assert_eq!((report.events, report.skipped), (2, 0));
    let expected = [line(&[("event_id", "4"), ID]), line(&[("event_id", "5")])].join("\n") + "\n";
    assert_eq!(export(&store), numbered(1..=3) + &expected);
}

#[test]
fn append_needs_no_event_id() {
    let options = mode(ImportMode::Append);
    let store = store_of(numbered(1..=3));
    let text = line(&[("event_id", ""), ID]) + "\n" + &line(&[("event_id", "")]);
    let report = import(&store, text, &options).unwrap();
    assert_eq!((report.events, report.skipped), (2, 0));
    let expected = [line(&[("event_id", "4"), ID]), line(&[("event_id", "5")])].join("\n") + "\n";
    assert_eq!(export(&store), numbered(1..=3) + &expected);
    // One that is there must have its form.
    let text = line(&[("event_id", "<!>\"x\"")]);
    check_fault_in(&store, &text, "event_id must be a whole number", &options);
    // The other keys are needed in this mode too, and event_id in the others.
    let unnamed = line(&[("event_id", ""), ("stream_id", ""), ("data", "1")]).replace('}', "<!>}");
    check_fault_in(&store, &unnamed, "the key \"stream_id\" is missing", &options);
    let bare = line(&[("event_id", ""), ("data", "1")]).replace('}', "<!>}");
    check_fault_in(&store, &bare, "the key \"event_id\" is missing", &mode(ImportMode::Resume));
}

#[test]
fn a_failure_says_what_another_mode_or_option_accepts() {
    let fault = |text: String, options: &ImportOptions| {
        import(&store_of(numbered(1..=3)), text, options).unwrap_err().fault
    };
    let (faithful, resume) = (mode(ImportMode::Faithful), mode(ImportMode::Resume));
    let event_id = |found, expected| Some(ImportFault::EventId { found, expected });
    assert_eq!(fault(numbered(1..=2), &faithful), event_id(1, 4));
    assert_eq!(fault(numbered(7..=8), &faithful), event_id(7, 4));
    assert_eq!(fault(numbered(7..=8), &resume), event_id(7, 4));
    assert_eq!(fault(numbered(4..=5) + &numbered(9..=9), &resume), event_id(9, 6));
    assert_eq!(fault(numbered(4..=4) + "{\"a", &faithful), Some(ImportFault::TornTail));
    assert_eq!(fault(numbered(4..=4) + "{\"a\n", &faithful), None);
}

#[test]
fn append_skips_a_batch_that_is_there() {
    let store = store_of(line(&[ID]));
    let report = import(&store, line(&[ID]), &mode(ImportMode::Append)).unwrap();
    assert_eq!((report.events, report.skipped), (0, 1));
    // The time is not compared.
    let later = line(&[ID, ("timestamp", "\"2031-05-01T12:30:00\"")]);
    let report = import(&store, later, &mode(ImportMode::Append)).unwrap();
    assert_eq!((report.events, report.skipped), (0, 1));
    assert_eq!(store.head().unwrap(), 1);
}

#[test]
fn a_used_id_is_an_error() {
    let in_part = line(&[ID]) + "\n" + &line(&[]) + "\n";
    let twice = line(&[ID]) + "\n" + &line(&[("event_id", "2"), ID]) + "\n";
    let often = twice.clone() + &line(&[ID]) + "\n";
    let late = "\n\n".to_owned() + &line(&[]) + "\n" + &line(&[ID]) + "\n";
    for (store, text, at) in [
        (store_of(line(&[ID])), in_part, 1),
        (EventStore::in_memory().unwrap(), twice, 2),
        (EventStore::in_memory().unwrap(), often, 2),
        (store_of(line(&[ID])), late, 4),
        (store_of(line(&[ID])), line(&[ID, ("data", "[\"other\"]")]), 1),
    ] {
        let head = store.head().unwrap();
        let failure = import(&store, text, &mode(ImportMode::Append)).unwrap_err();
        assert!(matches!(failure.error, Error::DuplicateEventId { .. }), "{failure:?}");
        assert_eq!((failure.report.events, store.head().unwrap()), (0, head));
        assert_eq!(failure.line, Some(at));
        assert!(failure.to_string().starts_with(&format!("line {at}: event id ")), "{failure}");
    }
}

#[test]
fn faithful_never_takes_a_used_id_for_a_retry() {
    let store = store_of(line(&[ID]));
    for options in [mode(ImportMode::Faithful), mode(ImportMode::Resume)] {
        let text = line(&[("event_id", "2"), ID]);
        let failure = import(&store, text, &options).unwrap_err();
        let Error::DuplicateEventId { position, .. } = failure.error else {
            panic!("a duplicate id was due, not {failure:?}");
        };
        assert_eq!((position, failure.line), (Some(1), Some(1)));
        assert_eq!((failure.report.skipped, store.head().unwrap()), (0, 1));
    }
}

#[test]
fn resume_compares_skips_and_goes_on() {
    let store = store_of(numbered(1..=3));
    let report = import(&store, numbered(1..=5), &mode(ImportMode::Resume)).unwrap();
    assert_eq!((report.events, report.skipped, report.lines), (2, 3, 5));
    let report = import(&store, numbered(4..=6), &mode(ImportMode::Resume)).unwrap();
    assert_eq!((report.events, report.skipped), (1, 2));
    let report = import(&store, numbered(7..=7), &mode(ImportMode::Resume)).unwrap();
    assert_eq!((report.events, report.skipped), (1, 0));
    assert_eq!(export(&store), numbered(1..=7));
    let report = import(&EventStore::in_memory().unwrap(), "", &mode(ImportMode::Resume)).unwrap();
    assert_eq!((report.events, report.skipped), (0, 0));
}

#[test]
fn resume_refuses_gaps_and_repeats() {
    let options = mode(ImportMode::Resume);
    let store = store_of(numbered(1..=3));
    let gap = line(&[("event_id", "<!>5")]);
    check_fault_in(&store, &gap, "does not follow the store: expected 4", &options);
    for event_id in ["<!>1", "<!>3"] {
        let text = numbered(1..=1) + &line(&[("event_id", event_id)]);
        check_fault_in(&store, &text, "does not follow: expected 2", &options);
    }
    let text = numbered(3..=4) + &line(&[("event_id", "<!>6")]);
    check_fault_in(&store, &text, "does not follow: expected 5", &options);
}

#[test]
fn resume_refuses_any_difference() {
    let stored = line(&[("metadata", "{\"user\": 7}"), ID]);
    let store = store_of(&stored);
    let other_id = "<!>\"67e55044-10b1-426f-9247-bb680e5fe0c9\"";
    let changes = [
        ("stream_id", "<!>\"order-8\"", "stream_id"),
        ("event_type", "<!>\"ItemRemoved\"", "event_type"),
        ("data", "<!>{\"sku\":\"tea\"}", "data"),
        ("timestamp", "<!>\"2024-05-01T12:30:00.250000+00:00\"", "timestamp"),
        ("metadata", "<!>null", "metadata"),
        ("id", other_id, "id"),
    ];
    for (key, text, words) in changes {
        let mut fields = vec![("metadata", "{\"user\": 7}"), ID];
        fields.push((key, text));
        let reason = format!("the stored event 1 differs in {words}");
        check_fault_in(&store, &line(&fields), &reason, &mode(ImportMode::Resume));
    }
    let without_metadata = line(&[("metadata", ""), ID]);
    let (text, brace) = without_metadata.split_at(without_metadata.len() - 1);
    let text = format!("{text}<!>{brace}");
    check_fault_in(&store, &text, "differs in metadata", &mode(ImportMode::Resume));
    let binary = [("data", "null"), ("data_base64", "<!>\"eyJza3UiOiAidGVhIn0=\""), ID];
    check_fault_in(&store, &line(&binary), "differs in data", &mode(ImportMode::Resume));
    assert_eq!(import(&store, &stored, &mode(ImportMode::Resume)).unwrap().skipped, 1);
}

#[test]
fn a_dry_run_writes_nothing_and_counts_all_the_same() {
    let text = numbered(1..=10_000);
    let store = EventStore::in_memory().unwrap();
    let options = ImportOptions::new().dry_run(true);
    let report = import(&store, &text, &options).unwrap();
    assert_eq!((report.events, report.dry_run, store.head().unwrap()), (10_000, true, 0));
    let options = mode(ImportMode::Resume).dry_run(true);
    let store = store_of(numbered(1..=3));
    let report = import(&store, numbered(2..=5), &options).unwrap();
    assert_eq!((report.events, report.skipped, store.head().unwrap()), (2, 2, 3));
}

#[test]
fn a_dry_run_finds_what_a_run_would() {
    let text = numbered(1..=5_000) + &line(&[("event_id", "5002")]) + "\n";
    let store = EventStore::in_memory().unwrap();
    let failure = import(&store, text, &ImportOptions::new().dry_run(true)).unwrap_err();
    assert_fault(&failure, 5_001, 14, "event_id 5002 does not follow: expected 5001");
    let store = store_of(numbered(1..=3));
    let options = mode(ImportMode::Resume).dry_run(true);
    let text = numbered(1..=3).replacen("{\"sku\": \"tea\"}", "<!>{}", 1);
    check_fault_in(&store, &text, "differs in data", &options);
}

#[test]
fn a_torn_last_line_is_an_error_unless_it_is_dropped() {
    let whole = numbered(1..=3);
    let text = whole.trim_end();
    let last = text.rfind('\n').unwrap() + 1;
    for end in last + 1..text.len() {
        let cut = &text[..end];
        let store = EventStore::in_memory().unwrap();
        let failure = import(&store, cut, &ImportOptions::new()).unwrap_err();
        let column = (end - last) as u64;
        assert_fault(&failure, 3, column, "(a torn last line: it has no line end)");
        assert_eq!(store.head().unwrap(), 0);
        let options = ImportOptions::new().torn_tail(TornTail::Drop);
        let report = import(&store, cut, &options).unwrap();
        let torn = report.torn_tail.expect("a torn line was dropped");
        assert_eq!((report.events, report.lines, torn.line, torn.bytes), (2, 3, 3, column));
        assert_eq!(export(&store), numbered(1..=2));
    }
}

#[test]
fn only_a_torn_last_line_is_dropped() {
    let options = ImportOptions::new().torn_tail(TornTail::Drop);
    let check = |text: &str, reason: &str| {
        check_fault_in(&EventStore::in_memory().unwrap(), text, reason, &options);
    };
    // It has its line end, or is not the last.
    check("<!>{\n", "EOF while parsing");
    check(&format!("<!>{{\n{}", numbered(1..=1)), "EOF while parsing");
    // It is complete, and wrong.
    check("{<!>}", "is missing");
    check(&line(&[("event_id", "<!>0")]), "event_id must be");
    check(&format!("<!>\u{feff}{}", line(&[])), "a byte order mark");
    // Complete, and right.
    let report = import(&EventStore::in_memory().unwrap(), line(&[]), &options).unwrap();
    assert_eq!((report.events, report.torn_tail), (1, None));
}

#[test]
fn a_torn_last_line_may_end_anywhere_in_a_character_or_in_zeros() {
    let options = ImportOptions::new().torn_tail(TornTail::Drop);
    for tail in [&b"{\"event_id\": 2, \"stream_id\": \"\xC3"[..], &[0; 100], b"{\"a\": 1, \"b"] {
        let text = [numbered(1..=1).as_bytes(), tail].concat();
        let report = import(&EventStore::in_memory().unwrap(), text, &options).unwrap();
        let torn = report.torn_tail.expect("a torn line was dropped");
        assert_eq!((report.events, torn.line, torn.bytes), (1, 2, tail.len() as u64));
    }
}

/// Gives some text, then fails.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::Error::other("cable cut")) } else { self.0.read(buffer) }
    }
}

#[test]
fn a_reader_that_fails_ends_the_import() {
    let text = numbered(1..=5_000);
    let store = EventStore::in_memory().unwrap();
    let options = ImportOptions::new().torn_tail(TornTail::Drop);
    let failure = store.import_ndjson(Failing(text.as_bytes()), &options).unwrap_err();
    assert!(matches!(failure.error, Error::Io { .. }), "{failure:?}");
    assert!(Error::from(failure).chain().ends_with(": cable cut"));
    let head = store.head().unwrap();
    assert!((1..5_000).contains(&head), "{head} events are in");
}
