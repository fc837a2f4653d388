//! What import takes beyond what export writes, and what becomes of it.

use annals::EventStore;
use uuid::Uuid;

use crate::support::lines::{check_export, line, numbered, store_of};

#[test]
fn blank_lines_crlf_and_a_missing_last_line_end_are_taken() {
    let expected = numbered(1..=3);
    check_export(expected.replace('\n', "\r\n"), &expected);
    check_export(expected.trim_end(), &expected);
    check_export(format!("\n \t\n\r\n{}\n\n  ", expected.replace('\n', "\n\n")), &expected);
    check_export(expected.trim_end().to_owned() + "\r", &expected);
    check_export("", "");
    check_export("\n\n", "");
}

#[test]
fn keys_may_come_in_any_order_with_any_white_space_and_escapes() {
    let text = concat!(
        "\t{ \"metadata\" :{} ,\"timestamp\":\"2024-05-01T12:30:00\",\"data\" : [ 1 ,2 ] ",
        ",\"event_\\u0074ype\":\"T\",\"stream_id\"\t:\"\\u0073\", \"event_id\":1 } \r\n"
    );
    let expected = concat!(
        r#"{"event_id": 1, "stream_id": "s", "event_type": "T", "data": [ 1 ,2 ], "#,
        r#""timestamp": "2024-05-01T12:30:00", "metadata": {}}"#,
        "\n"
    );
    check_export(text, expected);
}

#[test]
fn metadata_may_be_missing() {
    check_export(line(&[("metadata", "")]), &(line(&[]) + "\n"));
}

#[test]
fn an_id_may_have_any_form_of_a_uuid() {
    let plain = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let with = |id: &str| line(&[("id", &format!("\"{id}\""))]);
    let (short, urn) = (plain.replace('-', ""), format!("urn:uuid:{plain}"));
    for form in [plain.to_uppercase(), short, format!("{{{plain}}}"), urn] {
        check_export(with(&form), &(with(plain) + "\n"));
    }
}

#[test]
fn data_may_be_any_value_and_is_kept_byte_for_byte() {
    let values = [
        "null",
        "true",
        "0",
        "-0.0",
        "1E400",
        "123456789012345678901234567890.123456789012345678901234567890",
        "\"\"",
        "\"\\u00e9 \\ud83c\\udf81 \\/ \u{e9} \u{1f381} \u{2028}\"",
        "[]",
        "{\"a\":1,\"a\":2}",
        "{ \"a\" : [ { } , [ ] ] }",
        "[1,\t2]",
    ];
    for value in values {
        let text = line(&[("data", value)]) + "\n";
        check_export(&text, &text);
        let event = store_of(&text).read_all().next().unwrap().unwrap();
        assert_eq!(event.data(), value.as_bytes());
    }
}

#[test]
fn a_lone_carriage_return_within_data_becomes_a_space() {
    check_export(line(&[("data", "[1,\r2]")]), &(line(&[("data", "[1, 2]")]) + "\n"));
}

#[test]
fn binary_data_and_ids_are_taken() {
    let extra = [
        ("data", "null"),
        ("id", "\"67e55044-10b1-426f-9247-bb680e5fe0c8\""),
        ("data_base64", "\"+/8=\""),
    ];
    let text = line(&extra) + "\n";
    check_export(&text, &text);
    let event = store_of(&text).read_all().next().unwrap().unwrap();
    assert!(event.is_binary());
    assert_eq!(event.data(), [0xFB, 0xFF]);
    assert_eq!(event.id(), Some(Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8)));
    let escaped = line(&[("data", "null"), ("data_base64", "\"\\u002b\\/8=\"")]);
    assert_eq!(store_of(escaped).read_all().next().unwrap().unwrap().data(), [0xFB, 0xFF]);
}

#[test]
fn every_lossless_time_is_taken_and_written_as_isoformat_does() {
    let same = [
        "2024-05-01T12:30:00",
        "2024-05-01T12:30:00.000001",
        "2024-02-29T23:59:59.999999",
        "2024-05-01T12:30:00+00:00",
        "2024-05-01T12:30:00.250000+05:30",
        "2024-05-01T12:30:00-23:59",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999",
        "9999-12-31T23:59:59.999999-14:00",
    ];
    let others = [
        ("2024-05-01T12:30:00Z", "2024-05-01T12:30:00+00:00"),
        ("2024-05-01t12:30:00z", "2024-05-01T12:30:00+00:00"),
        ("2024-05-01T12:30:00.5Z", "2024-05-01T12:30:00.500000+00:00"),
        ("2024-05-01T12:30:00.000000+02:00", "2024-05-01T12:30:00+02:00"),
        ("2024-05-01T12:30:00-00:00", "2024-05-01T12:30:00+00:00"),
    ];
    for (read, written) in same.map(|time| (time, time)).into_iter().chain(others) {
        let timestamp = |time: &str| line(&[("timestamp", &format!("\"{time}\""))]);
        check_export(timestamp(read), &(timestamp(written) + "\n"));
    }
}

#[test]
fn interleaved_streams_keep_their_positions() {
    let text = numbered(1..=20);
    let store: EventStore = store_of(&text);
    let places: Vec<(u64, String, u64)> = store
        .read_all()
        .map(|event| event.unwrap())
        .map(|event| (event.position(), event.stream_id().to_owned(), event.version()))
        .collect();
    let expected: Vec<(u64, String, u64)> = (1..=20)
        .map(|position| {
            let stream = position % 3;
            let first = if stream == 0 { 3 } else { stream };
            (position, format!("stream-{stream}"), (position - first) / 3 + 1)
        })
        .collect();
    assert_eq!(places, expected);
}
