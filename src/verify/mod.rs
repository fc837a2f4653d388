//! Checking the consistency of a whole store: every checksum, every number, every index entry, and
//! the two copies of every event against each other.

mod check;
mod checkpoints;

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{
    Error, EventStore,
    trace::{note, span},
};

/// The result of checking a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The number of events that were read and found intact.
    pub events: u64,
    /// The number of streams that they belong to.
    pub streams: u64,
    /// The problems, in the order in which they were found; empty for an intact store.
    pub findings: Vec<Finding>,
    /// The number of acknowledged events that neither copy can return, as far as is known; 0 if
    /// there are no findings.
    pub unreadable: u64,
    /// What was not checked, and why; `None` when everything was. This is not a finding.
    pub not_checked: Option<NotChecked>,
}

/// A part of a store that a check left out. In JSON it is the text that `Display` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotChecked {
    /// The part: `trees`.
    pub what: &'static str,
    /// Why it was left out.
    pub reason: String,
}

impl fmt::Display for NotChecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: not checked ({})", self.what, self.reason)
    }
}

impl Serialize for NotChecked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One problem in a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// A stable code for the kind of problem: `event-damaged`, `event-missing`, `version-gap`,
    /// `stream-index`, `place-index`, `id-index`, `tag-index`, `checkpoint-damaged`,
    /// `snapshot-damaged`, `journal-damaged`, `copies-differ`, or `not-checked` in a store that has
    /// failed. If the store does not open as it is, also `superblock-damaged`, `trees-damaged` or
    /// `log-cut`.
    pub code: &'static str,
    /// The file, tree or stream, or the name of the saved item.
    pub place: String,
    /// The first position affected, if there is one.
    pub position: Option<u64>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.place)?;
        if let Some(position) = self.position {
            write!(f, " at position {position}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl EventStore {
    /// Checks the whole store up to its head and reports problems; it changes nothing. Appends and
    /// reads may go on meanwhile.
    ///
    /// It checks every checksum; that positions and versions have no gaps; that every event can be
    /// found through its stream, its position and its id, and that the indexes have no other
    /// entries; every checkpoint and snapshot; and that both copies have the same events and
    /// checkpoints. It reads each copy once. Its memory does not grow with the number of events,
    /// only with that of checkpoints.
    ///
    /// # Errors
    /// [`Error::Closed`], and [`Error::Io`] if something cannot be read. Damage is a finding, not
    /// an error.
    ///
    /// # Examples
    /// ```
    /// let store = annals::EventStore::in_memory()?;
    /// assert!(store.verify()?.findings.is_empty());
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn verify(&self) -> Result<Report, Error> {
        let span = span!("verify", events = Empty, findings = Empty);
        let report = self.storage().across_exchange(|| check::run(self))?;
        note!(span, "events", report.events);
        note!(span, "findings", report.findings.len());
        Ok(report)
    }
}
