//! Checking a whole store against itself: every checksum, every number, every index entry, and the
//! two copies of every event against each other.

mod check;

use std::fmt;

use serde::Serialize;

use crate::{Error, EventStore, trace::span};

/// What a check of a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// How many events were read and found intact.
    pub events: u64,
    /// How many streams they belong to.
    pub streams: u64,
    /// What is wrong, in the order in which it was found; empty for an intact store.
    pub findings: Vec<Finding>,
    /// How many acknowledged events neither copy can return, as far as is known; 0 without
    /// findings.
    pub unreadable: u64,
    /// What was not checked, and why; `None` when everything was.
    pub not_checked: Option<String>,
}

/// One thing that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// A stable word for the kind: `event-damaged`, `event-missing`, `version-gap`, `stream-index`,
    /// `place-index`, `id-index`, `tag-index`, `checkpoint-damaged`, `snapshot-damaged`,
    /// `journal-damaged`, `copies-differ`, or `not-checked` in a store that has failed; and of a
    /// store that does not open as it is, `superblock-damaged`, `trees-damaged` or `log-cut`.
    pub code: &'static str,
    /// The file, tree, stream, or name of what was saved.
    pub place: String,
    /// The first position that it touches, where there is one.
    pub position: Option<u64>,
    /// What does not fit.
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
    /// Checks the whole store up to its head and reports what is wrong; it changes nothing. Appends
    /// and reads may go on meanwhile.
    ///
    /// It checks every checksum; that positions and versions have no gap; that every event is found
    /// through its stream, its position and its id, and nothing else is; every checkpoint and
    /// snapshot; and that both copies hold the same events. It reads each copy once, in bounded
    /// memory.
    ///
    /// # Errors
    /// [`Error::Closed`], and [`Error::Io`] when something cannot be read. Damage is a finding, not
    /// an error.
    ///
    /// # Examples
    /// ```
    /// let store = annals::EventStore::in_memory()?;
    /// assert!(store.verify()?.findings.is_empty());
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn verify(&self) -> Result<Report, Error> {
        let _span = span!("verify");
        self.storage().across_exchange(|| check::run(self))
    }
}
