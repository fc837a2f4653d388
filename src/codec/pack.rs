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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{TagList, Timestamp};

    #[test]
    fn records_are_cut_by_size_and_count() {
        let small = EventToEncode {
            position: 1,
            stream: "s",
            version: 1,
            event_type: "T",
            timestamp: Timestamp::utc_clamped(0),
            id: None,
            is_binary: false,
            data: b"1",
            metadata: None,
            tags: TagList::Given(&[]),
        };
        let lengths =
            |events: &[EventToEncode<'_>]| cut(events).map(<[_]>::len).collect::<Vec<_>>();
        let many = lengths(&vec![small; 1_000]);
        assert_eq!(many.iter().sum::<usize>(), 1_000);
        assert!(many.iter().all(|&count| count <= RECORD_EVENTS_MAX));
        let (long, tags) = ("t".repeat(3_000), vec!["t".repeat(250); 12]);
        for large in [
            EventToEncode { data: long.as_bytes(), ..small },
            EventToEncode { metadata: Some(long.as_bytes()), ..small },
            EventToEncode { stream: &long, ..small },
            EventToEncode { event_type: &long, ..small },
            EventToEncode { tags: TagList::Given(&tags), ..small },
        ] {
            assert_eq!(lengths(&[large; 3]), [1, 1, 1]);
        }
    }
}
