//! Starting a projection from its snapshot.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    projection::{engine::Engine, undo},
    snapshot::{self, IgnoredSnapshot},
};

/// What loading a snapshot came to.
///
/// # Examples
/// See [`Projection::load_snapshot`](crate::Projection::load_snapshot).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The position of the snapshot that the projection goes on from; `None` when there was none,
    /// and the projection stays as it was.
    pub position: Option<u64>,
    /// Snapshots that were left aside: damaged, of another version, of another store, or ahead of
    /// the log.
    pub ignored: Vec<IgnoredSnapshot>,
}

impl Restored {
    /// Whether there was a snapshot to go on from.
    pub fn is_restored(&self) -> bool {
        self.position.is_some()
    }
}

impl<S: Serialize + DeserializeOwned> Engine<S> {
    pub(super) fn load_snapshot(&mut self) -> Result<Restored, Error> {
        let key = self.key();
        let (mut restored, mut before) = (Restored::default(), u64::MAX);
        loop {
            let (found, ignored) = snapshot::load(&self.store, &key, before)?;
            // Those of other versions are told by every call.
            for one in ignored {
                if !restored.ignored.contains(&one) {
                    restored.ignored.push(one);
                }
            }
            let Some(found) = found else { return Ok(restored) };
            let position = found.position();
            match undo::read(found.data()) {
                Ok(state) => {
                    self.set(state, position);
                    restored.position = Some(position);
                    return Ok(restored);
                }
                Err(error) => {
                    let reason = format!("it is no state of this projection: {error}");
                    restored.ignored.push(IgnoredSnapshot { key: key.clone(), position, reason });
                }
            }
            match position.checked_sub(1) {
                Some(next) => before = next,
                None => return Ok(restored),
            }
        }
    }
}
