//! Tags of events: short texts by which events can be found in any stream.

use std::{fmt, iter::FusedIterator, slice::SplitInclusive, str};

/// The bytes that the number of a tag takes in a record.
pub(crate) const NUMBER_BYTES: usize = 2;

/// The tags of a stored event, in byte order and without repeats, as returned by
/// [`RecordedEvent::tags`](crate::RecordedEvent::tags).
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
    /// The names of the record that have not been passed yet.
    names: SplitInclusive<'a, u8, fn(&u8) -> bool>,
    /// The number of the first of these names.
    next: usize,
    /// The numbers of the tags, ascending.
    numbers: &'a [u8],
}

impl<'a> Tags<'a> {
    /// `table` starts with the sorted names of a record, each followed by a NUL; `numbers` are the
    /// numbers of the event's tags in that table, as little-endian u16 in ascending order.
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

/// The tags of an event that is to be written to a record, in byte order and without repeats.
#[derive(Clone, Copy)]
pub(crate) enum TagList<'a> {
    /// As the caller gave them.
    Given(&'a [String]),
    /// Stored in the record that contains the event: the table of its names, and the numbers in it.
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

    /// The total length of the texts in bytes.
    pub(crate) fn bytes(self) -> usize {
        self.iter().map(str::len).sum()
    }
}

impl fmt::Debug for TagList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Adds tags to those of an event, keeping them sorted and without repeats.
pub(crate) fn add(tags: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    tags.extend(more);
    tags.sort_unstable();
    tags.dedup();
}
