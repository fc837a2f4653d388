//! NDJSON, the exchange format: one event per line, as the Python store writes its file.
//!
//! Invariants:
//! * Export writes what Python's `json.dumps` would; payloads and metadata go out as stored.
//! * Import writes whole batches, each durable and visible at once; a bad line costs only its own.
//! * Memory is bounded by one batch and one line, whatever the length of the file.
//!
//! Reading goes `lines` (bytes to lines) -> `envelope` (a line to raw values) -> `line` (checked
//! values) -> `import` (modes) -> `batch` (durable units). Writing goes `export` -> `dumps`. Both
//! take a `file` as well, and a `new_file` appears only when it is complete.

mod batch;
mod dumps;
mod envelope;
mod export;
mod file;
mod import;
mod line;
mod lines;
mod new_file;
mod options;
mod report;

pub use options::{ExportOptions, ImportMode, ImportOptions, Progress, TornTail};
pub use report::{ExportReport, ImportError, ImportReport, TornLine};

/// What readers and writers are called in errors, which know no name for them.
const INPUT: &str = "the NDJSON input";
const OUTPUT: &str = "the NDJSON output";
