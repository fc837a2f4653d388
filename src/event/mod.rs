//! Events as values: what a caller appends and what it reads back.
//!
//! Nothing here does I/O, reads a clock or starts a thread.

mod appended;
mod expected;
pub(crate) mod json;
pub mod limits;
pub(crate) mod name;
mod new_event;
mod query;
mod recorded;
mod snapshot_key;
pub(crate) mod tags;
mod timestamp;
mod typed;

pub use appended::Appended;
pub use expected::{ExpectedVersion, ParseExpectedVersionError};
pub use new_event::NewEvent;
pub(crate) use new_event::{Payload, with_schema_version};
pub use query::{Query, QueryItem};
pub use recorded::RecordedEvent;
pub(crate) use recorded::{EventFields, Span};
pub use snapshot_key::{SnapshotKey, SnapshotOwner};
pub(crate) use tags::TagList;
pub use tags::Tags;
pub use timestamp::{Timestamp, UtcOffset};
pub(crate) use typed::variants;
