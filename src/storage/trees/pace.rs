//! Limits how much sled logs between two syncs.
//!
//! sled's recovery can miss a segment, and then takes the whole log for empty, when more than one
//! segment (8 MiB) was logged between two syncs. What an entry logs is not known beforehand: a
//! small one may have its leaf and the index above it rewritten. So the writer works in steps. A
//! step ends once its entries, counted with what they usually log, reach an allowance; then sled
//! flushes and returns what it really logged, and the allowance follows that. A sync comes before
//! [`SYNC_BYTES`] have been logged.
//!
//! What an entry logs depends on what else is in its leaf, which may be much larger: a small event
//! between large ones has all of them rewritten now and then. So every few entries the writer looks
//! at the value before the new one, and counts the entries after it with that.
//!
//! The first window is different: it fills a tree in key order that holds nothing else, so that
//! the most that an entry logs is known beforehand. Its steps end when that reaches
//! [`KNOWN_STEP_BYTES`]. They are several times as long, and the disk is waited for as much less
//! often.
//!
//! A flush does not count what sled wrote on its own when a segment was full, at most one step; so
//! a step counts at least as much as the one before it logged.

use crate::{
    Error,
    storage::trees::{Trees, guarded},
};

/// The data file is synced before this much is logged, as far as the steps tell.
const SYNC_BYTES: u64 = 2 << 20;

/// What a step should log, at most.
const STEP_BYTES: u64 = 512 << 10;

/// What a step logs at most where that is known beforehand. It is less than that by much, because
/// the bounds of its entries are wide.
const KNOWN_STEP_BYTES: u64 = 1 << 20;

/// The allowance of the first step in a tree, and the least and the largest of any.
const ALLOWANCE_FIRST: u64 = 128 << 10;
const ALLOWANCE_MIN: u64 = 16 << 10;
const ALLOWANCE_MAX: u64 = 256 << 10;

/// The least that an entry counts.
const ENTRY_BYTES: u64 = 4 << 10;

/// How many times sled logs a value until its leaf is split for the last time.
const TIMES_LOGGED: u64 = 4;

/// Entries between two looks at the value before.
const ENTRIES_PER_LOOK: u64 = 4;

/// What an entry logs besides its key and value, at most: once each time, and a few times where its
/// leaf is split.
const OVERHEAD_BYTES: u64 = 16;

/// How many keys a new one in a fresh tree logs. Its own; its share of two leaves of nine and of
/// the index above, which has up to 256 keys, each time that a leaf is split, which eight keys
/// bring about. Once in a while an index is split as well.
const KEYS_LOGGED: u64 = 32;

/// How many times a value is logged that takes the place of an empty one: by itself, and where its
/// leaf is written anew.
const VALUES_LOGGED: u64 = 3;

/// Decides when a step ends and when to sync.
#[derive(Debug)]
pub(super) struct Budget {
    allowance: u64,
    /// What the entries of the current step count.
    counted: u64,
    /// What those entries of the current step log at most of which this is known.
    known: u64,
    /// What the steps since the last sync logged.
    unsynced: u64,
    /// What the last step logged.
    last: u64,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { allowance: ALLOWANCE_FIRST, counted: 0, known: 0, unsynced: 0, last: 0 }
    }

    /// Counts an entry; true when the step ends with it.
    pub(super) fn count(&mut self, bytes: usize) -> bool {
        self.counted += ENTRY_BYTES.max(TIMES_LOGGED * bytes as u64);
        self.counted >= self.allowance
    }

    /// Counts an entry that logs at most so much; true when the step ends with it.
    pub(super) fn count_known(&mut self, bytes: u64) -> bool {
        self.known += bytes;
        self.known >= KNOWN_STEP_BYTES
    }

    /// Whether the step has no entries yet.
    pub(super) fn is_unused(&self) -> bool {
        self.counted == 0 && self.known == 0
    }

    /// Adds what the step logged; true when a sync is due, because another such step might be too
    /// much.
    pub(super) fn logged(&mut self, bytes: u64) -> bool {
        let is_counted = self.counted > 0;
        (self.counted, self.known) = (0, 0);
        if !is_counted {
            // It says nothing about entries that are counted.
        } else if bytes > STEP_BYTES {
            self.allowance = (self.allowance * STEP_BYTES / bytes).max(ALLOWANCE_MIN);
        } else if bytes < STEP_BYTES / 2 {
            self.allowance = (self.allowance + self.allowance / 4).min(ALLOWANCE_MAX);
        }
        self.unsynced += bytes.max(self.last);
        self.last = bytes;
        self.unsynced + bytes.max(STEP_BYTES) > SYNC_BYTES
    }

    pub(super) fn synced(&mut self) {
        (self.counted, self.known) = (0, 0);
        self.unsynced = 0;
    }

    /// Starts small in another tree: the allowance of one says nothing about the next.
    pub(super) fn enter_tree(&mut self) {
        self.allowance = self.allowance.min(ALLOWANCE_FIRST);
    }
}

/// Writes entries in steps.
#[derive(Debug)]
pub(super) struct Pace<'a, B> {
    pub(super) trees: &'a Trees,
    /// Called between steps, so that other work of the thread is not delayed.
    beat: B,
    /// The tree of the current step.
    tree: Option<&'a sled::Tree>,
    /// How many entries were written in it.
    entries: u64,
    /// How large the value before one of the last entries was.
    neighbour_bytes: usize,
    budget: Budget,
    /// Whether steps end with a flush, and with a sync when it is due.
    syncs: bool,
}

impl<'a, B: FnMut() -> Result<(), Error>> Pace<'a, B> {
    pub(super) fn new(trees: &'a Trees, beat: B) -> Self {
        let budget = Budget::new();
        Pace { trees, beat, tree: None, entries: 0, neighbour_bytes: 0, budget, syncs: true }
    }

    /// A writer that syncs only on request: a crash before that must not matter.
    pub(super) fn unsynced(trees: &'a Trees, beat: B) -> Self {
        Pace { syncs: false, ..Pace::new(trees, beat) }
    }

    /// Inserts an entry and visits it, so that sled splits its leaf now if it has to.
    pub(super) fn insert(
        &mut self,
        tree: &'a sled::Tree,
        key: &[u8],
        value: impl Into<sled::IVec>,
    ) -> Result<(), Error> {
        self.enter(tree)?;
        self.look(tree, key)?;
        let value: sled::IVec = value.into();
        let bytes = key.len() + value.len();
        guarded(|| {
            tree.insert(key, value)?;
            tree.contains_key(key)
        })?;
        self.count(bytes)
    }

    /// Inserts a key after all those of a tree that only [`reserve`](Self::reserve) and
    /// [`fill`](Self::fill) have written, with an empty value. `fill` visits it.
    pub(super) fn reserve(&mut self, tree: &'a sled::Tree, key: &[u8]) -> Result<(), Error> {
        self.enter(tree)?;
        guarded(|| tree.insert(key, sled::IVec::default()))?;
        self.count_known(KEYS_LOGGED * (key.len() as u64 + OVERHEAD_BYTES))
    }

    /// Gives a reserved key its value: no leaf grows too full by it.
    pub(super) fn fill(
        &mut self,
        tree: &'a sled::Tree,
        key: &[u8],
        value: sled::IVec,
    ) -> Result<(), Error> {
        self.enter(tree)?;
        let bytes = (key.len() + value.len()) as u64 + OVERHEAD_BYTES;
        guarded(|| tree.insert(key, value))?;
        self.count_known(VALUES_LOGGED * bytes)
    }

    /// Gives an entry that is there, with an empty value, its value: no leaf grows too full by it.
    pub(super) fn replace(
        &mut self,
        tree: &'a sled::Tree,
        key: &[u8],
        value: sled::IVec,
    ) -> Result<(), Error> {
        self.enter(tree)?;
        self.look(tree, key)?;
        let bytes = key.len() + value.len();
        guarded(|| tree.insert(key, value))?;
        self.count(bytes)
    }

    /// Removes an entry and visits its place, so that sled merges its leaf now if it has to.
    pub(super) fn remove(&mut self, tree: &'a sled::Tree, key: &[u8]) -> Result<(), Error> {
        self.enter(tree)?;
        self.look(tree, key)?;
        let removed = guarded(|| {
            let removed = tree.remove(key)?;
            tree.contains_key(key)?;
            Ok(removed)
        })?;
        self.count(key.len() + removed.map_or(0, |value| value.len()))
    }

    fn enter(&mut self, tree: &'a sled::Tree) -> Result<(), Error> {
        if !self.tree.is_some_and(|current| std::ptr::eq(current, tree)) {
            self.end_step()?;
            self.tree = Some(tree);
            self.entries = 0;
            self.budget.enter_tree();
        }
        Ok(())
    }

    /// Looks now and then at the value before a new one.
    fn look(&mut self, tree: &sled::Tree, key: &[u8]) -> Result<(), Error> {
        if self.entries.is_multiple_of(ENTRIES_PER_LOOK) {
            let before = guarded(|| tree.get_lt(key))?;
            self.neighbour_bytes = before.map_or(0, |(_, value)| value.len());
        }
        self.entries += 1;
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes.max(self.neighbour_bytes);
        if self.budget.count(bytes) { self.end_step() } else { Ok(()) }
    }

    fn count_known(&mut self, bytes: u64) -> Result<(), Error> {
        if self.budget.count_known(bytes) { self.end_step() } else { Ok(()) }
    }

    /// Flushes what the step logged, and syncs when that is due.
    fn end_step(&mut self) -> Result<(), Error> {
        if self.budget.is_unused() {
            return Ok(());
        }
        (self.beat)()?;
        if !self.syncs {
            self.budget.synced();
            return Ok(());
        }
        let logged = self.trees.flush()?;
        if self.budget.logged(logged) {
            self.trees.sync_data()?;
            self.budget.synced();
        }
        (self.beat)()
    }

    /// Ends the step and makes everything written so far durable.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        (self.beat)()?;
        self.trees.sync()?;
        self.budget.synced();
        (self.beat)()
    }

    /// Gives other work of the thread its turn.
    pub(super) fn beat(&mut self) -> Result<(), Error> {
        (self.beat)()
    }
}
