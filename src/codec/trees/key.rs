//! Keys of the trees. Numbers are big-endian, so that byte order is numeric order.
//!
//! ```text
//! streams      stream id, 0x00, first version of the run u64   (no id holds a NUL)
//! parts        first position of the split run u64, number of the part u32
//! events       first position of the chunk u64
//! ids          event id, 16 bytes
//! tags         tag, 0x00, first position of the run u64      (no tag holds a NUL)
//! checkpoints  name
//! meta         see `codec::meta`
//! ```

/// The key of a chunk in `events`, and the value of an entry in `ids`.
pub(crate) fn position(position: u64) -> [u8; 8] {
    position.to_be_bytes()
}

/// The position in a key of `events` or a value of `ids`.
pub(crate) fn parse_position(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// The key of one part of a split run.
pub(crate) fn part(position: u64, number: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (high, low) = key.split_at_mut(8);
    high.copy_from_slice(&position.to_be_bytes());
    low.copy_from_slice(&number.to_be_bytes());
    key
}

/// The key of a run: in `streams` with its first version, in `tags` with its first position.
pub(crate) fn run(stream: &str, first_version: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(stream.len() + 9);
    key.extend_from_slice(stream.as_bytes());
    key.push(0);
    key.extend_from_slice(&first_version.to_be_bytes());
    key
}

/// Whether two keys of `streams` have the same stream, or two of `tags` the same tag.
pub(crate) fn is_same_stream(one: &[u8], other: &[u8]) -> bool {
    match (one.split_last_chunk::<8>(), other.split_last_chunk::<8>()) {
        (Some((one, _)), Some((other, _))) => one == other,
        _ => false,
    }
}

/// The stream id and first version in a key of `streams`, or the tag and first position in a key of
/// `tags`.
pub(crate) fn parse_run(key: &[u8]) -> Option<(&str, u64)> {
    let (name, version) = key.split_last_chunk::<8>()?;
    let name = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?;
    Some((name, u64::from_be_bytes(*version)))
}

/// The first version in a key of `streams`, if it is a key of this stream.
pub(crate) fn version_of(stream: &str, key: &[u8]) -> Option<u64> {
    let version = key.strip_prefix(stream.as_bytes())?.strip_prefix(&[0])?;
    version.try_into().ok().map(u64::from_be_bytes)
}
