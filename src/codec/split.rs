//! A record too large for one value of a tree, in parts.
//!
//! ```text
//! stub = 0x02, length of the record u32, parts u32, checksum u32 over position u64 and the two
//! ```
//! The stub stands in `events` under the record's key; the parts, in `parts`, are the bytes of the
//! record cut every [`PART_BYTES`]. The record's own checksum covers them.

use crate::codec::{Reason, checksum::Checksum, u32_at};

/// Bytes of a part. Leaves of the trees hold up to 17 values, and a page image past a quarter of a
/// segment (2 MiB of 8) would leave the log, so this must stay well below 120 KiB.
pub(crate) const PART_BYTES: usize = 32 << 10;

/// A record up to this size is one value.
pub(crate) const WHOLE_BYTES_MAX: usize = PART_BYTES;

/// Tells a stub from a record.
pub(crate) const KIND: u8 = 2;

const STUB_BYTES: usize = 13;

/// Where the parts of a split record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stub {
    pub(crate) len: u32,
    pub(crate) parts: u32,
}

impl Stub {
    /// `None` when the record is past 4 GiB, which no limit allows.
    pub(crate) fn for_record(bytes: &[u8]) -> Option<Stub> {
        let len = u32::try_from(bytes.len()).ok()?;
        let parts = u32::try_from(bytes.len().div_ceil(PART_BYTES)).ok()?;
        Some(Stub { len, parts })
    }

    pub(crate) fn encode(self, position: u64, checksum: &Checksum) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(STUB_BYTES);
        bytes.push(KIND);
        bytes.extend_from_slice(&self.len.to_le_bytes());
        bytes.extend_from_slice(&self.parts.to_le_bytes());
        bytes.extend_from_slice(&self.sum(position, checksum).to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], position: u64, checksum: &Checksum) -> Result<Stub, Reason> {
        let stub = Stub { len: u32_at(bytes, 1), parts: u32_at(bytes, 5) };
        let fits = bytes.len() == STUB_BYTES
            && bytes.first() == Some(&KIND)
            && u32_at(bytes, 9) == stub.sum(position, checksum)
            && stub.parts as usize == (stub.len as usize).div_ceil(PART_BYTES);
        if fits { Ok(stub) } else { Err("its list of parts does not fit its checksum".to_owned()) }
    }

    fn sum(self, position: u64, checksum: &Checksum) -> u32 {
        let mut covered = [0; 16];
        let (first, rest) = covered.split_at_mut(8);
        first.copy_from_slice(&position.to_le_bytes());
        let (second, third) = rest.split_at_mut(4);
        second.copy_from_slice(&self.len.to_le_bytes());
        third.copy_from_slice(&self.parts.to_le_bytes());
        checksum.of(&covered)
    }
}
