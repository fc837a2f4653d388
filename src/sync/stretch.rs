//! Giving way: how background threads leave the processor to those that answer.
//!
//! A scheduler lets a thread that computes run on for some milliseconds, also while another waits
//! for that processor: one whose append the disk has just made durable, for example. With two
//! processors, and a drain and the sealing of its files at work on both, appends waited for up to
//! two such slices. So these threads offer their processor after each short stretch of work, which
//! costs less than a microsecond if nobody wants it.

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
