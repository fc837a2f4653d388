//! What makes a directory a store, and who may use it: names, lock, superblock, `HEAD`, durable
//! files, and whether the store still accepts writes.

mod changes;
pub(crate) mod files;
pub(crate) mod head;
mod health;
mod lock;
pub(crate) mod names;
mod presence;
pub(crate) mod superblock;

pub(crate) use changes::Changes;
pub(crate) use health::Health;
pub(crate) use lock::Lock;
