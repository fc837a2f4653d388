//! The one background thread of a store. It drains: it moves the tail into the trees, and seals the
//! journal files whose events the trees have. It also syncs the journal of a buffered store in time
//! and prepares the next journal file.
//!
//! It opens and drops sled, which may hang or panic: other threads wait for it a bounded number of
//! times, then give up and poison the store. No acknowledged event depends on it, because the
//! journal has them all.
//!
//! Order of a drain: freeze the tail's active generation, sync the journal, stage the window in the
//! trees, move their head, mark the window as drained; then for each full file: seal it, note it in
//! the trees, list it as sealed, drop it from the tail, and only then remove the original.

use std::{fs, sync::Arc};

use crate::{
    Error,
    codec::{saved::Checkpoint, sealed::new_sealed_header},
    storage::{
        Storage,
        disk::Disk,
        home::{Health, files},
        journal::{FileKey, FullFile, RawFile, ToSeal, seal},
        tail::{Tail, Window},
        trees::{Head, Staging, Trees},
    },
    sync,
};

/// A drain is due at this many events. Its cost depends on the number of entries in the trees, and
/// in a larger window more events share an entry.
const WINDOW_EVENTS: u64 = 200_000;

/// At this many waiting events, appends wait.
const WAITING_EVENTS: u64 = 600_000;

/// At this many waiting generations a drain is due: a look-up of a new stream asks each of them.
const WAITING_GENERATIONS: usize = 12;

/// Bytes of waiting frames at which a drain is due, and at which appends wait, as multiples of what
/// the tail keeps in memory.
const WINDOW_FACTOR: u64 = 2;
const WAITING_FACTOR: u64 = 8;

/// A drain writes its window several times, compressed, and sealing writes a copy: it needs this
/// many times the window, and this reserve.
const SPACE_FACTOR: u64 = 3;
const SPACE_RESERVE: u64 = 8 << 20;

/// Whether enough waits for a drain.
pub(super) fn is_due(tail: &Tail, tail_bytes: u64) -> bool {
    let waiting = tail.backlog();
    waiting.events >= WINDOW_EVENTS
        || waiting.bytes >= tail_bytes.saturating_mul(WINDOW_FACTOR)
        || waiting.generations >= WAITING_GENERATIONS
}

/// Whether so much waits that appends must wait too.
pub(super) fn is_tail_full(tail: &Tail, tail_bytes: u64) -> bool {
    let waiting = tail.backlog();
    waiting.events >= WAITING_EVENTS || waiting.bytes >= tail_bytes.saturating_mul(WAITING_FACTOR)
}

/// The error for a thread that makes no progress.
pub(super) fn hung(action: &str) -> Error {
    Error::internal(format!("{action} makes no progress"))
}

/// What the thread works on.
struct Drain<'a> {
    disk: &'a Disk,
    tail: &'a Tail,
    health: &'a Health,
    tail_bytes: u64,
    /// Nothing was drained yet since the store was opened.
    is_first: bool,
}

/// The thread's main loop, after it has opened the trees.
pub(super) fn run(storage: &Arc<Storage>) {
    let Some(disk) = storage.disk() else { return };
    let mut drain = Drain {
        disk,
        tail: &storage.tail,
        health: &storage.health,
        tail_bytes: storage.options.tail_bytes,
        is_first: true,
    };
    loop {
        let work = disk.signals.next_work();
        if work.sync {
            // A failure has poisoned the store, and the next write reports it.
            let _ = disk.sync_journal(&storage.health);
        }
        if work.file && !work.stop {
            disk.prepare_file(&storage.health);
        }
        if work.drain || work.stop {
            if let Err(error) = drain.all(work.stop) {
                if matches!(error, Error::Corrupted { .. } | Error::Internal { .. }) {
                    disk.mark_trees_damaged(&error);
                }
                drop(storage.health.poison(error));
            }
            disk.signals.end_drain();
        }
        if work.stop {
            break;
        }
    }
    if let Err(error) = drain.close_journal() {
        drop(storage.health.poison(error));
    }
    drop_trees(disk);
}

/// Drops sled on this thread, where a hang or a panic of sled blocks no caller.
fn drop_trees(disk: &Disk) {
    let taken = sync::write(&disk.trees).take();
    if let Some(trees) = taken {
        trees.close();
    }
}

impl Drain<'_> {
    /// Drains windows while a drain is due, or until nothing is left, and seals what can be sealed.
    fn all(&mut self, everything: bool) -> Result<(), Error> {
        let mut again = true;
        while again {
            if self.health.is_poisoned() {
                return Ok(());
            }
            let has_drained = self.one()?;
            self.seal_files()?;
            again = has_drained && (everything || is_due(self.tail, self.tail_bytes));
        }
        Ok(())
    }

    /// Drains one window. False when there was nothing to drain or no space for it.
    fn one(&mut self) -> Result<bool, Error> {
        self.tail.freeze();
        // Everything frozen was written before, so it is durable after this.
        self.disk.sync_journal(self.health)?;
        let available = files::available_bytes(self.disk.path());
        let fits = available.saturating_sub(SPACE_RESERVE) / SPACE_FACTOR;
        let bytes_max = self.tail_bytes.saturating_mul(WINDOW_FACTOR).min(fits);
        let window = self.tail.window(WINDOW_EVENTS, bytes_max);
        if window.is_empty() {
            return Ok(false);
        }
        if window.frame_bytes() > fits {
            self.disk.signals.report_no_space();
            return Ok(false);
        }
        let trees = sync::read(&self.disk.trees);
        let Some(trees) = trees.as_ref() else { return Ok(false) };
        if self.is_first {
            let streams = self.tail.undrained_streams();
            let streams = streams.iter().map(|(name, version)| (&**name, *version));
            trees.discard_above(trees.head()?.position, streams, || self.beat())?;
            self.is_first = false;
        }
        self.stage(trees, &window)?;
        self.tail.set_drained(window.end());
        Ok(true)
    }

    fn beat(&self) -> Result<(), Error> {
        self.disk.signals.beat();
        if self.disk.signals.take_file_request() {
            self.disk.prepare_file(self.health);
        }
        self.disk.sync_journal_if_due(self.health)
    }

    fn stage(&self, trees: &Trees, window: &Window) -> Result<(), Error> {
        let events = window.decode(|| self.beat())?;
        let mut staging = Staging::new(trees, || self.beat());
        staging.train(events.all())?;
        for of_stream in events.by_stream() {
            staging.stream(of_stream)?;
        }
        staging.places(events.all().map(|event| (event.position, event.stream, event.version)))?;
        staging.ids(&mut window.ids())?;
        staging.checkpoints(&window.checkpoints())?;
        let (end, source) = (window.end(), window.source());
        let key = source.map_or(FileKey::default(), |source| source.key);
        staging.finish(Head {
            position: end.position,
            frame_number: end.frame_number,
            file_first_position: key.first_position,
            file_number: key.number,
            offset: source.map_or(0, |source| source.end_offset),
            prev_checksum: end.prev_checksum,
        })
    }

    /// Seals the full files whose frames the trees have. A file that cannot be sealed stays as it
    /// is: that costs space, and nothing else.
    fn seal_files(&self) -> Result<(), Error> {
        loop {
            let drained = self.tail.drained().frame_number;
            let next = {
                let mut full = sync::lock(&self.disk.full);
                let index = full.iter().position(|file| file.last_frame <= drained);
                index.map(|index| full.remove(index))
            };
            let Some(file) = next else { return Ok(()) };
            match self.seal(&file) {
                Ok(()) => {}
                // Damage stays where it is, and `verify` reports it.
                Err(Error::Corrupted { .. }) => self.tail.drop_file(file.key),
                Err(Error::NoSpace { .. }) => {
                    // The next drain tries again.
                    sync::lock(&self.disk.full).insert(0, file);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn seal(&self, file: &FullFile) -> Result<(), Error> {
        let checkpoints = self.checkpoints_before(file.key)?;
        let source =
            RawFile { path: file.path.clone(), file: Arc::clone(&file.file), end: file.end };
        let identity = &self.disk.identity;
        let key = file.key;
        let header = new_sealed_header(
            (identity.store_id, key.first_position),
            (file.first_frame, file.prev_checksum),
            false,
        );
        let number = key.number;
        let to_seal =
            ToSeal { source: &source, header, number, checkpoints: &checkpoints, end: None };
        let mut beat = || self.beat();
        let facts = seal(&to_seal, &identity.directory, &identity.checksum, &mut beat)?;
        let mut encoded = Vec::new();
        if facts.encode(&mut encoded).is_ok()
            && let Some(trees) = sync::read(&self.disk.trees).as_ref()
        {
            trees.note_sealed(key.first_position, key.number, &encoded)?;
        }
        self.disk.sealed.add(key, facts);
        self.tail.drop_file(key);
        let path = &file.path;
        fs::remove_file(path).map_err(|source| Error::io("remove", path, source))
    }

    /// The checkpoints that hold at the start of a file.
    fn checkpoints_before(&self, key: FileKey) -> Result<Vec<Checkpoint>, Error> {
        let before = self.disk.sealed.keys().into_iter().rev().find(|sealed| *sealed < key);
        match before {
            Some(before) => self.disk.sealed.open(before)?.checkpoints(),
            None => Ok(Vec::new()),
        }
    }

    /// Ends the journal of a store that is closing, once everything is drained.
    fn close_journal(&self) -> Result<(), Error> {
        let Some(journal) = self.disk.take_journal() else { return Ok(()) };
        if let Some(prepared) = sync::lock(&self.disk.prepared).take() {
            prepared.discard();
        }
        if self.health.is_poisoned() {
            return Ok(());
        }
        let end = journal.end();
        if let Some(head) = sync::lock(&self.disk.head_file).as_mut() {
            head.close(end)?;
        }
        let is_drained = self.tail.drained().frame_number == end.frame_number;
        let Some(active) = journal.into_active() else { return Ok(()) };
        if is_drained && active.is_worth_sealing() {
            sync::lock(&self.disk.full).push(active.into_full(end));
            return self.seal_files();
        }
        active.cut()
    }
}
