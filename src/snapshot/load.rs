//! Finding the snapshot to load.

use crate::{
    Error, EventStore,
    event::SnapshotKey,
    snapshot::{IgnoredSnapshot, Snapshot},
};

/// The newest usable snapshot of a key at or before `position`, and the unusable ones: newer ones
/// of the same key, and all of other versions.
pub(crate) fn load(
    store: &EventStore,
    key: &SnapshotKey,
    position: u64,
) -> Result<(Option<Snapshot>, Vec<IgnoredSnapshot>), Error> {
    store.storage().check_open()?;
    key.check()?;
    let head = store.head()?;
    let mut before = None;
    loop {
        let listed = store.storage().snapshots_of(key.owner, &key.name)?;
        // A snapshot that newer ones replaced disappears from the list; one that stays has lost its
        // file.
        let is_settled = before.as_ref() == Some(&listed);
        let mut search = Search { ignored: Vec::new(), found: None, is_settled, is_over: true };
        for (listed, at) in &listed {
            if listed != key {
                let reason = format!("it is of version {}, not {}", listed.version, key.version);
                search.ignore(listed, *at, reason);
            } else if search.found.is_none() && *at <= position {
                search.take(read(store, listed, *at, head), listed, *at)?;
            }
        }
        if search.is_over {
            return Ok((search.found, search.ignored));
        }
        before = Some(listed);
    }
}

struct Search {
    found: Option<Snapshot>,
    ignored: Vec<IgnoredSnapshot>,
    /// The list is unchanged since the last time.
    is_settled: bool,
    is_over: bool,
}

impl Search {
    fn take(
        &mut self,
        read: Result<Option<Snapshot>, Error>,
        key: &SnapshotKey,
        position: u64,
    ) -> Result<(), Error> {
        match read {
            Ok(Some(snapshot)) => self.found = Some(snapshot),
            Ok(None) if self.is_settled => self.ignore(key, position, "its file is missing"),
            // The newer ones that replaced it are not in this list yet.
            Ok(None) => self.is_over = false,
            Err(Error::Corrupted { reason, .. }) => self.ignore(key, position, reason),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn ignore(&mut self, key: &SnapshotKey, position: u64, reason: impl Into<String>) {
        let (key, reason) = (key.clone(), reason.into());
        self.ignored.push(IgnoredSnapshot { key, position, reason });
    }
}

/// Reads a listed snapshot; returns [`Error::Corrupted`] if it cannot be used.
pub(super) fn read(
    store: &EventStore,
    key: &SnapshotKey,
    at: u64,
    head: u64,
) -> Result<Option<Snapshot>, Error> {
    if at > head {
        let reason = format!("it is for position {at}, but the store ends at {head}");
        return Err(Error::corrupted(key.place(), Some(at), reason));
    }
    let stored = store.storage().snapshot(key, at)?;
    Ok(stored.map(|stored| Snapshot { stored, ignored: Vec::new() }))
}
