//! Finding the snapshot to use.

use crate::{
    Error, EventStore,
    event::{SnapshotKey, SnapshotOwner},
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
    let mut ignored = Vec::new();
    let mut found = None;
    for (listed, at) in store.storage().snapshots_of(key.owner, &key.name)? {
        let mut ignore = |reason: String| {
            ignored.push(IgnoredSnapshot { key: listed.clone(), position: at, reason });
        };
        if listed != *key {
            ignore(format!("it is of version {}, not {}", listed.version, key.version));
            continue;
        }
        if found.is_some() || at > position {
            continue;
        }
        match read(store, &listed, at, head) {
            Ok(snapshot) => found = snapshot,
            Err(Error::Corrupted { reason, .. }) => ignore(reason),
            Err(error) => return Err(error),
        }
    }
    Ok((found, ignored))
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
        return Err(Error::corrupted(place(key), Some(at), reason));
    }
    let stored = store.storage().snapshot(key, at)?;
    Ok(stored.map(|stored| Snapshot { stored, ignored: Vec::new() }))
}

fn place(key: &SnapshotKey) -> String {
    match key.owner {
        SnapshotOwner::Caller => format!("the snapshot {:?}", key.name),
        SnapshotOwner::Projection => format!("the snapshot of the projection {:?}", key.name),
    }
}
