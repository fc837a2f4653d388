//! The interface shared by the two copies on disk: the questions that a read asks when the tail has
//! no answer. The trees are fast by stream and by id, the sealed files by position. Each can also
//! answer the other questions, slowly, in case the other copy fails.

use std::{
    ops::{Bound, RangeInclusive},
    sync::Arc,
};

use uuid::Uuid;

use super::tagged::Hit;
use crate::{
    Error,
    codec::{
        page::Page,
        record::{self, EventToEncode},
        saved::Checkpoint,
    },
    storage::{
        Direction,
        journal::{SealedFile, SealedFiles, SealedStream},
        trees::Trees,
    },
};

/// One copy of the events that are not in the tail.
pub(crate) trait Source {
    /// A page of events that includes the one at `position`, in the allocations of `spare`. Its
    /// events are in position order, but there may be others between them.
    fn page(&self, position: u64, spare: Page) -> Result<Option<Page>, Error>;

    /// How many events of a stream are at or below `head`.
    fn stream_version(&self, stream: &str, head: u64) -> Result<u64, Error>;

    /// Consecutive events of a stream that include the one with this version.
    fn stream_page(&self, stream: &str, version: u64, spare: Page) -> Result<Option<Page>, Error>;

    /// The position of the event with this id.
    fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error>;

    /// Up to `limit` events with a tag in a range, in this direction.
    fn tagged(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Hit>, Error>;

    /// Up to `limit` streams after `after`, in byte order, with their versions at `head`.
    fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error>;

    /// The checkpoint of a name.
    fn checkpoint(&self, name: &str) -> Result<Option<u64>, Error>;

    /// The names of all checkpoints.
    fn checkpoint_names(&self) -> Result<Vec<Arc<str>>, Error>;
}

impl Source for Trees {
    fn page(&self, position: u64, spare: Page) -> Result<Option<Page>, Error> {
        match self.place_of(position)? {
            Some((stream, version)) => self.stream_page(&stream, version, spare),
            None => Ok(None),
        }
    }

    fn stream_version(&self, stream: &str, head: u64) -> Result<u64, Error> {
        self.stream_version(stream, head)
    }

    fn stream_page(&self, stream: &str, version: u64, spare: Page) -> Result<Option<Page>, Error> {
        self.stream_page(stream, version, spare)
    }

    fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        self.position_of(id)
    }

    fn tagged(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Hit>, Error> {
        self.tagged(tag, range, direction, limit)
    }

    fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error> {
        self.streams(after, head, limit)
    }

    fn checkpoint(&self, name: &str) -> Result<Option<u64>, Error> {
        self.checkpoint(name)
    }

    fn checkpoint_names(&self) -> Result<Vec<Arc<str>>, Error> {
        self.checkpoints().map(|entry| Ok(entry?.0)).collect()
    }
}

fn page_with(position: u64, events: &[EventToEncode<'_>]) -> Result<Page, Error> {
    let mut bytes = Vec::new();
    record::encode(events, &mut bytes);
    Page::of_record(Arc::from(bytes))
        .map_err(|reason| Error::corrupted("an event", Some(position), reason))
}

impl SealedFiles {
    /// All checkpoints: each file holds those as of its end.
    fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.newest_first().next().map_or(Ok(Vec::new()), |newest| newest?.checkpoints())
    }

    /// The events of a stream in the block of a file that has this version.
    fn page_of_stream(
        &self,
        file: &SealedFile,
        found: &SealedStream,
        version: u64,
    ) -> Result<Option<Page>, Error> {
        let mut blocks = found.blocks.as_slice();
        // The versions in these blocks.
        let mut versions = found.first_version..found.first_version.saturating_add(found.count);
        let mut is_guess = true;
        while versions.contains(&version) {
            let count = blocks.len() as u64;
            // Events are often spread evenly, and then the guess is right. Every second step halves
            // what is left, however they are spread.
            let index = match is_guess {
                true => {
                    let ahead = (version - versions.start).saturating_mul(count);
                    ahead / (versions.end - versions.start)
                }
                false => count / 2,
            };
            is_guess = !is_guess;
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let Some(&block) = blocks.get(index) else { break };
            let page = match file.page(block, Page::default()) {
                // It does not show on which side of it the version is.
                Err(Error::Corrupted { .. }) => {
                    return self.page_in_any_block(file, found, version);
                }
                page => page?.unwrap_or_default(),
            };
            let of_stream = events_of(&page, &found.id);
            let (Some(first), Some(last)) = (of_stream.first(), of_stream.last()) else { break };
            if version < first.version {
                (blocks, versions.end) = (blocks.get(..index).unwrap_or_default(), first.version);
            } else if version > last.version {
                blocks = blocks.get(index + 1..).unwrap_or_default();
                versions.start = last.version + 1;
            } else {
                return page_with(block, &of_stream).map(Some);
            }
        }
        Ok(None)
    }

    /// Like [`page_of_stream`](Self::page_of_stream), in a file with a damaged block: the error
    /// says that the version may be in that block.
    fn page_in_any_block(
        &self,
        file: &SealedFile,
        found: &SealedStream,
        version: u64,
    ) -> Result<Option<Page>, Error> {
        let mut damage = None;
        for &block in &found.blocks {
            match file.page(block, Page::default()) {
                Ok(page) => {
                    let page = page.unwrap_or_default();
                    let of_stream = events_of(&page, &found.id);
                    if of_stream.iter().any(|event| event.version == version) {
                        return page_with(block, &of_stream).map(Some);
                    }
                    if of_stream.first().is_some_and(|first| first.version > version) {
                        break;
                    }
                    damage = None;
                }
                Err(error @ Error::Corrupted { .. }) => damage = damage.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        damage.map_or(Ok(None), Err)
    }
}

fn events_of<'p>(page: &'p Page, stream: &str) -> Vec<EventToEncode<'p>> {
    page.all_to_encode().filter(|event| event.stream == stream).collect()
}

impl Source for SealedFiles {
    fn page(&self, position: u64, spare: Page) -> Result<Option<Page>, Error> {
        match self.holder(position)? {
            Some(file) => file.page(position, spare),
            None => Ok(None),
        }
    }

    fn stream_version(&self, stream: &str, head: u64) -> Result<u64, Error> {
        for file in self.newest_first() {
            let file = file?;
            let facts = file.facts();
            if facts.first_position > head {
                continue;
            }
            let Some(found) = file.stream(stream)? else { continue };
            if facts.last_position <= head {
                return Ok(found.first_version - 1 + found.count);
            }
            let starts_below = found.blocks.partition_point(|block| *block <= head);
            for &block in found.blocks.iter().take(starts_below).rev() {
                let page = file.page(block, Page::default())?.unwrap_or_default();
                let of_stream = events_of(&page, stream);
                let last = of_stream.iter().rev().find(|event| event.position <= head);
                if let Some(last) = last {
                    return Ok(last.version);
                }
            }
            if found.first_version > 1 {
                return Ok(found.first_version - 1);
            }
        }
        Ok(0)
    }

    fn stream_page(&self, stream: &str, version: u64, _spare: Page) -> Result<Option<Page>, Error> {
        for file in self.newest_first() {
            let file = file?;
            let Some(found) = file.stream(stream)? else { continue };
            if found.first_version <= version {
                return self.page_of_stream(&file, &found, version);
            }
        }
        Ok(None)
    }

    fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        for file in self.newest_first() {
            if let Some(position) = file?.position_of(id)? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    fn tagged(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Hit>, Error> {
        let mut found = Vec::new();
        let mut files = self.over(range, direction);
        while found.len() < limit
            && let Some(file) = files.next()
        {
            file?.tagged(tag, range, direction, limit, &mut found)?;
        }
        found.truncate(limit);
        Ok(found.into_iter().map(Hit::at).collect())
    }

    fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error> {
        self.list_streams(after, head, limit)
    }

    fn checkpoint(&self, name: &str) -> Result<Option<u64>, Error> {
        let all = self.checkpoints()?;
        Ok(all.into_iter().find(|found| &*found.name == name).map(|found| found.position))
    }

    fn checkpoint_names(&self) -> Result<Vec<Arc<str>>, Error> {
        Ok(self.checkpoints()?.into_iter().map(|found| found.name).collect())
    }
}
