//! The values of the trees in bytes: golden values, round trips, and invalid bytes.
//!
//! A golden value that changes is a change of the format.

use uuid::Uuid;

use crate::{
    codec::{
        checksum::Checksum,
        dictionary::{self, DICTIONARY_BYTES},
        key,
        meta::{self, Head},
        page::Page,
        places::{CHUNK_POSITIONS, Gathered, Places},
        record::EventToEncode,
        run,
        stored::{Body, Dictionary, PART_BYTES},
        varint,
    },
    event::{TagList, Timestamp},
};

fn checksum() -> Checksum {
    Checksum::of_store(Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn event(position: u64, version: u64, data: &[u8]) -> EventToEncode<'_> {
    EventToEncode {
        position,
        stream: "s",
        version,
        event_type: "T",
        timestamp: Timestamp::utc_clamped(5),
        id: None,
        is_binary: false,
        data,
        metadata: None,
        tags: TagList::NONE,
    }
}

/// The key, value and parts of a run.
fn encode(events: &[EventToEncode<'_>], dictionary: Option<&Dictionary>) -> (Vec<u8>, Vec<u8>) {
    let (key, encoded) = run::encode(events, dictionary, &checksum(), &mut Vec::new())
        .expect("it is within the limits");
    assert!(encoded.split_body.is_empty());
    (key, encoded.value)
}

fn decode(key: &[u8], value: &[u8], dictionary: Option<&Dictionary>) -> Result<Page, String> {
    let place = key::parse_run(key).ok_or("the key is malformed")?;
    let (header, body) = run::open(key, value, &checksum())?;
    let Body::Whole(body) = body else { return Err("it is split into parts".to_owned()) };
    run::decode(place, &header, body, dictionary, Page::default())
}

/// Numbers that take one byte each, up to 250.
fn repeated() -> Vec<u8> {
    b"{\"customer\":\"ada\"}".repeat(20)
}

fn trained() -> Dictionary {
    Dictionary { number: 1, bytes: b"{\"customer\":\"ada\"}".repeat(3) }
}

#[test]
fn a_run_has_these_bytes() {
    let (key, value) = encode(&[event(7, 3, b"{}"), event(9, 4, b"[]")], None);
    assert_eq!(hex(&key), "73000000000000000003");
    let expected = concat!(
        "136ba8a6", // checksum of key and rest
        "05",       // a whole run
        "07",
        "02",
        "02", // positions 7 to 9, two events
        "00",
        "00",
        "26",                       // stored raw, no dictionary, 38 bytes
        "070102730003010254000002", // the record: position, stream, type, no tags, count
        "0000000a0100000002",
        "7b7d0000", // the first event
        "0000010001000000025b5d0000",
    );
    assert_eq!(hex(&value), expected);
}

#[test]
fn a_run_comes_back_as_it_was() {
    let data = repeated();
    let events = [event(7, 3, &data), event(9, 4, b"{}"), event(1_000_000, 5, &data)];
    for dictionary in [None, Some(trained())] {
        let (key, value) = encode(&events, dictionary.as_ref());
        let page = decode(&key, &value, dictionary.as_ref()).expect("it was encoded so");
        let found: Vec<_> =
            page.events().map(|event| (event.position(), event.version())).collect();
        assert_eq!(found, [(7, 3), (9, 4), (1_000_000, 5)]);
        assert_eq!(page.event(0).expect("it has three").data(), data);
    }
    let (_, without) = encode(&events, None);
    let (_, with) = encode(&events, Some(&trained()));
    assert!(with.len() < without.len(), "{} of {}", with.len(), without.len());
}

#[test]
fn a_run_is_refused_without_its_dictionary_or_under_another_key() {
    let data = repeated();
    let (key, value) = encode(&[event(7, 3, &data)], Some(&trained()));
    let other = Dictionary { number: 2, ..trained() };
    for dictionary in [None, Some(&other)] {
        let error = decode(&key, &value, dictionary).expect_err("it needs dictionary 1");
        assert_eq!(error, "dictionary 1 is missing");
    }
    let error = decode(&key::run("s", 4), &value, Some(&trained())).expect_err("it is version 3");
    assert_eq!(error, "its checksum does not match");
    let (header, body) = run::open(&key, &value, &checksum()).expect("it was encoded so");
    let Body::Whole(body) = body else { unreachable!("it is small") };
    for place in [("s", 4), ("t", 3)] {
        let error = run::decode(place, &header, body, Some(&trained()), Page::default());
        assert_eq!(error.expect_err("it is of s, 3"), "its events do not match its key");
    }
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_value_is_noticed() {
    let data = repeated();
    let (key, value) = encode(&[event(7, 3, &data)], None);
    for at in 0..value.len() {
        let mut flipped = value.clone();
        flipped[at] ^= 1;
        assert!(decode(&key, &flipped, None).is_err(), "byte {at}");
        assert!(decode(&key, &value[..at], None).is_err(), "cut at {at}");
    }
    let long = [value.as_slice(), &[0]].concat();
    assert!(decode(&key, &long, None).is_err());
}

/// A value with this header and body and a valid checksum.
fn forge(
    kind: u8,
    numbers: [u64; 3],
    (codec, dictionary, raw): (u8, u64, u64),
    body: &[u8],
) -> Vec<u8> {
    let mut covered = vec![kind];
    numbers.iter().for_each(|&number| varint::put(&mut covered, number));
    covered.push(codec);
    varint::put(&mut covered, dictionary);
    varint::put(&mut covered, raw);
    covered.extend_from_slice(body);
    let sum = checksum().of_entry(&key::run("s", 3), &covered);
    [&sum.to_le_bytes(), covered.as_slice()].concat()
}

#[test]
fn false_lengths_with_a_fitting_checksum_are_refused() {
    let key = key::run("s", 3);
    let mut raw = Vec::new();
    crate::codec::record::encode(&[event(7, 3, b"{}")], &mut raw);
    let len = raw.len() as u64;
    assert!(decode(&key, &forge(5, [7, 0, 1], (0, 0, len), &raw), None).is_ok());
    for (numbers, how) in [
        ([7, 0, 1], (0, 0, len + 1)),
        ([7, 0, 1], (0, 0, u64::from(u32::MAX))),
        ([7, 0, 1], (1, 0, 1 << 40)),
        ([7, 0, 1], (1, 0, 32 << 20)),
        ([7, 0, 1], (1, 3, len)),
        ([7, 0, 1], (3, 0, len)),
        ([7, 0, 2], (0, 0, len)),
        ([7, 3, 2], (0, 0, len)),
        ([7, 3, 1], (0, 0, len)),
        ([8, 0, 1], (0, 0, len)),
        ([0, 0, 1], (0, 0, len)),
        ([7, 0, 0], (0, 0, len)),
        ([7, u64::MAX, 1], (0, 0, len)),
        ([7, u64::MAX - 7, 1], (0, 0, len)),
    ] {
        assert!(decode(&key, &forge(5, numbers, how, &raw), None).is_err(), "{numbers:?} {how:?}");
    }
    let past = forge(5, [7, 0, 1], (1, 0, (32 << 20) + 1), &raw);
    assert!(run::open(&key, &past, &checksum()).is_err(), "memory is taken for it");
    for kind in [0, 3, 4, 6, 0x85, 0x86] {
        assert!(decode(&key, &forge(kind, [7, 0, 1], (0, 0, len), &raw), None).is_err(), "{kind}");
    }
}

#[test]
fn a_large_value_is_split() {
    let data: Vec<u8> =
        (0_u32..50_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let events = [event(7, 3, &data)];
    let (key, encoded) = run::encode(&events, None, &checksum(), &mut Vec::new()).expect("it fits");
    assert!(encoded.value.len() < 64);
    let (header, body) = run::open(&key, &encoded.value, &checksum()).expect("it was encoded so");
    assert_eq!((header.first_position, header.last_position, header.count), (7, 7, 1));
    let parts = encoded.split_body.len().div_ceil(PART_BYTES);
    assert_eq!(
        body,
        Body::Split {
            len: u32::try_from(encoded.split_body.len()).expect("it is short"),
            parts: u32::try_from(parts).expect("they are few"),
            sum: checksum().of(&encoded.split_body),
        }
    );
    let page = run::decode(("s", 3), &header, &encoded.split_body, None, Page::default());
    assert_eq!(page.expect("it was encoded so").event(0).expect("one").data(), data);
}

fn gather<'e>(places: &[(u64, &'e str, u64)]) -> Gathered<'e> {
    let mut gathered = Gathered::default();
    for &(position, stream, version) in places {
        assert!(gathered.push(position, stream, version), "{position}");
    }
    gathered
}

#[test]
fn a_chunk_of_places_has_these_bytes_and_comes_back() {
    let places = [(7, "a", 1), (8, "bc", 300), (9, "a", 2), (10, "bc", 301)];
    let (key, value) = gather(&places).take(None, &checksum()).expect("it is small");
    assert_eq!(hex(&key), "0000000000000007");
    let expected = concat!(
        "3d8f498a",
        "06",     // places
        "070304", // positions 7 to 10, four of them
        "00000e", // stored raw
        "020161010262",
        "63fb2c01", // two streams with their first versions
        "00010001",
    );
    assert_eq!(hex(&value), expected);
    let chunk = Places::decode(7, &value, None, &checksum()).expect("it was encoded so");
    assert_eq!(chunk.iter().collect::<Vec<_>>(), places);
    assert_eq!(chunk.place(9), Some(("a", 2)));
    assert_eq!((chunk.place(6), chunk.place(11)), (None, None));
    assert!(Places::decode(8, &value, None, &checksum()).is_err());
    for at in 0..value.len() {
        let mut flipped = value.clone();
        flipped[at] ^= 1;
        assert!(Places::decode(7, &flipped, None, &checksum()).is_err(), "byte {at}");
        assert!(Places::decode(7, &value[..at], None, &checksum()).is_err(), "cut at {at}");
    }
}

#[test]
fn a_chunk_ends_where_the_next_place_does_not_follow() {
    assert!(!gather(&[(7, "a", 1)]).push(9, "a", 2), "a gap");
    assert!(!gather(&[(7, "a", 1)]).push(8, "a", 3), "a version is missing");
    let mut full = Gathered::default();
    for position in 1..=CHUNK_POSITIONS as u64 {
        assert!(full.push(position, "a", position));
    }
    assert!(!full.push(1_001, "a", 1_001), "it is full");
    let names: Vec<String> = (0..200).map(|n| format!("{n:0>200}")).collect();
    let mut long = Gathered::default();
    let fit =
        (1..).zip(&names).take_while(|(position, name)| long.push(*position, name, 1)).count();
    assert!((100..200).contains(&fit), "{fit} names of 200 bytes");
}

#[test]
fn the_head_has_these_bytes_and_comes_back() {
    let head = Head {
        position: 300,
        frame_number: 2,
        file_first_position: 1,
        file_number: 4,
        offset: 70_000,
        prev_checksum: 0xffff_ffff,
    };
    let value = head.encode(&checksum()).expect("it is small");
    assert_eq!(hex(&value), "ec9f464afb2c01020104fc70110100fcffffffff");
    assert_eq!(Head::decode(&value, &checksum()), Ok(head));
    for at in 0..value.len() {
        let mut flipped = value.clone();
        flipped[at] ^= 1;
        assert!(Head::decode(&flipped, &checksum()).is_err(), "byte {at}");
    }
    assert_eq!(meta::parse_sealed_key(&meta::sealed_key(5, 6)), Some((5, 6)));
    assert_eq!(meta::parse_sealed_key(b"sealed/"), None);
    let facts = meta::encode_checked(b"k", b"facts", &checksum());
    assert_eq!(meta::decode_checked(b"k", &facts, &checksum()), Ok(b"facts".as_slice()));
    assert!(meta::decode_checked(b"l", &facts, &checksum()).is_err());
}

#[test]
fn a_dictionary_holds_what_the_samples_share() {
    let (mut bytes, mut samples) = (Vec::new(), Vec::new());
    for number in 0_u64..4_000 {
        let start = bytes.len();
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bytes.extend_from_slice(&noise.to_le_bytes());
        bytes
            .extend_from_slice(format!("{{\"customer\":{noise},\"currency\":\"EUR\"}}").as_bytes());
        if number % 20 == 0 {
            bytes.extend_from_slice(b"{\"refund\":\"damaged in transit\"}");
        }
        samples.push(start..bytes.len());
    }
    let trained = dictionary::train(&bytes, &samples, DICTIONARY_BYTES);
    assert!(trained.len() <= DICTIONARY_BYTES, "{}", trained.len());
    let text = String::from_utf8_lossy(&trained).into_owned();
    assert!(text.contains("\"customer\":") && text.contains("\"currency\":\"EUR\"}"), "{text}");
    let repeats = text.matches("damaged in transit").count();
    assert!((1..32).contains(&repeats), "{repeats} times what one stretch covers");
    assert_eq!(trained, dictionary::train(&bytes, &samples, DICTIONARY_BYTES));
}

#[test]
fn samples_without_anything_in_common_make_no_dictionary() {
    let bytes: Vec<u8> =
        (0_u64..1_000).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    let one = std::slice::from_ref(&(0..bytes.len())).to_vec();
    assert!(dictionary::train(&bytes, &one, DICTIONARY_BYTES).is_empty());
    assert!(dictionary::train(&[], &[], DICTIONARY_BYTES).is_empty());
    assert!(dictionary::train(b"abc", std::slice::from_ref(&(0..3)), 1).is_empty());
}
