//! Replays what the fuzzer has found worth keeping, and shows that its functions reach what is
//! past the checksums.

use std::{fs, path::Path};

use super::*;
use crate::codec::{
    frame::{self, FrameKind, FrameMeta, ItemKind},
    head::{Beyond, HeadState, LogEnd},
    places::Gathered,
    record::{self, EventToEncode},
    run as runs,
};
use crate::event::{SnapshotKey, TagList, Timestamp};

type Target = fn(&[u8], &Path) -> usize;

const TARGETS: [(&str, Target); 6] = [
    ("frames", frames),
    ("sealed", sealed),
    ("trees", trees),
    ("saved", saved),
    ("heads", heads),
    ("ndjson", ndjson),
];

fn events(tags: &[String]) -> Vec<EventToEncode<'_>> {
    let event = |version: u64| EventToEncode {
        stream: "s",
        version,
        position: version,
        event_type: "OrderPlaced",
        timestamp: Timestamp::utc(1_700_000_000_000_000).unwrap(),
        id: version.is_multiple_of(2).then(Uuid::nil),
        is_binary: false,
        data: b"{\"sku\":\"a\",\"count\":1}",
        tags: TagList::Given(if version == 2 { tags } else { &[] }),
        metadata: (version == 3).then_some(&b"{\"by\":\"ada\"}"[..]),
    };
    (1..=3).map(event).collect()
}

fn tags() -> Vec<String> {
    vec!["customer:ada".to_owned(), "order:7".to_owned()]
}

fn journal() -> Vec<u8> {
    let checksum = Checksum::forged();
    let (mut bytes, mut frame) = (Vec::new(), Vec::new());
    let tags = tags();
    for (number, event) in (1..).zip(events(&tags)) {
        let mut content = Vec::new();
        record::encode(&[event], &mut content);
        frame::begin(&mut frame);
        frame::put_item(&mut frame, ItemKind::Record, &content).unwrap();
        let checkpoint = Checkpoint { name: Arc::from("mailer"), position: number };
        let checkpoint = checkpoint.encode(&checksum).unwrap();
        frame::put_item(&mut frame, ItemKind::Checkpoint, &checkpoint).unwrap();
        let meta = FrameMeta {
            kind: FrameKind::Events,
            count: 1,
            first_position: number,
            number,
            prev_checksum: 0,
            store_id: Uuid::nil(),
            unsynced: 0,
        };
        frame::complete(meta, 512 + bytes.len() as u64, &checksum, &mut frame).unwrap();
        bytes.append(&mut frame);
    }
    bytes
}

/// Inputs of which a target can make sense.
fn seeds(target: &str, scratch: &Path) -> Vec<Vec<u8>> {
    let checksum = Checksum::forged();
    match target {
        "frames" => vec![journal()],
        "sealed" => {
            frames(&journal(), scratch);
            vec![fs::read(scratch.join(format!("{:020}.sealed", 1))).unwrap()]
        }
        "trees" => {
            let tags = tags();
            let (_, run) = runs::encode(&events(&tags), None, &checksum, &mut Vec::new()).unwrap();
            let mut gathered = Gathered::default();
            for event in events(&tags) {
                gathered.push(event.position, event.stream, event.version);
            }
            let (_, places) = gathered.take(None, &checksum).unwrap();
            let head = Head {
                position: 3,
                frame_number: 3,
                file_first_position: 1,
                file_number: 0,
                offset: 1_024,
                prev_checksum: 0,
            };
            let head = head.encode(&checksum).unwrap();
            let with = |kind: u8, value: &[u8]| [&[kind], value].concat();
            vec![with(0, &run.value), with(1, &places), with(2, &head)]
        }
        "saved" => {
            let key = SnapshotKey::of_projection("totals", 1);
            let snapshot = saved::encode_snapshot(&key, 3, b"state", (Uuid::nil(), &checksum));
            let checkpoint = Checkpoint { name: Arc::from("mailer"), position: 3 };
            vec![snapshot.unwrap(), checkpoint.encode(&checksum).unwrap()]
        }
        "heads" => {
            let record = HeadRecord {
                state: HeadState::Running,
                turn: 2,
                end: LogEnd { position: 3, frame_number: 3, prev_checksum: 0 },
                beyond: Beyond::SameFile,
                inode: 1,
                boot_id: Uuid::nil(),
                is_sure: true,
            };
            let (mut slot, _) = record.encode(&checksum);
            slot.resize(1_024, 0);
            let superblock = Superblock { format: 1, store_id: Uuid::nil() };
            let header = frame::new_file_header((Uuid::nil(), 1), (1, 0), 4_096);
            vec![slot, superblock.encode(), header.encode(&checksum)]
        }
        _ => {
            let line = concat!(
                "{\"event_id\": 1, \"stream_id\": \"account-1\", \"event_type\": \"Opened\", ",
                "\"data\": {\"owner\": \"Ada\"}, \"timestamp\": \"2024-05-01T12:30:00.250000\", ",
                "\"metadata\": null, \"id\": \"00112233-4455-6677-8899-aabbccddeeff\"}\n",
            );
            let mode = |mode: char| format!("{mode}{line}").into_bytes();
            vec![mode('0'), mode('1'), mode('2')]
        }
    }
}

#[test]
fn targets_make_sense_of_what_they_are_about() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, target) in TARGETS {
        for (number, seed) in seeds(name, scratch.path()).iter().enumerate() {
            assert!(target(seed, scratch.path()) > 0, "seed {number} of {name}");
        }
    }
}

#[test]
fn the_corpora_of_the_fuzzer_are_replayed() {
    let scratch = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let entries = fs::read_dir(root.join(name)).expect("each target has a corpus");
        let mut inputs = 0;
        for entry in entries {
            target(&fs::read(entry.unwrap().path()).unwrap(), scratch.path());
            inputs += 1;
        }
        assert!(inputs > 0, "the corpus of {name} is empty");
    }
}
