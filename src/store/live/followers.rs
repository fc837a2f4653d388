//! Followers of appends: each is brought up to date before an append returns.
//!
//! Each appender does this itself after its group is written, so a leader is never delayed. A
//! thread that is inside a follower, because it is running a handler or looking at a state, waits
//! for no other thread and drives nothing: its appends are noted, and followed once it is outside
//! again. So no two threads wait for each other, and no handler runs inside another.

use std::{collections::HashMap, fmt, ptr, sync::Arc};

use super::Waits;
use crate::sync::{
    self, Mutex, MutexGuard, RwLock,
    thread::{self, ThreadId},
};

/// Something that follows every append.
pub(crate) trait Follower: Send + Sync {
    /// Brings the follower up to `position`, by waiting for another thread or by doing the work.
    fn follow(&self, position: u64, caller: ThreadId);

    /// Tells the thread that drives the follower that this position is wanted too.
    fn owe(&self, position: u64);

    /// Whether this thread is driving it or looking at its state right now.
    fn is_inside(&self, thread: ThreadId) -> bool;
}

type List = Arc<Vec<Arc<dyn Follower>>>;

/// The followers of a store.
#[derive(Default)]
pub(crate) struct Followers {
    list: RwLock<List>,
    /// The last position that each thread has appended from inside a follower.
    noted: Mutex<HashMap<ThreadId, u64>>,
    waits: Waits,
}

impl Followers {
    pub(crate) fn add(&self, follower: Arc<dyn Follower>) {
        let mut list = sync::write(&self.list);
        Arc::make_mut(&mut list).push(follower);
    }

    pub(crate) fn remove(&self, follower: &dyn Follower) {
        let mut list = sync::write(&self.list);
        Arc::make_mut(&mut list).retain(|one| !ptr::addr_eq(Arc::as_ptr(one), follower));
    }

    /// Which threads inside a follower wait for which others.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    fn list(&self) -> List {
        Arc::clone(&sync::read(&self.list))
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<ThreadId, u64>> {
        sync::lock(&self.noted)
    }

    /// Whether this thread is inside a follower.
    pub(crate) fn is_inside(&self, thread: ThreadId) -> bool {
        self.list().iter().any(|follower| follower.is_inside(thread))
    }

    /// Brings every follower up to `position`, and up to the events that followers append
    /// meanwhile. Inside a follower this only notes that the work is to be done.
    pub(crate) fn follow(&self, position: u64) {
        let list = self.list();
        if list.is_empty() {
            return;
        }
        let caller = thread::current().id();
        if list.iter().any(|follower| follower.is_inside(caller)) {
            let mut noted = self.noted();
            let known = noted.entry(caller).or_default();
            *known = position.max(*known);
            drop(noted);
            list.iter().for_each(|follower| follower.owe(position));
            return;
        }
        self.drive(list, caller, position);
    }

    /// Does the work that was noted while this thread was inside a follower, unless it still is.
    pub(crate) fn settle(&self, caller: ThreadId) {
        if self.is_inside(caller) {
            return;
        }
        let noted = self.noted().remove(&caller);
        if let Some(position) = noted {
            self.drive(self.list(), caller, position);
        }
    }

    fn drive(&self, mut list: List, caller: ThreadId, mut target: u64) {
        loop {
            list.iter().for_each(|follower| follower.follow(target, caller));
            let noted = self.noted().remove(&caller);
            match noted {
                Some(further) if further > target => target = further,
                _ => break,
            }
            // A handler may have started or ended a follower.
            list = self.list();
        }
    }
}

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followers").field("count", &self.list().len()).finish_non_exhaustive()
    }
}
