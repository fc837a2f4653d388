//! What makes a directory a store, and who may use it: names, lock, superblock, `HEAD`, files that
//! survive a power cut, and whether the store still takes writes.

pub(crate) mod files;
pub(crate) mod head;
mod health;
mod lock;
pub(crate) mod names;
pub(crate) mod superblock;

pub(crate) use health::Health;
pub(crate) use lock::Lock;
