//! Closing a store.

use crate::{
    Error,
    storage::{Storage, drain},
};

impl Storage {
    /// Drains the tail, closes every file and releases the lock. Idempotent.
    pub(crate) fn close(&self) -> Result<(), Error> {
        if self.health.is_forked() {
            // Everything of the store belongs to the parent.
            return Err(Error::Forked);
        }
        if !self.health.close() {
            return Ok(());
        }
        let Some(disk) = self.disk() else { return Ok(()) };
        if disk.is_reading {
            // Nothing of it belongs to this process.
            disk.sealed.close();
            return Ok(());
        }
        // An append that has passed the check holds the journal until it finishes.
        disk.wait_for_writer();
        let synced = disk.sync_journal(&self.health);
        if !disk.signals.stop() {
            // sled still has its files open, so the lock must not be released.
            let hung = drain::hung("closing the trees");
            disk.mark_trees_damaged(&hung);
            return Err(self.poison(hung));
        }
        drop(disk.take_journal());
        disk.unlock();
        synced.and(self.health.check_sound())
    }
}
