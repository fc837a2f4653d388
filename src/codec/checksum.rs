//! The only checksum of the format: CRC-32 (IEEE 802.3) over the store id and then the bytes.
//!
//! Including the store id makes bytes of another store invalid wherever they appear.

use crc32fast::Hasher;
use uuid::Uuid;

use crate::codec::u32_at;

/// Bytes of a header of any kind, its checksum included.
pub(crate) const HEADER_BYTES: usize = 64;

/// Where the checksum of a header is.
pub(super) const CHECKSUM_OFFSET: usize = HEADER_BYTES - 4;

/// Computes the checksums of one store.
#[derive(Clone, Debug)]
pub(crate) struct Checksum {
    seed: Hasher,
    /// Whether every checksum is 0, so that a fuzzer gets past it.
    #[cfg(any(test, feature = "fuzzing"))]
    is_forged: bool,
}

impl Checksum {
    pub(crate) fn of_store(id: Uuid) -> Checksum {
        let mut seed = Hasher::new();
        seed.update(id.as_bytes());
        Checksum {
            seed,
            #[cfg(any(test, feature = "fuzzing"))]
            is_forged: false,
        }
    }

    /// Makes every checksum 0.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn forged() -> Checksum {
        Checksum { seed: Hasher::new(), is_forged: true }
    }

    /// The checksum of a value stored under a key. It covers both, so that a value in the wrong
    /// place is detected.
    pub(crate) fn of_entry(&self, key: &[u8], value: &[u8]) -> u32 {
        self.start().and(key).and(value).finish()
    }

    pub(crate) fn of(&self, bytes: &[u8]) -> u32 {
        self.start().and(bytes).finish()
    }

    /// Pads a header with zeros and ends it with its checksum.
    pub(super) fn seal_header(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.resize(CHECKSUM_OFFSET, 0);
        let sum = self.of(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Whether `bytes` start with a header that has the right checksum.
    pub(super) fn fits_header(&self, bytes: &[u8]) -> bool {
        let covered = bytes.get(..CHECKSUM_OFFSET);
        bytes.len() >= HEADER_BYTES
            && covered.is_some_and(|covered| self.of(covered) == u32_at(bytes, CHECKSUM_OFFSET))
    }

    /// Starts a checksum of bytes that arrive in parts.
    pub(crate) fn start(&self) -> PartialChecksum {
        PartialChecksum {
            hasher: self.seed.clone(),
            #[cfg(any(test, feature = "fuzzing"))]
            is_forged: self.is_forged,
        }
    }
}

/// The checksum of the parts so far.
#[derive(Clone, Debug)]
pub(crate) struct PartialChecksum {
    hasher: Hasher,
    #[cfg(any(test, feature = "fuzzing"))]
    is_forged: bool,
}

impl PartialChecksum {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    pub(crate) fn and(mut self, bytes: &[u8]) -> PartialChecksum {
        self.update(bytes);
        self
    }

    pub(crate) fn finish(self) -> u32 {
        #[cfg(any(test, feature = "fuzzing"))]
        if self.is_forged {
            return 0;
        }
        self.hasher.finalize()
    }
}
