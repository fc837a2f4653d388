//! The one checksum of the format: CRC-32 (IEEE 802.3) over the store id and then the bytes.
//!
//! Seeding it with the store id makes bytes of another store invalid, wherever they turn up.

use crc32fast::Hasher;
use uuid::Uuid;

/// Computes the checksums of one store.
#[derive(Clone, Debug)]
pub(crate) struct Checksum {
    seed: Hasher,
}

impl Checksum {
    pub(crate) fn of_store(id: Uuid) -> Checksum {
        let mut seed = Hasher::new();
        seed.update(id.as_bytes());
        Checksum { seed }
    }

    /// The checksum of a value that is stored under a key: of both, so that a value in the wrong
    /// place does not fit.
    pub(crate) fn of_entry(&self, key: &[u8], value: &[u8]) -> u32 {
        let mut hasher = self.seed.clone();
        hasher.update(key);
        hasher.update(value);
        hasher.finalize()
    }

    /// The checksum of a value that is stored under a key: of both, so that a value in the wrong
    /// place does not fit.
    pub(crate) fn of_entry(&self, key: &[u8], value: &[u8]) -> u32 {
        let mut hasher = self.seed.clone();
        hasher.update(key);
        hasher.update(value);
        hasher.finalize()
    }
}
