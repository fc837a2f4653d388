//! Values to bytes and back: the layout of everything that is stored.
//!
//! Decoding never panics, whatever the bytes, and never returns bytes with a wrong checksum.
//! `docs/format.md` describes the format as a whole; each file here holds the grammar of its part.

pub(crate) mod checksum;
pub(crate) mod compress;
pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod pack;
pub(crate) mod page;
pub(crate) mod record;
pub(crate) mod saved;
pub(crate) mod sealed;
pub(crate) mod superblock;
mod trees;
mod varint;
#[cfg(test)]
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at what should not be"
)]
mod tests;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

pub(crate) use trees::{dictionary, key, meta, places, run, stored, tagged};

/// The version of the format that this library writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The reason why bytes were not decoded: one clause for a human reader.
pub(crate) type Reason = String;

/// Bytes that serde passes to bincode as one slice instead of one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct Bytes<'a>(#[serde(borrow)] &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Varints, little-endian; lengths are limited by the available bytes and by `LIMIT`.
pub(crate) fn config() -> impl bincode::config::Config {
    const LIMIT: usize = 256 << 20;
    bincode::config::standard().with_limit::<LIMIT>()
}

/// Decodes a complete value, borrowing from `bytes`; trailing bytes are an error.
pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Reason> {
    match bincode::serde::borrow_decode_from_slice(bytes, config()) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        Ok((_, read)) => Err(format!("{} bytes follow its end", bytes.len() - read)),
        Err(error) => Err(error.to_string()),
    }
}

/// Appends the encoded value to `out`.
pub(crate) fn encode(value: &impl serde::Serialize, out: &mut Vec<u8>) -> Result<(), Reason> {
    bincode::serde::encode_into_std_write(value, out, config())
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The little-endian number at `offset`; 0 past the end of `bytes`, which no valid header reaches.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let four = bytes.get(offset..offset + 4).and_then(|four| four.try_into().ok());
    u32::from_le_bytes(four.unwrap_or_default())
}

/// Like [`u32_at`], for eight bytes.
fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let eight = bytes.get(offset..offset + 8).and_then(|eight| eight.try_into().ok());
    u64::from_le_bytes(eight.unwrap_or_default())
}

fn uuid_at(bytes: &[u8], offset: usize) -> Uuid {
    let id = bytes.get(offset..offset + 16).and_then(|id| id.try_into().ok());
    Uuid::from_bytes(id.unwrap_or_default())
}
