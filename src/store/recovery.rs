//! What an open had to repair.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use crate::EventStore;

/// What an open had to repair before the store could be used.
///
/// # Examples
/// ```
/// let store = annals::EventStore::in_memory()?;
/// assert_eq!(store.recovery().rebuilt_events(), 0);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    rebuilt_events: u64,
    duration: Duration,
    reason: Option<String>,
    set_aside: Option<PathBuf>,
}

impl Recovery {
    /// How many events the trees were rebuilt from; 0 when they were sound, and when they were
    /// damaged before the journal had its first full file.
    pub fn rebuilt_events(&self) -> u64 {
        self.rebuilt_events
    }

    /// How long the rebuild took; zero when there was none.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Why the trees were rebuilt; `None` when they were not.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Where the old trees were moved to; `None` when they were sound or missing.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }
}

impl EventStore {
    /// What this open had to repair. Trees that are missing or damaged, or that lack events which
    /// the journal says they had, are moved to `trees.damaged-<n>` and rebuilt from the journal.
    /// [`Options::rebuild`](crate::Options::rebuild) turns that off.
    pub fn recovery(&self) -> Recovery {
        self.storage().healing().map_or_else(Recovery::default, |healing| Recovery {
            rebuilt_events: healing.rebuilt_events,
            duration: healing.duration,
            reason: Some(healing.reason.clone()),
            set_aside: healing.set_aside.clone(),
        })
    }
}
