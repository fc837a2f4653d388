//! The tail: an in-memory index of every event in the journal files that are not sealed yet, and
//! the newest of their bytes. (A log-structured merge tree calls this its memtable.)
//!
//! Invariants:
//! * An event is in the tail or in a sealed file. It leaves the tail only after its file is sealed,
//!   and a file is sealed only after the trees hold its events. So a reader that looks in the tail
//!   first and in a sealed file or the trees next misses nothing and needs no lock for it.
//! * The tail is a sequence of generations. Only the writer adds frames, always to the last
//!   generation, the active one. The others are frozen: they change only in whether their bytes are
//!   in memory. A drain takes whole frozen generations; freeing one drops an `Arc`.
//! * No lock is held for longer than it takes to add a frame or to copy a few pointers.

mod chunks;
mod generation;
mod tags;
mod window;

use std::{
    collections::BTreeSet,
    mem,
    ops::{Bound, RangeInclusive},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{head::LogEnd, page::Page, saved::Checkpoint},
    event::RecordedEvent,
    storage::{Direction, journal::FileKey},
    sync::{self, RwLock},
};

pub(crate) use generation::{FrameSource, Generation, TailEntry, TailRecord};
pub(crate) use window::Window;

/// A generation is frozen at this size, so that a drain of several works in steps.
const GENERATION_EVENTS: usize = 50_000;
const GENERATION_BYTES: u64 = 16 << 20;

/// A frame to be added to the tail.
#[derive(Debug)]
pub(crate) struct TailFrame<'a> {
    pub(crate) end: LogEnd,
    pub(crate) source: Option<FrameSource>,
    pub(crate) records: Vec<TailRecord>,
    pub(crate) entries: Vec<TailEntry<'a>>,
    pub(crate) checkpoints: Vec<Checkpoint>,
}

/// The shared tail.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Bytes of events to keep in memory.
    bytes_max: u64,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frozen: Vec<Arc<Generation>>,
    active: Generation,
    /// The last frame that the trees have.
    drained: LogEnd,
    /// The part of the frozen generations that the trees lack.
    waiting: Backlog,
}

/// How much waits to be drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) events: u64,
    /// Bytes of frames.
    pub(crate) bytes: u64,
    pub(crate) generations: usize,
}

impl Tail {
    /// Creates an empty tail that keeps about this many bytes of events in memory.
    pub(crate) fn new(bytes_max: u64) -> Tail {
        Tail { bytes_max, inner: RwLock::default() }
    }

    /// Adds a frame, the next one of the journal.
    pub(crate) fn push(&self, frame: TailFrame<'_>) {
        self.push_and_show(frame, || {});
    }

    /// Like [`push`](Self::push), and moves the head that readers see before they can see anything
    /// of the frame: a checkpoint in it must not be seen before its events.
    pub(crate) fn push_and_show(&self, frame: TailFrame<'_>, show: impl FnOnce()) {
        let mut inner = sync::write(&self.inner);
        let key = frame.source.as_ref().map(|source| source.key);
        let is_full = inner.active.len() >= GENERATION_EVENTS
            || inner.active.frame_bytes() >= GENERATION_BYTES
            || (!inner.active.is_empty() && inner.active.file_key() != key);
        // Without files nothing is ever drained, and a lookup searches every generation.
        if is_full && key.is_some() {
            inner.freeze();
        }
        let is_drained = frame.end.frame_number <= inner.drained.frame_number;
        inner.active.push(frame, is_drained);
        if key.is_some() {
            self.release_bodies(&inner);
        }
        show();
    }

    /// Releases the bytes of the oldest frozen generations, beyond what the tail keeps.
    fn release_bodies(&self, inner: &Inner) {
        let mut kept = inner.active.body_bytes();
        for generation in inner.frozen.iter().rev() {
            match kept > self.bytes_max {
                true => generation.release_bodies(),
                false => kept += generation.body_bytes(),
            }
        }
    }

    /// Freezes the active generation, so that a drain can take everything.
    pub(crate) fn freeze(&self) {
        sync::write(&self.inner).freeze();
    }

    /// Empties the tail after damage below the trees' head: the trees serve what was added so far.
    pub(crate) fn clear(&self) {
        let mut inner = sync::write(&self.inner);
        let drained = inner.drained;
        *inner = Inner { drained, ..Inner::default() };
    }

    /// Replaces everything added so far with the contents of `other`.
    pub(crate) fn replace(&self, other: &Tail) {
        *sync::write(&self.inner) = mem::take(&mut *sync::write(&other.inner));
    }

    /// Notes how far the trees have got.
    pub(crate) fn set_drained(&self, end: LogEnd) {
        let mut inner = sync::write(&self.inner);
        inner.drained = end;
        inner.count();
    }

    /// The last frame that the trees have.
    pub(crate) fn drained(&self) -> LogEnd {
        sync::read(&self.inner).drained
    }

    /// What waits for the trees.
    pub(crate) fn backlog(&self) -> Backlog {
        let inner = sync::read(&self.inner);
        let mut backlog = inner.waiting;
        if inner.active.end().frame_number > inner.drained.frame_number {
            backlog.events += inner.active.undrained_events();
            backlog.bytes += inner.active.frame_bytes();
        }
        backlog
    }

    /// The oldest frozen generations that the trees lack: at most of these sizes, but at least one.
    pub(crate) fn window(&self, events_max: u64, bytes_max: u64) -> Window {
        let inner = sync::read(&self.inner);
        let drained = inner.drained.frame_number;
        let (mut taken, mut events, mut bytes) = (Vec::new(), 0, 0);
        for generation in inner.frozen.iter().filter(|one| one.end().frame_number > drained) {
            events += generation.undrained_events();
            bytes += generation.frame_bytes();
            if !taken.is_empty() && (events > events_max || bytes > bytes_max) {
                break;
            }
            taken.push(Arc::clone(generation));
        }
        Window::new(inner.drained, taken)
    }

    /// The streams with events above the drained head, and the first such version of each. A
    /// discard uses them.
    pub(crate) fn undrained_streams(&self) -> Vec<(Arc<str>, u64)> {
        let inner = sync::read(&self.inner);
        let generations = inner.frozen.iter().map(|one| &**one).chain([&inner.active]);
        let mut first = std::collections::BTreeMap::<Arc<str>, u64>::new();
        for generation in generations {
            for (name, version) in generation.first_versions_after(inner.drained.position) {
                first.entry(name).or_insert(version);
            }
        }
        first.into_iter().collect()
    }

    /// Drops the generations of a file that has been sealed.
    pub(crate) fn drop_file(&self, key: FileKey) {
        let mut inner = sync::write(&self.inner);
        inner.frozen.retain(|generation| generation.file_key() != Some(key));
        inner.count();
    }

    /// The position before the first event of the tail, up to which all events are in the copies on
    /// disk. `None` if the tail has no events: then it says nothing about those that there are.
    pub(crate) fn floor(&self) -> Option<u64> {
        sync::read(&self.inner).floor()
    }

    /// About how much memory the tail uses.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let inner = sync::read(&self.inner);
        let frozen: u64 = inner.frozen.iter().map(|one| one.memory_bytes()).sum();
        frozen + inner.active.memory_bytes()
    }

    /// The decoded record that holds a position; `None` if the tail does not hold it.
    pub(crate) fn page(&self, position: u64) -> Result<Option<Page>, Error> {
        let found = {
            let inner = sync::read(&self.inner);
            inner.generation_of(position).and_then(|one| one.record_at(position))
        };
        found.map(|record| record.decode()).transpose()
    }

    /// The version of the last event of a stream at or below `head`, if that event is in the tail.
    pub(crate) fn version(&self, stream: &str, head: u64) -> Option<u64> {
        let inner = sync::read(&self.inner);
        inner.newest_first().find_map(|generation| generation.version(stream, head))
    }

    /// The versions of a stream at the position before a range and at the end of the range; both 0
    /// if it has no event in the range. `None` if the tail does not have the whole range.
    pub(crate) fn versions_around(
        &self,
        stream: &str,
        range: &RangeInclusive<u64>,
    ) -> Option<(u64, u64)> {
        let inner = sync::read(&self.inner);
        if *range.start() <= inner.floor()? {
            return None;
        }
        let at = |position| inner.newest_first().find_map(|one| one.version(stream, position));
        let Some(version) = at(*range.end()) else { return Some((0, 0)) };
        let before = at(range.start() - 1).or_else(|| {
            let firsts = inner.newest_first().filter_map(|one| one.first_version(stream));
            firsts.last().map(|first| first - 1)
        });
        Some((before?, version))
    }

    /// Up to `limit` events of a stream, from `version` on or backwards. Empty if the tail does not
    /// hold that version.
    pub(crate) fn stream_events(
        &self,
        stream: &str,
        version: u64,
        is_backward: bool,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let found = {
            let inner = sync::read(&self.inner);
            inner.newest_first().find_map(|one| one.places(stream, version, is_backward, limit))
        };
        found.map_or(Ok(Vec::new()), generation::Places::read)
    }

    /// Up to `limit` streams after `after`, in byte order, that have events in the tail at or below
    /// `head`, with their versions at `head`.
    pub(crate) fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Vec<(Arc<str>, u64)> {
        let names: BTreeSet<Arc<str>> = {
            let inner = sync::read(&self.inner);
            let named = |generation: &Generation| generation.names(after, head, limit);
            let mut names: BTreeSet<_> = inner.newest_first().flat_map(named).collect();
            while names.len() > limit {
                names.pop_last();
            }
            names
        };
        let version = |name: Arc<str>| self.version(&name, head).map(|version| (name, version));
        names.into_iter().filter_map(version).collect()
    }

    /// The position of the event with this id, if it is in the tail.
    pub(crate) fn position_of(&self, id: Uuid) -> Option<u64> {
        let inner = sync::read(&self.inner);
        inner.newest_first().find_map(|generation| generation.position_of(id))
    }

    /// The position before the first event of the tail, if it has any, and the positions of up to
    /// `limit` events in the tail with a tag, in a range and in this direction.
    pub(crate) fn tagged(
        &self,
        tag: &str,
        range: &RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> (Option<u64>, Vec<u64>) {
        let inner = sync::read(&self.inner);
        // A lookup touches memory that is rarely cached: skip generations that cannot have any.
        let reaches = |one: &&Generation| {
            one.end().position >= *range.start()
                && one.first_position().is_some_and(|first| first <= *range.end())
        };
        let found = match direction {
            Direction::Forward => {
                let oldest_first = inner.frozen.iter().map(|one| &**one).chain([&inner.active]);
                let oldest_first = oldest_first.filter(reaches);
                oldest_first.flat_map(|one| one.tagged(tag, range)).take(limit).collect()
            }
            Direction::Backward => {
                let newest_first = inner.newest_first().filter(reaches);
                let found = newest_first.flat_map(|one| one.tagged(tag, range).rev());
                found.take(limit).collect()
            }
        };
        (inner.floor(), found)
    }

    /// The tags of frozen events above the drained head. A discard uses them.
    pub(crate) fn undrained_tags(&self) -> BTreeSet<Arc<str>> {
        let (frozen, drained) = {
            let inner = sync::read(&self.inner);
            (inner.frozen.clone(), inner.drained.position)
        };
        frozen.iter().flat_map(|one| one.tags_after(drained)).map(Arc::from).collect()
    }

    /// The checkpoint of a name, if it was saved in the tail.
    pub(crate) fn checkpoint(&self, name: &str) -> Option<u64> {
        let inner = sync::read(&self.inner);
        inner.newest_first().find_map(|generation| generation.checkpoint(name))
    }

    /// The names of the checkpoints that were saved in the tail.
    pub(crate) fn checkpoint_names(&self) -> BTreeSet<Arc<str>> {
        let inner = sync::read(&self.inner);
        inner.newest_first().flat_map(Generation::checkpoint_names).collect()
    }
}

impl Inner {
    fn newest_first(&self) -> impl Iterator<Item = &Generation> {
        [&self.active].into_iter().chain(self.frozen.iter().rev().map(|one| &**one))
    }

    fn floor(&self) -> Option<u64> {
        self.first_position().map(|first| first - 1)
    }

    fn first_position(&self) -> Option<u64> {
        let mut generations = self.frozen.iter().map(|one| &**one).chain([&self.active]);
        generations.find_map(Generation::first_position)
    }

    fn freeze(&mut self) {
        if self.active.is_empty() {
            return;
        }
        let next = Generation::after(&self.active);
        let full = std::mem::replace(&mut self.active, next);
        self.frozen.push(Arc::new(full));
        self.count();
    }

    /// Counts the part of the frozen generations that the trees lack.
    fn count(&mut self) {
        let mut waiting = Backlog::default();
        let drained = self.drained.frame_number;
        for generation in self.frozen.iter().filter(|one| one.end().frame_number > drained) {
            waiting.events += generation.undrained_events();
            waiting.bytes += generation.frame_bytes();
            waiting.generations += 1;
        }
        self.waiting = waiting;
    }

    fn generation_of(&self, position: u64) -> Option<&Generation> {
        if self.active.first_position().is_some_and(|first| first <= position) {
            return Some(&self.active);
        }
        let starts_by =
            |one: &&Arc<Generation>| one.first_position().is_some_and(|first| first <= position);
        self.frozen.iter().rev().find(starts_by).map(|one| &**one)
    }
}
