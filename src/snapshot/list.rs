//! Listing snapshots.

use std::{collections::VecDeque, iter::FusedIterator};

use crate::{Error, EventStore, event::SnapshotKey, snapshot::load};

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
    /// Those of each further name; `None` before the first.
    names: Option<VecDeque<Vec<(SnapshotKey, u64)>>>,
    /// What is still to be listed of this name, and what was listed last.
    listed: VecDeque<(SnapshotKey, u64)>,
    last: Option<(SnapshotKey, u64)>,
    /// Whether this name was looked up again, because one of it was gone.
    is_again: bool,
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
