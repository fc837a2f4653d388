//! Keys of the trees. Numbers are big-endian, so that byte order is number order.
//!
//! ```text
//! events       first position of the record u64
//! parts        position of the split event u64, number of the part u32
//! streams      stream id, 0x00, first version of the run u64   (no id holds a NUL)
//! ids          event id, 16 bytes
//! snapshots    owner u8, name, 0x00, version u32, position u64, number of the part u32
//! checkpoints  name
//! ```
//! Part 0 of a snapshot is the snapshot, or the stub of one whose parts are 1, 2 and so on.

use crate::event::{SnapshotKey, SnapshotOwner};

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

/// What the keys of all snapshots of a name start with, whatever their version.
pub(crate) fn snapshot_name(owner: SnapshotOwner, name: &str) -> Vec<u8> {
    [&[owner as u8], name.as_bytes(), &[0]].concat()
}

/// Key of a part of a snapshot.
pub(crate) fn snapshot(of: &SnapshotKey, position: u64, part: u32) -> Vec<u8> {
    let mut key = snapshot_name(of.owner, &of.name);
    key.extend_from_slice(&of.version.to_be_bytes());
    key.extend_from_slice(&position.to_be_bytes());
    key.extend_from_slice(&part.to_be_bytes());
    key
}

/// What a key of `snapshots` stands for: the snapshot, its position, the number of the part.
pub(crate) fn parse_snapshot(key: &[u8]) -> Option<(SnapshotKey, u64, u32)> {
    let (rest, part) = key.split_last_chunk::<4>()?;
    let (rest, position) = rest.split_last_chunk::<8>()?;
    let (rest, version) = rest.split_last_chunk::<4>()?;
    let (owner, name) = rest.strip_suffix(&[0])?.split_first()?;
    let owner = SnapshotOwner::of(*owner)?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    let key = SnapshotKey { owner, name, version: u32::from_be_bytes(*version) };
    Some((key, u64::from_be_bytes(*position), u32::from_be_bytes(*part)))
}
