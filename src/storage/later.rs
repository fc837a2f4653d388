//! Snapshots that became due while events were processed. The background thread saves them, so that
//! no append waits for a file.
//!
//! For each name one snapshot waits, the newest. A look at the snapshots first saves those that
//! wait, so that the caller sees them; a close saves them too.

use std::{collections::BTreeMap, mem, sync::Arc};

use crate::{
    Error,
    codec::saved::StoredSnapshot,
    event::SnapshotOwner,
    storage::{Place, Storage},
    sync::{self, Mutex},
};

/// Why the last snapshot of a projection that was due is not saved, if it is not.
#[derive(Clone, Debug, Default)]
pub(crate) struct SaveOutcome(Arc<Mutex<Option<Arc<Error>>>>);

impl SaveOutcome {
    pub(crate) fn note(&self, failure: Option<Error>) {
        *sync::lock(&self.0) = failure.map(Arc::new);
    }

    pub(crate) fn failure(&self) -> Option<Arc<Error>> {
        sync::lock(&self.0).clone()
    }
}

#[derive(Debug)]
struct Waiting {
    snapshot: StoredSnapshot,
    outcome: SaveOutcome,
}

/// The snapshots of a store that wait.
#[derive(Debug, Default)]
pub(crate) struct Later {
    waiting: Mutex<BTreeMap<(SnapshotOwner, String), Waiting>>,
    /// Held while snapshots are saved, so that they are saved in order, and so that a caller that
    /// needs them waits until they are.
    saving: Mutex<()>,
}

impl Storage {
    /// Lets the background thread save a snapshot. In memory it is saved at once.
    pub(crate) fn save_snapshot_later(&self, snapshot: StoredSnapshot, outcome: &SaveOutcome) {
        match &self.place {
            Place::Memory(_) => outcome.note(self.save_now(&snapshot, || {}).err()),
            Place::Disk(disk) => {
                let name = (snapshot.key.owner, snapshot.key.name.clone());
                let waiting = Waiting { snapshot, outcome: outcome.clone() };
                sync::lock(&disk.later.waiting).insert(name, waiting);
                disk.signals.request_snapshots();
            }
        }
    }

    /// Saves the snapshots that wait. `beat` is called before each part of a file is written.
    pub(crate) fn save_waiting_snapshots(&self, beat: impl Fn()) {
        let Some(disk) = self.disk() else { return };
        // In a forked child the lock may be held by a thread that only the parent has.
        if self.is_forked() {
            return;
        }
        let _saving = sync::lock(&disk.later.saving);
        let waiting = mem::take(&mut *sync::lock(&disk.later.waiting));
        for Waiting { snapshot, outcome } in waiting.into_values() {
            outcome.note(self.save_now(&snapshot, &beat).err());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{EventStore, ExpectedVersion, Handlers, NewEvent, Projection};

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn append(store: &EventStore) -> Outcome {
        store.append("s", ExpectedVersion::Any, [NewEvent::json("T", &1)?])?;
        Ok(())
    }

    fn handlers() -> Handlers<u64> {
        Handlers::new().when("T", |count: &mut u64, _| {
            *count += 1;
            Ok(())
        })
    }

    #[test]
    fn no_append_waits_for_a_snapshot() -> Outcome {
        let directory = tempfile::tempdir()?;
        let store = EventStore::open(directory.path().join("store"))?;
        let live = Projection::new("count", &store, 0, handlers()).snapshot_every(1).live()?;
        let disk = store.storage().disk().ok_or("a store on the disk")?;
        // The background thread cannot save anything meanwhile.
        let saving = sync::lock(&disk.later.saving);
        for _ in 0..5 {
            append(&store)?;
        }
        assert_eq!(*live.state(), 5);
        assert!(disk.snapshots.all()?.is_empty());
        drop(saving);
        let newest = store.load_snapshot(crate::SnapshotKey::of_projection("count", 0))?;
        assert_eq!(newest.map(|found| found.position()), Some(5));
        assert!(live.snapshot_failure().is_none());
        Ok(())
    }

    #[test]
    fn a_close_saves_what_waits() -> Outcome {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("store");
        for round in 1..=5_u64 {
            let store = EventStore::open(&path)?;
            let mut projection = Projection::new("count", &store, 0, handlers()).snapshot_every(1);
            let restored = projection.load_snapshot()?;
            assert_eq!(restored.position, (round > 1).then_some(round - 1));
            append(&store)?;
            assert_eq!(projection.catch_up()?, 1);
            assert_eq!(*projection.state(), round);
            store.close()?;
        }
        Ok(())
    }
}
