//! The format in bytes: golden values, round trips, and bytes that mean nothing.
//!
//! A golden value that changes is a change of the format: see `docs/format.md`.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    codec::{
        checksum::Checksum,
        frame::{self, FileHeader, FrameHeader, FrameKind, FrameMeta},
        key, pack,
        record::{self, EventToEncode, Record},
        run::Run,
        saved::{self, Checkpoint, StoredSnapshot},
        split::Stub,
        superblock::Superblock,
    },
    event::{SnapshotKey, Timestamp, UtcOffset},
};

const STORE_ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

fn checksum() -> Checksum {
    Checksum::of_store(STORE_ID)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sample() -> Vec<EventToEncode<'static>> {
    let time = |micros, offset| Timestamp::new(micros, offset).ok();
    let first = EventToEncode {
        stream: "a",
        version: 1,
        event_type: "T",
        timestamp: time(1, UtcOffset::Naive).unwrap_or_else(|| Timestamp::utc_clamped(0)),
        id: None,
        is_binary: false,
        data: b"{}",
        metadata: None,
    };
    let second = EventToEncode {
        stream: "b",
        version: 300,
        timestamp: time(-1, UtcOffset::Minutes(-90)).unwrap_or(first.timestamp),
        id: Some(STORE_ID),
        is_binary: true,
        data: &[0, 255],
        metadata: Some("{\"k\":1}"),
        ..first
    };
    vec![first, second]
}

fn encoded() -> Vec<u8> {
    record::encode(7, &sample(), &checksum()).unwrap_or_default()
}

#[test]
fn a_record_has_these_bytes() {
    let expected = concat!(
        "01",
        "c90ee72c", // kind, checksum
        "07",
        "03",
        "026100",
        "025400",
        "026200",
        "02", // first position, names, events
        "00",
        "01",
        "01",
        "02",
        "00",
        "00",
        "00",
        "027b7d",
        "00", // the first
        "02",
        "fb2c01",
        "01",
        "01",
        "01b3",
        "01",
        "00112233445566778899aabbccddeeff",
        "01",
        "0200ff",
        "01",
        "077b226b223a317d", // the second
    );
    assert_eq!(hex(&encoded()), expected);
}

#[test]
fn a_record_comes_back_as_it_was() {
    let record = Record::decode(Arc::from(encoded()), &checksum()).expect("it was encoded so");
    assert_eq!((record.first_position(), record.last_position()), (7, 8));
    let events: Vec<_> = record.events().collect();
    let again: Vec<EventToEncode<'_>> = events.iter().map(EventToEncode::from).collect();
    for (one, other) in sample().iter().zip(&again) {
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
    assert_eq!(record.event_at(8), events.last().cloned());
    assert!(record.event_at(9).is_none() && record.event_at(6).is_none());
}

#[test]
fn a_flipped_bit_or_a_cut_is_never_served() {
    let bytes = encoded();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1 << bit;
            assert!(Record::decode(Arc::from(flipped), &checksum()).is_err(), "{index}.{bit}");
        }
        assert!(Record::decode(Arc::from(&bytes[..index]), &checksum()).is_err(), "{index}");
    }
    let other = Checksum::of_store(Uuid::nil());
    assert!(Record::decode(Arc::from(bytes), &other).is_err(), "it belongs to another store");
}

#[test]
fn bytes_with_a_fitting_checksum_are_still_looked_at() {
    // Whatever stands in the body, decoding ends with a value or a reason.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut bytes = encoded();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = 5 + usize::try_from(state >> 33).unwrap_or(0) % (bytes.len() - 5);
            bytes[index] = state.to_be_bytes()[1];
        }
        if let Ok(record) = Record::decode_trusted(Arc::from(bytes)) {
            accepted += record.events().filter(|event| !event.event_type().is_empty()).count();
        }
    }
    assert!(accepted > 0, "some changes, of payload bytes, are harmless to the structure");
}

#[test]
fn a_superblock_has_these_bytes() {
    let superblock = Superblock { format: 1, store_id: STORE_ID };
    let bytes = superblock.encode();
    let expected = "414e4e414c530d0a0100000000112233445566778899aabbccddeeff7cc5935e";
    assert_eq!(hex(&bytes), expected);
    assert_eq!(Superblock::decode(&bytes), Ok(superblock));
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x10;
        assert!(Superblock::decode(&flipped).is_err(), "{index}");
        assert!(Superblock::decode(&bytes[..index]).is_err(), "{index}");
    }
}

fn meta(kind: FrameKind, first_position: u64) -> FrameMeta {
    FrameMeta {
        kind,
        follows_durable: false,
        first_position,
        count: 0,
        durable: 0,
        chain: 5,
        store_id: STORE_ID,
    }
}

#[test]
fn a_frame_has_these_bytes() {
    let meta = FrameMeta { count: 2, durable: 6, ..meta(FrameKind::Events, 7) };
    let mut bytes = Vec::new();
    let record = b"record".as_slice();
    frame::encode_payload([record].into_iter(), &mut bytes).expect("small");
    let chain = frame::complete(meta, 512, &checksum(), &mut bytes).expect("small");
    let expected = concat!(
        "414e4652",
        "01000000",
        "0b000000",
        "02000000",
        "0700000000000000",
        "0600000000000000",
        "05000000",
        "535535b4",
        "00112233445566778899aabbccddeeff",
        "00000000",
        "f3aab193",
        "06000000",
        "7265636f7264",
        "a5",
    );
    assert_eq!(hex(&bytes[..64 + 11]), expected);
    assert_eq!(bytes.len(), 128);
    let header = FrameHeader::decode(&bytes, &checksum()).expect("it was encoded so");
    assert_eq!((header.checksum, header.frame_bytes(), header.last_position()), (chain, 128, 8));
    assert_eq!(frame::records(&bytes[64..75]), Ok(vec![record]));
}

#[test]
fn a_journal_file_header_has_these_bytes() {
    let header = FileHeader::new(STORE_ID, 9, 4096, 3);
    let bytes = header.encode(&checksum());
    let expected = concat!(
        "414e4a46494c4531",
        "01000000",
        "00112233445566778899aabbccddeeff",
        "0900000000000000",
        "0010000000000000",
        "03000000",
        "000000000000000000000000",
        "7299ab49",
    );
    assert_eq!(hex(&bytes), expected);
    assert_eq!(FileHeader::decode(&bytes, &checksum()), Ok(header));
}

#[test]
fn marks_have_these_bytes() {
    for (kind, byte, sum) in
        [(FrameKind::Continued, "02", "f5c4a44b"), (FrameKind::Closed, "03", "22d73156")]
    {
        assert!(kind.is_mark());
        let meta = FrameMeta { durable: 8, ..meta(kind, 9) };
        let bytes = frame::encode_mark(meta, &checksum());
        let expected = [
            "414e4652",
            byte,
            "000000",
            "0000000000000000",
            "0900000000000000",
            "0800000000000000",
            "0500000000000000",
            "00112233445566778899aabbccddeeff",
            "00000000",
            sum,
        ];
        assert_eq!(hex(&bytes), expected.concat());
        let header = FrameHeader::decode(&bytes, &checksum()).expect("it was encoded so");
        assert_eq!((header.kind, header.frame_bytes()), (kind, 64));
    }
}

#[test]
fn what_consumers_save_stands_in_frames_like_these() {
    for (kind, byte) in [(FrameKind::Checkpoints, "04"), (FrameKind::Snapshot, "05")] {
        let meta = FrameMeta { follows_durable: true, durable: 8, ..meta(kind, 9) };
        let mut bytes = Vec::new();
        frame::encode_payload([b"saved".as_slice()].into_iter(), &mut bytes).expect("small");
        frame::complete(meta, 512, &checksum(), &mut bytes).expect("small");
        assert_eq!(hex(&bytes[..12]), format!("414e4652{byte}0100000a000000"));
        let header = FrameHeader::decode(&bytes, &checksum()).expect("it was encoded so");
        assert!(header.follows_durable && !kind.is_mark());
        assert_eq!((header.kind, header.count, header.last_position()), (kind, 0, 8));
    }
}

#[test]
fn an_unfinished_write_is_told_from_damage() {
    let meta = FrameMeta { count: 1, ..meta(FrameKind::Events, 1) };
    // Two of its sectors are zeros by right.
    let mut record = vec![1; 3_000];
    record[400..1_500].fill(0);
    let mut bytes = Vec::new();
    frame::encode_payload([record.as_slice()].into_iter(), &mut bytes).expect("small");
    frame::complete(meta, 512, &checksum(), &mut bytes).expect("small");
    let header = FrameHeader::decode(&bytes, &checksum()).expect("it was encoded so");
    assert_eq!(header.zero_sectors, 2);
    bytes.truncate(64 + header.payload_len as usize);
    let is_unfinished = |bytes: &[u8]| frame::is_unfinished(&header, bytes, 512);
    assert!(!is_unfinished(&bytes), "nothing is missing");
    let mut flipped = bytes.clone();
    flipped[2_000] ^= 1;
    assert!(!is_unfinished(&flipped), "all of it was written");
    flipped[700] ^= 1;
    assert!(!is_unfinished(&flipped), "a sector of zeros is none any more");
    let mut short = bytes.clone();
    short[3_000..].fill(0);
    assert!(is_unfinished(&short), "a short write ends early");
    let mut torn = bytes.clone();
    torn[2_048..2_560].fill(0);
    assert!(is_unfinished(&torn), "a sector was not written");
    torn.copy_from_slice(&bytes);
    torn[2_000..2_512].fill(0);
    assert!(!is_unfinished(&torn), "no sector is missing");

    assert!(frame::is_unwritten(&[0; 256]));
    assert!(!frame::is_unwritten(&bytes));
    let mut cut = vec![0; 256];
    cut[..62].copy_from_slice(&bytes[..62]);
    assert!(frame::is_unwritten(&cut), "a short write ended inside the header");
    cut[100] = 1;
    assert!(!frame::is_unwritten(&cut), "what is behind it was written");
}

#[test]
fn runs_keep_order_and_bounds() {
    let mut run = Run::new(5);
    for position in [6, 7, 10, 20, 21] {
        assert!(run.push(position));
    }
    let bytes = run.encode().expect("small");
    assert_eq!(hex(&bytes), "0503000303010a02");
    let run = Run::decode(&bytes).expect("it was encoded so");
    assert_eq!(run.positions_from(0).collect::<Vec<_>>(), [5, 6, 7, 10, 20, 21]);
    assert_eq!(run.positions_from(4).collect::<Vec<_>>(), [20, 21]);
    let counts: Vec<u64> = [4, 5, 7, 9, 10, 20, 99].map(|head| run.count_through(head)).into();
    assert_eq!(counts, [0, 1, 3, 3, 4, 5, 6]);
    assert!(Run::decode(&bytes[..7]).is_err() && Run::decode(&[]).is_err());
    let mut run = Run::new(1);
    let pushed = (1..).take_while(|n| run.push(1 + 2 * n)).count();
    assert_eq!(pushed, 999, "a run is bounded");
}

#[test]
fn stubs_know_their_place() {
    let stub = Stub::for_record(&[0; 70_000]).expect("small");
    assert_eq!((stub.len, stub.parts), (70_000, 3));
    let bytes = stub.encode(9, &checksum());
    assert_eq!(Stub::decode(&bytes, 9, &checksum()), Ok(stub));
    assert!(Stub::decode(&bytes, 10, &checksum()).is_err());
    assert!(Stub::decode(&bytes[..12], 9, &checksum()).is_err());
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
    assert_eq!(reason, format!("it belongs to the store {other}"));
}

#[test]
fn keys_of_snapshots_lead_back_to_them() {
    let key = SnapshotKey::of_projection("sums", 3);
    let bytes = key::snapshot(&key, 7, 9);
    assert_eq!(hex(&bytes), "0273756d730000000003000000000000000700000009");
    assert_eq!(key::parse_snapshot(&bytes), Some((key.clone(), 7, 9)));
    assert!(bytes.starts_with(&key::snapshot_name(key.owner, "sums")));
    assert!(!bytes.starts_with(&key::snapshot_name(key.owner, "sum")));
    assert_eq!(key::parse_snapshot(&bytes[..17]), None);
    assert_eq!(key::parse_snapshot(b""), None);
    let mut unknown = bytes;
    unknown[0] = 9;
    assert_eq!(key::parse_snapshot(&unknown), None);
}

#[test]
fn keys_sort_as_their_values_do() {
    let keys = [key::run("a", 2), key::run("a", 256), key::run("a-1", 1), key::run("b", 1)];
    assert!(keys.is_sorted());
    assert_eq!(key::parse_run(&keys[2]), Some(("a-1", 1)));
    assert_eq!(key::parse_run(b"short"), None);
    assert_eq!(key::record_position(&key::record(77)), Some(77));
    assert!(key::part(1, 256) > key::part(1, 255) && key::part(2, 0) > key::part(1, u32::MAX));
}

#[test]
fn records_are_cut_by_size_and_count() {
    let event = sample()[0];
    let many = vec![event; 1_000];
    let counts: Vec<usize> = pack::cut(&many).map(<[_]>::len).collect();
    assert_eq!(counts.iter().sum::<usize>(), 1_000);
    assert!(counts.iter().all(|&count| count <= pack::RECORD_EVENTS_MAX));
    let data = vec![b'1'; 3_000];
    let large = [EventToEncode { data: &data, ..event }; 3];
    assert_eq!(pack::cut(&large).map(<[_]>::len).collect::<Vec<_>>(), [1, 1, 1]);
}
