//! Lookups in the index of a sealed file.
//!
//! A lookup reads one chunk of some KiB after the index of its table, so its memory use does not
//! depend on the size of the file. An answer that something is absent is checked as strictly as any
//! other.

use std::{
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        Reason,
        page::Page,
        record::EventToEncode,
        saved::Checkpoint,
        sealed::{
            blocks::{self, BlockTimes},
            table::{self, Chunk, StreamInFile},
        },
    },
    storage::{Direction, journal::sealed::file::SealedFile},
};

/// What a file holds of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedStream {
    pub(crate) id: String,
    /// The version of its first event in this file.
    pub(crate) first_version: u64,
    /// How many of its events the file holds.
    pub(crate) count: u64,
    /// The first position of each block with events of it, in order.
    pub(crate) blocks: Vec<u64>,
}

impl SealedFile {
    /// What the file holds of a stream, if it holds any of its events.
    pub(crate) fn stream(&self, id: &str) -> Result<Option<SealedStream>, Error> {
        let chunks = self.table("streams", &self.tables.streams)?;
        let Some(chunk) = self.chunk_with(chunks, id.as_bytes())? else { return Ok(None) };
        for stream in table::streams(&chunk) {
            let stream = stream.map_err(|reason| self.damaged_index(reason))?;
            if stream.id == id {
                return self.placed(&stream).map(Some);
            }
        }
        Ok(None)
    }

    /// The streams after an id, in the order of their ids, up to `limit` of them.
    pub(crate) fn streams(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SealedStream>, Error> {
        let chunks = self.table("streams", &self.tables.streams)?;
        let key = after.unwrap_or_default().as_bytes();
        let first = table::chunk_of(chunks, key).unwrap_or(0);
        let mut found = Vec::new();
        for chunk in chunks.iter().skip(first) {
            let raw = self.load(&chunk.place)?;
            for stream in table::streams(&raw) {
                let stream = stream.map_err(|reason| self.damaged_index(reason))?;
                if found.len() == limit {
                    return Ok(found);
                }
                if after.is_none_or(|after| stream.id > after) {
                    found.push(self.placed(&stream)?);
                }
            }
        }
        Ok(found)
    }

    /// Appends the positions of the events with a tag in a range, in this direction, until there
    /// are `limit` of them.
    pub(crate) fn tagged(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
        found: &mut Vec<u64>,
    ) -> Result<(), Error> {
        let mut blocks = self.blocks_tagged(tag)?;
        // The block that holds the start of the range starts at or before it.
        let after = self.blocks.partition_point(|one| one.first_position <= *range.start());
        let first = after.checked_sub(1).and_then(|index| self.blocks.get(index));
        let first = first.map_or(0, |block| block.first_position);
        blocks.retain(|block| *block >= first && block <= range.end());
        if direction == Direction::Backward {
            blocks.reverse();
        }
        let mut page = Page::default();
        for block in blocks {
            if found.len() >= limit {
                break;
            }
            page = self.page(block, page)?.unwrap_or_default();
            let has_tag = |event: &EventToEncode<'_>| {
                range.contains(&event.position) && event.tags.iter().any(|one| one == tag)
            };
            let mut positions: Vec<u64> =
                page.all_to_encode().filter(has_tag).map(|event| event.position).collect();
            if direction == Direction::Backward {
                positions.reverse();
            }
            found.extend(positions);
        }
        Ok(())
    }

    /// The first position of each block with events that have a tag, in order.
    fn blocks_tagged(&self, tag: &str) -> Result<Vec<u64>, Error> {
        let chunks = self.table("tags", &self.tables.tags)?;
        let Some(chunk) = self.chunk_with(chunks, tag.as_bytes())? else { return Ok(Vec::new()) };
        for entry in table::streams(&chunk) {
            let entry = entry.map_err(|reason| self.damaged_index(reason))?;
            if entry.id == tag {
                return self.placed(&entry).map(|placed| placed.blocks);
            }
        }
        Ok(Vec::new())
    }

    /// The position of the event with an id, if the file holds it.
    pub(crate) fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        let chunks = self.table("ids", &self.tables.ids)?;
        let Some(chunk) = self.chunk_with(chunks, id.as_bytes())? else { return Ok(None) };
        let found = table::find_id(&chunk, id.as_bytes());
        let Some(ahead) = found.map_err(|reason| self.damaged_index(reason))? else {
            return Ok(None);
        };
        let position = self.facts.first_position.saturating_add(u64::from(ahead));
        match position <= self.facts.last_position {
            true => Ok(Some(position)),
            false => Err(self.damaged_index("an event id is past its end".to_owned())),
        }
    }

    /// All checkpoints as of the end of the file, sorted by name.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let mut found = Vec::new();
        for chunk in self.table("checkpoints", &self.tables.checkpoints)? {
            for checkpoint in table::checkpoints(&self.load(&chunk.place)?) {
                let (name, position) = checkpoint.map_err(|reason| self.damaged_index(reason))?;
                found.push(Checkpoint { name: Arc::from(name), position });
            }
        }
        Ok(found)
    }

    /// The times of the blocks with events, in position order.
    pub(crate) fn times(&self) -> Result<Vec<BlockTimes>, Error> {
        let place = self.section("times");
        let place = place.ok_or_else(|| self.damaged_index("it has no times".to_owned()))?;
        let times = blocks::decode_times(&self.load(place)?, &self.blocks);
        times.map_err(|reason| self.damaged_index(reason))
    }

    /// The next position after the block that holds `position`, in the direction of reading, if no
    /// event of the block has one of these times. It may be in another file.
    pub(crate) fn past_times(
        &self,
        position: u64,
        is_backward: bool,
        times: &RangeInclusive<i64>,
    ) -> Option<u64> {
        if position > self.facts.last_position {
            return None;
        }
        let blocks = match self.tables.times.get() {
            Some(blocks) => blocks,
            None => {
                let read = self.times().ok()?.into_boxed_slice();
                self.tables.times.get_or_init(|| read)
            }
        };
        let after = blocks.partition_point(|block| block.first_position <= position);
        let block = blocks.get(after.checked_sub(1)?)?;
        if block.smallest <= *times.end() && block.largest >= *times.start() {
            return None;
        }
        Some(match blocks.get(after) {
            _ if is_backward => block.first_position.saturating_sub(1),
            Some(next) => next.first_position,
            None => self.facts.last_position.saturating_add(1),
        })
    }

    /// The chunks of a table; none if the file does not have the table.
    pub(super) fn table<'a>(
        &'a self,
        name: &str,
        read: &'a OnceLock<Box<[Chunk]>>,
    ) -> Result<&'a [Chunk], Error> {
        if let Some(chunks) = read.get() {
            return Ok(chunks);
        }
        let chunks = match self.section(name) {
            Some(place) => table::decode(&self.load(place)?, self.parts_end),
            None => Ok(Box::default()),
        };
        let chunks = chunks.map_err(|reason| self.damaged_index(reason))?;
        Ok(read.get_or_init(|| chunks))
    }

    /// The raw bytes of the only chunk that may hold a key.
    fn chunk_with(&self, chunks: &[Chunk], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let chunk = table::chunk_of(chunks, key).and_then(|index| chunks.get(index));
        chunk.map(|chunk| self.load(&chunk.place)).transpose()
    }

    fn placed(&self, stream: &StreamInFile<'_>) -> Result<SealedStream, Error> {
        let numbers = stream.blocks().map_err(|reason| self.damaged_index(reason))?;
        let position = |number: u32| {
            let block = self.blocks.get(number as usize);
            block.map(|block| block.first_position)
        };
        let blocks: Option<Vec<u64>> = numbers.into_iter().map(position).collect();
        let blocks = blocks.ok_or_else(|| {
            self.damaged_index(format!("the stream {} is in a block past its end", stream.id))
        })?;
        let StreamInFile { id, first_version, count, .. } = *stream;
        Ok(SealedStream { id: id.to_owned(), first_version, count, blocks })
    }

    fn damaged_index(&self, reason: Reason) -> Error {
        self.damaged(self.facts.first_position, reason)
    }
}
