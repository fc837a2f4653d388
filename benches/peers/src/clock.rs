//! Two clocks: what passes on the wall, and what the processors work for this program. On a busy
//! machine the second one varies less.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Of all threads.
    pub(crate) processor: Duration,
}

pub(crate) struct Watch {
    wall: Instant,
    processor: Duration,
}

impl Watch {
    pub(crate) fn start() -> Watch {
        Watch { processor: processor(), wall: Instant::now() }
    }

    pub(crate) fn stop(self) -> Cost {
        Cost { wall: self.wall.elapsed(), processor: processor() - self.processor }
    }
}

fn processor() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap()
}

pub(crate) fn micros_each(elapsed: Duration, events: u64) -> f64 {
    elapsed.as_secs_f64() * 1e6 / events as f64
}
