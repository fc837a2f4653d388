//! The superblock: the file `ANNALS`, which makes a directory a store.
//!
//! ```text
//! 0   magic "ANSTOR\r\n"      (the line end shows a transfer that mangled the bytes)
//! 8   format version u32
//! 12  store id, 16 bytes
//! 28  checksum u32 of bytes 0..28
//! ```
//! Versions before the first release used another magic with the same layout. Their stores cannot
//! be read, but they are recognised.

use uuid::Uuid;

use crate::codec::{checksum::Checksum, u32_at};

const MAGIC: &[u8; 8] = b"ANSTOR\r\n";

/// The magic of stores created before the first release.
const UNRELEASED_MAGIC: &[u8; 8] = b"ANNALS\r\n";

/// The format of stores created before the first release.
pub(crate) const UNRELEASED_FORMAT: u32 = 0;

const BYTES: usize = 32;

/// The contents of a superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) format: u32,
    pub(crate) store_id: Uuid,
}

impl Superblock {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(self.store_id.as_bytes());
        let sum = Checksum::of_store(self.store_id).of(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the superblock of any format version: its layout never changes. The format is
    /// [`UNRELEASED_FORMAT`] for a store created before the first release.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Superblock, &'static str> {
        let is_unreleased = bytes.starts_with(UNRELEASED_MAGIC);
        if !is_unreleased && !bytes.starts_with(MAGIC) {
            return Err("it does not start with the magic number of a superblock");
        }
        let id: [u8; 16] = bytes
            .get(12..28)
            .and_then(|id| id.try_into().ok())
            .ok_or("it is shorter than a superblock")?;
        let store_id = Uuid::from_bytes(id);
        let covered = bytes.get(..28).unwrap_or_default();
        if bytes.len() != BYTES || u32_at(bytes, 28) != Checksum::of_store(store_id).of(covered) {
            return Err("its checksum does not match");
        }
        match u32_at(bytes, 8) {
            0 => Err("it has no format version"),
            _ if is_unreleased => Ok(Superblock { format: UNRELEASED_FORMAT, store_id }),
            format => Ok(Superblock { format, store_id }),
        }
    }
}
