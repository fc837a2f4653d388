//! Repairs made by an open.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use crate::EventStore;

/// The repairs that an open had to make before the store could be used.
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
    /// The number of events from which the trees were rebuilt; 0 if the trees were sound, or if
    /// they were damaged before the journal had its first full file.
    pub fn rebuilt_events(&self) -> u64 {
        self.rebuilt_events
    }

    /// The duration of the rebuild; zero if there was none.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Why the trees were rebuilt; `None` if they were not.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Where the old trees were moved; `None` if they were sound or missing.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }
}

impl EventStore {
    /// The repairs that this open had to make. Trees that are missing or damaged, or that lack
    /// events which they had according to the journal, are moved to `trees.damaged-<n>` and rebuilt
    /// from the journal. [`Options::rebuild`](crate::Options::rebuild) turns this off.
    pub fn recovery(&self) -> Recovery {
        self.storage().healing().map_or_else(Recovery::default, |healing| Recovery {
            rebuilt_events: healing.rebuilt_events,
            duration: healing.duration,
            reason: Some(healing.reason.clone()),
            set_aside: healing.set_aside.clone(),
        })
    }
}
