//! What follows every append: it is brought up to date before the append returns.
//!
//! Each appender sees to it itself, behind its group, so that nobody who writes for others is held
//! up. An append from inside a follower waits for nobody: whoever is at work does its events as
//! well, and the append around it waits for them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::{self, ThreadId},
};

/// Something that follows every append.
pub(crate) trait Follower: Send + Sync {
    /// Brings it up to `position`. Unless it `may_wait`, the thread is inside a follower, and what
    /// another thread is at work on is left to that.
    fn follow(&self, position: u64, caller: ThreadId, may_wait: bool);

    /// Whether this thread is at work on it right now.
    fn is_driven_by(&self, thread: ThreadId) -> bool;
}

type List = Arc<Vec<Arc<dyn Follower>>>;

/// The followers of a store.
#[derive(Default)]
pub(crate) struct Followers {
    list: RwLock<List>,
    /// The last position that a thread has appended from inside a follower.
    nested: Mutex<HashMap<ThreadId, u64>>,
}

impl Followers {
    pub(crate) fn add(&self, follower: Arc<dyn Follower>) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut list).push(follower);
    }

    pub(crate) fn remove(&self, follower: &Arc<dyn Follower>) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut list).retain(|one| !Arc::ptr_eq(one, follower));
    }

    fn list(&self) -> List {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this thread is inside a follower.
    pub(crate) fn is_inside(&self, thread: ThreadId) -> bool {
        self.list().iter().any(|follower| follower.is_driven_by(thread))
    }

    /// Brings every follower up to `position`, and to what they append themselves on the way.
    pub(crate) fn follow(&self, position: u64) {
        let list = self.list();
        if list.is_empty() {
            return;
        }
        let caller = thread::current().id();
        if list.iter().any(|follower| follower.is_driven_by(caller)) {
            let mut nested = self.nested.lock().unwrap_or_else(PoisonError::into_inner);
            let known = nested.entry(caller).or_default();
            *known = position.max(*known);
            drop(nested);
            list.iter().for_each(|follower| follower.follow(position, caller, false));
            return;
        }
        let mut target = position;
        loop {
            list.iter().for_each(|follower| follower.follow(target, caller, true));
            let mut nested = self.nested.lock().unwrap_or_else(PoisonError::into_inner);
            match nested.remove(&caller) {
                Some(further) if further > target => target = further,
                _ => break,
            }
        }
    }
}

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followers").field("count", &self.list().len()).finish_non_exhaustive()
    }
}
