//! What sealing refuses and what it leaves on the disk.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
};

use super::source::{Part, STORE_ID, Source, checksum, event, small};
use crate::{
    Error,
    storage::journal::{
        FileKey, Identity, SealedFiles,
        bytes::FrameBytes,
        sealed::{SealedFile, ToSeal, seal},
    },
};

fn names(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("listed");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Seals a source that cannot be sealed, and returns the error.
fn refused(source: &Source) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let error = source.seal(directory.path(), &[]).expect_err("refused");
    assert_eq!(names(directory.path()), Vec::<PathBuf>::new());
    error.to_string()
}

/// As after a file of another history of the same store was put in its place.
#[test]
fn only_the_file_that_was_noted_is_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = FileKey { first_position: 41, number: 0 };
    let mut other = Source::new(41);
    other.frame(&[Part::Events(vec![event("a", "another event")])]);
    other.marker();
    let (mut facts, path) = (Vec::new(), small().path_in(directory.path()));
    for source in [&small(), &other] {
        let _ = fs::remove_file(&path);
        facts.push(source.seal(directory.path(), &[]).expect("sealed"));
    }
    let open = |noted| {
        let directory = directory.path().to_owned();
        let identity = Identity { directory, store_id: STORE_ID, checksum: checksum() };
        SealedFiles::new(identity, vec![key], [(key, noted)].into(), 0).open(key)
    };
    let refused = open(facts[0]).expect_err("refused").to_string();
    assert!(refused.contains("it is of another history"), "{refused}");
    assert!(open(facts[1]).is_ok());
}

#[test]
fn every_flipped_bit_of_a_frame_is_refused() {
    let mut source = small();
    for at in 0..source.bytes.len() {
        let bit = 1 << (at % 8);
        source.bytes[at] ^= bit;
        let directory = tempfile::tempdir().expect("a directory");
        match source.seal(directory.path(), &[]) {
            Err(Error::Corrupted { position: Some(41..=44), .. }) => {
                assert_eq!(names(directory.path()), Vec::<PathBuf>::new());
            }
            // Nothing covers the zeros after a frame, and no event is in them.
            Ok(_) => assert_eq!(source.bytes[at], bit),
            other => panic!("byte {at}: {other:?}"),
        }
        source.bytes[at] ^= bit;
    }
}

#[test]
fn a_frame_out_of_its_place_is_refused() {
    let sound = small();
    assert!(sound.seal(tempfile::tempdir().expect("a directory").path(), &[]).is_ok());
    let mut source = small();
    source.header.first_frame += 1;
    assert!(refused(&source).contains("at position 41: a frame is out of place"));
    let mut source = small();
    source.header.prev_checksum += 1;
    assert!(refused(&source).contains("a frame is out of place"));
    let mut source = small();
    source.header.first_position += 1;
    assert!(refused(&source).contains("at position 42: a frame is out of place"));
}

#[test]
fn a_source_that_is_cut_off_or_goes_on_is_refused() {
    for len in 1..small().bytes.len() {
        let mut source = small();
        source.bytes.truncate(len);
        let directory = tempfile::tempdir().expect("a directory");
        // Frames end at multiples of 64, so a source that ends at one is complete.
        assert!(source.seal(directory.path(), &[]).is_err() || len.is_multiple_of(64), "{len}");
    }
    let mut source = small();
    source.bytes.extend_from_slice(&[0; 64]);
    assert!(refused(&source).contains("contradicts itself"));
}

#[test]
fn versions_out_of_order_are_refused() {
    let mut source = Source::new(1);
    source.frame(&[Part::Events(vec![event("s", "1")])]);
    // The second frame starts the stream again.
    let mut again = Source::new(2);
    again.next_frame = source.next_frame;
    again.prev_checksum = source.prev_checksum;
    again.frame(&[Part::Events(vec![event("s", "1")])]);
    source.bytes.extend_from_slice(&again.bytes);
    assert!(refused(&source).contains("version 11 of a stream is out of order"));
}

#[test]
fn a_failure_leaves_the_directory_and_the_source() {
    let source = small();
    let directory = tempfile::tempdir().expect("a directory");
    let to_seal =
        ToSeal { source: &source, header: source.header, number: 0, checkpoints: &[], end: None };
    let mut steps = 0;
    loop {
        let left = Cell::new(steps);
        let sealed = seal(&to_seal, directory.path(), &checksum(), &mut || {
            left.set(left.get() - 1);
            if left.get() < 0 { Err(Error::Closed) } else { Ok(()) }
        });
        match sealed {
            Err(Error::Closed) => assert_eq!(names(directory.path()), Vec::<PathBuf>::new()),
            other => {
                // It gets its name only when it is published.
                let path = source.path_in(directory.path());
                assert_eq!(names(directory.path()), [path.with_extension("tmp")]);
                other.and_then(|sealed| sealed.publish(directory.path())).expect("sealed");
                assert_eq!(names(directory.path()), [path]);
                break;
            }
        }
        steps += 1;
    }
    assert!(steps > 0);
    let missing = directory.path().join("missing");
    let error = source.seal(&missing, &[]).expect_err("no directory");
    assert!(matches!(error, Error::Io { action: "create", .. }), "{error}");
}

#[test]
fn a_name_that_is_taken_by_a_directory_leaves_nothing() {
    let source = small();
    let directory = tempfile::tempdir().expect("a directory");
    let path = source.path_in(directory.path());
    fs::create_dir(&path).expect("created");
    let error = source.seal(directory.path(), &[]).expect_err("refused");
    assert!(matches!(error, Error::Io { action: "rename to", .. }), "{error}");
    assert_eq!(names(directory.path()), [path]);
}

/// Frames that read differently the second time.
struct Changing {
    source: Source,
    reads: Cell<u32>,
}

impl FrameBytes for Changing {
    fn path(&self) -> &Path {
        self.source.path()
    }

    fn end(&self) -> u64 {
        self.source.end()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.source.read_at(offset, buffer)?;
        if self.reads.replace(1) == 1 {
            buffer[100] ^= 1;
        }
        Ok(())
    }
}

#[test]
fn what_reads_back_otherwise_is_refused() {
    let changing = Changing { source: small(), reads: Cell::new(0) };
    let header = changing.source.header;
    let to_seal = ToSeal { source: &changing, header, number: 0, checkpoints: &[], end: None };
    let directory = tempfile::tempdir().expect("a directory");
    let error = seal(&to_seal, directory.path(), &checksum(), &mut || Ok(())).expect_err("refused");
    assert!(error.to_string().contains("does not read back as it was written"), "{error}");
    assert_eq!(names(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_rest_of_an_earlier_attempt_is_replaced() {
    let source = small();
    let directory = tempfile::tempdir().expect("a directory");
    let path = source.path_in(directory.path());
    fs::write(path.with_extension("tmp"), vec![7; 100_000]).expect("written");
    source.sealed(directory.path());
    assert_eq!(names(directory.path()), [path]);
}

#[test]
fn names_are_parsed_as_they_are_made() {
    let directory = Path::new("journal");
    for (first_position, number) in [(1, 0), (u64::MAX, 0), (17, 3)] {
        let key = FileKey { first_position, number };
        assert_eq!(FileKey::of_sealed(&key.sealed_path(directory)), Some(key));
    }
    let key = FileKey { first_position: 17, number: 3 };
    assert_eq!(key.sealed_path(directory), directory.join("00000000000000000017-3.sealed"));
    for name in ["17.sealed", "00000000000000000017-0.sealed", "00000000000000000017.journal"] {
        assert_eq!(FileKey::of_sealed(&directory.join(name)), None, "{name}");
    }
}

#[test]
fn a_file_under_a_wrong_name_or_of_another_store_is_refused() {
    let source = small();
    let directory = tempfile::tempdir().expect("a directory");
    source.seal(directory.path(), &[]).expect("sealed");
    let path = source.path_in(directory.path());
    let other = FileKey { first_position: 42, number: 0 }.sealed_path(directory.path());
    fs::copy(&path, &other).expect("copied");
    let error = SealedFile::open(&other, STORE_ID, &checksum()).expect_err("refused");
    assert!(matches!(error, Error::Corrupted { position: Some(42), .. }), "{error}");
    let foreign = uuid::Uuid::from_u128(1);
    let foreign_sum = crate::codec::checksum::Checksum::of_store(foreign);
    assert!(SealedFile::open(&path, foreign, &foreign_sum).is_err());
    let mut bytes = fs::read(&path).expect("read");
    let later = crate::codec::sealed::SealedHeader { format: 99, ..source.header };
    bytes[..64].copy_from_slice(&later.encode(&checksum()));
    fs::write(&path, &bytes).expect("written");
    let error = SealedFile::open(&path, STORE_ID, &checksum()).expect_err("refused");
    assert!(matches!(error, Error::UnsupportedFormat { found: 99, .. }), "{error}");
}
