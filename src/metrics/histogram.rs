//! A histogram whose buckets get wider with their values: eight buckets for each power of two.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// The number of buckets for each power of two, as a power of two.
const PRECISION_BITS: u32 = 3;
/// Values below the first power of two that is divided have one bucket each.
const BUCKETS: usize = ((u64::BITS - PRECISION_BITS + 1) as usize) << PRECISION_BITS;

/// The bucket of a value.
fn bucket_of(value: u64) -> usize {
    let magnitude = value.max(1).ilog2().saturating_sub(PRECISION_BITS);
    let within = value >> magnitude;
    // A value of one magnitude has its first bit in `within`, except for those of the first.
    let bucket = (u64::from(magnitude) << PRECISION_BITS) + within;
    usize::try_from(bucket).unwrap_or(BUCKETS - 1)
}

/// The largest value of a bucket.
fn largest_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let magnitude = (bucket >> PRECISION_BITS).saturating_sub(1);
    let within = bucket - (magnitude << PRECISION_BITS);
    (u128::from(within + 1) << magnitude).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

/// Records values from any number of threads.
pub(crate) struct Meter {
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Meter {
    fn default() -> Meter {
        let counts = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Meter { counts, sum: AtomicU64::new(0), max: AtomicU64::new(0) }
    }
}

impl Meter {
    pub(crate) fn record(&self, value: u64) {
        if let Some(count) = self.counts.get(bucket_of(value)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
        if self.max.load(Ordering::Relaxed) < value {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// Records the nanoseconds elapsed since a moment.
    pub(crate) fn record_since(&self, started: Instant) {
        self.record(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn histogram(&self) -> Histogram {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let counts = counts.enumerate().filter(|(_, count)| *count > 0);
        Histogram {
            buckets: counts.map(|(bucket, count)| (largest_of(bucket), count)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.histogram().fmt(f)
    }
}

/// How often each value occurred. Values are accurate to an eighth; count, sum and maximum are
/// exact.
///
/// As JSON it is an object with `count`, `sum`, `max`, `p50`, `p90`, `p99` and `p999`.
///
/// # Examples
/// See [`Metrics`](crate::Metrics).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The largest value of each nonempty bucket, and the number of values in it.
    buckets: Vec<(u64, u64)>,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// The number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// The sum of the values.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The mean of the values; 0 without values.
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count()).unwrap_or(0)
    }

    /// The largest value; 0 without values.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// A value that this share of the values, such as 0.99, does not exceed; at most an eighth
    /// above the true one. A share below 0 counts as 0, and one above 1 as 1.
    pub fn quantile(&self, share: f64) -> u64 {
        let count = self.count();
        // A share of a count is rounded to a count; the precision that a float loses does not
        // matter.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the share is between 0 and 1"
        )]
        let wanted = (share.clamp(0.0, 1.0) * count as f64).ceil() as u64;
        let mut seen = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0, |(largest, _)| (*largest).min(self.max))
    }

    /// The largest value of each nonempty bucket, and the number of values in it: for exporting to
    /// a system that has its own histograms.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().copied()
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Histogram", 7)?;
        fields.serialize_field("count", &self.count())?;
        fields.serialize_field("sum", &self.sum)?;
        fields.serialize_field("max", &self.max)?;
        fields.serialize_field("p50", &self.quantile(0.5))?;
        fields.serialize_field("p90", &self.quantile(0.9))?;
        fields.serialize_field("p99", &self.quantile(0.99))?;
        fields.serialize_field("p999", &self.quantile(0.999))?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test stops at what should not be")]

    use super::*;

    /// Each value is in the one bucket whose largest value is the next one at or above it.
    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..BUCKETS {
            let largest = largest_of(bucket);
            assert_eq!(bucket_of(largest), bucket, "{largest}");
            match largest.checked_add(1) {
                Some(next) => assert_eq!(bucket_of(next), bucket + 1, "{next}"),
                None => assert_eq!(bucket, BUCKETS - 1),
            }
        }
        assert_eq!((bucket_of(0), bucket_of(7), bucket_of(8), bucket_of(15)), (0, 7, 8, 15));
        assert_eq!((bucket_of(16), bucket_of(17), bucket_of(18)), (16, 16, 17));
    }

    #[test]
    fn quantiles_are_at_most_an_eighth_above() {
        let meter = Meter::default();
        (1..=100_000).for_each(|value| meter.record(value));
        let histogram = meter.histogram();
        assert_eq!((histogram.count(), histogram.max()), (100_000, 100_000));
        assert_eq!((histogram.sum(), histogram.mean()), (5_000_050_000, 50_000));
        for share in [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let (found, due) = (histogram.quantile(share) as f64, share * 100_000.0);
            assert!(found >= due && found <= due * 1.125, "{share}: {found}");
        }
        assert_eq!((histogram.quantile(-1.0), histogram.quantile(9.0)), (1, 100_000));
        assert_eq!(Histogram::default().quantile(0.5), 0);
        meter.record(u64::MAX);
        assert_eq!(meter.histogram().quantile(1.0), u64::MAX);
    }
}
