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
        journal::{SealedFile, SealedFiles},
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

    /// The page with the first event of a stream in a block at or above `version`, if the block has
    /// one.
    fn page_in_block(
        &self,
        file: &SealedFile,
        stream: &str,
        version: u64,
        block: u64,
    ) -> Result<Option<Page>, Error> {
        let Some(page) = file.page(block, Page::default())? else { return Ok(None) };
        let of_stream: Vec<EventToEncode<'_>> =
            page.all_to_encode().filter(|event| event.stream == stream).collect();
        match of_stream.iter().any(|event| event.version == version) {
            true => page_with(block, &of_stream).map(Some),
            false => Ok(None),
        }
    }
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
            let mut version = found.first_version - 1;
            for block in found.blocks {
                let page = file.page(block, Page::default())?.unwrap_or_default();
                let here = page.all_to_encode().filter(|event| event.stream == stream);
                version += here.filter(|event| event.position <= head).count() as u64;
            }
            if version > 0 {
                return Ok(version);
            }
        }
        Ok(0)
    }

    fn stream_page(&self, stream: &str, version: u64, _spare: Page) -> Result<Option<Page>, Error> {
        for file in self.newest_first() {
            let file = file?;
            let Some(found) = file.stream(stream)? else { continue };
            if found.first_version > version {
                continue;
            }
            for block in found.blocks {
                if let Some(page) = self.page_in_block(&file, stream, version, block)? {
                    return Ok(Some(page));
                }
            }
            return Ok(None);
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
