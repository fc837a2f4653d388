//! A page: events in one buffer, and the place of each. Every source of events returns pages.

use std::{fmt, iter, ops::Range, str, sync::Arc};

use uuid::Uuid;

use crate::{
    codec::{
        Reason,
        record::{self, EventToEncode, Tables},
    },
    event::{EventFields, RecordedEvent, Span},
};

/// Decoded events, in position order. Events taken from it share its buffer.
#[derive(Clone, Default)]
pub(crate) struct Page {
    bytes: Arc<[u8]>,
    events: Vec<EventFields>,
    tables: Tables,
}

/// Without the events, which an iterator does not print.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("len", &self.events.len()).finish_non_exhaustive()
    }
}

impl Page {
    /// Decodes bytes that form one record.
    pub(crate) fn of_record(bytes: Arc<[u8]>) -> Result<Page, Reason> {
        let len = bytes.len();
        Page::decode(bytes, iter::once(0..len))
    }

    /// Decodes the records in these ranges of `bytes`, which must be in position order.
    pub(crate) fn decode(
        bytes: Arc<[u8]>,
        ranges: impl IntoIterator<Item = Range<usize>>,
    ) -> Result<Page, Reason> {
        Page::default().reuse(bytes, ranges)
    }

    /// Like [`decode`](Self::decode), but reuses the allocations of this page.
    pub(crate) fn reuse(
        self,
        bytes: Arc<[u8]>,
        ranges: impl IntoIterator<Item = Range<usize>>,
    ) -> Result<Page, Reason> {
        let Page { mut events, mut tables, .. } = self;
        events.clear();
        for range in ranges {
            record::decode(&bytes, range, &mut tables, &mut events)?;
        }
        let mut neighbours = events.iter().zip(events.iter().skip(1));
        if !neighbours.all(|(one, next)| one.position < next.position) {
            return Err("its events are out of order".to_owned());
        }
        Ok(Page { bytes, events, tables })
    }

    /// A buffer of at least `len` bytes for the next page: this page's buffer, or a new one if that
    /// is too small or events of this page are still in use.
    pub(crate) fn take_buffer(&mut self, len: usize) -> Arc<[u8]> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.len() >= len && Arc::get_mut(&mut bytes).is_some() {
            return bytes;
        }
        // Unlike `Arc::from` of a vector, this allocates once and copies nothing.
        iter::repeat_n(0, len).collect()
    }

    /// The size of the buffer in bytes; other pages may share it.
    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The first position; 0 in an empty page.
    pub(crate) fn first_position(&self) -> u64 {
        self.events.first().map_or(0, |event| event.position)
    }

    /// The last position; 0 in an empty page.
    pub(crate) fn last_position(&self) -> u64 {
        self.events.last().map_or(0, |event| event.position)
    }

    /// The index of the event at a position, if the page holds it.
    pub(crate) fn index_of(&self, position: u64) -> Option<usize> {
        let ahead = usize::try_from(position.checked_sub(self.first_position())?).ok()?;
        if self.events.get(ahead).is_some_and(|event| event.position == position) {
            return Some(ahead);
        }
        self.events.binary_search_by_key(&position, |event| event.position).ok()
    }

    /// The index of the event with this version, in a page that holds only one stream.
    pub(crate) fn index_of_version(&self, version: u64) -> Option<usize> {
        let first = self.events.first()?.version;
        let index = usize::try_from(version.checked_sub(first)?).ok()?;
        self.events.get(index).filter(|event| event.version == version).map(|_| index)
    }

    /// In a page of one stream, the version of the event with this index, or the next version for
    /// the index after the last event.
    pub(crate) fn version_at(&self, index: usize) -> Option<u64> {
        match self.events.get(index) {
            Some(event) => Some(event.version),
            None => self.events.last().map(|event| event.version + 1),
        }
    }

    /// Whether all events belong to this stream, with consecutive versions starting at this one.
    pub(crate) fn is_of_stream(&self, stream: &str, first_version: u64) -> bool {
        // Events with the same span for a name share one entry in a record's table, which counts
        // the versions.
        self.events.first().is_some_and(|first| {
            first.version == first_version
                && first.stream.of(&self.bytes) == stream.as_bytes()
                && self.events.iter().all(|event| event.stream == first.stream)
        })
    }

    /// The smallest and the largest time of its events, in microseconds.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let micros = || self.events.iter().map(|event| event.timestamp.micros());
        micros().min().zip(micros().max())
    }

    /// How many events are at or below a position.
    pub(crate) fn count_through(&self, position: u64) -> usize {
        self.events.partition_point(|event| event.position <= position)
    }

    /// The position of the event with this index.
    #[inline]
    pub(crate) fn position_at(&self, index: usize) -> Option<u64> {
        self.events.get(index).map(|event| event.position)
    }

    #[inline]
    pub(crate) fn event(&self, index: usize) -> Option<RecordedEvent> {
        let fields = self.events.get(index)?;
        Some(RecordedEvent::new(Arc::clone(&self.bytes), *fields))
    }

    /// The event at a position, if the page holds it.
    pub(crate) fn event_at(&self, position: u64) -> Option<RecordedEvent> {
        self.event(self.index_of(position)?)
    }

    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = RecordedEvent> {
        self.events.iter().map(|fields| RecordedEvent::new(Arc::clone(&self.bytes), *fields))
    }

    /// All events, to be encoded into another record.
    pub(crate) fn all_to_encode(&self) -> impl Iterator<Item = EventToEncode<'_>> {
        self.events.iter().map(|fields| self.as_encodable(fields))
    }

    fn as_encodable(&self, fields: &EventFields) -> EventToEncode<'_> {
        let text = |span: Span| str::from_utf8(span.of(&self.bytes)).unwrap_or_default();
        EventToEncode {
            position: fields.position,
            stream: text(fields.stream),
            version: fields.version,
            event_type: text(fields.event_type),
            timestamp: fields.timestamp,
            id: fields.id.some().and_then(|span| Uuid::from_slice(span.of(&self.bytes)).ok()),
            is_binary: fields.is_binary,
            data: fields.data.of(&self.bytes),
            metadata: fields.metadata.some().map(|span| span.of(&self.bytes)),
            tags: fields.tag_list(&self.bytes),
        }
    }
}
