//! Finding the snapshot to use.

use crate::{
    Error, EventStore,
    event::SnapshotKey,
    snapshot::{IgnoredSnapshot, Snapshot},
};

/// The newest snapshot of a key that can be used and is not past `position`, and those that cannot
/// be used, newer ones of the key and all of other versions.
pub(crate) fn load(
    store: &EventStore,
    key: &SnapshotKey,
    position: u64,
) -> Result<(Option<Snapshot>, Vec<IgnoredSnapshot>), Error> {
    store.storage().check_open()?;
    key.check()?;
    let head = store.head()?;
    loop {
        let mut search = Search { ignored: Vec::new(), found: None, has_vanished: false };
        for (listed, at) in store.storage().snapshots_of(key.owner, &key.name)? {
            if listed != *key {
                let reason = format!("it is of version {}, not {}", listed.version, key.version);
                search.ignored.push(IgnoredSnapshot { key: listed, position: at, reason });
            } else if search.found.is_none() && at <= position {
                search.take(read(store, &listed, at, head), listed, at)?;
            }
        }
        // One that vanished has made room for newer ones, which the list did not show yet.
        if search.found.is_some() || !search.has_vanished {
            return Ok((search.found, search.ignored));
        }
    }
}

struct Search {
    found: Option<Snapshot>,
    ignored: Vec<IgnoredSnapshot>,
    has_vanished: bool,
}

impl Search {
    fn take(
        &mut self,
        read: Result<Option<Snapshot>, Error>,
        key: SnapshotKey,
        position: u64,
    ) -> Result<(), Error> {
        match read {
            Ok(Some(snapshot)) => self.found = Some(snapshot),
            Ok(None) => self.has_vanished = true,
            Err(Error::Corrupted { reason, .. }) => {
                self.ignored.push(IgnoredSnapshot { key, position, reason });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Reads a snapshot that is listed; [`Error::Corrupted`] when it cannot be used.
pub(super) fn read(
    store: &EventStore,
    key: &SnapshotKey,
    at: u64,
    head: u64,
) -> Result<Option<Snapshot>, Error> {
    if at > head {
        let reason = format!("it is for position {at}, and the store ends at {head}");
        return Err(Error::corrupted(key.place(), Some(at), reason));
    }
    let stored = store.storage().snapshot(key, at)?;
    Ok(stored.map(|stored| Snapshot { stored, ignored: Vec::new() }))
}
