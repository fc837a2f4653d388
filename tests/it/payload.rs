//! What data, metadata and timestamps keep, and what they refuse.

use annals::{
    ErrorCode, EventStore, ExpectedVersion, NewEvent, RecordedEvent, Timestamp, UtcOffset,
};

fn stored(event: NewEvent) -> RecordedEvent {
    let store = EventStore::in_memory().unwrap();
    store.append("s", ExpectedVersion::Any, [event]).unwrap();
    store.read_all().next().unwrap().unwrap()
}

#[test]
fn json_text_is_kept_byte_for_byte() {
    for text in [
        "{\"a\":  1.10, \"a\": 1e999, \"b\":[ ]}",
        "123456789012345678901234567890.0000000000000000001",
        "\"\\u00e9\\ud83d\\ude00 caf\u{e9}\"",
        "null",
        "-0.0",
        "true",
        "\"\"",
    ] {
        let event = stored(NewEvent::raw_json("T", text).unwrap());
        assert_eq!(event.data(), text.as_bytes());
        assert!(!event.is_binary());
    }
}

#[test]
fn white_space_around_is_cut_and_line_breaks_become_spaces() {
    let event = NewEvent::raw_json("T", " \t\r\n{\r\n\"a\\n\":\n[1,\t2]}\n").unwrap();
    assert_eq!(event.data(), b"{  \"a\\n\": [1,\t2]}");
    let event = event.raw_metadata("\n{\n}\n").unwrap();
    assert_eq!(stored(event).metadata(), Some("{ }"));
}

#[test]
fn what_is_not_json_is_an_invalid_argument() {
    for text in [
        "",
        " ",
        "{",
        "{\"a\":1,}",
        "nul",
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "1.",
        "'a'",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "1 2",
        "[1]x",
        "\u{feff}1",
        "\"\\x\"",
    ] {
        let error = NewEvent::raw_json("T", text).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{text:?}");
    }
    let error = NewEvent::raw_json("T", "\n\n [1, x]").unwrap_err();
    assert_eq!(error.to_string(), "invalid data: expected value at byte 8");
    let error = NewEvent::raw_json("T", "\"a\tb\"").unwrap_err();
    assert!(error.to_string().ends_with("at byte 3"), "{error}");
    let maps_need_texts = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(NewEvent::json("T", &maps_need_texts).is_err());
}

#[test]
fn metadata_is_an_object() {
    for text in ["1", "null", "[]", "\"{}\"", ""] {
        let error = NewEvent::raw_json("T", "1").unwrap().raw_metadata(text).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{text:?}");
    }
    let event = NewEvent::json("T", &1).unwrap();
    assert!(event.clone().metadata(&[1]).is_err());
    let event = stored(event.metadata(&serde_json::json!({"user": "ada"})).unwrap());
    assert_eq!(event.metadata(), Some("{\"user\":\"ada\"}"));
    let read: Option<serde_json::Value> = event.metadata_json().unwrap();
    assert_eq!(read.unwrap()["user"], "ada");
    assert!(event.metadata_json::<Vec<u8>>().is_err());
    assert_eq!(stored(NewEvent::json("T", &1).unwrap()).metadata(), None);
}

#[test]
fn bytes_are_kept_and_are_not_json() {
    for bytes in [&[][..], &[0, 255, 10], b"{}"] {
        let event = stored(NewEvent::binary("T", bytes).unwrap());
        assert!(event.is_binary());
        assert_eq!(event.data(), bytes);
        assert_eq!(event.json::<i32>().unwrap_err().code(), ErrorCode::InvalidArgument);
    }
    let wrong_form = stored(NewEvent::json("T", "text").unwrap()).json::<i32>().unwrap_err();
    assert_eq!(wrong_form.code(), ErrorCode::InvalidArgument);
}

#[test]
fn ids_are_kept() {
    let id = uuid::Uuid::from_u128(7);
    assert_eq!(stored(NewEvent::json("T", &1).unwrap().id(id)).id(), Some(id));
    assert_eq!(stored(NewEvent::json("T", &1).unwrap()).id(), None);
}

#[test]
fn timestamps_read_and_write_the_form_of_isoformat() {
    for text in [
        "2024-05-01T12:30:00",
        "2024-05-01T12:30:00.000001",
        "2024-02-29T23:59:59.999999+00:00",
        "2024-05-01T12:30:00-23:59",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59.999999-05:00",
        "1969-12-31T23:59:59.500000",
    ] {
        let time: Timestamp = text.parse().unwrap();
        assert_eq!(time.to_string(), text);
        let event = NewEvent::json("T", &1).unwrap().timestamp(time);
        assert_eq!(stored(event).timestamp(), time);
    }
    for (text, written) in [
        ("2024-05-01t12:30:00z", "2024-05-01T12:30:00+00:00"),
        ("2024-05-01T12:30:00.5Z", "2024-05-01T12:30:00.500000+00:00"),
        ("2024-05-01T12:30:00.000-01:30", "2024-05-01T12:30:00-01:30"),
        ("2024-05-01T12:30:00-00:00", "2024-05-01T12:30:00+00:00"),
    ] {
        assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), written);
    }
}

#[test]
fn what_is_no_time_is_an_invalid_argument() {
    for text in [
        "",
        "2024-05-01",
        "2024-05-01 12:30:00",
        "2024-05-01T12:30",
        "2024-05-01T12:30:60Z",
        "2024-05-01T24:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-05-01T12:30:00.1234567Z",
        "2024-05-01T12:30:00.Z",
        "2024-05-01T12:30:00+24:00",
        "2024-05-01T12:30:00+01:60",
        "2024-05-01T12:30:00+0100",
        "2024-05-01T12:30:00+01:00:30",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2024-05-01T12:30:00.5",
        "2024-05-01T12:30:00.000000",
        "2024-05-01t12:30:00",
        "+2024-05-01T12:30:00Z",
        "2024-05-01T12:30:00Zx",
        "2024-05-01T1\u{e9}:30:00",
    ] {
        let error = text.parse::<Timestamp>().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{text:?}");
    }
}

#[test]
fn times_lie_in_the_years_1_to_9999_where_they_are_written() {
    let first = -62_135_596_800_000_000;
    let last = 253_402_300_799_999_999;
    assert_eq!(Timestamp::utc(first).unwrap().to_string(), "0001-01-01T00:00:00+00:00");
    assert_eq!(Timestamp::naive(last).unwrap().to_string(), "9999-12-31T23:59:59.999999");
    assert!(Timestamp::utc(first - 1).is_err() && Timestamp::naive(last + 1).is_err());
    let hour = UtcOffset::Minutes(60);
    let micros = 3_600_000_000;
    assert!(Timestamp::new(first - micros, hour).is_ok());
    assert!(Timestamp::new(last, hour).is_err() && Timestamp::new(last - micros, hour).is_ok());
    assert!(Timestamp::new(0, UtcOffset::Minutes(1_439)).is_ok());
    assert!(Timestamp::new(0, UtcOffset::Minutes(1_440)).is_err());
    assert!(Timestamp::new(0, UtcOffset::Minutes(i16::MIN)).is_err());
    assert!(Timestamp::utc(i64::MAX).is_err() && Timestamp::new(i64::MAX, hour).is_err());
}
