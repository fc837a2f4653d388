//! The buffers of reads of a sealed file, kept to save allocations.

use std::ops::Range;

use crate::sync::{self, Mutex};

/// How many buffers are kept between reads.
const KEPT_MAX: usize = 2;

/// The largest buffer that is kept, except for that of a block that is not read to its end.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// The buffers of one read.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) stored: Vec<u8>,
    /// The raw bytes of the block with this index, once `block` says so.
    pub(super) raw: Vec<u8>,
    pub(super) block: Option<usize>,
    pub(super) records: Vec<Range<usize>>,
}

/// The buffers that no read uses at the moment.
#[derive(Debug, Default)]
pub(super) struct Scratches(Mutex<Vec<Scratch>>);

impl Scratches {
    /// Takes buffers for a read, if possible those that hold the raw bytes of this block.
    pub(super) fn take(&self, block: Option<usize>) -> Scratch {
        let mut kept = sync::lock(&self.0);
        let found = kept.iter().position(|scratch| block.is_some() && scratch.block == block);
        match (found, kept.is_empty()) {
            (Some(found), _) => kept.remove(found),
            (None, false) => kept.remove(0),
            (None, true) => Scratch::default(),
        }
    }

    /// Keeps buffers for the next read.
    pub(super) fn keep(&self, mut scratch: Scratch) {
        scratch.stored.clear();
        scratch.stored.shrink_to(BYTES_MAX);
        let mut kept = sync::lock(&self.0);
        if kept.len() < KEPT_MAX {
            kept.push(scratch);
        }
    }
}
