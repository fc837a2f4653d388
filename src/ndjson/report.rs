//! What an import or an export has done.

use std::fmt;

use serde::Serialize;

use crate::Error;

/// What [`import_ndjson`](crate::EventStore::import_ndjson) has done, also when it failed in the
/// end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Events written: durable, and readable. In a dry run, those that would have been.
    pub events: u64,
    /// Events of the input that were in the store already.
    pub skipped: u64,
    /// Lines read, blank ones and a bad one included.
    pub lines: u64,
    /// The last line, when it was torn and left out.
    pub torn_tail: Option<Box<TornLine>>,
    /// Whether this was only a check: nothing was written.
    pub dry_run: bool,
}

/// A last line that was left out because it is torn: no line end, and not JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TornLine {
    /// The line, counted from 1.
    pub line: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// Why it is not JSON.
    pub reason: String,
}

impl fmt::Display for TornLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TornLine { line, bytes, reason } = self;
        write!(f, "line {line} is torn and was left out: {bytes} bytes, {reason}")
    }
}

/// What [`export_ndjson`](crate::EventStore::export_ndjson) has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// Events, one line each.
    pub events: u64,
    /// Bytes of NDJSON.
    pub bytes: u64,
}

/// Why an import ended early, and how far it had come.
///
/// Nothing of the batch with the fault is in the store; all that `report.events` counts is.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportError {
    /// What was done before.
    pub report: ImportReport,
    /// What went wrong.
    pub error: Error,
    /// The line that it is about, counted from 1, where there is one. An [`Error::Parse`] names it
    /// too; an [`Error::DuplicateEventId`] does not.
    pub line: Option<u64>,
}

/// Says what the error says, and where: the report is for the caller to put into words.
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
