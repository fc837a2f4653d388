//! Where a read stands.
//!
//! The check for a forked child is made once for each page: for each event it would cost about as
//! much as the event, and a decoded page is the child's own memory.

use std::{mem, vec};

use crate::{
    Error,
    codec::page::Page,
    event::RecordedEvent,
    storage::{Batch, Storage},
};

/// A read from one number to another. Numbers are versions for one stream, positions for all.
#[derive(Debug)]
pub(super) struct Cursor {
    stream: Option<String>,
    next: u64,
    last: u64,
    is_backward: bool,
    /// The head that bounds the read.
    head: u64,
    /// No page was read yet: the caller has just checked for a forked child.
    is_at_start: bool,
    /// What was read last, and the index of the next event in it.
    page: Page,
    index: usize,
    has_page: bool,
    events: vec::IntoIter<RecordedEvent>,
}

impl Cursor {
    pub(super) fn of_all(bounds: (u64, u64), is_backward: bool) -> Cursor {
        Cursor::new(None, bounds, is_backward, u64::MAX)
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
            head,
            is_at_start: true,
            page: Page::default(),
            index: 0,
            has_page: false,
            events: Vec::new().into_iter(),
        }
    }

    pub(super) fn next(&mut self, storage: &Storage) -> Result<Option<RecordedEvent>, Error> {
        let is_past = if self.is_backward { self.next < self.last } else { self.next > self.last };
        if is_past || self.next == 0 {
            return Ok(None);
        }
        storage.check_not_closed()?;
        let event = match self.take() {
            Some(event) => event,
            None => {
                self.fetch(storage)?;
                self.take().ok_or_else(|| self.missing())?
            }
        };
        self.check(&event)?;
        self.next = if self.is_backward { self.next - 1 } else { self.next + 1 };
        Ok(Some(event))
    }

    /// The next event of what was read.
    #[inline]
    fn take(&mut self) -> Option<RecordedEvent> {
        if !self.has_page {
            return self.events.next();
        }
        let event = self.page.event(self.index)?;
        if self.stream.is_none() && event.position() != self.next {
            // It is a page of a single stream: events of others lie between.
            return None;
        }
        // There is no index before the first: the page is used up.
        let next = if self.is_backward { self.index.checked_sub(1) } else { Some(self.index + 1) };
        self.index = next.unwrap_or(usize::MAX);
        Some(event)
    }

    /// Reads the page that holds the next event.
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

    /// The event must be the one that was looked for.
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
