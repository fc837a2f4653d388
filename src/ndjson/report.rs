//! The results of an import or an export.

use std::fmt;

use serde::Serialize;

use crate::Error;

/// The result of [`import_ndjson`](crate::EventStore::import_ndjson), even if it failed in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Events written: durable, and readable. In a dry run, those that would have been written.
    pub events: u64,
    /// Events of the input that were already in the store.
    pub skipped: u64,
    /// Lines read, including blank lines and a faulty one.
    pub lines: u64,
    /// The last line, if it was torn and left out.
    pub torn_tail: Option<Box<TornLine>>,
    /// Whether this was only a check that wrote nothing.
    pub dry_run: bool,
}

/// A last line that was left out because it is torn: no line end, and not JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TornLine {
    /// The line, counted from 1.
    pub line: u64,
    /// The length of the line in bytes.
    pub bytes: u64,
    /// Why it is not JSON.
    pub reason: String,
}

impl fmt::Display for TornLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TornLine { line, bytes, reason } = self;
        write!(f, "line {line} is torn and was dropped: {bytes} bytes, {reason}")
    }
}

/// The result of [`export_ndjson`](crate::EventStore::export_ndjson).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// Events written, one line each.
    pub events: u64,
    /// Bytes of NDJSON written.
    pub bytes: u64,
}

/// Why an import ended early, and how far it got.
///
/// Nothing of the batch with the fault is in the store; all events counted in `report.events` are.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportError {
    /// What was done before the error.
    pub report: Box<ImportReport>,
    /// What went wrong.
    pub error: Error,
    /// The line that the error refers to, counted from 1, if there is one. An [`Error::Parse`] also
    /// names it; an [`Error::DuplicateEventId`] does not.
    pub line: Option<u64>,
    /// The fault, if another mode or another option accepts it.
    pub fault: Option<ImportFault>,
}

/// A fault of a line that another [mode](crate::ImportMode) or another option of the import
/// accepts. The [`Error::Parse`] of the import describes it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportFault {
    /// The last line is torn: it has no line end, and is not JSON.
    /// [`TornTail::Drop`](crate::TornTail::Drop) leaves it out.
    TornTail,
    /// The `event_id` of the line does not follow the line before it or the head of the store.
    EventId {
        /// The `event_id` of the line.
        found: u64,
        /// The `event_id` that follows.
        expected: u64,
    },
}

/// Displays the error and its line; the caller can display the report.
impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &self.error) {
            (Some(line), error) if !matches!(error, Error::Parse { .. }) => {
                write!(f, "line {line}: {error}")
            }
            (_, error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<ImportError> for Error {
    fn from(failure: ImportError) -> Error {
        failure.error
    }
}
