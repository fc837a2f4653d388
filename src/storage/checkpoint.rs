//! The one background thread of a store: it moves the tail into the trees, and syncs the journal of
//! a buffered store in time.
//!
//! It also opens and drops sled, which may hang: everybody else waits for it in short waits, gives
//! it up after many of them without a sign of progress, and poisons the store. Waits are counted
//! and not timed, so that a process that was suspended is not taken for a hang. No acknowledged
//! event depends on the thread, because the journal has them all.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, atomic::Ordering},
    time::{Duration, Instant},
};

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        pack,
        record::{self, EventToEncode, Record},
    },
    storage::{
        Storage, files,
        journal::FullFile,
        tail::{TailRecord, Window, WindowEnd},
        trees::{Head, Staging, Trees},
    },
};

/// How long others wait before they look for progress.
pub(super) const WAIT: Duration = Duration::from_millis(100);

/// After how many waits without a sign of progress others give the thread up: some 25 seconds.
const WAITS_MAX: u32 = 250;

/// A checkpoint writes each byte of the tail some times over; it needs this much room besides.
const SPACE_FACTOR: u64 = 6;
const SPACE_RESERVE: u64 = 8 << 20;

/// The trees while the store is open; taken out by the close.
pub(super) type SharedTrees = RwLock<Option<Trees>>;

/// What the thread and the others tell each other.
#[derive(Debug, Default)]
pub(super) struct Signals {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The tail is large enough to be moved, or somebody waits for it to be.
    is_due: bool,
    /// When a write of a buffered store must be durable.
    sync_at: Option<Instant>,
    is_stopping: bool,
    has_ended: bool,
    /// Why the tail cannot be moved at the moment, when that is lack of space.
    is_short_of_space: bool,
    /// Grows with each sign of life.
    progress: u64,
    /// The progress at which somebody gave the thread up.
    given_up: Option<u64>,
}

/// How long somebody has been waiting for the thread.
#[derive(Debug, Default)]
pub(super) struct Patience {
    progress: u64,
    /// Waits since the thread has made progress.
    waits: u32,
}

impl Patience {
    /// Notes the end of one wait; true when it was one too many.
    fn is_over(&mut self, progress: u64) -> bool {
        if self.progress != progress {
            *self = Patience { progress, waits: 0 };
        }
        self.waits += 1;
        self.waits > WAITS_MAX
    }
}

/// How a wait for room in the tail ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is some, or the thread has made some progress: look again.
    LookAgain,
    /// The disk is too full to move the tail.
    NoSpace,
    /// The thread hangs.
    Hung,
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn request_checkpoint(&self) {
        let mut state = self.lock();
        if !state.is_due {
            state.is_due = true;
            self.changed.notify_all();
        }
    }

    pub(super) fn request_sync(&self, at: Instant) {
        let mut state = self.lock();
        if state.sync_at.is_none() {
            state.sync_at = Some(at);
            self.changed.notify_all();
        }
    }

    /// Waits until the tail may have shrunk.
    pub(super) fn wait_for_room(&self, patience: &mut Patience) -> Room {
        let mut state = self.lock();
        state.is_due = true;
        state.is_short_of_space = false;
        self.changed.notify_all();
        let (mut state, timeout) = self
            .changed
            .wait_timeout_while(state, WAIT, |state| {
                state.is_due && !state.is_short_of_space && !state.has_ended
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.is_short_of_space {
            return Room::NoSpace;
        }
        let is_hung = timeout.timed_out() && patience.is_over(state.progress);
        if is_hung {
            state.given_up = Some(state.progress);
        }
        if is_hung || state.has_ended { Room::Hung } else { Room::LookAgain }
    }

    /// Asks the thread to finish its work and end; false when it hangs.
    pub(super) fn stop(&self) -> bool {
        let mut state = self.lock();
        state.is_stopping = true;
        self.changed.notify_all();
        let mut patience = Patience::default();
        while !state.has_ended {
            if state.given_up == Some(state.progress) {
                return false;
            }
            let waited = self.changed.wait_timeout_while(state, WAIT, |state| !state.has_ended);
            let (waited, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = waited;
            if timeout.timed_out() && patience.is_over(state.progress) {
                return false;
            }
        }
        true
    }

    fn beat(&self) {
        self.lock().progress += 1;
    }

    /// Tells that the thread has ended, or that there is none.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }
}

/// What there is to do.
struct Work {
    checkpoint: bool,
    sync: bool,
    stop: bool,
}

/// The thread's life, after it has opened the trees. It ends in no other way than here, or those
/// who wait for it would wait in vain.
pub(super) fn run(storage: &Storage) {
    if catch_unwind(AssertUnwindSafe(|| work(storage))).is_err() {
        let reason = "the thread that writes them has panicked";
        drop(storage.poison(Error::corrupted("the directory trees", None, reason)));
        // Reads go on until the close.
        let state = storage.signals.lock();
        let stopped = storage.signals.changed.wait_while(state, |state| !state.is_stopping);
        drop(stopped);
    }
    // Of sled's destructor a panic is no news: the journal has everything.
    let _ = catch_unwind(AssertUnwindSafe(|| drop_trees(storage)));
    storage.signals.end();
}

/// The thread's main loop.
fn work(storage: &Storage) {
    let mut is_first = true;
    loop {
        let work = wait_for_work(&storage.signals);
        if work.sync {
            // A failure has poisoned the store, and the next write tells.
            let _ = storage.sync_journal();
        }
        if work.checkpoint || work.stop {
            match checkpoint(storage, is_first) {
                Ok(did) => is_first &= !did,
                Err(error) => drop(storage.health.poison(error)),
            }
            let mut state = storage.signals.lock();
            state.is_due = false;
            drop(state);
            storage.signals.changed.notify_all();
        }
        if work.stop {
            return;
        }
    }
}

fn wait_for_work(signals: &Signals) -> Work {
    let mut state = signals.lock();
    state.progress += 1;
    loop {
        let now = Instant::now();
        let sync = state.sync_at.is_some_and(|at| at <= now);
        if sync {
            state.sync_at = None;
        }
        if sync || state.is_due || state.is_stopping {
            state.progress += 1;
            return Work { checkpoint: state.is_due, sync, stop: state.is_stopping };
        }
        let timeout = state.sync_at.map(|at| at.saturating_duration_since(now));
        state = match timeout {
            None => signals.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = signals.changed.wait_timeout(state, timeout);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

/// Drops sled here, where a hang or a panic of its own harms nobody.
fn drop_trees(storage: &Storage) {
    let taken = storage.trees.write().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(trees) = taken {
        trees.close();
    }
}

/// Moves everything durable in the tail into the trees. False when there was nothing to move or no
/// space for it.
fn checkpoint(storage: &Storage, is_first: bool) -> Result<bool, Error> {
    if storage.health.is_poisoned() {
        return Ok(false);
    }
    storage.sync_journal()?;
    // A group is durable a moment before it is in the tail and published.
    let head = storage.durable().min(storage.head());
    // With little space left, only as much is moved as fits.
    let available = storage.directory().map_or(u64::MAX, files::available_bytes);
    let fits = available.saturating_sub(SPACE_RESERVE) / SPACE_FACTOR;
    let synced = storage.synced.load(Ordering::Acquire);
    let Some(end) = storage.tail.window_end(head, synced, fits) else { return Ok(false) };
    if end.bytes > fits {
        storage.signals.lock().is_short_of_space = true;
        return Ok(false);
    }
    let window = storage.tail.window(end.position, end.frame.sequence);
    {
        let trees = storage.trees.read().unwrap_or_else(PoisonError::into_inner);
        let Some(trees) = trees.as_ref() else { return Ok(false) };
        let mut staging = Staging::new(trees, || {
            storage.signals.beat();
            storage.sync_journal_if_due()
        });
        if is_first {
            // What was staged before may reach further than a window that space has cut short.
            let all = storage.tail.window(storage.head(), end.frame.sequence);
            staging.discard_above(trees.head()?.position, &all.streams)?;
        }
        move_window(storage, staging, &window, end)?;
        storage.tail.free(&window);
        seal_files(storage, trees, end.frame.sequence)?;
    }
    Ok(true)
}

fn move_window(
    storage: &Storage,
    mut staging: Staging<'_, impl FnMut() -> Result<(), Error>>,
    window: &Window,
    end: WindowEnd,
) -> Result<(), Error> {
    for stream in &window.streams {
        staging.stream(stream)?;
    }
    staging.ids(&mut window.ids.clone())?;
    pack_records(&window.records, &storage.checksum, |position, bytes| {
        staging.record(position, bytes)
    })?;
    staging.checkpoints(&window.checkpoints)?;
    for snapshot in &window.snapshots {
        staging.snapshot(snapshot, storage.head())?;
    }
    // What has replaced a save of this window was there before the window was taken. It must be
    // durable before the head moves past the frame of the one that it replaced.
    storage.sync_journal()?;
    staging.finish(Head { position: end.position, chain: end.frame.chain })
}

/// Hands out the records of a window, small neighbours merged.
fn pack_records(
    records: &[TailRecord],
    checksum: &Checksum,
    mut put: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut rest = records;
    while !rest.is_empty() {
        let (mut bytes, mut events, mut count) = (0, 0, 0);
        for record in rest {
            bytes += record.bytes.len();
            events += record.count;
            let is_past = bytes > pack::RECORD_BYTES || events > pack::RECORD_EVENTS_MAX as u64;
            if count > 0 && is_past {
                break;
            }
            count += 1;
        }
        let (group, behind) = rest.split_at(count);
        rest = behind;
        match group {
            [single] => put(single.first_position, &single.bytes)?,
            several => {
                let (position, bytes) = merge(several, checksum)?;
                put(position, &bytes)?;
            }
        }
    }
    Ok(())
}

fn merge(records: &[TailRecord], checksum: &Checksum) -> Result<(u64, Vec<u8>), Error> {
    let position = records.first().map_or(0, |record| record.first_position);
    let damaged = |reason| Error::corrupted("a record in memory", Some(position), reason);
    let decoded = records
        .iter()
        .map(|record| Record::decode_trusted(Arc::clone(&record.bytes)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(damaged)?;
    let events: Vec<_> = decoded.iter().flat_map(Record::events).collect();
    let events: Vec<_> = events.iter().map(EventToEncode::from).collect();
    let bytes = record::encode(position, &events, checksum).map_err(damaged)?;
    Ok((position, bytes))
}

/// Seals or, without an archive, removes the journal files that the trees have taken over. A
/// failure to do so costs disk space only.
fn seal_files(storage: &Storage, trees: &Trees, sequence: u64) -> Result<(), Error> {
    let mut full = storage.full_files.lock().unwrap_or_else(PoisonError::into_inner);
    let done: Vec<FullFile> = full.extract_if(.., |file| file.last_sequence <= sequence).collect();
    drop(full);
    if storage.keeps_archive() {
        for file in done {
            let _ = file.seal();
        }
    } else if let Some(last) = done.last() {
        trees.set_removed(last.last_position)?;
        for file in done {
            let _ = fs::remove_file(&file.path);
        }
    }
    Ok(())
}
