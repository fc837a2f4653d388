//! A sealed file returns what was sealed, whatever the shape of the frames.

use std::{collections::BTreeMap, ops::RangeInclusive};

use uuid::Uuid;

use super::source::{Given, Numbers, Part, STORE_ID, Source, checksum, event, small};
use crate::{
    codec::{
        frame::{self, FIRST_FRAME_OFFSET},
        page::Page,
        saved::Checkpoint,
        sealed::SealedFacts,
    },
    storage::{
        Direction,
        journal::{Checked, bytes::FrameBytes, sealed::SealedFile},
    },
};

/// Checks every answer of a sealed file against its source.
fn check(source: &Source) -> SealedFile {
    let directory = tempfile::tempdir().expect("a directory");
    let file = source.sealed(directory.path());
    check_facts(source, file.facts());
    check_events(source, &file);
    check_streams(source, &file);
    check_ids(source, &file);
    check_tags(source, &file);
    check_bytes(source, &file);
    let mut damages = 0;
    let verified = file.verify(&mut |part| {
        damages += u32::from(matches!(part, Checked::Damage { .. }));
        Ok(())
    });
    verified.expect("verified");
    assert_eq!(damages, 0);
    file
}

fn check_facts(source: &Source, facts: &SealedFacts) {
    assert_eq!(facts.first_position, source.header.first_position);
    assert_eq!(facts.last_position + 1, source.next_position);
    assert_eq!((facts.first_frame, facts.last_frame + 1), (7, source.next_frame));
    assert_eq!(facts.prev_checksum, source.header.prev_checksum);
    assert_eq!(facts.last_checksum, source.prev_checksum);
    assert_eq!(facts.end, source.end());
    let mut bytes = Vec::new();
    facts.encode(&mut bytes).expect("encoded");
    assert_eq!(SealedFacts::decode(&bytes).as_ref(), Ok(facts));
}

fn check_events(source: &Source, file: &SealedFile) {
    let (mut page, mut position) = (Page::default(), source.header.first_position);
    let mut starts = Vec::new();
    while let Some(found) = file.page(position, page).expect("a page") {
        assert_eq!(found.first_position(), position);
        starts.push(position);
        for index in 0..found.len() {
            let stored = found.all_to_encode().nth(index).expect("an event");
            let at = usize::try_from(stored.position - source.header.first_position);
            let (given, version) = &source.events[at.expect("small")];
            assert_eq!((stored.stream, stored.version), (given.stream.as_str(), *version));
            assert_eq!((stored.data, stored.id), (given.data.as_slice(), given.id));
            assert_eq!(stored.timestamp.micros(), given.micros);
        }
        position = found.last_position() + 1;
        page = found;
    }
    assert_eq!(position, source.next_position);
    assert_eq!(file.pages().collect::<Vec<_>>(), starts);
    let times = file.times().expect("times");
    assert_eq!(times.iter().map(|times| times.first_position).collect::<Vec<_>>(), starts);
    for (index, of_block) in times.iter().enumerate() {
        let next = starts.get(index + 1).copied().unwrap_or(source.next_position);
        let first = source.header.first_position;
        let index_of = |position: u64| usize::try_from(position - first).expect("small");
        let events = &source.events[index_of(of_block.first_position)..index_of(next)];
        let micros = || events.iter().map(|(given, _)| given.micros);
        assert_eq!(Some(of_block.smallest), micros().min());
        assert_eq!(Some(of_block.largest), micros().max());
    }
}

/// Events with an id have tags.
fn check_tags(source: &Source, file: &SealedFile) {
    let all = source.events.iter().zip(source.header.first_position..);
    let expected: Vec<u64> =
        all.filter(|((given, _), _)| given.id.is_some()).map(|(_, position)| position).collect();
    let ask = |tag: &str, range: RangeInclusive<u64>, direction, limit| {
        let mut found = Vec::new();
        file.tagged(tag, &range, direction, limit, &mut found).expect("a table");
        found
    };
    assert_eq!(ask("\u{fc}", 0..=u64::MAX, Direction::Forward, usize::MAX), expected);
    assert_eq!(ask("billing", 0..=u64::MAX, Direction::Forward, usize::MAX), expected);
    let mut backward = expected.clone();
    backward.reverse();
    assert_eq!(ask("billing", 0..=u64::MAX, Direction::Backward, usize::MAX), backward);
    assert_eq!(ask("bill", 0..=u64::MAX, Direction::Forward, usize::MAX), [0; 0]);
    if let Some(&middle) = expected.get(expected.len() / 2) {
        let below: Vec<u64> = expected.iter().copied().filter(|at| *at <= middle).collect();
        assert_eq!(ask("billing", 0..=middle, Direction::Forward, usize::MAX), below);
        assert!(ask("billing", middle..=middle, Direction::Backward, 1).contains(&middle));
    }
}

fn check_streams(source: &Source, file: &SealedFile) {
    let starts: Vec<u64> = file.pages().collect();
    let mut expected: BTreeMap<&str, (u64, u64, Vec<u64>)> = BTreeMap::new();
    for ((given, version), position) in source.events.iter().zip(source.header.first_position..) {
        let block = starts[starts.partition_point(|&start| start <= position) - 1];
        let entry = expected.entry(given.stream.as_str()).or_insert((*version, 0, Vec::new()));
        entry.1 += 1;
        if entry.2.last() != Some(&block) {
            entry.2.push(block);
        }
    }
    for (id, (first_version, count, blocks)) in &expected {
        let found = file.stream(id).expect("read").expect("a stream");
        assert_eq!((found.id.as_str(), found.first_version), (*id, *first_version));
        assert_eq!((found.count, &found.blocks), (*count, blocks));
        for absent in [format!("{id}\u{1}"), id[1..].to_owned() + "~"] {
            assert!(
                expected.contains_key(absent.as_str())
                    || file.stream(&absent).expect("read").is_none()
            );
        }
    }
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let some = file.streams(after.as_deref(), 7).expect("read");
        let Some(last) = some.last() else { break };
        after = Some(last.id.clone());
        all.extend(some.into_iter().map(|stream| stream.id));
    }
    assert!(all.iter().eq(expected.keys()));
}

fn check_ids(source: &Source, file: &SealedFile) {
    for ((given, _), position) in source.events.iter().zip(source.header.first_position..) {
        let Some(id) = given.id else { continue };
        assert_eq!(file.position_of(id).expect("read"), Some(position));
        let absent = Uuid::from_u128(id.as_u128() ^ 1);
        assert_eq!(file.position_of(absent).expect("read"), None);
    }
    for absent in [Uuid::nil(), Uuid::max()] {
        assert_eq!(file.position_of(absent).expect("read"), None);
    }
}

fn check_bytes(source: &Source, file: &SealedFile) {
    let len = source.bytes.len();
    let read = |start: usize, len: usize| {
        let mut bytes = vec![0; len];
        let read = file.read_at(FIRST_FRAME_OFFSET + start as u64, &mut bytes);
        read.map(|()| bytes)
    };
    assert_eq!(file.end(), source.end());
    assert!(read(0, len).expect("read") == source.bytes);
    assert!(read(0, len + 1).is_err());
    assert!(read(len, 1).is_err());
    let mut numbers = Numbers(88_172_645_463_325_252);
    for _ in 0..200 {
        let start = usize::try_from(numbers.below(len as u64 + 1)).expect("small");
        let most = (len - start).min(200_000) as u64;
        let part = usize::try_from(numbers.below(most + 1)).expect("small");
        assert!(read(start, part).expect("read") == source.bytes[start..start + part]);
    }
}

#[test]
fn a_small_file() {
    let source = small();
    let file = check(&source);
    assert_eq!(file.pages().collect::<Vec<_>>(), [41]);
    let saved = file.checkpoints().expect("read");
    let pairs: Vec<_> = saved.iter().map(|saved| (&*saved.name, saved.position)).collect();
    assert_eq!(pairs, [("mail", 42), ("sms", 43)]);
    assert_eq!(file.position_of(Uuid::from_u128(9)).expect("read"), Some(42));
}

#[test]
fn checkpoints_go_on_from_those_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = small();
    let before = [("mail", 3), ("log", 4)];
    let before = before.map(|(name, position)| Checkpoint { name: name.into(), position });
    source.seal(directory.path(), &before).expect("sealed");
    let file = SealedFile::open(&source.path_in(directory.path()), STORE_ID, &checksum());
    let saved = file.expect("opened").checkpoints().expect("read");
    let pairs: Vec<_> = saved.iter().map(|saved| (&*saved.name, saved.position)).collect();
    assert_eq!(pairs, [("log", 4), ("mail", 42), ("sms", 43)]);
}

#[test]
fn a_file_without_frames() {
    let file = check(&Source::new(1));
    assert_eq!((file.facts().last_position, file.facts().last_frame), (0, 6));
    let mut marker = Source::new(5);
    marker.marker();
    check(&marker);
}

#[test]
fn frames_of_checkpoints_alone() {
    let mut source = Source::new(9);
    for _ in 0..3_000 {
        source.frame(&[Part::Checkpoint("one", 8), Part::Checkpoint("two", 8)]);
    }
    let file = check(&source);
    assert_eq!(file.pages().count(), 0);
    assert!(file.page(8, Page::default()).expect("read").is_none());
    source.frame(&[Part::Events(vec![event("s", "{}")])]);
    source.frame(&[Part::Checkpoint("one", 9)]);
    check(&source);
}

#[test]
fn one_huge_event_among_small_ones() {
    let mut source = Source::new(1);
    let huge = Given { data: Numbers(3).bytes(20 << 20), ..event("huge", "") };
    source.frame(&[Part::Events(vec![event("small", "1")])]);
    source.frame(&[
        Part::Events(vec![event("small", "2")]),
        Part::Events(vec![huge]),
        Part::Events(vec![event("small", "3")]),
    ]);
    source.frame(&[Part::Events(vec![event("small", "4")])]);
    let file = check(&source);
    assert_eq!(file.pages().collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn an_item_past_the_limit_is_refused() {
    let mut source = Source::new(1);
    let huge = Given { data: vec![0; 32 << 20], ..event("huge", "") };
    source.frame(&[Part::Events(vec![huge])]);
    let directory = tempfile::tempdir().expect("a directory");
    let error = source.seal(directory.path(), &[]).expect_err("refused");
    assert!(error.to_string().contains("at position 1: an item of a frame is past"), "{error}");
}

#[test]
fn tiny_frames_in_many_blocks() {
    let mut source = Source::new(1_000_000);
    for index in 0..5_000 {
        source.frame(&[Part::Events(vec![event(&format!("s{}", index % 3), "1")])]);
    }
    source.marker();
    let file = check(&source);
    assert!(file.pages().count() > 5);
}

#[test]
fn frames_across_blocks_with_ids_and_300_streams() {
    let mut numbers = Numbers(4_101_842_887_655_102_017);
    let mut source = Source::new(1);
    for round in 0_i64..6 {
        let parts: Vec<Part> = (0..30)
            .map(|_| {
                let count = numbers.below(200) + 1;
                let given = |_| {
                    let len = usize::try_from(numbers.below(300)).expect("small");
                    Given {
                        stream: format!("stream-{}", numbers.below(300)),
                        id: (numbers.below(2) == 0)
                            .then(|| Uuid::from_u64_pair(numbers.below(u64::MAX), 2)),
                        micros: round * 1_000 - 2_000,
                        data: numbers.bytes(len),
                    }
                };
                Part::Events((0..count).map(given).collect())
            })
            .collect();
        source.frame(&parts);
        source.frame(&[Part::Checkpoint("c", 1)]);
    }
    source.marker();
    let file = check(&source);
    assert!(file.pages().count() > 30);
}

#[test]
fn frames_of_every_length_around_a_block() {
    for len in (64 * 1024 - 360..64 * 1024 - 60).step_by(3) {
        let mut source = Source::new(1);
        let data = vec![b'x'; len];
        source.frame(&[Part::Events(vec![Given { data, ..event("s", "") }])]);
        source.frame(&[Part::Events(vec![event("s", "1")]), Part::Events(vec![event("s", "2")])]);
        let directory = tempfile::tempdir().expect("a directory");
        let file = source.sealed(directory.path());
        let page = file.page(3, Page::default()).expect("read").expect("a page");
        assert_eq!(page.last_position(), 3);
    }
}

#[test]
fn a_frame_can_be_handed_out_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = small().sealed(directory.path());
    let mut bytes = [0; 64];
    file.read_at(FIRST_FRAME_OFFSET, &mut bytes).expect("read");
    let header = frame::FrameHeader::decode(&bytes, &checksum()).expect("a header");
    let mut payload = vec![0; header.payload_len as usize];
    file.read_at(FIRST_FRAME_OFFSET + 64, &mut payload).expect("read");
    assert_eq!(checksum().of(&payload), header.payload_checksum);
    assert_eq!(frame::items(&payload).map(|items| items.len()), Ok(1));
}
