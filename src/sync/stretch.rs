//! Giving way: background threads leave the processor to those that answer callers.
//!
//! A scheduler lets a computing thread run for some milliseconds even while another thread waits
//! for its processor, for example one whose append has just become durable. When a drain and the
//! sealing of its files kept two processors busy, an append waited for up to two such slices. So
//! these threads yield after each short stretch of work. A yield takes less than a microsecond if
//! no other thread waits.

use crate::sync::thread;

/// A stretch is as much work as encoding this many bytes, some 100 to 200 us.
const STRETCH: usize = 64 << 10;

/// The work of a thread since it last gave way.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    bytes: usize,
}

impl Stretch {
    /// Adds work that takes about as long as encoding this many bytes.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= STRETCH {
            self.bytes = 0;
            thread::yield_now();
        }
    }
}
