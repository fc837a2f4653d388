//! NDJSON, the exchange format: one event per line, in the format of the Python store's file.
//!
//! Invariants:
//! * Export writes what Python's `json.dumps` would; payloads and metadata go out as stored.
//! * Import writes whole batches, each durable and visible at once; a bad line costs only its own.
//! * Memory is bounded by one batch and one line, whatever the length of the file.
//!
//! Import goes `lines` (bytes to lines) -> `envelope` (a line to raw values) -> `line` (checked
//! values) -> `import` (modes) -> `batch` (durable units). Export goes `export` -> `dumps`. `file`
//! does both with a file, and a `new_file` appears only when it is complete.

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
pub use report::{ExportReport, ImportError, ImportFault, ImportReport, TornLine};

/// How errors refer to readers and writers, which have no name.
const INPUT: &str = "the NDJSON input";
const OUTPUT: &str = "the NDJSON output";
