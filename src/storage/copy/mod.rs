//! Copies of a store's directory: private ones that exist for one call, backups, and the new store
//! of a compaction.

mod along;
mod backup;
mod exchange;
mod merge;
mod private;
mod site;
mod source;

pub(crate) use along::{inherit, take_along};
pub(crate) use backup::{Backup, CopyMode};
pub(crate) use exchange::exchange_directories;
pub(crate) use private::PrivateCopy;
pub(crate) use site::BackupSite;
pub(crate) use source::frame_end;
