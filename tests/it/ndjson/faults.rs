//! Every wrong line: where the fault is, why, and that nothing of its batch is written.

use annals::{EventStore, ImportOptions};

use crate::support::lines::{assert_fault, check_fault, import, line, numbered};

/// A fault in the value of one key.
#[track_caller]
fn check_value(key: &str, text: &str, reason: &str) {
    check_fault(&(line(&[(key, text)]) + "\n"), reason);
}

#[test]
fn a_line_must_be_json() {
    check_fault("<!>hello\n", "a line must be a JSON object");
    check_fault("<!>[1]\n", "a line must be a JSON object");
    check_fault("  <!>7\n", "a line must be a JSON object");
    check_fault("{<!>event_id: 1}\n", "key must be a string");
    check_fault("{\"event_id\" <!>1}\n", "expected `:`");
    check_fault("{\"event_id\": 1 <!>\"stream_id\": \"s\"}\n", "expected `,` or `}`");
    check_fault("{\"event_id\": <!>'1'}\n", "expected value");
    check_value("data", "[1,<!>]", "expected value");
    check_value("data", "[1 <!>2]", "expected `,` or `]`");
    check_value("data", "0<!>1", "invalid number");
    check_value("data", "tr<!>ou", "expected ident");
    check_value("data", "\"\\<!>x\"", "invalid escape");
    check_value("data", "\"tab <!>\there\"", "control character");
    check_fault(&(line(&[]) + " <!>{}\n"), "trailing characters");
    check_fault(&(line(&[]) + "<!>\u{a0}\n"), "trailing characters");
}

#[test]
fn the_line_and_the_column_are_those_of_the_fault() {
    let good = numbered(1..=3);
    let bad = line(&[("event_id", "4"), ("data", "[\"\u{e9}\", <!>oops]")]);
    check_fault(&format!("{good}\n\r\n{bad}\n{good}"), "expected value");
}

#[test]
fn no_constant_of_python_is_json() {
    for constant in ["NaN", "Infinity"] {
        check_value(
            "data",
            &format!("{{\"x\": <!>{constant}}}"),
            &format!("{constant} is not JSON"),
        );
        check_value("metadata", &format!("{{\"x\": [<!>{constant}]}}"), "is not JSON");
        check_value("event_id", &format!("<!>{constant}"), "is not JSON");
    }
    check_value("data", "{\"x\": -<!>Infinity}", "Infinity is not JSON");
}

#[test]
fn a_byte_order_mark_is_refused() {
    check_fault(&format!("<!>\u{feff}{}\n", line(&[])), "a byte order mark");
    check_fault(&format!("<!>\u{feff}{}", line(&[])), "a byte order mark");
    check_fault(&format!("{}<!>\u{feff}\n", numbered(1..=2)), "a byte order mark");
}

#[test]
fn a_byte_that_is_not_utf8_is_refused() {
    for (bad, is_ended) in [(&b"\xFF"[..], true), (b"\xC3(", true), (b"\xED\xA0\x80", false)] {
        let mut text = line(&[]).into_bytes();
        let offset = text.windows(3).position(|bytes| bytes == b"tea").unwrap();
        text.splice(offset..offset + 3, bad.iter().copied());
        text.splice(0..0, *b"\n");
        text.extend(is_ended.then_some(b'\n'));
        let failure = import(&EventStore::in_memory().unwrap(), text, &ImportOptions::new());
        assert_fault(&failure.unwrap_err(), 2, offset as u64 + 1, "not valid UTF-8");
    }
}

#[test]
fn each_key_comes_once_and_is_known() {
    for key in ["event_id", "stream_id", "event_type", "data", "timestamp"] {
        let text = line(&[(key, "")]);
        let (text, brace) = text.split_at(text.len() - 1);
        check_fault(&format!("{text}<!>{brace} \n"), &format!("the key {key:?} is missing"));
    }
    check_fault("{<!>}\n", "the key \"event_id\" is missing");
    for key in ["event_id", "data", "metadata"] {
        let text = line(&[]);
        let text = format!("{}, <!>\"{key}\": null}}\n", text.trim_end_matches('}'));
        check_fault(&text, &format!("the key {key:?} occurs twice"));
    }
    let escaped = line(&[]).replace("\"metadata\"", "<!>\"d\\u0061ta\"");
    check_fault(&escaped, "the key \"data\" occurs twice");
    check_fault(&line(&[]).replace("\"metadata\"", "<!>\"meta\""), "unknown key \"meta\"");
    check_fault(&line(&[]).replace("\"event_id\"", "<!>\"\\ud800\""), "unknown key");
    check_fault(&line(&[]).replace("\"event_id\"", "<!>\"EVENT_ID\""), "unknown key");
}

#[test]
fn an_event_id_is_a_positive_integer() {
    for text in ["0", "-1", "1.0", "1e0", "\"1\"", "null", "true", "[1]", "18446744073709551616"] {
        check_value("event_id", &format!("<!>{text}"), "event_id must be a whole number from 1");
    }
}

#[test]
fn names_are_strings_with_their_rules() {
    for (key, words) in [("stream_id", "stream id"), ("event_type", "event type")] {
        for text in ["7", "null", "[]", "{\"a\": \"b\"}"] {
            check_value(key, &format!("<!>{text}"), &format!("{key} must be a string"));
        }
        check_value(key, "<!>\"\"", &format!("invalid {words}: it is empty"));
        check_value(key, "<!>\"a\\u0000\"", &format!("invalid {words}: it contains a NUL"));
        check_value(key, "\"ab<!>\\ud800\"", "a surrogate without its pair");
        check_value(key, "\"ab<!>\\udc00\\ud800\"", "a surrogate without its pair");
    }
}

#[test]
fn payloads_have_no_lone_surrogates() {
    check_value("data", "[\"ab<!>\\ud83cx\"]", "data: a surrogate without its pair");
    check_value("metadata", "{\"<!>\\udf81\": 1}", "metadata: a surrogate without its pair");
}

#[test]
fn metadata_is_an_object_or_null() {
    for text in ["[]", "\"\"", "0", "false", "[{}]"] {
        check_value("metadata", &format!("<!>{text}"), "metadata must be an object or null");
    }
}

#[test]
fn times_must_exist_and_lose_nothing() {
    let wrong = [
        "",
        "now",
        "2024-05-01",
        "2024-05-01T12:30",
        "2024-05-01 12:30:00",
        "20240501T123000",
        "2024-05-01T12:30:00.",
        "2024-05-01T12:30:00.5",
        "2024-05-01T12:30:00.1234567+00:00",
        "2024-05-01T12:30:60Z",
        "2024-05-01T24:00:00Z",
        "2024-02-30T12:30:00Z",
        "2023-02-29T12:30:00",
        "2024-13-01T12:30:00",
        "2024-05-01T12:30:00+02",
        "2024-05-01T12:30:00+02:00:30",
        "2024-05-01T12:30:00+24:00",
        "0000-01-01T00:00:00",
        "10000-01-01T00:00:00",
        " 2024-05-01T12:30:00",
    ];
    for text in wrong {
        check_value("timestamp", &format!("<!>\"{text}\""), "invalid timestamp: ");
    }
    check_value("timestamp", "<!>0", "timestamp must be a string");
    check_value("timestamp", "<!>null", "timestamp must be a string");
}

#[test]
fn ids_are_uuids() {
    for text in ["\"\"", "\"7\"", "\"67e55044-10b1-426f-9247-bb680e5fe0c\""] {
        check_value("id", &format!("<!>{text}"), "is not a UUID");
    }
    check_value("id", "<!>null", "id must be a string");
}

#[test]
fn binary_data_is_padded_base64_beside_null() {
    let check = |data: &str, base64: &str, reason: &str| {
        check_fault(&(line(&[("data", data), ("data_base64", base64)]) + "\n"), reason);
    };
    for data in ["0", "{}", "\"null\"", "[null]"] {
        check(&format!("<!>{data}"), "\"+/8=\"", "data must be null when data_base64 is given");
    }
    check("null", "<!>null", "data_base64 must be a string");
    check("null", "\"+/8<!>-\"", "not padded base64");
    check("null", "\"<!> +/8=\"", "not padded base64");
    check("null", "<!>\"+/8\"", "not padded base64");
    check("null", "<!>\"+/8=\\n\"", "not padded base64");
    check("null", "\"+/<!>9=\"", "not padded base64");
}
