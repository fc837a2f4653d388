//! Reading: the tail first, then the copy that serves the question, so that nothing is missed while
//! events move from one to the other; and the other copy where that one has failed.

use std::{ops::Bound, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::page::Page,
    event::RecordedEvent,
    storage::{Storage, disk::Disk, source::Source, trees::Trees},
    sync,
};

/// Events of a stream that the tail hands out at once.
const TAIL_EVENTS: usize = 256;

/// Some events of one stream, in the order of their versions or against it.
#[derive(Debug)]
pub(crate) enum Batch {
    /// Of the tail, in the direction of reading, the first one being that asked for.
    Events(Vec<RecordedEvent>),
    /// Of one run, in the order of versions, that asked for among them.
    Page(Page),
}

impl Storage {
    /// Some events, that at `position` among them, in the allocations of `spare`. They are in
    /// position order, but others may lie between them. Whether this is a forked child is for the
    /// caller to ask, now and then: it costs a system call.
    pub(crate) fn page(&self, position: u64, spare: Page) -> Result<Page, Error> {
        self.check_not_closed()?;
        let page = match (self.tail.page(position)?, self.disk()) {
            (Some(page), _) => Some(page),
            (None, None) => None,
            // The journal first: it has everything in this order.
            (None, Some(disk)) => self
                .unless_closed(first_of(disk.sealed.page(position, spare), || {
                    disk.with_trees(|trees| Source::page(trees, position, Page::default()))
                }))?,
        };
        let page = page.filter(|page| page.index_of(position).is_some());
        page.ok_or_else(|| {
            Error::corrupted("the journal", Some(position), "neither copy holds the event")
        })
    }

    /// The event at a position that is published.
    pub(crate) fn event_at(&self, position: u64) -> Result<RecordedEvent, Error> {
        let page = self.page(position, Page::default())?;
        page.event_at(position).ok_or_else(|| {
            Error::corrupted("the journal", Some(position), "neither copy holds the event")
        })
    }

    /// How many events of a stream lie at or below `head`.
    pub(crate) fn stream_version(&self, stream: &str, head: u64) -> Result<u64, Error> {
        self.check_open()?;
        if let Some(version) = self.tail_version(stream, head) {
            return Ok(version);
        }
        // The stream may have had its last event at or below `head` long before the tail.
        self.from_trees(0, |source| source.stream_version(stream, head))
    }

    /// As [`stream_version`](Self::stream_version), from the tail alone.
    pub(crate) fn tail_version(&self, stream: &str, head: u64) -> Option<u64> {
        self.tail.stream(stream, head).map(|found| found.first_version - 1 + found.count)
    }

    /// The position before the first event of the tail.
    pub(crate) fn tail_floor(&self) -> u64 {
        self.tail.floor()
    }

    /// Some events of a stream, that with this version among them; the version is published.
    pub(crate) fn stream_batch(
        &self,
        stream: &str,
        version: u64,
        is_backward: bool,
        spare: Page,
    ) -> Result<Option<Batch>, Error> {
        self.check_open()?;
        let found = self.tail.stream_events(stream, version, is_backward, TAIL_EVENTS)?;
        if !found.is_empty() {
            return Ok(Some(Batch::Events(found)));
        }
        let Some(disk) = self.disk() else { return Ok(None) };
        // By stream the trees are first.
        let page = first_of(
            disk.with_trees(|trees| Source::stream_page(trees, stream, version, spare)),
            || Source::stream_page(&disk.sealed, stream, version, Page::default()),
        );
        Ok(self.unless_closed(page)?.map(Batch::Page))
    }

    /// Where the event with this id lies.
    pub(crate) fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        self.check_open()?;
        match self.tail_position_of(id) {
            Some(position) => Ok(Some(position)),
            None => self.from_trees(None, |source| source.position_of(id)),
        }
    }

    /// As [`position_of`](Self::position_of), from the tail alone.
    pub(crate) fn tail_position_of(&self, id: Uuid) -> Option<u64> {
        self.tail.position_of(id)
    }

    /// Up to `limit` streams after `after`, in byte order, with their versions at `head`.
    pub(crate) fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error> {
        self.check_open()?;
        let mut found = self.tail.streams(after, head, limit);
        let on_disk = self.from_trees(Vec::new(), |source| source.streams(after, head, limit))?;
        // The sort is stable, so that of two entries for a stream the tail's, which is complete,
        // comes first.
        found.extend(on_disk);
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup_by(|(later, _), (kept, _)| later == kept);
        found.truncate(limit);
        Ok(found)
    }

    /// The answer of the trees, or of the journal when they have failed; in memory `without`.
    pub(super) fn from_trees<T>(
        &self,
        without: T,
        ask: impl Fn(&dyn Source) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(disk) = self.disk() else { return Ok(without) };
        let answer = disk.with_trees(|trees| ask(trees).map(Some));
        let answer = first_of(answer, || ask(&disk.sealed).map(Some));
        Ok(self.unless_closed(answer)?.unwrap_or(without))
    }

    /// A close that comes in the middle of a read takes both copies away from it.
    fn unless_closed<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        match read {
            Err(error) => Err(self.check_not_closed().err().unwrap_or(error)),
            read => read,
        }
    }
}

/// The first answer, or the second one where the first copy has failed or lacks what the second
/// has. When both have failed, the error is that of the first.
fn first_of<T>(
    first: Result<Option<T>, Error>,
    second: impl FnOnce() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    match first {
        Ok(Some(found)) => Ok(Some(found)),
        Err(Error::Closed) => Err(Error::Closed),
        Ok(None) => second(),
        Err(failure) => match second() {
            Ok(Some(found)) => Ok(Some(found)),
            _ => Err(failure),
        },
    }
}

impl Disk {
    /// Calls `read` with the open trees.
    pub(super) fn with_trees<T>(
        &self,
        read: impl FnOnce(&Trees) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match sync::read(&self.trees).as_ref() {
            Some(trees) => read(trees),
            None => Err(Error::corrupted("the directory trees", None, "they are not open")),
        }
    }
}
