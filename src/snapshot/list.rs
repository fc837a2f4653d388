//! Listing snapshots.

use std::{collections::VecDeque, iter::FusedIterator};

use crate::{
    Error, EventStore,
    event::{SnapshotKey, SnapshotOwner},
    snapshot::load,
};

/// A snapshot in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// What it is kept under.
    pub key: SnapshotKey,
    /// The position of the last event that it includes.
    pub position: u64,
    /// How many bytes were saved; 0 when it cannot be used.
    pub bytes: u64,
    /// Why it cannot be used, if so.
    pub fault: Option<String>,
}

/// The snapshots of a store: an iterator over `Result<SnapshotInfo, Error>`, by owner, then in byte
/// order of the names, of each name the newest first. After an error it ends.
///
/// # Examples
/// ```
/// let store = annals::EventStore::in_memory()?;
/// store.save_snapshot("empty", 0, b"nothing happened yet")?;
/// let listed: Vec<_> = store.snapshots().collect::<Result<_, _>>()?;
/// assert_eq!((listed[0].key.name(), listed[0].position, listed[0].bytes), ("empty", 0, 20));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator reads nothing until it is asked"]
pub struct Snapshots {
    store: EventStore,
    /// The name that was listed last.
    last: Option<(SnapshotOwner, String)>,
    listed: VecDeque<(SnapshotKey, u64)>,
    has_ended: bool,
}

impl EventStore {
    /// The snapshots of the store. Each is read whole and checked.
    ///
    /// # Errors
    /// The items are errors when something cannot be read ([`Error::Io`], [`Error::Corrupted`]),
    /// after the store was closed ([`Error::Closed`]), and in a forked child ([`Error::Forked`]). A
    /// damaged snapshot is not an error: it is listed with its [`fault`](SnapshotInfo::fault).
    pub fn snapshots(&self) -> Snapshots {
        Snapshots { store: self.clone(), last: None, listed: VecDeque::new(), has_ended: false }
    }
}

impl Snapshots {
    fn next_info(&mut self) -> Result<Option<SnapshotInfo>, Error> {
        let storage = self.store.storage();
        loop {
            while let Some((key, position)) = self.listed.pop_front() {
                let read = load::read(&self.store, &key, position, self.store.head()?);
                let (bytes, fault) = match read {
                    Ok(Some(snapshot)) => (snapshot.data().len() as u64, None),
                    // A newer one has replaced it.
                    Ok(None) => continue,
                    Err(Error::Corrupted { reason, .. }) => (0, Some(reason)),
                    Err(error) => return Err(error),
                };
                return Ok(Some(SnapshotInfo { key, position, bytes, fault }));
            }
            let after = self.last.as_ref().map(|(owner, name)| (*owner, name.as_str()));
            let Some((owner, name)) = storage.snapshot_name_after(after)? else {
                return Ok(None);
            };
            self.listed = storage.snapshots_of(owner, &name)?.into();
            self.last = Some((owner, name));
        }
    }
}

impl Iterator for Snapshots {
    type Item = Result<SnapshotInfo, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.next_info().transpose();
        self.has_ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl FusedIterator for Snapshots {}
