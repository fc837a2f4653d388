//! A run: consecutive events of one stream, as the tree `streams` stores them.
//!
//! ```text
//! key = stream id, 0x00, first version u64 big-endian
//! raw = one record of that stream alone, see `codec::record`; stored as `codec::stored` says
//! ```
//! A run holds what one drain collected from a stream, cut at [`bytes_max`]. The cost of a drain
//! and of a stream read depends on the number of entries and hardly on their size. However, sled
//! keeps whole leaves of about nine entries in memory, so a run must not grow large either.

use std::{ops::Range, sync::Arc};

use crate::codec::{
    Reason,
    checksum::Checksum,
    key,
    page::Page,
    record::{self, EventToEncode},
    stored::{self, Body, Dictionary, Encoded, Extent, Header, Kind},
};

/// A run is closed before it passes this size, unless it holds a single event.
pub(crate) const RUN_BYTES: usize = 16 << 10;

/// The same for events with tags. A query reads single events, and decompresses a run for each: it
/// takes 0.77 of the time that it takes with larger runs, a read of the stream 1.14.
const TAGGED_RUN_BYTES: usize = 8 << 10;

/// The size of an event for this purpose, besides its data, metadata and tags.
const EVENT_BYTES: usize = 24;

/// The size that a run may have with this event.
pub(crate) fn bytes_max(event: &EventToEncode<'_>) -> usize {
    if event.tags.len() == 0 { RUN_BYTES } else { TAGGED_RUN_BYTES }
}

/// About how many bytes an event adds to a run.
pub(crate) fn bytes_of(event: &EventToEncode<'_>) -> usize {
    let metadata = event.metadata.map_or(0, <[u8]>::len);
    EVENT_BYTES + event.data.len() + metadata + event.tag_bytes_max()
}

/// Encodes the events of one run with their key. Returns `None` if they exceed every limit.
pub(crate) fn encode(
    events: &[EventToEncode<'_>],
    dictionary: Option<&Dictionary>,
    checksum: &Checksum,
    raw: &mut Vec<u8>,
) -> Option<(Vec<u8>, Encoded)> {
    let (first, last) = (events.first()?, events.last()?);
    raw.clear();
    record::encode(events, raw);
    let key = key::run(first.stream, first.version);
    let extent = Extent {
        first_position: first.position,
        last_position: last.position,
        count: u32::try_from(events.len()).ok()?,
    };
    let encoded = stored::encode((Kind::Run, &key), extent, raw, dictionary, checksum)?;
    Some((key, encoded))
}

/// Checks the stored value of a run and reads its header.
pub(crate) fn open<'a>(
    key: &[u8],
    value: &'a [u8],
    checksum: &Checksum,
) -> Result<(Header, Body<'a>), Reason> {
    stored::open((Kind::Run, key), value, checksum)
}

/// Decodes the body of a run, reusing the allocations of `spare`.
pub(crate) fn decode(
    (stream, first_version): (&str, u64),
    header: &Header,
    body: &[u8],
    dictionary: Option<&Dictionary>,
    mut spare: Page,
) -> Result<Page, Reason> {
    let len = header.raw_len();
    let mut bytes = spare.take_buffer(len);
    let raw = Arc::get_mut(&mut bytes).and_then(|bytes| bytes.get_mut(..len));
    let raw = raw.ok_or_else(|| "its buffer is in use".to_owned())?;
    header.decompress(body, raw, dictionary)?;
    let page = spare.reuse(bytes, std::iter::once::<Range<usize>>(0..len))?;
    if !page.is_of_stream(stream, first_version) {
        return Err("its events do not match its key".to_owned());
    }
    let extent = (page.first_position(), page.last_position(), page.len());
    if extent != (header.first_position, header.last_position, header.count as usize) {
        return Err("its events do not match its header".to_owned());
    }
    Ok(page)
}
