//! The tail: every acknowledged event that is not yet in the trees, in memory.
//!
//! Invariants:
//! * It holds the positions from its first to its last without a gap, in records.
//! * A position leaves it only once the trees serve it, so that a reader who looks here first and
//!   in the trees second never misses one.
//! * Only the writer adds and only the checkpoint removes; readers hold the lock for a copy of a
//!   few pointers.
//!
//! What consumers save waits here too: see `tail/saved.rs`.

mod saved;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use uuid::Uuid;

use crate::{
    codec::saved::{Checkpoint, StoredSnapshot},
    event::{SnapshotKey, SnapshotOwner},
};

pub(crate) use saved::SNAPSHOTS_KEPT;
use saved::SavedTail;

/// What an event takes in memory besides its record, about.
const EVENT_BYTES: usize = 24;
/// What a record takes in memory besides its bytes, about.
const RECORD_BYTES: usize = 64;
/// What the place of a frame takes in memory.
const FRAME_BYTES: usize = 24;

/// A record as it waits for the trees.
#[derive(Clone, Debug)]
pub(crate) struct TailRecord {
    pub(crate) first_position: u64,
    pub(crate) count: u64,
    pub(crate) bytes: Arc<[u8]>,
}

impl TailRecord {
    pub(crate) fn last_position(&self) -> u64 {
        self.first_position + self.count - 1
    }
}

/// One event's entry in the indexes of the tail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailEntry<'a> {
    pub(crate) stream: &'a str,
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) id: Option<Uuid>,
}

/// A frame's place in the journal; zeros in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameEnd {
    /// Its checksum.
    pub(crate) chain: u32,
    /// Its number.
    pub(crate) sequence: u64,
}

/// Where a frame ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowEnd {
    pub(crate) position: u64,
    pub(crate) frame: FrameEnd,
    /// What everything up to there takes.
    pub(crate) bytes: u64,
}

/// What is in the tail, for a checkpoint.
#[derive(Debug)]
pub(crate) struct Window {
    /// The number of its last frame.
    pub(crate) last_sequence: u64,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) snapshots: Vec<StoredSnapshot>,
    pub(crate) records: Vec<TailRecord>,
    /// Per stream, in byte order: the version of the first position, and the positions.
    pub(crate) streams: Vec<(Arc<str>, u64, Vec<u64>)>,
    pub(crate) ids: Vec<(Uuid, u64)>,
}

/// The shared tail.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: VecDeque<TailRecord>,
    streams: BTreeMap<Arc<str>, Stream>,
    ids: HashMap<Uuid, u64>,
    /// The ids in position order, so that they leave as they came.
    ids_in_order: VecDeque<(Uuid, u64)>,
    /// The last position of each frame, and its place in the journal.
    frame_ends: VecDeque<(u64, FrameEnd)>,
    saved: SavedTail,
    bytes: usize,
}

#[derive(Debug)]
struct Stream {
    first_version: u64,
    positions: VecDeque<u64>,
}

impl Tail {
    /// Adds the records and entries of a group of whole units, in position order.
    pub(crate) fn push<'a>(
        &self,
        end: FrameEnd,
        records: impl IntoIterator<Item = TailRecord>,
        entries: impl IntoIterator<Item = TailEntry<'a>>,
    ) {
        let mut inner = self.write();
        for record in records {
            inner.bytes += record.bytes.len() + RECORD_BYTES;
            inner.records.push_back(record);
        }
        for entry in entries {
            inner.push_entry(entry);
        }
        let position = inner.records.back().map_or(0, TailRecord::last_position);
        inner.push_end(position, end);
    }

    /// Adds checkpoints that were saved when `head` was the last position.
    pub(crate) fn push_checkpoints(&self, end: FrameEnd, head: u64, checkpoints: Vec<Checkpoint>) {
        let mut inner = self.write();
        for checkpoint in checkpoints {
            inner.saved.push_checkpoint(checkpoint, end.sequence);
        }
        inner.push_end(head, end);
    }

    /// Adds a snapshot that was saved when `head` was the last position.
    pub(crate) fn push_snapshot(&self, end: FrameEnd, head: u64, snapshot: StoredSnapshot) {
        let mut inner = self.write();
        inner.saved.push_snapshot(snapshot, end.sequence);
        inner.push_end(head, end);
    }

    /// Adds a frame that holds nothing, for its place in the journal.
    pub(crate) fn push_nothing(&self, end: FrameEnd, head: u64) {
        self.write().push_end(head, end);
    }

    /// The newest checkpoint of a name.
    pub(crate) fn checkpoint(&self, name: &str) -> Option<u64> {
        self.read().saved.checkpoint(name)
    }

    pub(crate) fn checkpoint_names(&self) -> BTreeSet<Arc<str>> {
        self.read().saved.checkpoint_names()
    }

    pub(crate) fn snapshot(&self, key: &SnapshotKey, position: u64) -> Option<StoredSnapshot> {
        self.read().saved.snapshot(key, position).cloned()
    }

    /// The keys and positions of the snapshots of a name, whatever their version.
    pub(crate) fn snapshots_of(&self, owner: SnapshotOwner, name: &str) -> Vec<(SnapshotKey, u64)> {
        self.read().saved.snapshots_of(owner, name)
    }

    /// The first name of a snapshot behind `after`.
    pub(crate) fn snapshot_name_after(
        &self,
        after: Option<(SnapshotOwner, &str)>,
    ) -> Option<(SnapshotOwner, String)> {
        self.read().saved.snapshot_name_after(after)
    }

    /// The last frame at or below `head` and, by its number, at or below `sequence`, up to which
    /// everything takes at most `bytes_max`, or the first one when that alone takes more.
    pub(crate) fn window_end(&self, head: u64, sequence: u64, bytes_max: u64) -> Option<WindowEnd> {
        let inner = self.read();
        let mut records = inner.records.iter().peekable();
        let (mut found, mut bytes) = (None, inner.saved.bytes() as u64);
        let is_ready = |(end, frame): &&(u64, FrameEnd)| *end <= head && frame.sequence <= sequence;
        for &(position, frame) in inner.frame_ends.iter().take_while(is_ready) {
            while let Some(record) = records.next_if(|record| record.first_position <= position) {
                bytes += record.bytes.len() as u64;
            }
            if found.is_some() && bytes > bytes_max {
                break;
            }
            found = Some(WindowEnd { position, frame, bytes });
        }
        found
    }

    /// About how much memory the tail takes.
    pub(crate) fn bytes(&self) -> usize {
        let inner = self.read();
        inner.bytes + inner.saved.bytes() + inner.frame_ends.len() * FRAME_BYTES
    }

    /// As [`bytes`](Self::bytes), with what the journal holds of saves that others have replaced:
    /// it gives that back once the trees have taken in the others.
    pub(crate) fn backlog(&self) -> usize {
        let replaced = self.read().saved.replaced_bytes();
        self.bytes() + replaced
    }

    /// Up to `limit` records from the one that holds `position` on, or back. `None` when the tail
    /// does not hold it.
    pub(crate) fn records(
        &self,
        position: u64,
        backward: bool,
        limit: usize,
    ) -> Option<Vec<TailRecord>> {
        let inner = self.read();
        let after = inner.records.partition_point(|record| record.first_position <= position);
        let index = after.checked_sub(1)?;
        inner.records.get(index).filter(|record| position <= record.last_position())?;
        Some(match backward {
            false => inner.records.range(index..).take(limit).cloned().collect(),
            true => inner.records.range(..=index).rev().take(limit).cloned().collect(),
        })
    }

    /// The versions of a stream that lie in the tail: the first one, and how many at or below
    /// `head`.
    pub(crate) fn stream(&self, stream: &str, head: u64) -> Option<(u64, u64)> {
        let inner = self.read();
        let found = inner.streams.get(stream)?;
        Some((found.first_version, found.count_through(head)))
    }

    /// Up to `limit` positions of a stream, from `version` on or back. Empty when the tail does not
    /// hold that version.
    pub(crate) fn positions(
        &self,
        stream: &str,
        version: u64,
        backward: bool,
        limit: usize,
    ) -> Vec<u64> {
        let inner = self.read();
        let Some(found) = inner.streams.get(stream) else { return Vec::new() };
        let index = version.checked_sub(found.first_version);
        let index = index.and_then(|index| usize::try_from(index).ok());
        match index.filter(|&index| index < found.positions.len()) {
            None => Vec::new(),
            Some(index) if backward => {
                found.positions.range(..=index).rev().take(limit).copied().collect()
            }
            Some(index) => found.positions.range(index..).take(limit).copied().collect(),
        }
    }

    /// Up to `limit` streams behind `after`, in byte order, that have events in the tail at or
    /// below `head`, with their versions there.
    pub(crate) fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Vec<(Arc<str>, u64)> {
        let inner = self.read();
        inner
            .streams
            .range::<str, _>((after, Bound::Unbounded))
            .map(|(id, stream)| (id, stream.first_version, stream.count_through(head)))
            .filter(|&(_, _, count)| count > 0)
            .take(limit)
            .map(|(id, first_version, count)| (Arc::clone(id), first_version - 1 + count))
            .collect()
    }

    /// Where the event with this id lies, if it is in the tail.
    pub(crate) fn position_of(&self, id: Uuid) -> Option<u64> {
        self.read().ids.get(&id).copied()
    }

    /// Copies everything at or below `last`, the end of a frame, and of what was saved all up to
    /// the frame of that number.
    pub(crate) fn window(&self, last: u64, last_sequence: u64) -> Window {
        let inner = self.read();
        let records = inner.records.iter().take_while(|record| record.first_position <= last);
        let streams = inner.streams.iter().filter_map(|(id, stream)| {
            let positions: Vec<u64> =
                stream.positions.iter().copied().take_while(|&position| position <= last).collect();
            (!positions.is_empty()).then(|| (Arc::clone(id), stream.first_version, positions))
        });
        let ids = inner.ids_in_order.iter().copied().take_while(|&(_, position)| position <= last);
        Window {
            last_sequence,
            checkpoints: inner.saved.checkpoints_through(last_sequence),
            snapshots: inner.saved.snapshots_through(last_sequence),
            records: records.cloned().collect(),
            streams: streams.collect(),
            ids: ids.collect(),
        }
    }

    /// Drops a window that the trees serve now.
    pub(crate) fn free(&self, window: &Window) {
        let mut inner = self.write();
        for record in &window.records {
            inner.records.pop_front();
            let entries = usize::try_from(record.count).unwrap_or(0) * EVENT_BYTES;
            let freed = record.bytes.len() + RECORD_BYTES + entries;
            inner.bytes = inner.bytes.saturating_sub(freed);
        }
        for (id, _, positions) in &window.streams {
            inner.forget(id, positions.len());
        }
        for (id, _) in &window.ids {
            inner.ids.remove(id);
            inner.ids_in_order.pop_front();
        }
        inner.bytes = inner.bytes.saturating_sub(window.ids.len() * EVENT_BYTES);
        let is_freed = |(_, frame): &(u64, FrameEnd)| frame.sequence <= window.last_sequence;
        while inner.frame_ends.front().is_some_and(is_freed) {
            inner.frame_ends.pop_front();
        }
        inner.saved.free(window.last_sequence);
        if inner.records.is_empty() {
            // What is left is rounding and the names of streams.
            inner.bytes = 0;
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push_end(&mut self, position: u64, end: FrameEnd) {
        // In memory nothing is ever moved.
        if end.sequence > 0 {
            self.frame_ends.push_back((position, end));
        }
    }

    fn push_entry(&mut self, entry: TailEntry<'_>) {
        self.bytes += EVENT_BYTES;
        match self.streams.get_mut(entry.stream) {
            Some(stream) => stream.positions.push_back(entry.position),
            None => {
                self.bytes += entry.stream.len() + RECORD_BYTES;
                let positions = VecDeque::from([entry.position]);
                let stream = Stream { first_version: entry.version, positions };
                self.streams.insert(Arc::from(entry.stream), stream);
            }
        }
        if let Some(id) = entry.id {
            self.bytes += EVENT_BYTES;
            self.ids.insert(id, entry.position);
            self.ids_in_order.push_back((id, entry.position));
        }
    }

    /// Drops the first `count` versions of a stream.
    fn forget(&mut self, id: &str, count: usize) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.positions.drain(..count.min(stream.positions.len()));
        stream.first_version += count as u64;
        if stream.positions.is_empty() {
            self.streams.remove(id);
            self.bytes = self.bytes.saturating_sub(id.len() + RECORD_BYTES);
        }
    }
}

impl Stream {
    fn count_through(&self, head: u64) -> u64 {
        self.positions.partition_point(|&position| position <= head) as u64
    }
}
