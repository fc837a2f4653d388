//! Starting a projection from its snapshot.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, EventStore,
    event::SnapshotKey,
    projection::{engine::Engine, undo},
    snapshot::{self, IgnoredSnapshot},
};

/// The result of loading a snapshot.
///
/// # Examples
/// See [`Projection::load_snapshot`](crate::Projection::load_snapshot).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The position of the snapshot that the projection continues from; `None` if there was none
    /// and the projection did not change.
    pub position: Option<u64>,
    /// Snapshots that were ignored: damaged, of another version, of another store, or ahead of the
    /// log.
    pub ignored: Vec<IgnoredSnapshot>,
}

impl Restored {
    /// Whether there was a snapshot to continue from.
    pub fn is_restored(&self) -> bool {
        self.position.is_some()
    }
}

impl<S: Serialize + DeserializeOwned> Engine<S> {
    pub(super) fn load_snapshot(&mut self) -> Result<Restored, Error> {
        let (found, ignored) = newest_state(&self.store, &self.key(), u64::MAX)?;
        let position = found.as_ref().map(|(_, position)| *position);
        if let Some((state, position)) = found {
            self.set(state, position);
        }
        Ok(Restored { position, ignored })
    }
}

/// A state with its position, if there is one, and the snapshots that were ignored.
type Found<S> = (Option<(S, u64)>, Vec<IgnoredSnapshot>);

/// The newest snapshot of a key, not past `last`, that can be read as a state.
pub(super) fn newest_state<S: DeserializeOwned>(
    store: &EventStore,
    key: &SnapshotKey,
    last: u64,
) -> Result<Found<S>, Error> {
    let (mut last, mut all_ignored) = (Some(last), Vec::new());
    while let Some(before) = last {
        let (found, ignored) = snapshot::load(store, key, before)?;
        // Every call reports the snapshots of other versions.
        for one in ignored {
            if !all_ignored.contains(&one) {
                all_ignored.push(one);
            }
        }
        let Some(found) = found else { break };
        let position = found.position();
        match undo::read(found.data()) {
            Ok(state) => return Ok((Some((state, position)), all_ignored)),
            Err(error) => {
                let reason = format!("it cannot be read as a state: {error}");
                all_ignored.push(IgnoredSnapshot { key: key.clone(), position, reason });
            }
        }
        last = position.checked_sub(1);
    }
    Ok((None, all_ignored))
}
