//! A window: the frozen generations that one drain moves into the trees.

use std::sync::Arc;

use foldhash::HashMap;
use uuid::Uuid;

use crate::{
    Error,
    codec::{
        head::LogEnd,
        record::{self, EventToEncode, Tables},
        saved::Checkpoint,
    },
    event::{EventFields, Span, TagList, Timestamp},
    storage::tail::{
        FrameSource,
        chunks::Chunks,
        generation::{Generation, RecordRef, damaged},
    },
    sync::Stretch,
};

/// The events, ids and checkpoints of some generations that are not in the trees yet.
#[derive(Debug)]
pub(crate) struct Window {
    /// How far the trees have got.
    drained: LogEnd,
    generations: Vec<Arc<Generation>>,
}

/// The events of a window, decoded and sorted by stream.
///
/// A drain reads them once in the order of their streams, which is not their order in memory. So
/// the fields that it needs of an event are stored together, and names are not accessed again.
#[derive(Debug)]
pub(crate) struct WindowEvents {
    first_position: u64,
    records: Vec<Arc<[u8]>>,
    /// In position order.
    events: Chunks<WindowEvent>,
    streams: Names,
    types: Names,
    /// The indexes of the events, by stream in byte order of their names, then by position.
    order: Vec<u32>,
}

/// An event of a window: indexes into the window's tables, and spans in its record.
#[derive(Clone, Copy, Debug)]
struct WindowEvent {
    version: u64,
    timestamp: Timestamp,
    data: Span,
    metadata: Span,
    id: Span,
    tags: Span,
    tag_table: u32,
    record: u32,
    stream: u32,
    event_type: u32,
    is_binary: bool,
}

/// Names, each with a number.
#[derive(Debug, Default)]
struct Names {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Names {
    fn number(&mut self, name: &[u8]) -> u32 {
        let name = str::from_utf8(name).unwrap_or_default();
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    fn get(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |name| name)
    }
}

impl Window {
    pub(super) fn new(drained: LogEnd, generations: Vec<Arc<Generation>>) -> Window {
        Window { drained, generations }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.generations.is_empty()
    }

    /// The last frame.
    pub(crate) fn end(&self) -> LogEnd {
        self.generations.last().map_or(self.drained, |last| last.end())
    }

    /// The file of the last frame, and where that frame ends in the file.
    pub(crate) fn source(&self) -> Option<&FrameSource> {
        self.generations.last().and_then(|last| last.source())
    }

    /// About how many bytes the frames take.
    pub(crate) fn frame_bytes(&self) -> u64 {
        self.generations.iter().map(|one| one.frame_bytes()).sum()
    }

    pub(crate) fn ids(&self) -> Vec<(Uuid, u64)> {
        let all = self.generations.iter().flat_map(|generation| generation.ids());
        all.filter(|(_, position)| *position > self.drained.position).collect()
    }

    /// The last checkpoint of each name.
    pub(crate) fn checkpoints(&self) -> Vec<Checkpoint> {
        let mut newest = std::collections::BTreeMap::new();
        for generation in &self.generations {
            for Checkpoint { name, position } in generation.checkpoints() {
                newest.insert(name, position);
            }
        }
        newest.into_iter().map(|(name, position)| Checkpoint { name, position }).collect()
    }

    /// Reads and decodes every event; `beat` is called from time to time.
    pub(crate) fn decode(
        &self,
        mut beat: impl FnMut() -> Result<(), Error>,
    ) -> Result<WindowEvents, Error> {
        let mut decoder = Decoder::new(self.drained.position + 1);
        for generation in &self.generations {
            for record in generation.all_records() {
                decoder.add(record)?;
            }
            beat()?;
        }
        let events = decoder.into_events();
        match events.first_position + events.events.len() as u64 == self.end().position + 1 {
            true => Ok(events),
            false => {
                let place = "the events that wait for the trees";
                Err(Error::corrupted(place, Some(events.first_position), "some are missing"))
            }
        }
    }
}

/// Decodes the records of a window one by one.
struct Decoder {
    first_position: u64,
    records: Vec<Arc<[u8]>>,
    events: Chunks<WindowEvent>,
    streams: Names,
    types: Names,
    /// Kept between records to save allocations.
    tables: Tables,
    fields: Vec<EventFields>,
    types_of_record: Vec<(Span, u32)>,
    stretch: Stretch,
}

impl Decoder {
    fn new(first_position: u64) -> Decoder {
        Decoder {
            first_position,
            records: Vec::new(),
            events: Chunks::new(),
            streams: Names::default(),
            types: Names::default(),
            tables: Tables::default(),
            fields: Vec::new(),
            types_of_record: Vec::new(),
            stretch: Stretch::default(),
        }
    }

    fn add(&mut self, record: RecordRef) -> Result<(), Error> {
        let position = record.first_position();
        let bytes = record.read()?;
        self.stretch.add(bytes.len());
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        let decoded = record::decode(&bytes, 0..bytes.len(), &mut self.tables, &mut fields);
        decoded.map_err(|reason| damaged(position, reason))?;
        if fields.first().is_none_or(|first| first.position != position) {
            return Err(damaged(position, "it contains other events"));
        }
        let number = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        self.types_of_record.clear();
        let mut last = (Span::NONE, 0);
        let first_position = self.first_position;
        for event in fields.iter().filter(|event| event.position >= first_position) {
            if event.position != first_position + self.events.len() as u64 {
                return Err(damaged(event.position, "its events are out of order"));
            }
            // Adjacent events are often of one stream.
            if last.0 != event.stream {
                last = (event.stream, self.streams.number(event.stream.of(&bytes)));
            }
            let event_type = self.type_of(event.event_type, &bytes);
            self.events.push(WindowEvent {
                version: event.version,
                timestamp: event.timestamp,
                data: event.data,
                metadata: event.metadata,
                id: event.id,
                tags: event.tags,
                tag_table: event.tag_table,
                record: number,
                stream: last.1,
                event_type,
                is_binary: event.is_binary,
            });
        }
        self.records.push(bytes);
        self.fields = fields;
        Ok(())
    }

    /// The number of a type; `span` locates its name in the record.
    fn type_of(&mut self, span: Span, bytes: &[u8]) -> u32 {
        let known = self.types_of_record.iter().find(|(known, _)| *known == span);
        if let Some((_, number)) = known {
            return *number;
        }
        let number = self.types.number(span.of(bytes));
        self.types_of_record.push((span, number));
        number
    }

    /// Sorts the events by stream.
    fn into_events(self) -> WindowEvents {
        let Decoder { first_position, records, events, streams, types, .. } = self;
        let count = u32::try_from(streams.names.len()).unwrap_or(u32::MAX);
        let mut sorted: Vec<u32> = (0..count).collect();
        sorted.sort_unstable_by_key(|number| streams.get(*number));
        let mut next = vec![0_u32; streams.names.len()];
        let count_of = |event: &WindowEvent| event.stream as usize;
        for event in events.iter() {
            if let Some(count) = next.get_mut(count_of(event)) {
                *count += 1;
            }
        }
        let mut start = 0;
        for number in &sorted {
            if let Some(next) = next.get_mut(*number as usize) {
                start += std::mem::replace(next, start);
            }
        }
        let mut order = vec![0; events.len()];
        for (index, event) in (0..).zip(events.iter()) {
            if let Some(next) = next.get_mut(count_of(event)) {
                if let Some(place) = order.get_mut(*next as usize) {
                    *place = index;
                }
                *next += 1;
            }
        }
        WindowEvents { first_position, records, events, streams, types, order }
    }
}

impl WindowEvents {
    /// The events of each stream in position order, the streams in byte order.
    pub(crate) fn by_stream(
        &self,
    ) -> impl Iterator<Item = impl Iterator<Item = EventToEncode<'_>>> {
        let is_same = |one: &u32, other: &u32| self.stream_of(*one) == self.stream_of(*other);
        let streams = self.order.chunk_by(is_same);
        streams.map(|indexes| indexes.iter().filter_map(|index| self.event(*index as usize)))
    }

    /// Every event, in position order.
    pub(crate) fn all(&self) -> impl Iterator<Item = EventToEncode<'_>> {
        (0..self.events.len()).filter_map(|index| self.event(index))
    }

    fn stream_of(&self, index: u32) -> Option<u32> {
        self.events.get(index as usize).map(|event| event.stream)
    }

    fn event(&self, index: usize) -> Option<EventToEncode<'_>> {
        let event = self.events.get(index)?;
        let bytes = self.records.get(event.record as usize)?;
        Some(EventToEncode {
            position: self.first_position + index as u64,
            stream: self.streams.get(event.stream),
            version: event.version,
            event_type: self.types.get(event.event_type),
            timestamp: event.timestamp,
            id: event.id.some().and_then(|span| Uuid::from_slice(span.of(bytes)).ok()),
            is_binary: event.is_binary,
            data: event.data.of(bytes),
            metadata: event.metadata.some().map(|span| span.of(bytes)),
            tags: TagList::Stored {
                table: bytes.get(event.tag_table as usize..).unwrap_or_default(),
                numbers: event.tags.of(bytes),
            },
        })
    }
}
