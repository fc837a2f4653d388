//! A run of positions in the tree `tags`: where the events with one tag lie.
//!
//! ```text
//! key = tag, 0x00, first position u64 big-endian
//! raw = the difference of each later position to the one before, as varints
//! ```
//! stored as `codec::stored` says, with the count of positions in the header. A run holds what one
//! drain gathered of a tag, cut at [`RUN_POSITIONS`].

use crate::codec::{
    Reason,
    checksum::Checksum,
    key,
    stored::{self, Body, Extent, Kind},
    varint::{self, Reader},
};

/// Positions in a run, at most: so few that its value is never split.
pub(crate) const RUN_POSITIONS: usize = 2_000;

/// Encodes ascending positions, at most [`RUN_POSITIONS`] of them, under their key.
pub(crate) fn encode(
    tag: &str,
    positions: &[u64],
    checksum: &Checksum,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let (&first_position, rest) = positions.split_first()?;
    let (mut raw, mut last_position) = (Vec::new(), first_position);
    for &position in rest {
        varint::put(&mut raw, position.saturating_sub(last_position));
        last_position = position;
    }
    let count = u32::try_from(positions.len()).ok()?;
    let extent = Extent { first_position, last_position, count };
    let key = key::run(tag, first_position);
    let encoded = stored::encode((Kind::Tagged, &key), extent, &raw, None, checksum)?;
    encoded.split_body.is_empty().then_some((key, encoded.value))
}

/// Decodes the value that is stored under a key.
pub(crate) fn decode(key: &[u8], value: &[u8], checksum: &Checksum) -> Result<Vec<u64>, Reason> {
    let malformed = || "it is malformed".to_owned();
    let (header, body) = stored::open((Kind::Tagged, key), value, checksum)?;
    let Body::Whole(body) = body else { return Err("it is split".to_owned()) };
    if key::parse_run(key).is_none_or(|(_, first)| first != header.first_position) {
        return Err("its positions are not those of its key".to_owned());
    }
    let mut raw = vec![0; header.raw_len()];
    header.decompress(body, &mut raw, None)?;
    let mut reader = Reader::new(&raw, 0);
    let mut position = header.first_position;
    let mut positions = vec![position];
    while reader.left() > 0 {
        let more = reader.number().filter(|&more| more > 0).ok_or_else(malformed)?;
        position = position.checked_add(more).ok_or_else(malformed)?;
        positions.push(position);
    }
    let is_whole = position == header.last_position && positions.len() == header.count as usize;
    is_whole.then_some(positions).ok_or_else(malformed)
}
