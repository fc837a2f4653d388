//! Keys of the trees. Numbers are big-endian, so that byte order is number order.
//!
//! ```text
//! events   first position of the record u64
//! parts    position of the split event u64, number of the part u32
//! streams  stream id, 0x00, first version of the run u64   (no id holds a NUL)
//! ids      event id, 16 bytes
//! ```

/// Key of a record in `events`.
pub(crate) fn record(first_position: u64) -> [u8; 8] {
    first_position.to_be_bytes()
}

/// The first position in a key of `events`.
pub(crate) fn record_position(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// Key of one part of a split record.
pub(crate) fn part(position: u64, number: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (high, low) = key.split_at_mut(8);
    high.copy_from_slice(&position.to_be_bytes());
    low.copy_from_slice(&number.to_be_bytes());
    key
}

/// Key of a run in `streams`.
pub(crate) fn run(stream: &str, first_version: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(stream.len() + 9);
    key.extend_from_slice(stream.as_bytes());
    key.push(0);
    key.extend_from_slice(&first_version.to_be_bytes());
    key
}

/// The stream id and first version in a key of `streams`.
pub(crate) fn parse_run(key: &[u8]) -> Option<(&str, u64)> {
    let (name, version) = key.split_at_checked(key.len().checked_sub(8)?)?;
    let name = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?;
    Some((name, u64::from_be_bytes(version.try_into().ok()?)))
}
