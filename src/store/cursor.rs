//! The current place of a read.
//!
//! The check for a forked child is made once per page. Per event it would cost about as much as
//! reading the event, and a decoded page is the child's own memory.

use std::{mem, ops::RangeInclusive, vec};

use crate::{
    Error,
    codec::page::Page,
    event::RecordedEvent,
    storage::{Batch, RunsAhead, Storage},
};

/// A read from one number to another. The numbers are versions in a read of one stream, and
/// positions in a read of all.
#[derive(Debug)]
pub(super) struct Cursor {
    stream: Option<String>,
    next: u64,
    last: u64,
    is_backward: bool,
    /// In a read of all: the wanted times in microseconds, or `None` if all are wanted.
    times: Option<Box<RangeInclusive<i64>>>,
    /// The head that bounds the read.
    head: u64,
    /// No page has been read yet: the caller has just checked for a forked child.
    is_at_start: bool,
    /// The page that was read last, and the index of the next event in it.
    page: Page,
    index: usize,
    has_page: bool,
    events: vec::IntoIter<RecordedEvent>,
    /// The end of the stream is not known yet: it is the end of its last run, or its first event
    /// above the head.
    is_open: bool,
    ahead: RunsAhead,
}

impl Cursor {
    pub(super) fn of_all(bounds: (u64, u64), is_backward: bool) -> Cursor {
        Cursor::new(None, bounds, is_backward, u64::MAX)
    }

    /// Lets a read of all skip blocks that have no event with one of these times. The remaining
    /// blocks may also contain events with other times.
    pub(super) fn of_times(mut self, times: Option<RangeInclusive<i64>>) -> Cursor {
        self.times = times.map(Box::new);
        self
    }

    pub(super) fn of_stream(
        stream: String,
        bounds: (u64, u64),
        is_backward: bool,
        head: u64,
    ) -> Cursor {
        Cursor::new(Some(stream), bounds, is_backward, head)
    }

    fn new(
        stream: Option<String>,
        (next, last): (u64, u64),
        is_backward: bool,
        head: u64,
    ) -> Cursor {
        Cursor {
            stream,
            next,
            last,
            is_backward,
            times: None,
            head,
            is_at_start: true,
            page: Page::default(),
            index: 0,
            has_page: false,
            events: Vec::new().into_iter(),
            is_open: false,
            ahead: RunsAhead::default(),
        }
    }

    /// A forward read from some version of a stream that is in the trees only. Its first run is
    /// looked up without first finding the version of its last event. Returns `None` if that does
    /// not work.
    pub(super) fn of_runs(
        storage: &Storage,
        stream: &str,
        from_version: Option<u64>,
        head: u64,
    ) -> Option<Cursor> {
        // This comes first, so that an event that leaves the tail meanwhile is in the trees.
        if storage.is_in_tail(stream, head) {
            return None;
        }
        let first = from_version.unwrap_or(1).max(1);
        let mut cursor = Cursor::new(Some(stream.to_owned()), (first, u64::MAX), false, head);
        let (page, is_last) =
            storage.stream_run(stream, first, Page::default(), &mut cursor.ahead)?;
        cursor.index = page.index_of_version(first)?;
        cursor.is_at_start = false;
        cursor.take_run(page, is_last);
        Some(cursor)
    }

    /// Takes a run. If it is the last one or passes the head, its end becomes the end of the read.
    fn take_run(&mut self, page: Page, is_last: bool) {
        let below = page.count_through(self.head);
        if is_last || below < page.len() {
            self.last = page.version_at(below).map_or(0, |version| version - 1);
            self.is_open = false;
        } else {
            self.is_open = true;
        }
        self.page = page;
        self.has_page = true;
    }

    pub(super) fn next(&mut self, storage: &Storage) -> Result<Option<RecordedEvent>, Error> {
        storage.check_not_closed()?;
        let mut is_fetched = false;
        let event = loop {
            let is_past =
                if self.is_backward { self.next < self.last } else { self.next > self.last };
            if is_past || self.next == 0 {
                return Ok(None);
            }
            match self.take() {
                Some(event) => break event,
                // If the end was open, a fetch may find only the end.
                None if is_fetched => return Err(self.missing()),
                None if self.has_skipped(storage) => {}
                None => {
                    is_fetched = !self.is_open;
                    self.fetch(storage)?;
                }
            }
        };
        self.check(&event)?;
        self.next = if self.is_backward { self.next - 1 } else { self.next + 1 };
        Ok(Some(event))
    }

    /// Skips blocks that have no event with a wanted time; returns false if there are none to skip.
    fn has_skipped(&mut self, storage: &Storage) -> bool {
        let Some(times) = &self.times else { return false };
        let next = storage.next_of_times(self.next, self.is_backward, times);
        mem::replace(&mut self.next, next) != next
    }

    /// Whether the next event of a forward read of all is the next one in the page that was read
    /// last.
    #[inline]
    pub(super) fn is_ready(&self, storage: &Storage) -> bool {
        self.has_page
            && !self.is_backward
            && self.stream.is_none()
            && self.next <= self.last
            && self.page.position_at(self.index) == Some(self.next)
            && storage.check_not_closed().is_ok()
    }

    /// Takes that event.
    #[inline]
    pub(super) fn take_ready(&mut self) -> Option<RecordedEvent> {
        let index = self.index;
        self.index += 1;
        self.next += 1;
        self.page.event(index)
    }

    /// The next event of the page that was read last.
    #[inline]
    fn take(&mut self) -> Option<RecordedEvent> {
        if !self.has_page {
            return self.events.next();
        }
        let event = self.page.event(self.index)?;
        if self.stream.is_none() && event.position() != self.next {
            // The page belongs to a single stream: events of other streams are in between.
            return None;
        }
        // There is no index before the first one: the page is used up.
        let next = if self.is_backward { self.index.checked_sub(1) } else { Some(self.index + 1) };
        self.index = next.unwrap_or(usize::MAX);
        Some(event)
    }

    /// Reads the page that contains the next event.
    fn fetch(&mut self, storage: &Storage) -> Result<(), Error> {
        if !mem::take(&mut self.is_at_start) {
            storage.check_open()?;
        }
        let spare = mem::take(&mut self.page);
        let Some(stream) = &self.stream else {
            self.page = storage.page(self.next, spare)?;
            self.has_page = true;
            self.index = self.page.index_of(self.next).unwrap_or(usize::MAX);
            return Ok(());
        };
        if self.is_open {
            let run = storage.stream_run(stream, self.next, spare, &mut self.ahead);
            let Some((page, is_last)) = run else {
                // The trees failed: find the end of the stream after all.
                self.last = storage.stream_version(stream, self.head)?;
                self.is_open = false;
                return Ok(());
            };
            self.index = page.index_of_version(self.next).unwrap_or(usize::MAX);
            self.take_run(page, is_last);
            return Ok(());
        }
        match storage.stream_batch(stream, self.next, self.is_backward, spare)? {
            Some(Batch::Page(page)) => {
                self.index = page.index_of_version(self.next).unwrap_or(usize::MAX);
                self.page = page;
                self.has_page = true;
            }
            Some(Batch::Events(events)) => {
                self.events = events.into_iter();
                self.has_page = false;
            }
            None => {
                self.events = Vec::new().into_iter();
                self.has_page = false;
            }
        }
        Ok(())
    }

    /// Checks that the event is the one that was looked for.
    #[inline]
    fn check(&self, event: &RecordedEvent) -> Result<(), Error> {
        let is_it = match &self.stream {
            None => event.position() == self.next,
            Some(stream) => {
                event.version() == self.next
                    && event.position() <= self.head
                    && event.stream_id() == stream
            }
        };
        if is_it { Ok(()) } else { Err(self.missing()) }
    }

    fn missing(&self) -> Error {
        match &self.stream {
            None => Error::corrupted("the journal", Some(self.next), "the event is missing"),
            Some(stream) => {
                let place = format!("stream {stream:?}, version {}", self.next);
                Error::corrupted(place, None, "the event is missing")
            }
        }
    }
}
