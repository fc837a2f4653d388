//! Tephra's embedded engine: its coordinator groups concurrent appends. An event has the stream as
//! its tag; see `dcb` for how exact versions are checked. It knows no buffered mode, and closing
//! leaves nothing undone.

use std::path::Path;

use tephra::{
    AppendCondition, AppendError, EventType, Position, Query, QueryItem, SegmentConfig, SegmentSet,
    Tag, Tags, WriteCoordinator, WriteHandle, WriterConfig,
};

use crate::{
    store::{Conflict, Event, Seen, Store},
    stores::{dcb::Known, value},
};

const SEGMENT_BYTES: usize = 64 << 20;

pub(crate) struct Tephra {
    coordinator: WriteCoordinator,
    handle: WriteHandle,
    known: Known,
}

impl Tephra {
    pub(crate) fn open(path: &Path) -> Tephra {
        let set = SegmentSet::open(path, SegmentConfig::new(SEGMENT_BYTES)).unwrap();
        let (coordinator, handle) = WriteCoordinator::start(set, WriterConfig::default()).unwrap();
        Tephra { coordinator, handle, known: Known::default() }
    }

    fn positions(&self, stream: &str) -> Vec<u64> {
        let query = Query::item(QueryItem::with_tags(tags(stream)));
        let mut reads = self.handle.read(&query, Position::ZERO, None);
        let mut positions = Vec::new();
        while let Some(event) = reads.next() {
            positions.push(event.unwrap().position.get());
        }
        positions
    }

    fn read(&self, query: &Query) -> Seen {
        let mut reads = self.handle.read(query, Position::ZERO, None);
        let mut seen = Seen::default();
        while let Some(event) = reads.next() {
            let event = event.unwrap();
            std::hint::black_box((event.position, event.event.event_type()));
            seen.event(&value::decode(event.event.data()));
        }
        seen
    }
}

impl Store for Tephra {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let head = self.handle.head().get();
        let condition = self.known.condition(events, head, |stream| self.positions(stream))?;
        let items = condition.streams.iter().map(|stream| QueryItem::with_tags(tags(stream)));
        let guard = AppendCondition::new(Query::items(items.collect::<Vec<_>>()))
            .after(Position::new(condition.after));
        match self.handle.append(events.iter().map(encode).collect(), Some(guard)) {
            Ok(range) => self.known.appended(events, range.last.get()),
            Err(AppendError::Conflict { .. }) => return Err(Conflict),
            Err(error) => panic!("{error}"),
        }
        Ok(())
    }

    fn scan(&self) -> Seen {
        self.read(&Query::all())
    }

    fn read_stream(&self, stream: &str) -> Seen {
        self.read(&Query::item(QueryItem::with_tags(tags(stream))))
    }

    fn close(self: Box<Self>) {
        drop(self.coordinator.shutdown());
    }
}

fn tags(stream: &str) -> Tags {
    Tags::new([Tag::new(stream).unwrap()]).unwrap()
}

/// The payload holds what has no place of its own: version, time, metadata.
fn encode(event: &Event<'_>) -> tephra::Event {
    let mut payload = Vec::with_capacity(event.data.len() + event.metadata.len() + 32);
    value::encode(&Event { stream: "", kind: "", ..*event }, &mut payload);
    let kind = EventType::new(event.kind).unwrap();
    tephra::Event::new(&kind, &tags(event.stream), &payload).unwrap()
}
