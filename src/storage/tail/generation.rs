//! A generation of the tail: some or all frames of one journal file, with an index.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    ops::{Bound, RangeInclusive},
    os::unix::fs::FileExt,
    sync::Arc,
};

use foldhash::HashMap;
use uuid::Uuid;

use crate::{
    Error,
    codec::{head::LogEnd, page::Page, saved::Checkpoint},
    event::{RecordedEvent, TagList},
    storage::{
        journal::FileKey,
        tail::{TailFrame, tags::TagIndex},
    },
    sync::{self, RwLock},
};

/// About how many bytes an event takes in the index.
const EVENT_BYTES: u64 = 24;
/// About how many bytes each record, stream and frame takes in the index, besides names.
const ENTRY_BYTES: u64 = 96;

/// A read of events goes through at most this many records at once.
const RECORDS_READ: usize = 64;

/// A record to be added to the tail.
#[derive(Clone, Debug)]
pub(crate) struct TailRecord {
    pub(crate) first_position: u64,
    /// Where the record starts in its file.
    pub(crate) offset: u64,
    pub(crate) bytes: Arc<[u8]>,
    /// The checksum of the bytes, for when they are read from the file.
    pub(crate) sum: u32,
}

impl TailRecord {
    /// A record in a file.
    pub(crate) fn in_file(first_position: u64, offset: u64, bytes: Arc<[u8]>) -> TailRecord {
        let sum = crc32fast::hash(&bytes);
        TailRecord { first_position, offset, bytes, sum }
    }
}

/// One event's entry in the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailEntry<'a> {
    pub(crate) stream: &'a str,
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) id: Option<Uuid>,
    pub(crate) tags: TagList<'a>,
}

/// The file that holds a frame.
#[derive(Clone, Debug)]
pub(crate) struct FrameSource {
    pub(crate) key: FileKey,
    pub(crate) file: Arc<File>,
    /// Where that frame ends.
    pub(crate) end_offset: u64,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
struct Place {
    first_position: u64,
    offset: u64,
    len: u32,
    sum: u32,
}

#[derive(Debug)]
struct Stream {
    first_version: u64,
    positions: Vec<u64>,
}

impl Stream {
    fn count_through(&self, head: u64) -> usize {
        self.positions.partition_point(|&position| position <= head)
    }
}

/// Some frames of one journal file. In memory there is no file, and their bytes stay.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    source: Option<FrameSource>,
    /// Its last frame; without any, the last frame before it.
    end: LogEnd,
    frames: u64,
    records: Vec<Place>,
    /// One for each record, unless the bytes were released.
    bodies: RwLock<Option<Vec<Arc<[u8]>>>>,
    streams: HashMap<Arc<str>, Stream>,
    names: BTreeSet<Arc<str>>,
    ids: HashMap<Uuid, u64>,
    tags: TagIndex,
    checkpoints: BTreeMap<Arc<str>, u64>,
    /// How many of its events were in the trees when recovery added them.
    drained_events: u64,
    events: u64,
    body_bytes: u64,
    index_bytes: u64,
}

/// A record, with its bytes or the file to read them from.
#[derive(Debug)]
pub(crate) struct RecordRef {
    place: Place,
    body: Result<Arc<[u8]>, Arc<File>>,
}

impl RecordRef {
    pub(super) fn first_position(&self) -> u64 {
        self.place.first_position
    }

    /// The record, read from its file if it is not in memory.
    pub(crate) fn decode(self) -> Result<Page, Error> {
        let first_position = self.place.first_position;
        let page = Page::of_record(self.read()?);
        let page = page.map_err(|reason| damaged(first_position, reason))?;
        match page.first_position() == first_position {
            true => Ok(page),
            false => Err(damaged(first_position, "it contains other events")),
        }
    }

    /// The bytes of the record, read from its file if they are not in memory.
    pub(super) fn read(self) -> Result<Arc<[u8]>, Error> {
        match self.body {
            Ok(bytes) => Ok(bytes),
            Err(file) => {
                let mut bytes = vec![0; self.place.len as usize];
                file.read_exact_at(&mut bytes, self.place.offset)
                    .map_err(|source| Error::io("read", "a journal file", source))?;
                match crc32fast::hash(&bytes) == self.place.sum {
                    true => Ok(Arc::from(bytes)),
                    false => {
                        let reason = "its checksum does not match";
                        Err(damaged(self.place.first_position, reason))
                    }
                }
            }
        }
    }
}

/// Makes the error for a record of the tail with unexpected contents.
pub(super) fn damaged(first_position: u64, reason: impl Into<String>) -> Error {
    Error::corrupted("a record that waits for the trees", Some(first_position), reason)
}

/// Events of a stream to be read: their positions, and the records that hold them.
#[derive(Debug)]
pub(crate) struct Places {
    positions: Vec<u64>,
    records: Vec<RecordRef>,
    is_backward: bool,
}

impl Places {
    /// Reads the events in the requested direction.
    pub(crate) fn read(self) -> Result<Vec<RecordedEvent>, Error> {
        let Places { positions, records, is_backward } = self;
        let mut positions = positions.into_iter().peekable();
        let mut events = Vec::with_capacity(positions.len());
        for record in records {
            let page = record.decode()?;
            let (first, last) = (page.first_position(), page.last_position());
            while let Some(position) = positions.next_if(|at| (first..=last).contains(at)) {
                let missing = || damaged(position, "it does not contain the event");
                events.push(page.event_at(position).ok_or_else(missing)?);
            }
        }
        if is_backward {
            events.reverse();
        }
        Ok(events)
    }
}

impl Generation {
    /// An empty one that continues where `before` ends.
    pub(super) fn after(before: &Generation) -> Generation {
        let bodies = RwLock::new(Some(Vec::new()));
        Generation { end: before.end, bodies, ..Generation::default() }
    }

    pub(super) fn push(&mut self, frame: TailFrame<'_>, is_drained: bool) {
        let mut bodies = sync::write(&self.bodies);
        let bodies = bodies.get_or_insert_default();
        for TailRecord { first_position, offset, bytes, sum } in frame.records {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            self.records.push(Place { first_position, offset, len, sum });
            self.body_bytes += bytes.len() as u64;
            self.index_bytes += ENTRY_BYTES;
            bodies.push(bytes);
        }
        for entry in frame.entries {
            push_entry(&mut self.streams, &mut self.names, &mut self.index_bytes, &entry);
            self.events += 1;
            self.drained_events += u64::from(is_drained);
            if let Some(id) = entry.id {
                self.ids.insert(id, entry.position);
                self.index_bytes += 2 * EVENT_BYTES;
            }
            entry.tags.iter().for_each(|tag| self.tags.push(tag, entry.position));
        }
        for Checkpoint { name, position } in frame.checkpoints {
            self.index_bytes += ENTRY_BYTES;
            self.checkpoints.insert(name, position);
        }
        self.end = frame.end;
        self.frames += 1;
        self.source = frame.source;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.source.is_none() && self.events == 0 && self.checkpoints.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.events).unwrap_or(usize::MAX)
    }

    /// The last frame.
    pub(crate) fn end(&self) -> LogEnd {
        self.end
    }

    /// The file that holds its frames, and where the last of them ends in the file.
    pub(crate) fn source(&self) -> Option<&FrameSource> {
        self.source.as_ref()
    }

    pub(crate) fn file_key(&self) -> Option<FileKey> {
        self.source.as_ref().map(|source| source.key)
    }

    pub(crate) fn first_position(&self) -> Option<u64> {
        self.records.first().map(|record| record.first_position)
    }

    pub(super) fn undrained_events(&self) -> u64 {
        self.events - self.drained_events
    }

    /// About how many bytes its frames take, with the index of its tags, which may be much larger.
    pub(super) fn frame_bytes(&self) -> u64 {
        self.body_bytes + ENTRY_BYTES * self.frames + self.tags.bytes()
    }

    /// Bytes of its events in memory.
    pub(super) fn body_bytes(&self) -> u64 {
        if sync::read(&self.bodies).is_some() { self.body_bytes } else { 0 }
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.body_bytes() + self.index_bytes + self.tags.bytes()
    }

    /// Releases the bytes of the events, which are also in their file.
    pub(super) fn release_bodies(&self) {
        if self.source.is_some() && sync::read(&self.bodies).is_some() {
            *sync::write(&self.bodies) = None;
        }
    }

    /// The record with this index.
    fn record(&self, index: usize) -> Option<RecordRef> {
        let place = *self.records.get(index)?;
        let bodies = sync::read(&self.bodies);
        let body = match (bodies.as_ref().and_then(|all| all.get(index)), &self.source) {
            (Some(bytes), _) => Ok(Arc::clone(bytes)),
            (None, Some(source)) => Err(Arc::clone(&source.file)),
            (None, None) => return None,
        };
        Some(RecordRef { place, body })
    }

    fn record_index(&self, position: u64) -> Option<usize> {
        let after = self.records.partition_point(|record| record.first_position <= position);
        after.checked_sub(1)
    }

    /// The record that holds a position, if any does.
    pub(super) fn record_at(&self, position: u64) -> Option<RecordRef> {
        if position > self.end.position {
            return None;
        }
        self.record(self.record_index(position)?)
    }

    /// Every record, in order.
    pub(super) fn all_records(&self) -> impl Iterator<Item = RecordRef> {
        (0..self.records.len()).filter_map(|index| self.record(index))
    }

    /// The version of the last event of a stream at or below `head`, if there is one.
    pub(super) fn version(&self, stream: &str, head: u64) -> Option<u64> {
        let found = self.streams.get(stream)?;
        let count = found.count_through(head) as u64;
        (count > 0).then(|| found.first_version - 1 + count)
    }

    /// The version of the first event of a stream, if this generation has one.
    pub(super) fn first_version(&self, stream: &str) -> Option<u64> {
        self.streams.get(stream).map(|found| found.first_version)
    }

    /// The places of up to `limit` events of a stream, from `version` on or backwards. `None` if
    /// this generation does not hold that version.
    pub(super) fn places(
        &self,
        stream: &str,
        version: u64,
        is_backward: bool,
        limit: usize,
    ) -> Option<Places> {
        let found = self.streams.get(stream)?;
        let index = usize::try_from(version.checked_sub(found.first_version)?).ok()?;
        let range = match is_backward {
            true => (index + 1).saturating_sub(limit)..index + 1,
            false => index..index.saturating_add(limit).min(found.positions.len()),
        };
        let mut positions = found.positions.get(range).filter(|found| !found.is_empty())?.to_vec();
        let mut indexes: Vec<usize> = Vec::new();
        let mut add = |position: u64| {
            let record = self.record_index(position)?;
            if indexes.last() != Some(&record) {
                indexes.push(record);
            }
            (indexes.len() <= RECORDS_READ).then_some(())
        };
        // As many as a number of records hold, those next to `version`.
        let taken = match is_backward {
            false => positions.iter().take_while(|at| add(**at).is_some()).count(),
            true => positions.iter().rev().take_while(|at| add(**at).is_some()).count(),
        };
        indexes.truncate(RECORDS_READ);
        match is_backward {
            false => positions.truncate(taken),
            true => drop(positions.drain(..positions.len() - taken)),
        }
        if is_backward {
            indexes.reverse();
        }
        let records = indexes.into_iter().filter_map(|index| self.record(index)).collect();
        Some(Places { positions, records, is_backward })
    }

    /// Up to `limit` names of streams after `after` that have events at or below `head`.
    pub(super) fn names(&self, after: Bound<&str>, head: u64, limit: usize) -> Vec<Arc<str>> {
        let names = self.names.range::<str, _>((after, Bound::Unbounded));
        let is_there = |name: &&Arc<str>| self.version(name, head).is_some();
        names.filter(is_there).take(limit).cloned().collect()
    }

    /// The positions of a stream above `position`, and the version of the first.
    pub(super) fn positions_after(&self, stream: &str, position: u64) -> (u64, &[u64]) {
        let Some(found) = self.streams.get(stream) else { return (0, &[]) };
        let index = found.count_through(position);
        let above = found.positions.get(index..).unwrap_or_default();
        (found.first_version + index as u64, above)
    }

    /// The streams with events above `position`, with the version of the first one.
    pub(super) fn first_versions_after(
        &self,
        position: u64,
    ) -> impl Iterator<Item = (Arc<str>, u64)> {
        self.streams.keys().filter_map(move |name| {
            let (version, above) = self.positions_after(name, position);
            (!above.is_empty()).then(|| (Arc::clone(name), version))
        })
    }

    pub(super) fn position_of(&self, id: Uuid) -> Option<u64> {
        self.ids.get(&id).copied()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (Uuid, u64)> {
        self.ids.iter().map(|(id, position)| (*id, *position))
    }

    /// The positions of the events with a tag in a range, in order.
    pub(super) fn tagged(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
    ) -> impl DoubleEndedIterator<Item = u64> + use<'_> {
        self.tags.positions(tag, range)
    }

    /// The tags of events above `position`.
    pub(super) fn tags_after(&self, position: u64) -> impl Iterator<Item = &str> {
        self.tags.after(position)
    }

    pub(super) fn checkpoint(&self, name: &str) -> Option<u64> {
        self.checkpoints.get(name).copied()
    }

    pub(super) fn checkpoint_names(&self) -> impl Iterator<Item = Arc<str>> {
        self.checkpoints.keys().cloned()
    }

    pub(super) fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> {
        let checkpoint =
            |(name, &position): (&Arc<str>, &u64)| Checkpoint { name: Arc::clone(name), position };
        self.checkpoints.iter().map(checkpoint)
    }
}

fn push_entry(
    streams: &mut HashMap<Arc<str>, Stream>,
    names: &mut BTreeSet<Arc<str>>,
    bytes: &mut u64,
    entry: &TailEntry<'_>,
) {
    *bytes += EVENT_BYTES;
    match streams.get_mut(entry.stream) {
        Some(stream) => stream.positions.push(entry.position),
        None => {
            *bytes += ENTRY_BYTES + entry.stream.len() as u64;
            let name: Arc<str> = Arc::from(entry.stream);
            let stream = Stream { first_version: entry.version, positions: vec![entry.position] };
            names.insert(Arc::clone(&name));
            streams.insert(name, stream);
        }
    }
}
