//! Damage to a sealed file must lead to an error, or to the same answers as before.

use std::{fs, ops::RangeInclusive, path::Path};

use uuid::Uuid;

use super::source::{Given, Numbers, Part, STORE_ID, Source, checksum, event, small};
use crate::{
    Error,
    codec::{
        page::Page,
        sealed::{self, FOOTER_BYTES, Footer, Place, blocks, table},
    },
    storage::{
        Direction,
        journal::{Checked, bytes::FrameBytes, sealed::SealedFile},
    },
};

/// All the answers of a file, as text.
fn answers(path: &Path) -> Result<Vec<String>, Error> {
    let file = SealedFile::open(path, STORE_ID, &checksum())?;
    let mut all = vec![format!("{:?}", file.facts())];
    for position in file.facts().first_position..=file.facts().last_position {
        let page = file.page(position, Page::default())?.map(|page| page.event_at(position));
        all.push(format!("{page:?}"));
    }
    all.push(format!("{:?}", file.streams(None, 10)?));
    all.push(format!("{:?} {:?}", file.stream("b")?, file.stream("x")?));
    for id in [9, 8] {
        all.push(format!("{:?}", file.position_of(Uuid::from_u128(id))?));
    }
    all.push(format!("{:?} {:?}", file.checkpoints()?, file.times()?));
    let mut tagged = Vec::new();
    file.tagged("billing", &(0..=u64::MAX), Direction::Forward, 10, &mut tagged)?;
    file.tagged("other", &(0..=u64::MAX), Direction::Forward, 10, &mut tagged)?;
    all.push(format!("{tagged:?}"));
    let mut bytes = vec![0; usize::try_from(file.end()).unwrap_or(0) - 512];
    file.read_at(512, &mut bytes)?;
    all.push(format!("{bytes:?}"));
    Ok(all)
}

#[test]
fn every_flipped_byte_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = small();
    source.seal(directory.path(), &[]).expect("sealed");
    let path = source.path_in(directory.path());
    let sound = fs::read(&path).expect("read");
    let expected = answers(&path).expect("sound");
    assert_eq!(expected.len(), 11);
    for at in 0..sound.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = sound.clone();
            bytes[at] ^= flip;
            fs::write(&path, &bytes).expect("written");
            let error = answers(&path).expect_err("no byte is without meaning");
            assert!(matches!(error, Error::Corrupted { position: Some(41), .. }), "{at}: {error}");
        }
    }
}

#[test]
fn every_truncation_and_what_follows_the_end_are_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = small();
    source.seal(directory.path(), &[]).expect("sealed");
    let path = source.path_in(directory.path());
    let sound = fs::read(&path).expect("read");
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        SealedFile::open(&path, STORE_ID, &checksum())
    };
    for len in 0..sound.len() {
        let error = open(&sound[..len]).expect_err("cut off");
        assert!(matches!(error, Error::Corrupted { position: Some(41), .. }), "{len}: {error}");
    }
    assert!(open(&[sound.as_slice(), &[0]].concat()).is_err());
    assert!(open(&sound).is_ok());
}

/// A file with several incompressible blocks.
fn several_blocks() -> Source {
    let mut source = Source::new(1);
    let mut numbers = Numbers(99);
    for _ in 0..10 {
        let given = |_| Given { data: numbers.bytes(3_000), ..event("s", "") };
        let events = (0..10).map(given).collect();
        source.frame(&[Part::Events(events)]);
    }
    source
}

/// The positions of each damaged part that a check reports, where they are known.
fn damaged(file: &SealedFile) -> Vec<Option<RangeInclusive<u64>>> {
    let mut found = Vec::new();
    let verified = file.verify(&mut |part| {
        if let Checked::Damage { positions, .. } = part {
            found.push(positions);
        }
        Ok(())
    });
    verified.expect("verified");
    found
}

#[test]
fn verify_reports_each_damaged_block() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = several_blocks();
    let starts: Vec<u64> = source.sealed(directory.path()).pages().collect();
    assert!(starts.len() > 3);
    let path = source.path_in(directory.path());
    let mut bytes = fs::read(&path).expect("read");
    let second = 64 + 64 * 1024;
    bytes[second] ^= 1;
    bytes[64] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let file = SealedFile::open(&path, STORE_ID, &checksum()).expect("opened");
    let expected = [starts[0]..=starts[1] - 1, starts[1]..=starts[2] - 1];
    assert_eq!(damaged(&file), expected.map(Some));
    // Everything else is served.
    assert!(file.page(starts[1], Page::default()).is_err());
    assert!(file.page(starts[2], Page::default()).is_ok());
    assert!(file.stream("s").is_ok());
    let stopped = file.verify(&mut |part| match part {
        Checked::Damage { error, .. } => Err(error),
        Checked::Events(_) => Ok(()),
    });
    assert!(matches!(stopped, Err(Error::Corrupted { position: Some(1), .. })));
}

#[test]
fn verify_reports_each_damaged_part_of_the_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = small();
    let file = source.sealed(directory.path());
    let path = source.path_in(directory.path());
    let sound = fs::read(&path).expect("read");
    let blocks_end = file.blocks.last().map_or(0, |block| block.place.end());
    let index_of_blocks = file.section("blocks").expect("a section");
    for at in blocks_end..file.parts_end {
        if (index_of_blocks.offset..index_of_blocks.end()).contains(&at) {
            continue;
        }
        let mut bytes = sound.clone();
        bytes[usize::try_from(at).expect("small")] ^= 4;
        fs::write(&path, &bytes).expect("written");
        let file = SealedFile::open(&path, STORE_ID, &checksum()).expect("opened");
        assert_eq!(damaged(&file), [None], "{at}");
    }
}

#[test]
fn blocks_that_changed_places_are_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = several_blocks();
    source.seal(directory.path(), &[]).expect("sealed");
    let path = source.path_in(directory.path());
    let mut bytes = fs::read(&path).expect("read");
    let (one, rest) = bytes[64..].split_at_mut(60_000);
    one[..50_000].swap_with_slice(&mut rest[..50_000]);
    fs::write(&path, &bytes).expect("written");
    let file = SealedFile::open(&path, STORE_ID, &checksum()).expect("opened");
    let error = file.page(1, Page::default()).expect_err("damaged");
    assert!(matches!(error, Error::Corrupted { position: Some(1), .. }), "{error}");
}

/// A file with its directory replaced by `directory`, with valid checksums.
fn with_directory(sound: &[u8], directory: &[u8]) -> Vec<u8> {
    let footer = &sound[sound.len() - FOOTER_BYTES..];
    let mut footer = Footer::decode(footer, sound.len() as u64, &checksum()).expect("a footer");
    let offset = usize::try_from(footer.directory_offset).expect("small");
    footer.directory_len = u32::try_from(directory.len()).expect("small");
    footer.directory_checksum = checksum().of(directory);
    let mut bytes = [&sound[..offset], directory].concat();
    bytes.extend_from_slice(&footer.encode(&checksum()).0);
    bytes
}

#[test]
fn false_lengths_with_fitting_checksums_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = small();
    source.seal(directory.path(), &[]).expect("sealed");
    let path = source.path_in(directory.path());
    let sound = fs::read(&path).expect("read");
    let (raw_codec, lz4) = (sealed::Codec::Raw, sealed::Codec::Lz4);
    for (offset, stored, raw, codec) in [
        (64, u32::MAX, u32::MAX, raw_codec),
        (64, 100, u32::MAX, lz4),
        (64, 100, 30 << 20, lz4),
        (64, 33 << 20, 33 << 20, raw_codec),
        (64, 1 << 20, 1 << 20, raw_codec),
        (64, 200, 100, lz4),
        (u64::MAX, 1, 1, raw_codec),
    ] {
        let mut entries = Vec::new();
        let place = Place { offset, stored, raw, codec, checksum: 0 };
        sealed::put_section(&mut entries, "blocks", &place);
        fs::write(&path, with_directory(&sound, &entries)).expect("written");
        let error = SealedFile::open(&path, STORE_ID, &checksum()).expect_err("refused");
        assert!(error.to_string().contains("its directory is malformed"), "{error}");
    }
}

#[test]
fn lengths_are_bounded_whatever_the_length_of_the_file() {
    let codec = sealed::Codec::Lz4;
    let place = Place { offset: 64, stored: 1 << 20, raw: 32 << 20, codec, checksum: 0 };
    let read = |place: &Place| {
        let mut entries = Vec::new();
        sealed::put_section(&mut entries, "blocks", place);
        sealed::sections(&entries, u64::MAX)
    };
    assert!(read(&place).is_ok());
    assert!(read(&Place { raw: place.raw + 1, ..place }).is_err());
}

#[test]
fn a_header_of_another_file_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = small();
    source.seal(directory.path(), &[]).expect("sealed");
    let path = source.path_in(directory.path());
    let mut bytes = fs::read(&path).expect("read");
    let other = sealed::SealedHeader { format: 0, ..source.header };
    bytes[..64].copy_from_slice(&other.encode(&checksum()));
    fs::write(&path, &bytes).expect("written");
    let error = SealedFile::open(&path, STORE_ID, &checksum()).expect_err("refused");
    assert!(error.to_string().contains("its footer is that of another file"), "{error}");
}

#[test]
fn unknown_sections_are_skipped() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = small();
    source.seal(directory.path(), &[]).expect("sealed");
    let path = source.path_in(directory.path());
    let sound = fs::read(&path).expect("read");
    let file = SealedFile::open(&path, STORE_ID, &checksum()).expect("opened");
    let mut entries = Vec::new();
    let place = Place { offset: 64, stored: 5, raw: 5, codec: sealed::Codec::Raw, checksum: 0 };
    sealed::put_section(&mut entries, "of a later version", &place);
    for (name, place) in &file.sections {
        sealed::put_section(&mut entries, name, place);
    }
    let expected = answers(&path).expect("sound");
    fs::write(&path, with_directory(&sound, &entries)).expect("written");
    let found = answers(&path).expect("opened");
    // The checksum and the length of the file differ.
    assert_eq!(found[1..], expected[1..]);
}

#[test]
fn decoders_take_any_bytes() {
    let facts = {
        let directory = tempfile::tempdir().expect("a directory");
        *small().sealed(directory.path()).facts()
    };
    let mut numbers = Numbers(77);
    for _ in 0..20_000 {
        let len = usize::try_from(numbers.below(80)).expect("small");
        let bytes = numbers.bytes(len);
        let _ = blocks::decode(&bytes, &facts, 1 << 20);
        let _ = blocks::decode_times(&bytes, &[]);
        let _ = sealed::sections(&bytes, 1 << 20);
        let _ = table::decode(&bytes, 1 << 20);
        table::streams(&bytes).flatten().for_each(|stream| drop(stream.blocks()));
        let _ = table::checkpoints(&bytes).count();
        let _ = table::find_id(&bytes, &[0; 16]);
        let lead = u32::try_from(numbers.below(100)).expect("small");
        let place = Place { offset: 0, stored: 1, raw: 1, codec: sealed::Codec::Raw, checksum: 0 };
        let block = blocks::Block { place, start: 512, first_position: 1, count: 1, lead };
        let _ = sealed::parts::records(&block, &bytes, &mut Vec::new());
        let framed = [b"ANFR".as_slice(), &bytes].concat();
        let block = blocks::Block { lead: 0, ..block };
        let _ = sealed::parts::records(&block, &framed, &mut Vec::new());
    }
}
