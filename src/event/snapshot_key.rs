//! The key of a snapshot.

use crate::{Error, event::name};

/// The key of a snapshot. There are two namespaces: one for snapshots that callers save themselves,
/// and one for projections, whose keys also have a version.
///
/// # Examples
/// ```
/// use annals::SnapshotKey;
///
/// assert_eq!(SnapshotKey::from("balances"), SnapshotKey::of_caller("balances"));
/// assert_ne!(SnapshotKey::from("balances"), SnapshotKey::of_projection("balances", 0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotKey {
    pub(crate) owner: SnapshotOwner,
    pub(crate) name: String,
    pub(crate) version: u32,
}

/// The owner of a snapshot. Each owner has a separate namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum SnapshotOwner {
    /// The caller, who chose the bytes.
    Caller = 1,
    /// A projection.
    Projection = 2,
}

impl SnapshotKey {
    /// The key of a snapshot that the caller saves; the same as `SnapshotKey::from(name)`.
    pub fn of_caller(name: impl Into<String>) -> SnapshotKey {
        SnapshotKey { owner: SnapshotOwner::Caller, name: name.into(), version: 0 }
    }

    /// The key of a projection's snapshot: the projection's name and version.
    pub fn of_projection(name: impl Into<String>, version: u32) -> SnapshotKey {
        SnapshotKey { owner: SnapshotOwner::Projection, name: name.into(), version }
    }

    /// The owner of the snapshot.
    pub fn owner(&self) -> SnapshotOwner {
        self.owner
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the projection; 0 for a caller's snapshot.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The name of the snapshot in messages.
    pub(crate) fn place(&self) -> String {
        match self.owner {
            SnapshotOwner::Caller => format!("the snapshot {:?}", self.name),
            SnapshotOwner::Projection => format!("the snapshot of the projection {:?}", self.name),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.owner {
            SnapshotOwner::Caller => name::check("snapshot name", &self.name),
            SnapshotOwner::Projection => name::check("projection name", &self.name),
        }
    }
}

impl<T: Into<String>> From<T> for SnapshotKey {
    fn from(name: T) -> SnapshotKey {
        SnapshotKey::of_caller(name)
    }
}

impl SnapshotOwner {
    /// The owner that a stored byte represents.
    pub(crate) fn of(byte: u8) -> Option<SnapshotOwner> {
        [SnapshotOwner::Caller, SnapshotOwner::Projection]
            .into_iter()
            .find(|owner| *owner as u8 == byte)
    }
}
