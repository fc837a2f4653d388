//! Tags of events: short texts that events are found by, whatever their streams are.

use std::{fmt, iter::FusedIterator, slice::SplitInclusive, str};

/// What a number of a tag takes in a record.
pub(crate) const NUMBER_BYTES: usize = 2;

/// The tags of a stored event, in byte order, each once: what
/// [`RecordedEvent::tags`](crate::RecordedEvent::tags) returns.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// let event = NewEvent::json("SeatReserved", &12)?.tags(["show:7", "customer:ada"]);
/// store.append("show-7", ExpectedVersion::Any, [event])?;
/// let event = store.read_all().next().expect("one event")?;
/// assert_eq!(event.tags().collect::<Vec<_>>(), ["customer:ada", "show:7"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tags<'a> {
    /// The names of the record that no number has passed yet.
    names: SplitInclusive<'a, u8, fn(&u8) -> bool>,
    /// The number of the first of these.
    next: usize,
    /// The numbers of the tags, ascending.
    numbers: &'a [u8],
}

impl<'a> Tags<'a> {
    /// `table` starts with the sorted names of a record, each with a NUL; `numbers` are those of
    /// the tags in it, as little-endian u16 in ascending order.
    pub(crate) fn new(table: &'a [u8], numbers: &'a [u8]) -> Tags<'a> {
        let is_nul: fn(&u8) -> bool = |byte| *byte == 0;
        Tags { names: table.split_inclusive(is_nul), next: 0, numbers }
    }

    /// The next tag with the NUL that follows it, for C.
    pub fn next_with_nul(&mut self) -> Option<&'a [u8]> {
        let ([low, high], rest) = self.numbers.split_first_chunk()?;
        self.numbers = rest;
        let number = usize::from(*low) | usize::from(*high) << 8;
        let name = self.names.nth(number.checked_sub(self.next)?)?;
        self.next = number + 1;
        Some(name)
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let name = self.next_with_nul()?;
        Some(str::from_utf8(name.strip_suffix(&[0]).unwrap_or(name)).unwrap_or_default())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.numbers.len() / NUMBER_BYTES;
        (count, Some(count))
    }
}

impl ExactSizeIterator for Tags<'_> {}

impl FusedIterator for Tags<'_> {}

impl fmt::Debug for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The tags of an event on its way into a record, in byte order, each once.
#[derive(Clone, Copy)]
pub(crate) enum TagList<'a> {
    /// As the caller gave them.
    Given(&'a [String]),
    /// In the record that the event lies in: the table of its names, and the numbers in it.
    Stored { table: &'a [u8], numbers: &'a [u8] },
}

impl<'a> TagList<'a> {
    #[cfg(test)]
    pub(crate) const NONE: TagList<'static> = TagList::Given(&[]);

    pub(crate) fn len(self) -> usize {
        match self {
            TagList::Given(tags) => tags.len(),
            TagList::Stored { numbers, .. } => numbers.len() / NUMBER_BYTES,
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a str> {
        let (given, stored) = match self {
            TagList::Given(tags) => (tags, Tags::new(&[], &[])),
            TagList::Stored { table, numbers } => (&[][..], Tags::new(table, numbers)),
        };
        given.iter().map(String::as_str).chain(stored)
    }

    /// Bytes of the texts.
    pub(crate) fn bytes(self) -> usize {
        self.iter().map(str::len).sum()
    }
}

impl fmt::Debug for TagList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Adds tags to those of an event, which stay sorted and without repeats.
pub(crate) fn add(tags: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    tags.extend(more);
    tags.sort_unstable();
    tags.dedup();
}
