//! Reading: first the tail, then the copy that answers best, so that nothing is missed while events
//! move from one to the other. If that copy fails, the other one answers.

mod listed;
mod source;
mod tagged;

use std::{
    mem,
    ops::{Bound, RangeInclusive},
    sync::Arc,
    time::Instant,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::page::Page,
    event::RecordedEvent,
    storage::{
        Storage,
        disk::Disk,
        trees::{RunsAhead, Trees},
    },
    sync,
};
use source::Source;
pub(crate) use tagged::Hit;
#[cfg(test)]
pub(crate) use tagged::SpoiledTree;

/// How many events of a stream the tail returns at once.
const TAIL_EVENTS: usize = 256;

/// Some events of one stream, in ascending or descending order of version.
#[derive(Debug)]
pub(crate) enum Batch {
    /// From the tail, in the direction of reading, starting with the requested one.
    Events(Vec<RecordedEvent>),
    /// From one run, in the order of versions, including the requested one.
    Page(Page),
}

impl Storage {
    /// A page of events that includes the one at `position`, in the allocations of `spare`. Its
    /// events are in position order, but there may be others between them. The caller checks from
    /// time to time whether this is a forked child, because that check costs a system call.
    pub(crate) fn page(&self, position: u64, mut spare: Page) -> Result<Page, Error> {
        self.check_not_closed()?;
        self.across_exchange(|| self.page_now(position, mem::take(&mut spare)))
    }

    fn page_now(&self, position: u64, spare: Page) -> Result<Page, Error> {
        let of_trees =
            |disk: &Disk| disk.with_trees(|trees| Source::page(trees, position, Page::default()));
        let page = match (self.tail.page(position), self.disk()) {
            (Ok(Some(page)), _) => {
                self.meters.tail_pages.add(1);
                Some(page)
            }
            (Ok(None), None) => None,
            (Err(failure), None) => return Err(failure),
            // Its record is damaged in the file. The trees may have the event by now.
            (Err(failure), Some(disk)) => {
                self.unless_closed(first_of(Err(failure), || of_trees(disk)))?
            }
            // The journal first: it has everything in this order.
            (Ok(None), Some(disk)) if disk.is_reading => {
                self.timed(|| disk.sealed.page(position, spare))?
            }
            (Ok(None), Some(disk)) => self.timed(|| {
                self.unless_closed(first_of(disk.sealed.page(position, spare), || of_trees(disk)))
            })?,
        };
        let page = page.filter(|page| page.index_of(position).is_some());
        page.ok_or_else(|| {
            Error::corrupted("the journal", Some(position), "neither copy has the event")
        })
    }

    /// The position at which a read in this direction reaches the first block whose times overlap
    /// with these: `position` itself, unless the blocks of sealed files rule it out. They cannot do
    /// so past the last sealed file, or where their times cannot be read.
    pub(crate) fn next_of_times(
        &self,
        mut position: u64,
        is_backward: bool,
        times: &RangeInclusive<i64>,
    ) -> u64 {
        let Some(disk) = self.disk() else { return position };
        while let Ok(Some(file)) = disk.sealed.holder(position) {
            match file.past_times(position, is_backward, times) {
                Some(next) => position = next,
                None => break,
            }
        }
        position
    }

    /// The event at a published position.
    pub(crate) fn event_at(&self, position: u64) -> Result<RecordedEvent, Error> {
        let page = self.page(position, Page::default())?;
        page.event_at(position).ok_or_else(|| {
            Error::corrupted("the journal", Some(position), "neither copy has the event")
        })
    }

    /// How many events of a stream are at or below `head`.
    pub(crate) fn stream_version(&self, stream: &str, head: u64) -> Result<u64, Error> {
        self.check_open()?;
        self.stored_version(stream, head)
    }

    /// Like [`stream_version`](Self::stream_version), for a store that was seen to be open.
    pub(crate) fn stored_version(&self, stream: &str, head: u64) -> Result<u64, Error> {
        if let Some(version) = self.tail.version(stream, head) {
            return Ok(version);
        }
        // The stream may have had its last event at or below `head` long before the tail.
        self.ask_trees(0, |source| source.stream_version(stream, head))
    }

    /// The versions of a stream at the position before a range, which must end at or below the
    /// head, and at the end of the range. They are equal if the stream has no event in the range.
    /// If the tail has the whole range, nothing is read from the disk.
    pub(crate) fn versions_around(
        &self,
        stream: &str,
        range: &RangeInclusive<u64>,
    ) -> Result<(u64, u64), Error> {
        if let Some(versions) = self.tail.versions_around(stream, range) {
            return Ok(versions);
        }
        let before = self.stored_version(stream, range.start().saturating_sub(1))?;
        Ok((before, self.stored_version(stream, *range.end())?))
    }

    /// The position before the first event of the tail, if it has any.
    pub(crate) fn tail_floor(&self) -> Option<u64> {
        self.tail.floor()
    }

    /// Events of a stream that include the one with this version, which must be published.
    pub(crate) fn stream_batch(
        &self,
        stream: &str,
        version: u64,
        is_backward: bool,
        mut spare: Page,
    ) -> Result<Option<Batch>, Error> {
        self.check_open()?;
        self.across_exchange(|| {
            self.stream_batch_now(stream, version, is_backward, mem::take(&mut spare))
        })
    }

    fn stream_batch_now(
        &self,
        stream: &str,
        version: u64,
        is_backward: bool,
        spare: Page,
    ) -> Result<Option<Batch>, Error> {
        let in_tail = |limit| self.tail.stream_events(stream, version, is_backward, limit);
        // If a record is damaged in its file, the events before it can still be read.
        let failure = match in_tail(TAIL_EVENTS).or_else(|_| in_tail(1)) {
            Ok(found) if !found.is_empty() => {
                self.meters.tail_pages.add(1);
                return Ok(Some(Batch::Events(found)));
            }
            Ok(_) => None,
            // The trees may have the event by now.
            Err(failure) => Some(failure),
        };
        let Some(disk) = self.disk() else { return failure.map_or(Ok(None), Err) };
        // The trees first: they are clustered by stream.
        let page = self.timed(|| match disk.is_reading {
            true => Source::stream_page(&disk.sealed, stream, version, spare),
            false => first_of(
                disk.with_trees(|trees| Source::stream_page(trees, stream, version, spare)),
                || Source::stream_page(&disk.sealed, stream, version, Page::default()),
            ),
        });
        let page = match (page, failure) {
            (Ok(Some(page)), _) => Ok(Some(page)),
            (_, Some(failure)) => Err(failure),
            (page, None) => page,
        };
        Ok(self.unless_closed(page)?.map(Batch::Page))
    }

    /// The run of the trees that holds a version of a stream, and whether it is the last run of the
    /// stream. `None` if the version is not in the trees, or the trees have failed or are not open:
    /// then call [`stream_batch`](Self::stream_batch).
    ///
    /// If the tail has no event of a stream at or below some head, all events of the stream up to
    /// there are in the trees: a caller that has checked this can find the end without a version.
    /// `ahead` belongs to the caller, for its reads of this stream.
    pub(crate) fn stream_run(
        &self,
        stream: &str,
        version: u64,
        spare: Page,
        ahead: &mut RunsAhead,
    ) -> Option<(Page, bool)> {
        let disk = self.disk()?;
        let read = || disk.with_trees(|trees| trees.stream_run(stream, version, spare, ahead));
        self.timed(read).ok().flatten()
    }

    /// The run of the trees that holds this version of a stream. `None` if the version is not in
    /// the trees, or the trees have failed or are not open: then call [`page`](Self::page).
    pub(crate) fn run_of(&self, stream: &str, version: u64, spare: Page) -> Option<Page> {
        let disk = self.disk()?;
        let read = || disk.with_trees(|trees| trees.run_with(stream, version, spare));
        self.timed(read).ok().flatten()
    }

    /// Reads from a file, and records how long it took.
    fn timed<T>(&self, read: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let read = read();
        self.meters.page.record_since(started);
        read
    }

    /// Whether the tail has events of a stream at or below `head`.
    pub(crate) fn is_in_tail(&self, stream: &str, head: u64) -> bool {
        self.tail.version(stream, head).is_some()
    }

    /// The position of the event with this id, in a store that was seen to be open.
    pub(crate) fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        match self.tail_position_of(id) {
            Some(position) => Ok(Some(position)),
            None => self.ask_trees(None, |source| source.position_of(id)),
        }
    }

    /// Like [`position_of`](Self::position_of), but only from the tail.
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
        let on_disk = self.ask_trees(Vec::new(), |source| source.streams(after, head, limit))?;
        // The sort is stable: of two entries for a stream, the one from the tail, which is
        // complete, comes first.
        found.extend(on_disk);
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup_by(|(later, _), (kept, _)| later == kept);
        found.truncate(limit);
        Ok(found)
    }

    /// The answer of the trees, or of the journal if they fail; `without` for a store in memory.
    pub(super) fn ask_trees<T>(
        &self,
        without: T,
        ask: impl Fn(&dyn Source) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(disk) = self.disk() else { return Ok(without) };
        let ask_journal = || ask(&disk.sealed).map(Some);
        let answer = match disk.is_reading {
            true => self.across_exchange(ask_journal),
            false => first_of(disk.with_trees(|trees| ask(trees).map(Some)), ask_journal),
        };
        Ok(self.unless_closed(answer)?.unwrap_or(without))
    }

    /// A close during a read takes both copies away: report the close, not the failure.
    fn unless_closed<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        match read {
            Err(error) => Err(self.check_not_closed().err().unwrap_or(error)),
            read => read,
        }
    }
}

/// Returns the first copy's answer, or the second's if the first fails or lacks what the second
/// has. If both fail, returns the error of the first.
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
