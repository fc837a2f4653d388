//! Gathers the index of a sealed file while its frames are read.
//!
//! The memory that this takes is about 100 bytes and the id for each stream, a few bytes for each
//! block of a stream, and 20 bytes for each event id.

use std::{collections::BTreeMap, sync::Arc};

use foldhash::HashMap;

use crate::{
    codec::{
        Reason,
        checksum::Checksum,
        record::{self, Tables},
        saved::Checkpoint,
        sealed::{
            blocks,
            parts::ITEM_LENGTH_BYTES,
            table::{self, StreamInFile},
        },
    },
    event::{EventFields, Span},
};

const RECORD: u8 = 1;
const CHECKPOINT: u8 = 3;

/// The index of the frames read so far.
#[derive(Debug)]
pub(super) struct Gathered {
    first_position: u64,
    next_position: u64,
    streams: HashMap<Box<str>, Stream>,
    ids: Vec<([u8; 16], u32)>,
    tags: HashMap<Box<str>, Stream>,
    checkpoints: BTreeMap<Arc<str>, u64>,
    times: Vec<u8>,
    /// The smallest and the largest time of the block.
    of_block: Option<(i64, i64)>,
    tables: Tables,
    events: Vec<EventFields>,
}

#[derive(Debug)]
struct Stream {
    first_version: u64,
    count: u64,
    /// The numbers of its blocks in the encoding of the table.
    blocks: Vec<u8>,
    last_block: u32,
}

impl Gathered {
    /// `checkpoints` are those as of the start of the file.
    pub(super) fn new(first_position: u64, checkpoints: &[Checkpoint]) -> Gathered {
        let pairs = checkpoints.iter().map(|saved| (Arc::clone(&saved.name), saved.position));
        Gathered {
            first_position,
            next_position: first_position,
            streams: HashMap::default(),
            ids: Vec::new(),
            tags: HashMap::default(),
            checkpoints: pairs.collect(),
            times: Vec::new(),
            of_block: None,
            tables: Tables::default(),
            events: Vec::new(),
        }
    }

    /// The position of the next event.
    pub(super) fn next_position(&self) -> u64 {
        self.next_position
    }

    /// Adds the item that starts at `at` and extends to the end of the bytes, as a part of this
    /// block.
    pub(super) fn take_item(
        &mut self,
        bytes: &[u8],
        at: usize,
        block: u32,
        checksum: &Checksum,
    ) -> Result<(), Reason> {
        let content = at + ITEM_LENGTH_BYTES;
        match bytes.get(content) {
            Some(&RECORD) => self.take_record(bytes, content + 1, block),
            Some(&CHECKPOINT) => {
                let content = bytes.get(content + 1..).unwrap_or_default();
                let Checkpoint { name, position } = Checkpoint::decode(content, checksum)?;
                self.checkpoints.insert(name, position);
                Ok(())
            }
            _ => Err("a frame has an item of an unknown kind".to_owned()),
        }
    }

    fn take_record(&mut self, bytes: &[u8], start: usize, block: u32) -> Result<(), Reason> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        record::decode(bytes, start..bytes.len(), &mut self.tables, &mut events)?;
        let mut last = (Span::NONE, 0);
        for event in &events {
            if event.position != self.next_position {
                let expected = self.next_position;
                return Err(format!("{} is where {expected} is expected", event.position));
            }
            let ahead = u32::try_from(event.position - self.first_position);
            self.next_position += 1;
            self.take_time(event.timestamp.micros());
            if let Some(id) = event.id.some().and_then(|id| id.of(bytes).try_into().ok()) {
                let ahead = ahead.map_err(|_| "it has too many events".to_owned())?;
                self.ids.push((id, ahead));
            }
            for tag in event.tag_list(bytes).iter() {
                self.take_tag(tag, event.position, block);
            }
            // Neighbours are often of one stream: count them together.
            last = match last {
                (stream, count) if stream == event.stream => (stream, count + 1),
                _ => {
                    self.take_events(bytes, last, &events, event.position, block)?;
                    (event.stream, 1)
                }
            };
        }
        self.take_events(bytes, last, &events, self.next_position, block)?;
        self.events = events;
        Ok(())
    }

    /// Adds `count` events of one stream, which end before the position `end`.
    fn take_events(
        &mut self,
        bytes: &[u8],
        (span, count): (Span, u64),
        events: &[EventFields],
        end: u64,
        block: u32,
    ) -> Result<(), Reason> {
        let first = events.first().map_or(0, |event| event.position);
        let index = usize::try_from(end.saturating_sub(first + count)).unwrap_or(usize::MAX);
        let Some(version) = events.get(index).filter(|_| count > 0).map(|event| event.version)
        else {
            return Ok(());
        };
        let id = str::from_utf8(span.of(bytes)).unwrap_or_default();
        match self.streams.get_mut(id) {
            Some(stream) => stream.add((version, count), block),
            None => {
                self.streams.insert(id.into(), Stream::new((version, count), block));
                Ok(())
            }
        }
    }

    /// Adds the tag of an event. An entry of the table of tags is like one of the table of streams,
    /// but with the position of its first event instead of a version.
    fn take_tag(&mut self, tag: &str, position: u64, block: u32) {
        if let Some(known) = self.tags.get_mut(tag) {
            known.count += 1;
            known.enter(block);
            return;
        }
        self.tags.insert(tag.into(), Stream::new((position, 1), block));
    }

    fn take_time(&mut self, micros: i64) {
        let (smallest, largest) = self.of_block.unwrap_or((micros, micros));
        self.of_block = Some((smallest.min(micros), largest.max(micros)));
    }

    /// Refuses a frame whose number of events differs from the one in its header.
    pub(super) fn check_frame_end(&self, next_position: u64) -> Result<(), Reason> {
        match self.next_position == next_position {
            true => Ok(()),
            false => Err("a frame does not have as many events as its header says".to_owned()),
        }
    }

    /// Ends the block of the items added last.
    pub(super) fn finish_block(&mut self) {
        if let Some((smallest, largest)) = self.of_block.take() {
            blocks::put_times(&mut self.times, smallest, largest);
        }
    }

    /// The times of all blocks, in the encoding of their section.
    pub(super) fn times(&self) -> &[u8] {
        &self.times
    }

    /// The streams, sorted by id.
    pub(super) fn sorted_streams(&self) -> Vec<StreamInFile<'_>> {
        sorted(&self.streams)
    }

    /// The tags, sorted, each with the position of its first event.
    pub(super) fn sorted_tags(&self) -> Vec<StreamInFile<'_>> {
        sorted(&self.tags)
    }

    /// The event ids, sorted, each with the distance of its position from the first one.
    pub(super) fn sorted_ids(&mut self) -> &[([u8; 16], u32)] {
        self.ids.sort_unstable();
        &self.ids
    }

    /// The checkpoints, sorted by name.
    pub(super) fn checkpoints(&self) -> &BTreeMap<Arc<str>, u64> {
        &self.checkpoints
    }
}

fn sorted(entries: &HashMap<Box<str>, Stream>) -> Vec<StreamInFile<'_>> {
    let entries = entries.iter().map(|(name, entry)| {
        StreamInFile::new(name, (entry.first_version, entry.count), &entry.blocks)
    });
    let mut sorted: Vec<_> = entries.collect();
    sorted.sort_unstable_by_key(|entry| entry.id);
    sorted
}

impl Stream {
    fn new((first_version, count): (u64, u64), block: u32) -> Stream {
        let mut blocks = Vec::with_capacity(4);
        table::put_block(&mut blocks, 0, block);
        Stream { first_version, count, blocks, last_block: block }
    }

    fn add(&mut self, (version, count): (u64, u64), block: u32) -> Result<(), Reason> {
        if self.first_version.checked_add(self.count) != Some(version) {
            return Err(format!("version {version} of a stream is out of order"));
        }
        self.count += count;
        self.enter(block);
        Ok(())
    }

    fn enter(&mut self, block: u32) {
        if block != self.last_block {
            table::put_block(&mut self.blocks, self.last_block, block);
            self.last_block = block;
        }
    }
}
