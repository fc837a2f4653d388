//! What a store has counted and measured since it was opened.
//!
//! Counting never locks or allocates: a counter takes one relaxed addition, a histogram three. The
//! numbers of a [`Metrics`] are read one after another, so they may differ by what happens in
//! between.

mod histogram;

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

pub use histogram::Histogram;
pub(crate) use histogram::Meter;

/// What a store has done since it was opened, and how long it took. Times are in nanoseconds.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// for amount in 1..=100 {
///     let deposited = NewEvent::json("Deposited", &amount)?;
///     store.append("account-1", ExpectedVersion::Any, [deposited])?;
/// }
/// let metrics = store.metrics();
/// assert_eq!(metrics.append_nanos.count(), 100);
/// assert!(metrics.append_nanos.quantile(0.5) <= metrics.append_nanos.max());
/// println!("{}", serde_json::to_string(&metrics)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// Successful appends and commits of batches: from the call to its return, including the wait
    /// for the group and the work of live projections.
    pub append_nanos: Histogram,
    /// Submitted batches that succeeded: from the call of `submit` to the completion of the ticket,
    /// including the wait for room in the queue, the group and the work of live projections.
    pub ticket_nanos: Histogram,
    /// Appends that found a stream at a version other than the expected one.
    pub append_conflicts: u64,
    /// Appends that were exact retries and wrote nothing.
    pub append_replays: u64,
    /// Events written.
    pub events_written: u64,
    /// How many appends and checkpoints shared one write and one sync.
    pub group_requests: Histogram,
    /// Syncs of the journal.
    pub sync_nanos: Histogram,
    /// Moves of a window of events from the tail into the trees.
    pub drain_nanos: Histogram,
    /// Events moved by these drains.
    pub events_drained: u64,
    /// Reads of one page, which is a block of the journal or a run of the trees: some KiB, many
    /// events.
    pub page_nanos: Histogram,
    /// Pages read from the tail in memory: the newest events, for which no file was read.
    pub tail_pages: u64,
    /// Stream versions that an append found in the version cache.
    pub version_cache_hits: u64,
    /// Stream versions that an append had to look up.
    pub version_cache_misses: u64,
    /// About how many bytes of memory the tail uses now.
    pub tail_bytes: u64,
}

/// The counters of an open store.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) append: Meter,
    pub(crate) ticket: Meter,
    pub(crate) conflicts: Counter,
    pub(crate) replays: Counter,
    pub(crate) written: Counter,
    pub(crate) group: Meter,
    pub(crate) sync: Meter,
    pub(crate) drain: Meter,
    pub(crate) drained: Counter,
    pub(crate) page: Meter,
    pub(crate) tail_pages: Counter,
    pub(crate) version_hits: Counter,
    pub(crate) version_misses: Counter,
}

impl Meters {
    pub(crate) fn metrics(&self, tail_bytes: u64) -> Metrics {
        Metrics {
            append_nanos: self.append.histogram(),
            ticket_nanos: self.ticket.histogram(),
            append_conflicts: self.conflicts.get(),
            append_replays: self.replays.get(),
            events_written: self.written.get(),
            group_requests: self.group.histogram(),
            sync_nanos: self.sync.histogram(),
            drain_nanos: self.drain.histogram(),
            events_drained: self.drained.get(),
            page_nanos: self.page.histogram(),
            tail_pages: self.tail_pages.get(),
            version_cache_hits: self.version_hits.get(),
            version_cache_misses: self.version_misses.get(),
            tail_bytes,
        }
    }
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
