//! The limits of a store: each is the largest value that is allowed.
//!
//! A call that exceeds a limit returns [`Error::LimitExceeded`], and nothing is written.

use crate::Error;

/// Bytes of UTF-8 in a stream id, an event type, a tag, or the name of a projection, snapshot or
/// checkpoint. The minimum is 1, and none may contain a NUL.
pub const NAME_BYTES_MAX: usize = 255;

/// Bytes of one event: stream id, event type, data, metadata and tags together.
pub const EVENT_BYTES_MAX: usize = 16 << 20;

/// Bytes of one append, over all its events, counted as for [`EVENT_BYTES_MAX`].
pub const APPEND_BYTES_MAX: usize = 64 << 20;

/// Events in one append.
pub const APPEND_EVENTS_MAX: usize = 100_000;

/// Tags of one event.
pub const TAGS_MAX: usize = 1_000;

/// Items of one query.
pub const QUERY_ITEMS_MAX: usize = 1_000;

/// Types of one item of a query.
pub const QUERY_TYPES_MAX: usize = 1_000;

/// Tags of one item of a query.
pub const QUERY_TAGS_MAX: usize = 1_000;

/// Conditions of one batch.
pub const CONDITIONS_MAX: usize = 100;

/// Requirements of one batch: checks of streams to which an entry of the batch appends nothing.
pub const REQUIREMENTS_MAX: usize = 100_000;

/// Checkpoints of one batch.
pub const CHECKPOINTS_MAX: usize = 10_000;

/// The nesting depth of arrays and objects in the data or the metadata of one event. Deeper JSON is
/// an invalid argument.
pub const JSON_DEPTH_MAX: usize = 128;

/// Bytes of one line of NDJSON input, without the line end.
pub const LINE_BYTES_MAX: usize = 32 << 20;

/// Bytes of one snapshot.
pub const SNAPSHOT_BYTES_MAX: usize = 64 << 20;

/// How many times [`update`](crate::EventStore::update) asks for a decision: once at first, and
/// again after each conflict. In each round of conflicts one writer succeeds, so a writer reaches
/// this limit only if a thousand others were faster.
pub const UPDATE_ATTEMPTS_MAX: u32 = 1000;

/// Checks a value against its limit; `what` names it with its unit, such as "event (bytes)".
pub(crate) fn check(what: &'static str, actual: usize, limit: usize) -> Result<(), Error> {
    if actual <= limit {
        return Ok(());
    }
    Err(Error::LimitExceeded { what, limit: limit as u64, actual: actual as u64 })
}
