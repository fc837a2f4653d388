//! Journal files in memory, to be sealed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{self, FIRST_FRAME_OFFSET, FrameKind, FrameMeta, ItemKind},
        record::{self, EventToEncode},
        saved::Checkpoint,
        sealed::{SealedFacts, SealedHeader, new_sealed_header},
    },
    event::{TagList, Timestamp},
    storage::journal::FileKey,
    storage::journal::{
        bytes::FrameBytes,
        sealed::{SealedFile, ToSeal, seal},
    },
};

pub(super) const STORE_ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
const PREV_CHECKSUM: u32 = 0x0102_0304;

pub(super) fn checksum() -> Checksum {
    Checksum::of_store(STORE_ID)
}

/// An event as a test specifies it.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) stream: String,
    pub(super) data: Vec<u8>,
    pub(super) id: Option<Uuid>,
    pub(super) micros: i64,
}

pub(super) fn event(stream: &str, data: &str) -> Given {
    Given { stream: stream.to_owned(), data: data.as_bytes().to_vec(), id: None, micros: 5 }
}

/// An item of a frame.
pub(super) enum Part {
    Events(Vec<Given>),
    Checkpoint(&'static str, u64),
}

/// The frames of a journal file.
pub(super) struct Source {
    path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) header: SealedHeader,
    pub(super) next_position: u64,
    pub(super) next_frame: u64,
    pub(super) prev_checksum: u32,
    /// The given events in position order, with the version of each.
    pub(super) events: Vec<(Given, u64)>,
    versions: HashMap<String, u64>,
}

impl Source {
    pub(super) fn new(first_position: u64) -> Source {
        let header = new_sealed_header((STORE_ID, first_position), (7, PREV_CHECKSUM), false);
        Source {
            path: PathBuf::from("source"),
            bytes: Vec::new(),
            header,
            next_position: first_position,
            next_frame: header.first_frame,
            prev_checksum: PREV_CHECKSUM,
            events: Vec::new(),
            versions: HashMap::new(),
        }
    }

    fn meta(&self, kind: FrameKind, count: u32) -> FrameMeta {
        FrameMeta {
            kind,
            count,
            first_position: self.next_position,
            number: self.next_frame,
            prev_checksum: self.prev_checksum,
            store_id: STORE_ID,
            unsynced: 1,
        }
    }

    /// Appends a frame.
    pub(super) fn frame(&mut self, parts: &[Part]) {
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        let first = self.next_position;
        for part in parts {
            match part {
                Part::Events(events) => {
                    let content = self.record(events, self.next_position);
                    frame::put_item(&mut bytes, ItemKind::Record, &content).expect("an item");
                    self.next_position += events.len() as u64;
                }
                Part::Checkpoint(name, position) => {
                    let saved = Checkpoint { name: (*name).into(), position: *position };
                    let content = saved.encode(&checksum()).expect("a checkpoint");
                    frame::put_item(&mut bytes, ItemKind::Checkpoint, &content).expect("an item");
                }
            }
        }
        let next = std::mem::replace(&mut self.next_position, first);
        let count = u32::try_from(next - first).expect("few events");
        let kind = if count > 0 { FrameKind::Events } else { FrameKind::Checkpoints };
        let offset = FIRST_FRAME_OFFSET + self.bytes.len() as u64;
        let completed = frame::complete(self.meta(kind, count), offset, &checksum(), &mut bytes);
        self.prev_checksum = completed.expect("a frame");
        self.bytes.extend_from_slice(&bytes);
        self.next_frame += 1;
        self.next_position = next;
    }

    /// Appends the marker that ends a file.
    pub(super) fn marker(&mut self) {
        let marker = frame::encode_marker(self.meta(FrameKind::Continued, 0), &checksum());
        self.bytes.extend_from_slice(&marker);
    }

    fn record(&mut self, events: &[Given], first: u64) -> Vec<u8> {
        let versions: Vec<u64> = events
            .iter()
            .map(|given| {
                // A stream does not start in this file.
                let version = self.versions.entry(given.stream.clone()).or_insert(10);
                *version += 1;
                *version
            })
            .collect();
        // Events with an id have tags.
        let tags = ["billing".to_owned(), "\u{fc}".to_owned()];
        let encodable = |((given, version), position)| -> EventToEncode<'_> {
            let given: &Given = given;
            EventToEncode {
                position,
                stream: &given.stream,
                version,
                event_type: "Type",
                timestamp: Timestamp::utc_clamped(given.micros),
                id: given.id,
                is_binary: false,
                data: &given.data,
                metadata: None,
                tags: TagList::Given(if given.id.is_some() { &tags } else { &[] }),
            }
        };
        let events_with_versions = events.iter().zip(versions.iter().copied());
        let all: Vec<_> = events_with_versions.clone().zip(first..).map(encodable).collect();
        let mut content = Vec::new();
        record::encode(&all, &mut content);
        let taken: Vec<_> = events_with_versions.map(|(given, at)| (given.clone(), at)).collect();
        self.events.extend(taken);
        content
    }

    pub(super) fn seal(
        &self,
        directory: &Path,
        checkpoints: &[Checkpoint],
    ) -> Result<SealedFacts, Error> {
        let to_seal =
            ToSeal { source: self, header: self.header, number: 0, checkpoints, end: None };
        let sealed = seal(&to_seal, directory, &checksum(), &mut || Ok(()))?;
        sealed.publish(directory)
    }

    pub(super) fn path_in(&self, directory: &Path) -> PathBuf {
        FileKey { first_position: self.header.first_position, number: 0 }.sealed_path(directory)
    }

    /// Seals the frames and opens the file.
    pub(super) fn sealed(&self, directory: &Path) -> SealedFile {
        let facts = self.seal(directory, &[]).expect("sealed");
        let file = SealedFile::open(&self.path_in(directory), STORE_ID, &checksum());
        let file = file.expect("opened");
        assert_eq!(*file.facts(), facts);
        file
    }
}

impl FrameBytes for Source {
    fn path(&self) -> &Path {
        &self.path
    }

    fn end(&self) -> u64 {
        FIRST_FRAME_OFFSET + self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let start = usize::try_from(offset - FIRST_FRAME_OFFSET).expect("small");
        let found = self.bytes.get(start..start + buffer.len());
        let found = found.ok_or_else(|| Error::corrupted("source", None, "past its end"))?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}

/// Numbers that look random.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Incompressible bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            self.below(1);
            let byte = |number: u32| u8::try_from((self.0 >> (8 * number)) & 0xff).unwrap_or(0);
            bytes.extend((0..8).map(byte));
        }
        bytes.truncate(len);
        bytes
    }
}

/// A small file with everything that a file can hold.
pub(super) fn small() -> Source {
    let mut source = Source::new(41);
    let with_id = Given { id: Some(Uuid::from_u128(9)), micros: -3, ..event("b", "{\"x\":1}") };
    source.frame(&[Part::Events(vec![event("a", "1"), with_id])]);
    source.frame(&[Part::Checkpoint("mail", 42)]);
    source.frame(&[Part::Events(vec![event("b", "[]")]), Part::Checkpoint("sms", 43)]);
    source.marker();
    source
}
