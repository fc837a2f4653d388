//! Limits how much sled logs between two syncs.
//!
//! If more than one segment (8 MiB) was logged between two syncs, sled's recovery can miss a
//! segment and then treats the whole log as empty. How much an entry logs is not known beforehand:
//! a small one may cause its leaf and the index above it to be rewritten. So the writer works in
//! steps. A step ends once its entries, counted with what they usually log, reach an allowance;
//! then sled flushes and returns how much it really logged, and the allowance is adjusted. A sync
//! comes before [`SYNC_BYTES`] have been logged.
//!
//! How much an entry logs depends on the other entries in its leaf, which may be much larger: a
//! small event between large ones sometimes causes all of them to be rewritten. So every few
//! entries the writer looks at the value before the new one, and uses its size to count the entries
//! that follow.
//!
//! The first window is different: it fills a tree in key order that holds nothing else, so the most
//! that an entry can log is known beforehand. Its steps end when the sum of these bounds reaches
//! [`KNOWN_STEP_BYTES`]. They are several times as long, so the writer waits for the disk
//! correspondingly less often.
//!
//! The result of a flush does not include what sled wrote by itself when a segment was full, which
//! is at most one step. So a step counts at least as much as the previous one logged.

use crate::{
    Error,
    storage::trees::{Trees, guarded},
    sync::Stretch,
};

/// The data file is synced before this much is logged, as far as the flushes report it.
const SYNC_BYTES: u64 = 2 << 20;

/// How much a step should log at most.
const STEP_BYTES: u64 = 512 << 10;

/// How much a step may log at most if that is known beforehand. It logs much less in practice,
/// because the bounds of its entries are generous.
const KNOWN_STEP_BYTES: u64 = 1 << 20;

/// The allowance of the first step in a tree, and the smallest and largest allowance of any step.
const ALLOWANCE_FIRST: u64 = 128 << 10;
const ALLOWANCE_MIN: u64 = 16 << 10;
const ALLOWANCE_MAX: u64 = 256 << 10;

/// The least that an entry is counted as.
const ENTRY_BYTES: u64 = 4 << 10;

/// How many times sled logs a value before its leaf is split for the last time.
const TIMES_LOGGED: u64 = 4;

/// An insert takes about as long as encoding this many bytes.
const ENTRY_WORK: usize = 2 << 10;

/// Entries between two looks at the value before.
const ENTRIES_PER_LOOK: u64 = 4;

/// The most that an entry logs besides its key and value: once each time, and a few times when its
/// leaf is split.
const OVERHEAD_BYTES: u64 = 16;

/// How many keys a new one in a fresh tree logs: itself, and each time that a leaf is split, which
/// happens every eight keys, its share of two leaves of nine and of the index above them, which has
/// up to 256 keys. From time to time an index is split as well.
const KEYS_LOGGED: u64 = 32;

/// How many times a value that replaces an empty one is logged: by itself, and when its leaf is
/// rewritten.
const VALUES_LOGGED: u64 = 3;

/// Decides when a step ends and when to sync.
#[derive(Debug)]
pub(super) struct Budget {
    allowance: u64,
    /// The counted bytes of the entries of the current step.
    counted: u64,
    /// The most that those entries of the current step can log for which this is known.
    known: u64,
    /// How much the steps since the last sync logged.
    unsynced: u64,
    /// How much the last step logged.
    last: u64,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { allowance: ALLOWANCE_FIRST, counted: 0, known: 0, unsynced: 0, last: 0 }
    }

    /// Counts an entry; returns true if the step ends with it.
    pub(super) fn count(&mut self, bytes: usize) -> bool {
        self.counted += ENTRY_BYTES.max(TIMES_LOGGED * bytes as u64);
        self.counted >= self.allowance
    }

    /// Counts an entry that logs at most this much; returns true if the step ends with it.
    pub(super) fn count_known(&mut self, bytes: u64) -> bool {
        self.known += bytes;
        self.known >= KNOWN_STEP_BYTES
    }

    /// Whether the step has no entries yet.
    pub(super) fn is_unused(&self) -> bool {
        self.counted == 0 && self.known == 0
    }

    /// Adds what the step logged; returns true if a sync is due, because another such step might
    /// exceed the limit.
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

    /// Starts small in another tree: the allowance for one tree does not apply to the next.
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
    /// The size of the value found at the last look.
    neighbour_bytes: usize,
    budget: Budget,
    /// Whether steps end with a flush, and with a sync when it is due.
    syncs: bool,
    stretch: Stretch,
}

impl<'a, B: FnMut() -> Result<(), Error>> Pace<'a, B> {
    pub(super) fn new(trees: &'a Trees, beat: B) -> Self {
        Pace {
            trees,
            beat,
            tree: None,
            entries: 0,
            neighbour_bytes: 0,
            budget: Budget::new(),
            syncs: true,
            stretch: Stretch::default(),
        }
    }

    /// Creates a writer that syncs only on request: a crash before that must not matter.
    pub(super) fn unsynced(trees: &'a Trees, beat: B) -> Self {
        Pace { syncs: false, ..Pace::new(trees, beat) }
    }

    /// Inserts an entry and visits it, so that sled splits its leaf now if necessary.
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

    /// Inserts a key with an empty value. The key must be after all others of a tree that only
    /// [`reserve`](Self::reserve) and [`fill`](Self::fill) have written. `fill` visits it.
    pub(super) fn reserve(&mut self, tree: &'a sled::Tree, key: &[u8]) -> Result<(), Error> {
        self.enter(tree)?;
        guarded(|| tree.insert(key, sled::IVec::default()))?;
        self.count_known(KEYS_LOGGED * (key.len() as u64 + OVERHEAD_BYTES))
    }

    /// Gives a reserved key its value, which makes no leaf too full.
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

    /// Gives an existing entry with an empty value its value, which makes no leaf too full.
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

    /// Removes an entry and visits its place, so that sled merges its leaf now if necessary.
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

    /// Looks at the value before a new one from time to time.
    fn look(&mut self, tree: &sled::Tree, key: &[u8]) -> Result<(), Error> {
        if self.entries.is_multiple_of(ENTRIES_PER_LOOK) {
            let before = guarded(|| tree.get_lt(key))?;
            self.neighbour_bytes = before.map_or(0, |(_, value)| value.len());
        }
        self.entries += 1;
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Error> {
        self.stretch.add(ENTRY_WORK);
        let bytes = bytes.max(self.neighbour_bytes);
        if self.budget.count(bytes) { self.end_step() } else { Ok(()) }
    }

    fn count_known(&mut self, bytes: u64) -> Result<(), Error> {
        self.stretch.add(ENTRY_WORK);
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

    /// Counts bytes that were encoded for entries.
    pub(super) fn encoded(&mut self, bytes: usize) {
        self.stretch.add(bytes);
    }

    /// Lets the thread do other work.
    pub(super) fn beat(&mut self) -> Result<(), Error> {
        (self.beat)()
    }
}
