//! Splits consecutive events into records of the journal: large enough for fast scans, small enough
//! for cheap single reads.

use crate::codec::record::EventToEncode;

/// A record is closed before it passes this size, unless it holds a single event.
pub(crate) const RECORD_BYTES: usize = 4 << 10;

/// A record is closed at this many events, however small.
pub(crate) const RECORD_EVENTS_MAX: usize = 256;

/// Splits consecutive events into groups, one for each record.
pub(crate) fn cut<'e, 'a>(
    mut events: &'e [EventToEncode<'a>],
) -> impl Iterator<Item = &'e [EventToEncode<'a>]> {
    std::iter::from_fn(move || {
        let (mut bytes, mut count) = (0, 0);
        for event in events.iter().take(RECORD_EVENTS_MAX) {
            bytes += event.encoded_bytes_max();
            if count > 0 && bytes > RECORD_BYTES {
                break;
            }
            count += 1;
        }
        let (record, rest) = events.split_at_checked(count)?;
        events = rest;
        (!record.is_empty()).then_some(record)
    })
}
