//! Copies of a store's directory: private ones that last for one call, and backups.

mod backup;
mod private;
mod source;

pub(crate) use backup::{Backup, BackupSite};
pub(crate) use private::PrivateCopy;
