//! Snapshots: bytes that a caller or a projection derived from the events up to a position.
//!
//! A snapshot is a cache. It is durable and never ahead of the events it depends on, but an
//! unusable one is ignored and reported in the result, not as an error: the events can rebuild it.

mod list;
mod load;

use std::{fmt, sync::Arc};

use crate::{
    Error, EventStore,
    codec::saved::{StoredSnapshot, encode_snapshot},
    event::{
        SnapshotKey,
        limits::{self, SNAPSHOT_BYTES_MAX},
    },
};

pub(crate) use crate::storage::SaveOutcome;
pub use list::{SnapshotInfo, Snapshots};
pub(crate) use load::load;

/// A snapshot as it was saved.
///
/// # Examples
/// See [`EventStore::save_snapshot`].
#[derive(Clone)]
pub struct Snapshot {
    stored: StoredSnapshot,
    ignored: Vec<IgnoredSnapshot>,
}

/// A snapshot that was ignored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredSnapshot {
    /// Its key.
    pub key: SnapshotKey,
    /// Its position.
    pub position: u64,
    /// Why it cannot be used: it is damaged, belongs to another store, has another version, or is
    /// for a position that the store has not reached.
    pub reason: String,
}

impl fmt::Display for IgnoredSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IgnoredSnapshot { key, position, reason } = self;
        write!(f, "{} at position {position} is ignored: {reason}", key.place())
    }
}

impl Snapshot {
    /// The key of the snapshot.
    pub fn key(&self) -> &SnapshotKey {
        &self.stored.key
    }

    /// The position of the last event that the snapshot includes.
    pub fn position(&self) -> u64 {
        self.stored.position
    }

    /// The bytes that were saved.
    pub fn data(&self) -> &[u8] {
        self.stored.bytes.get(self.stored.data.clone()).unwrap_or_default()
    }

    /// Newer snapshots that could not be used.
    pub fn ignored(&self) -> &[IgnoredSnapshot] {
        &self.ignored
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("key", self.key())
            .field("position", &self.position())
            .field("bytes", &self.data().len())
            .field("ignored", &self.ignored)
            .finish()
    }
}

impl EventStore {
    /// Saves bytes that were derived from the events up to `position`. The key is a name chosen by
    /// the caller or, with [`SnapshotKey::of_projection`], the key under which the projection of
    /// that name looks for its own snapshots. The call returns once the bytes are durable, and the
    /// events up to `position` are durable before them, in a buffered store too.
    ///
    /// For each key the snapshots with the two highest positions are kept. A snapshot saved for a
    /// position below both is not kept, and one saved for the same position replaces the old one.
    /// Saving a snapshot for a projection removes those of all other versions of it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `position` is past the head or the name is invalid;
    /// [`Error::LimitExceeded`] if the name or the data exceeds its
    /// [limit](crate::limits::SNAPSHOT_BYTES_MAX); otherwise as for [`append`](Self::append):
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Poisoned`], [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// store.append("account-1", ExpectedVersion::Any, [NewEvent::json("Deposited", &100)?])?;
    /// store.save_snapshot("account-1", 1, b"100")?;
    ///
    /// let snapshot = store.load_snapshot("account-1")?.expect("there is one");
    /// assert_eq!((snapshot.position(), snapshot.data()), (1, b"100".as_slice()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_snapshot(
        &self,
        key: impl Into<SnapshotKey>,
        position: u64,
        data: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        let stored = self.to_stored(key.into(), position, data.as_ref())?;
        self.storage().save_snapshot(&stored)
    }

    /// Lets the background thread of the store save a snapshot; what becomes of it is noted in
    /// `outcome`. Until then it is kept in memory, unless a newer one of the name replaces it.
    pub(crate) fn save_snapshot_later(
        &self,
        key: SnapshotKey,
        position: u64,
        data: &[u8],
        outcome: &SaveOutcome,
    ) -> Result<(), Error> {
        let stored = self.to_stored(key, position, data)?;
        self.storage().check_reached(position)?;
        self.storage().save_snapshot_later(stored, outcome);
        Ok(())
    }

    fn to_stored(
        &self,
        key: SnapshotKey,
        position: u64,
        data: &[u8],
    ) -> Result<StoredSnapshot, Error> {
        let storage = self.storage();
        storage.check_open()?;
        key.check()?;
        limits::check("snapshot (bytes)", data.len(), SNAPSHOT_BYTES_MAX)?;
        storage.check_writable()?;
        let identity = (storage.store_id(), storage.checksum());
        let bytes = encode_snapshot(&key, position, data, identity)
            .map_err(|reason| Error::internal(format!("a snapshot cannot be encoded: {reason}")))?;
        let range = bytes.len() - data.len()..bytes.len();
        Ok(StoredSnapshot { key, position, bytes: Arc::from(bytes), data: range })
    }

    /// The newest usable snapshot of a key: the one with the highest position. `None` if no
    /// snapshot is usable. A snapshot that is damaged, belongs to another store or is ahead of the
    /// log is ignored. It is reported by [`Snapshot::ignored`] of the snapshot that is returned
    /// instead, by [`snapshots`](Self::snapshots) and by [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::LimitExceeded`] if the name is invalid;
    /// [`Error::Io`], [`Error::Closed`].
    ///
    /// # Examples
    /// See [`save_snapshot`](Self::save_snapshot).
    pub fn load_snapshot(&self, key: impl Into<SnapshotKey>) -> Result<Option<Snapshot>, Error> {
        let (found, ignored) = load(self, &key.into(), u64::MAX)?;
        Ok(found.map(|found| Snapshot { ignored, ..found }))
    }
}
