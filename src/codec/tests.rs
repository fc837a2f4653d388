//! The format in bytes: golden values, round trips, and invalid bytes.
//!
//! A golden value that changes is a change of the format: see `docs/format.md`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    codec::{
        self, Bytes,
        checksum::Checksum,
        frame::{self, FrameHeader, FrameKind, FrameMeta, ItemKind},
        head::{Beyond, HeadRecord, HeadState, LogEnd},
        page::Page,
        record::{self, EventToEncode},
        saved::{self, Checkpoint, StoredSnapshot},
        superblock::{Superblock, UNRELEASED_FORMAT},
    },
    event::{SnapshotKey, TagList, Timestamp, UtcOffset},
};

const STORE_ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

fn checksum() -> Checksum {
    Checksum::of_store(STORE_ID)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sample() -> Vec<EventToEncode<'static>> {
    let time = |micros, offset| Timestamp::new(micros, offset).expect("a time");
    let first = EventToEncode {
        position: 7,
        stream: "a",
        version: 1,
        event_type: "T",
        timestamp: time(1, UtcOffset::Naive),
        id: None,
        is_binary: false,
        data: b"{}",
        metadata: None,
        tags: TagList::NONE,
    };
    let second = EventToEncode {
        position: 9,
        stream: "b",
        version: 300,
        timestamp: time(-1, UtcOffset::Minutes(-90)),
        id: Some(STORE_ID),
        is_binary: true,
        data: &[0, 255],
        metadata: Some(b"{\"k\":1}"),
        tags: TagList::NONE,
        ..first
    };
    let third = EventToEncode { position: 10, version: 2, ..first };
    vec![first, second, third]
}

fn tagged() -> Vec<EventToEncode<'static>> {
    let base = sample()[0];
    let one = vec!["b:1".to_owned(), "\u{fc}".to_owned()].leak();
    let other = vec!["a".to_owned(), "b:1".to_owned()].leak();
    let second = EventToEncode { position: 8, version: 2, tags: TagList::Given(other), ..base };
    let third = EventToEncode { position: 9, version: 3, ..base };
    vec![EventToEncode { tags: TagList::Given(one), ..base }, second, third]
}

fn encoded() -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode(&sample(), &mut bytes);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Page, String> {
    Page::of_record(Arc::from(bytes))
}

#[test]
fn a_record_has_these_bytes() {
    let expected = concat!(
        "07", // first position
        "02026100010262",
        "00fb2c01",   // streams with their first versions
        "01025400",   // types
        "00",         // tags
        "03",         // events
        "0000000200", // stream, type, gap, micros, zone
        "0000027b7d0000",
        "0100010301b301",
        "00112233445566778899aabbccddeeff",
        "010200ff01077b226b223a317d00",
        "0000000400",
        "0000027b7d0000",
    );
    assert_eq!(hex(&encoded()), expected);
}

#[test]
fn a_record_with_tags_has_these_bytes() {
    let mut bytes = Vec::new();
    record::encode(&tagged(), &mut bytes);
    let expected = concat!(
        "07",
        "0102610001",
        "01025400",
        "096100623a3100c3bc00", // tags, sorted by their bytes
        "03",
        "00000002000000027b7d00",
        "0401000200", // the tags of the first event: numbers 1 and 2
        "00000000000000027b7d00",
        "0400000100",
        "00000000000000027b7d00",
        "00",
    );
    assert_eq!(hex(&bytes), expected);
    let page = decode(&bytes).expect("it was encoded so");
    let tags: Vec<Vec<String>> =
        page.events().map(|event| event.tags().map(str::to_owned).collect()).collect();
    assert_eq!(tags, [vec!["b:1", "\u{fc}"], vec!["a", "b:1"], vec![]]);
    let mut again = Vec::new();
    record::encode(&page.all_to_encode().collect::<Vec<_>>(), &mut again);
    assert_eq!(hex(&again), hex(&bytes), "stored tags are encoded as given ones are");
}

#[test]
fn tags_that_are_no_numbers_of_the_table_are_refused() {
    let mut bytes = Vec::new();
    record::encode(&tagged(), &mut bytes);
    let numbers = hex(&bytes).find("0401000200").expect("those of the first event") / 2 + 1;
    for wrong in [[1, 0, 1, 0], [2, 0, 1, 0], [1, 0, 3, 0], [1, 0, 2, 1]] {
        let mut altered = bytes.clone();
        altered[numbers..numbers + 4].copy_from_slice(&wrong);
        assert!(decode(&altered).is_err(), "{wrong:?}");
    }
    let table = hex(&bytes).find("6100623a31").expect("the table") / 2;
    bytes[table + 8] = b'x';
    assert!(decode(&bytes).is_err(), "the last tag has no NUL");
}

/// A record as bincode sees it.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    first_position: u64,
    #[serde(borrow)]
    streams: Vec<(Bytes<'a>, u64)>,
    #[serde(borrow)]
    types: Vec<Bytes<'a>>,
    #[serde(borrow)]
    tags: Bytes<'a>,
    #[serde(borrow)]
    events: Vec<Event<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Event<'a> {
    stream: u32,
    event_type: u32,
    gap: u64,
    micros: i64,
    zone: Option<i16>,
    id: Option<[u8; 16]>,
    is_binary: bool,
    #[serde(borrow)]
    data: Bytes<'a>,
    #[serde(borrow)]
    metadata: Option<Bytes<'a>>,
    #[serde(borrow)]
    tags: Bytes<'a>,
}

#[test]
fn a_record_is_what_bincode_writes() {
    // Numbers of every width, and a payload whose length takes three bytes.
    let data = vec![b'1'; 300];
    let base = sample()[0];
    let times = [i64::from(i32::MAX), -5, 253_402_200_000_000_000, 0];
    let events: Vec<EventToEncode<'_>> = (0..4)
        .map(|n| EventToEncode {
            position: [250, 251, 70_000, 1 << 33][n],
            version: 65_535 + n as u64,
            timestamp: Timestamp::new(times[n], UtcOffset::Minutes(300)).expect("a time"),
            data: &data,
            ..base
        })
        .collect();
    for events in [events, sample(), tagged()] {
        let mut bytes = Vec::new();
        record::encode(&events, &mut bytes);
        let record: Record<'_> = codec::decode(&bytes).expect("bincode reads it");
        assert_eq!(record.first_position, events[0].position);
        assert_eq!(record.events.len(), events.len());
        let mut again = Vec::new();
        codec::encode(&record, &mut again).expect("small");
        assert_eq!(hex(&again), hex(&bytes));
    }
}

#[test]
fn a_record_comes_back_as_it_was() {
    let page = decode(&encoded()).expect("it was encoded so");
    assert_eq!((page.first_position(), page.last_position(), page.len()), (7, 10, 3));
    for (one, other) in sample().iter().zip(page.all_to_encode()) {
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
    assert_eq!(page.event_at(10), page.events().next_back());
    assert!([0, 6, 8, 11].iter().all(|&position| page.event_at(position).is_none()));
    assert_eq!([6, 7, 8, 9, 10, 99].map(|at| page.count_through(at)), [0, 1, 1, 2, 3, 3]);
    let event = page.event(1).expect("the second");
    assert_eq!((event.stream_id_with_nul(), event.id()), (b"b\0".as_slice(), Some(STORE_ID)));
}

#[test]
fn a_cut_record_is_refused() {
    let bytes = encoded();
    for len in 0..bytes.len() {
        let refused = decode(&bytes[..len]);
        assert!(refused.is_err_and(|reason| !reason.is_empty()), "{len}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(decode(&longer).is_err());
}

#[test]
fn whatever_stands_in_a_record_decoding_ends_with_a_value_or_a_reason() {
    // Miri takes some ten milliseconds for each.
    let rounds = if cfg!(miri) { 200 } else { 20_000 };
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut accepted = 0;
    for _ in 0..rounds {
        let mut bytes = encoded();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = usize::try_from(state >> 33).unwrap_or(0) % bytes.len();
            bytes[index] = state.to_be_bytes()[1];
        }
        if let Ok(page) = decode(&bytes) {
            accepted += page.events().filter(|event| !event.event_type().is_empty()).count();
        }
    }
    assert!(accepted > 0, "some changes, of payload bytes, are harmless to the structure");
}

#[test]
fn a_buffer_is_reused_only_when_nothing_points_into_it() {
    let mut page = decode(&encoded()).expect("it was encoded so");
    let event = page.event(0).expect("the first");
    let kept = page.take_buffer(8);
    assert_eq!(event.data(), b"{}", "an event that is alive keeps its bytes");
    drop(kept);
    let mut page = decode(&encoded()).expect("it was encoded so");
    let len = encoded().len();
    assert_eq!(page.take_buffer(len).len(), len, "the same buffer");
    assert_eq!(page.take_buffer(len + 1).len(), len + 1, "a larger one");
}

#[test]
fn a_superblock_has_these_bytes() {
    let superblock = Superblock { format: 1, store_id: STORE_ID };
    let bytes = superblock.encode();
    let expected = "414e53544f520d0a0100000000112233445566778899aabbccddeeff963d2da9";
    assert_eq!(hex(&bytes), expected);
    assert_eq!(Superblock::decode(&bytes), Ok(superblock));
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x10;
        assert!(Superblock::decode(&flipped).is_err(), "{index}");
        assert!(Superblock::decode(&bytes[..index]).is_err(), "{index}");
    }
    // Of a store created before the first release.
    let old = "414e4e414c530d0a0100000000112233445566778899aabbccddeeff7cc5935e";
    let old: Vec<u8> = (0..old.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&old[at..at + 2], 16).expect("hexadecimal"))
        .collect();
    let unreleased = Superblock { format: UNRELEASED_FORMAT, store_id: STORE_ID };
    assert_eq!(Superblock::decode(&old), Ok(unreleased));
}

fn meta(kind: FrameKind, first_position: u64) -> FrameMeta {
    FrameMeta {
        kind,
        count: 0,
        first_position,
        number: 12,
        prev_checksum: 5,
        store_id: STORE_ID,
        unsynced: 3,
    }
}

fn framed(meta: FrameMeta, items: &[(ItemKind, &[u8])]) -> (Vec<u8>, u32) {
    let mut bytes = Vec::new();
    frame::begin(&mut bytes);
    for (kind, content) in items {
        frame::put_item(&mut bytes, *kind, content).expect("small");
    }
    let sum = frame::complete(meta, 512, &checksum(), &mut bytes).expect("small");
    (bytes, sum)
}

#[test]
fn a_frame_has_these_bytes() {
    let meta = FrameMeta { count: 2, ..meta(FrameKind::Events, 7) };
    let items = [(ItemKind::Record, b"record".as_slice()), (ItemKind::Checkpoint, b"saved")];
    let (bytes, prev_checksum) = framed(meta, &items);
    let expected = concat!(
        "414e465201000000",
        "16000000",
        "02000000",
        "0700000000000000",
        "0c00000000000000",
        "05000000",
        "954deaaf",
        "00112233445566778899aabbccddeeff",
        "03000000",
        "ca1310f8",
        "07000000017265636f7264",
        "06000000037361766564",
        "a5",
    );
    assert_eq!(hex(&bytes[..64 + 22]), expected);
    assert_eq!(bytes.len(), 128);
    let header = FrameHeader::decode(&bytes, &checksum()).expect("it was encoded so");
    assert_eq!((header.checksum, header.frame_bytes()), (prev_checksum, 128));
    assert_eq!((header.last_position(), header.durable_before()), (8, 8));
    let found = frame::items(&bytes[64..86]).expect("it was encoded so");
    let found: Vec<_> = found.iter().map(|i| (i.kind, &bytes[64..][i.range.clone()])).collect();
    assert_eq!(found, items);
    assert!(frame::items(&bytes[64..85]).is_err(), "the end is missing");
}

#[test]
fn a_journal_file_header_has_these_bytes() {
    let header = frame::new_file_header((STORE_ID, 9), (4, 3), 4096);
    let bytes = header.encode(&checksum());
    let expected = concat!(
        "414e4a46494c4532",
        "01000000",
        "00112233445566778899aabbccddeeff",
        "0900000000000000",
        "0010000000000000",
        "0400000000000000",
        "03000000",
        "00000000",
    );
    assert_eq!(hex(&bytes[..60]), expected);
    assert_eq!(hex(&bytes[60..]), "27b6b4b9");
    assert_eq!(frame::FileHeader::decode(&bytes, &checksum()), Ok(header));
}

#[test]
fn a_marker_is_a_header_alone() {
    let bytes = frame::encode_marker(meta(FrameKind::Continued, 9), &checksum());
    assert_eq!(hex(&bytes[..8]), "414e465202000000");
    let header = FrameHeader::decode(&bytes, &checksum()).expect("it was encoded so");
    assert_eq!((header.kind, header.frame_bytes()), (FrameKind::Continued, 64));
}

#[test]
fn a_frame_of_checkpoints_has_no_events() {
    let (bytes, _) = framed(meta(FrameKind::Checkpoints, 9), &[(ItemKind::Checkpoint, b"saved")]);
    assert_eq!(hex(&bytes[..12]), "414e4652040000000b000000");
    let header = FrameHeader::decode(&bytes, &checksum()).expect("it was encoded so");
    assert_eq!((header.count, header.last_position()), (0, 8));
}

#[test]
fn an_unfinished_write_differs_from_damage() {
    let meta = FrameMeta { count: 1, ..meta(FrameKind::Events, 1) };
    // Two of its sectors really contain only zeros.
    let mut record = vec![1; 3_000];
    record[400..1_500].fill(0);
    let (mut bytes, _) = framed(meta, &[(ItemKind::Record, &record)]);
    let header = FrameHeader::decode(&bytes, &checksum()).expect("it was encoded so");
    assert_eq!(header.zero_sectors, 2);
    bytes.truncate(64 + header.payload_len as usize);
    let is_unfinished = |bytes: &[u8]| frame::is_unfinished(&header, bytes, 512);
    assert!(!is_unfinished(&bytes), "nothing is missing");
    let mut flipped = bytes.clone();
    flipped[2_000] ^= 1;
    assert!(!is_unfinished(&flipped), "all of it was written");
    flipped[700] ^= 1;
    assert!(!is_unfinished(&flipped), "a sector of zeros has become another one");
    let mut short = bytes.clone();
    short[3_000..].fill(0);
    assert!(is_unfinished(&short), "a short write ends early");
    let mut torn = bytes.clone();
    torn[2_048..2_560].fill(0);
    assert!(is_unfinished(&torn), "a sector was not written");
    torn.copy_from_slice(&bytes);
    torn[2_000..2_512].fill(0);
    assert!(!is_unfinished(&torn), "no sector is missing");
}

#[test]
fn the_head_file_has_these_bytes_and_survives_a_torn_slot() {
    let end = LogEnd { position: 300, frame_number: 20, prev_checksum: 9 };
    let record = |turn, state| {
        let (inode, boot_id) = (77, STORE_ID);
        let beyond = if turn == 7 { Beyond::NextFile } else { Beyond::Nothing };
        HeadRecord { state, turn, end, beyond, inode, boot_id, is_sure: true }
    };
    let (first, at) = record(6, HeadState::Running).encode(&checksum());
    assert_eq!(at, 0);
    let expected = concat!(
        "414e484401000000",
        "0600000000000000",
        "2c01000000000000",
        "1400000000000000",
        "09000000",
        "4d00000000000000",
        "00112233445566778899aabbccddeeff",
    );
    assert_eq!(hex(&first[..60]), expected);
    assert_eq!(hex(&first[60..]), "e99f987b");
    let (second, at) = record(7, HeadState::Closed).encode(&checksum());
    assert_eq!((at, hex(&second[4..8])), (512, "02020000".to_owned()));
    let mut file = vec![0; 1024];
    assert!(HeadRecord::decode(&file, &checksum()).is_err(), "nothing was written");
    file[..64].copy_from_slice(&first);
    assert_eq!(HeadRecord::decode(&file, &checksum()), Ok(record(6, HeadState::Running)));
    file[512..576].copy_from_slice(&second);
    assert_eq!(HeadRecord::decode(&file, &checksum()), Ok(record(7, HeadState::Closed)));
    for index in 512..576 {
        let mut torn = file.clone();
        torn[index] ^= 0x20;
        let found = HeadRecord::decode(&torn, &checksum());
        let earlier = HeadRecord { is_sure: false, ..record(6, HeadState::Running) };
        assert_eq!(found, Ok(earlier), "{index}");
    }
    assert!(HeadRecord::decode(&file[..500], &Checksum::of_store(Uuid::nil())).is_err());
}

#[test]
fn bytes_after_a_value_are_an_error() {
    assert_eq!(super::decode::<u64>(&[7]), Ok(7));
    assert_eq!(super::decode::<u64>(&[7, 0]), Err("1 bytes follow its end".to_owned()));
}

#[test]
fn a_checkpoint_has_these_bytes() {
    let checkpoint = Checkpoint { name: "mailer".into(), position: 300 };
    let bytes = checkpoint.encode(&checksum()).expect("small");
    assert_eq!(hex(&bytes), "03af7d41ac066d61696c6572fb2c01");
    assert_eq!(Checkpoint::decode(&bytes, &checksum()), Ok(checkpoint));
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x10;
        assert!(Checkpoint::decode(&flipped, &checksum()).is_err(), "{index}");
        assert!(Checkpoint::decode(&bytes[..index], &checksum()).is_err(), "{index}");
    }
}

#[test]
fn a_snapshot_has_these_bytes() {
    let key = SnapshotKey::of_projection("sums", 3);
    let bytes = saved::encode_snapshot(&key, 7, b"{}", (STORE_ID, &checksum())).expect("small");
    let expected = "0400112233445566778899aabbccddeeff677f8312020473756d730307027b7d";
    assert_eq!(hex(&bytes), expected);
    assert_eq!(saved::peek_name(&bytes), Some("sums"));
    assert_eq!(saved::peek_name(&bytes[..24]), None);
    let decode = |bytes: &[u8]| StoredSnapshot::decode(bytes.into(), (STORE_ID, &checksum()));
    let decoded = decode(&bytes).expect("it was encoded so");
    assert_eq!((&decoded.key, decoded.position), (&key, 7));
    assert_eq!(&decoded.bytes[decoded.data.clone()], b"{}");
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x10;
        assert!(decode(&flipped).is_err(), "{index}");
        assert!(decode(&bytes[..index]).is_err(), "{index}");
    }
    let other = Uuid::from_u128(1);
    let foreign = saved::encode_snapshot(&key, 7, b"", (other, &Checksum::of_store(other)));
    let reason = decode(&foreign.expect("small")).expect_err("it is another store's");
    assert_eq!(reason, format!("it belongs to another store, {other}"));
}
