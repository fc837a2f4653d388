//! Listing snapshots.

use std::{collections::VecDeque, iter::FusedIterator};

use crate::{Error, EventStore, event::SnapshotKey, snapshot::load};

/// One entry in the list of snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// Its key.
    pub key: SnapshotKey,
    /// The position of the last event that the snapshot includes.
    pub position: u64,
    /// The size of the saved data in bytes; 0 if the snapshot cannot be used.
    pub bytes: u64,
    /// Why the snapshot cannot be used; `None` if it can.
    pub fault: Option<String>,
}

/// The snapshots of a store: an iterator over `Result<SnapshotInfo, Error>`, ordered by owner, then
/// by name in byte order, and for each name newest first. The iterator ends after an error.
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
    /// The snapshots of each remaining name; `None` before the first.
    names: Option<VecDeque<Vec<(SnapshotKey, u64)>>>,
    /// The snapshots of the current name that are still to be listed, and what was listed last.
    listed: VecDeque<(SnapshotKey, u64)>,
    last: Option<(SnapshotKey, u64)>,
    /// Whether this name was looked up again because one of its snapshots was gone.
    is_again: bool,
    has_ended: bool,
}

impl EventStore {
    /// The snapshots of the store. Each one is read in full and checked.
    ///
    /// # Errors
    /// An item is an error if something cannot be read ([`Error::Io`], [`Error::Corrupted`]), after
    /// the store was closed ([`Error::Closed`]), and in a forked child ([`Error::Forked`]). A
    /// damaged snapshot is not an error: it is listed with its [`fault`](SnapshotInfo::fault).
    pub fn snapshots(&self) -> Snapshots {
        Snapshots {
            store: self.clone(),
            names: None,
            listed: VecDeque::new(),
            last: None,
            is_again: false,
            has_ended: false,
        }
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
                    // Newer ones have replaced it.
                    Ok(None) if !self.is_again => {
                        self.is_again = true;
                        self.listed = storage.snapshots_of(key.owner, &key.name)?.into();
                        let last = self.last.as_ref();
                        self.listed.retain(|one| last.is_none_or(|last| one < last));
                        continue;
                    }
                    Ok(None) => continue,
                    Err(Error::Corrupted { reason, .. }) => (0, Some(reason)),
                    Err(error) => return Err(error),
                };
                self.last = Some((key.clone(), position));
                return Ok(Some(SnapshotInfo { key, position, bytes, fault }));
            }
            let names = match &mut self.names {
                Some(names) => names,
                none => none.insert(storage.all_snapshots()?),
            };
            let Some(next) = names.pop_front() else { return Ok(None) };
            (self.listed, self.last, self.is_again) = (next.into(), None, false);
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
