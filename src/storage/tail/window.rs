//! A window: the frozen generations that one drain moves into the trees.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    Error,
    codec::{head::LogEnd, page::Page, record::EventToEncode, saved::Checkpoint},
    storage::tail::{FrameSource, generation::Generation},
};

/// The events, ids and checkpoints of some generations that the trees lack.
#[derive(Debug)]
pub(crate) struct Window {
    /// What the trees have.
    drained: LogEnd,
    generations: Vec<Arc<Generation>>,
}

/// The events of a window, decoded.
#[derive(Debug)]
pub(crate) struct WindowEvents<'a> {
    window: &'a Window,
    first_position: u64,
    pages: Vec<Page>,
    /// For each position from the first on: the number of its page, and its index in that.
    places: Vec<(u32, u32)>,
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

    /// The file of the last frame, and where that frame ends in it.
    pub(crate) fn source(&self) -> Option<&FrameSource> {
        self.generations.last().and_then(|last| last.source())
    }

    /// Bytes of frames, about.
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

    /// Reads and decodes every event; `beat` is called now and then.
    pub(crate) fn decode(
        &self,
        mut beat: impl FnMut() -> Result<(), Error>,
    ) -> Result<WindowEvents<'_>, Error> {
        let first_position = self.drained.position + 1;
        let mut pages = Vec::new();
        let mut places = Vec::new();
        for generation in &self.generations {
            for record in generation.all_records() {
                let page = record.decode()?;
                if page.last_position() < first_position {
                    continue;
                }
                let number = u32::try_from(pages.len()).unwrap_or(u32::MAX);
                let skipped = page.count_through(self.drained.position);
                let indexes = (skipped..page.len()).map(|index| u32::try_from(index).unwrap_or(0));
                places.extend(indexes.map(|index| (number, index)));
                pages.push(page);
            }
            beat()?;
        }
        if first_position + places.len() as u64 != self.end().position + 1 {
            let place = "the events that wait for the trees";
            return Err(Error::corrupted(place, Some(first_position), "some are missing"));
        }
        Ok(WindowEvents { window: self, first_position, pages, places })
    }
}

impl WindowEvents<'_> {
    /// The names of the streams, in byte order.
    pub(crate) fn streams(&self) -> Vec<&Arc<str>> {
        let generations = self.window.generations.iter();
        let mut names: Vec<_> = generations.flat_map(|one| one.all_names()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The events of a stream, in order; none when all of its events are in the trees.
    pub(crate) fn of_stream<'s>(&'s self, stream: &str, events: &mut Vec<EventToEncode<'s>>) {
        events.clear();
        for generation in &self.window.generations {
            let (_, positions) = generation.positions_after(stream, self.window.drained.position);
            events.extend(positions.iter().filter_map(|position| self.at(*position)));
        }
    }

    /// Every event, in position order.
    pub(crate) fn all(&self) -> impl Iterator<Item = EventToEncode<'_>> {
        self.pages
            .iter()
            .flat_map(Page::all_to_encode)
            .filter(|e| e.position >= self.first_position)
    }

    fn at(&self, position: u64) -> Option<EventToEncode<'_>> {
        let index = usize::try_from(position.checked_sub(self.first_position)?).ok()?;
        let (page, index) = *self.places.get(index)?;
        self.pages.get(page as usize)?.to_encode(index as usize)
    }
}
