//! What a snapshot is kept under.

use crate::{Error, event::name};

/// The name of a snapshot, in one of two namespaces: that of callers who keep bytes of their own,
/// and that of projections, whose snapshots have a version besides.
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

/// Whose snapshot it is. Each owner has a namespace of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum SnapshotOwner {
    /// A caller's, with bytes of its own.
    Caller = 1,
    /// A projection's.
    Projection = 2,
}

impl SnapshotKey {
    /// A snapshot with bytes of the caller's; the same as `SnapshotKey::from(name)`.
    pub fn of_caller(name: impl Into<String>) -> SnapshotKey {
        SnapshotKey { owner: SnapshotOwner::Caller, name: name.into(), version: 0 }
    }

    /// The snapshot of a projection: of its name and its version.
    pub fn of_projection(name: impl Into<String>, version: u32) -> SnapshotKey {
        SnapshotKey { owner: SnapshotOwner::Projection, name: name.into(), version }
    }

    /// Whose snapshot it is.
    pub fn owner(&self) -> SnapshotOwner {
        self.owner
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the projection; 0 for a caller's.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How messages name the snapshot.
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
    /// The owner that a stored byte stands for.
    pub(crate) fn of(byte: u8) -> Option<SnapshotOwner> {
        [SnapshotOwner::Caller, SnapshotOwner::Projection]
            .into_iter()
            .find(|owner| *owner as u8 == byte)
    }
}
