//! Annals is an embedded event store: a durable, append-only log of immutable events in one
//! directory, linked into your program. What SQLite is to tables, Annals is to events.
//!
//! ```
//! use annals::{EventStore, ExpectedVersion, NewEvent};
//!
//! let directory = tempfile::tempdir()?;
//! let store = EventStore::open(directory.path().join("orders.annals"))?;
//!
//! let placed = NewEvent::json("OrderPlaced", &serde_json::json!({"customer": "ada"}))?;
//! let added = NewEvent::json("ItemAdded", &serde_json::json!({"sku": "tea", "quantity": 2}))?;
//! store.append("order-7", ExpectedVersion::NoStream, [placed, added])?;
//!
//! for event in store.read_stream("order-7") {
//!     let event = event?;
//!     println!("{} {}", event.version(), event.event_type());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The [guides](guide) explain how to model, retry, project and operate, and when to use something
//! else.
//!
//! The modules below are in reading order; each uses only those above it.

mod sync; //     locks
mod defect; //   deliberate defects, for testing the tests
mod trace; //    spans for `tracing`
mod error;
mod event; //    values: no I/O, no clock, no threads
mod codec; //    values <-> bytes
mod metrics; //  counters and histograms
mod storage; //  two copies, journal and trees, and the tail: the only place that knows sled
mod store; //    the engine: append and read
mod snapshot; // features over the store: saved states,
mod subscription; // events as they arrive,
mod projection; // state derived from events,
mod ndjson; //   import and export,
mod verify; //   a check of the whole store,
mod maintenance; // work on whole stores: backups, repairs,
mod reader; //   and reading beside a writer
pub mod guide; // how to work with a store, page by page
#[cfg(feature = "testing")]
pub mod testing; // for the tests of programs that use the crate
#[cfg(feature = "capi")]
pub mod ffi; //  the C ABI, over the public items below
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing; // what the fuzzer calls

pub use codec::FORMAT_VERSION;
pub use error::{
    AppendError, ConditionFailed, Conflict, Error, ErrorCode, FailedCondition, VersionConflict,
};
pub use event::{
    Appended, ExpectedVersion, NewEvent, ParseExpectedVersionError, Query, QueryItem,
    RecordedEvent, SnapshotKey, SnapshotOwner, Tags, Timestamp, UtcOffset, limits,
};
pub use maintenance::{
    BackupOptions, BackupReport, RepairOptions, RepairReport, SalvageOptions, SalvageReport,
    VerifyOptions, backup, compact, repair, salvage, salvage_with, verify,
};
pub use metrics::{Histogram, Metrics};
pub use ndjson::{
    ExportOptions, ExportReport, ImportError, ImportFault, ImportMode, ImportOptions, ImportReport,
    Progress, TornLine, TornTail,
};
pub use projection::{
    HandlerError, Handlers, LiveError, LiveProjection, LiveState, Loaded, Projection, Restored,
    UpTo, UpdateError,
};
pub use reader::{ReadEvents, Reader};
pub use snapshot::{IgnoredSnapshot, Snapshot, SnapshotInfo, Snapshots};
#[cfg(feature = "capi")]
pub(crate) use store::OwnThread; // for the C ABI, which asks about callbacks on it
pub use store::{
    Batch, Committed, Durability, EventStore, Events, Found, Options, Recovery, Stats, StreamInfo,
    Streams, Ticket, Upcast, Upcasters,
};
pub use subscription::{CancelHandle, Subscription};
#[cfg(feature = "model-checking")]
#[doc(hidden)]
pub use sync::model; // the disk of a model checker
pub use verify::{Finding, NotChecked, Report};

/// The ids of events are UUIDs of this crate.
pub use uuid;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
