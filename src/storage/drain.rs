//! The background thread of a store. It drains: it moves the tail into the trees, and seals the
//! journal files whose events are in the trees. It also syncs the journal of a buffered store in
//! time, prepares the next journal file, and saves the snapshots that became due.
//!
//! It opens and drops sled, which may hang or panic: other threads wait for it a bounded number of
//! times, then give up and poison the store. No acknowledged event depends on it, because all of
//! them are in the journal.
//!
//! Order of a drain: freeze the tail's active generation, sync the journal, stage the window in the
//! trees, move their head, mark the window as drained; then for each full file: give its sealed
//! form its name, note it in the trees, list it as sealed, drop it from the tail, and only then
//! remove the original. A second thread writes the sealed forms while the window is staged.

mod sealing;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use crate::{
    Error,
    defect::{self, Defect},
    storage::{
        Storage,
        disk::{Disk, Use},
        home::{Health, files},
        journal::{FileKey, FullFile},
        tail::{Tail, Window},
        trees::{Head, Staging, Trees},
    },
    sync::{self, thread},
    trace::span,
};

use sealing::Sealed;

/// A drain is due at this many events. Its cost depends on the number of entries in the trees, and
/// in a larger window an entry holds more events.
const WINDOW_EVENTS: u64 = 200_000;

/// At this many waiting events, appends wait.
const WAITING_EVENTS: u64 = 600_000;

/// A drain is due at this many waiting generations: a lookup of a new stream searches each of them.
const WAITING_GENERATIONS: usize = 12;

/// The numbers of bytes of waiting frames at which a drain is due and at which appends wait, as
/// multiples of the bytes that the tail keeps in memory.
const WINDOW_FACTOR: u64 = 4;
const WAITING_FACTOR: u64 = 16;

/// A drain writes its window several times, compressed, and sealing writes a copy. So a drain needs
/// this many times the size of the window, plus this reserve.
const SPACE_FACTOR: u64 = 3;
const SPACE_RESERVE: u64 = 8 << 20;

/// Whether enough is waiting for a drain.
pub(super) fn is_due(tail: &Tail, tail_bytes: u64) -> bool {
    let waiting = tail.backlog();
    waiting.events >= WINDOW_EVENTS
        || waiting.bytes >= tail_bytes.saturating_mul(WINDOW_FACTOR)
        || waiting.generations >= WAITING_GENERATIONS
}

/// Whether so much is waiting that appends must wait.
pub(super) fn is_tail_full(tail: &Tail, tail_bytes: u64) -> bool {
    let waiting = tail.backlog();
    waiting.events >= WAITING_EVENTS || waiting.bytes >= tail_bytes.saturating_mul(WAITING_FACTOR)
}

/// Makes the error for a thread that makes no progress.
pub(super) fn hung(action: &str) -> Error {
    Error::internal(format!("{action} makes no progress"))
}

/// The state of the thread.
struct Drain<'a> {
    disk: &'a Disk,
    tail: &'a Tail,
    health: &'a Health,
    tail_bytes: u64,
    /// Nothing has been drained since the store was opened.
    is_first: bool,
    /// The sealed form of a closing store's last file, which was sealed with the last window.
    last_sealed: Option<Sealed>,
}

/// The main loop of the thread, once the trees are open.
pub(super) fn run(storage: &Arc<Storage>) {
    let Some(disk) = storage.disk() else { return };
    let mut drain = Drain {
        disk,
        tail: &storage.tail,
        health: &storage.health,
        tail_bytes: storage.options.tail_bytes,
        is_first: true,
        last_sealed: None,
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
        if work.snapshots || work.stop {
            storage.save_waiting_snapshots(|| disk.signals.beat());
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
    drop_trees(disk, &storage.health);
}

/// Drops sled on this thread, where a hang or a panic of sled blocks no caller.
fn drop_trees(disk: &Disk, health: &Health) {
    let taken = sync::write(&disk.trees).take();
    match taken {
        // The files may be evidence: a refresh would let sled write into them again.
        Some(trees) if health.is_poisoned() => trees.abandon(),
        Some(trees) => {
            if let Err(error) = trees.close(|patience| disk.signals.allow(patience)) {
                drop(health.poison(error));
            }
        }
        None => {}
    }
}

impl Drain<'_> {
    /// Drains windows while a drain is due, or until nothing is left, and seals the files that can
    /// be sealed.
    fn all(&mut self, everything: bool) -> Result<(), Error> {
        let mut again = true;
        while again {
            if self.health.is_poisoned() {
                return Ok(());
            }
            self.disk.check_in_place(self.health)?;
            let has_drained = self.one(everything)?;
            self.seal_files()?;
            again = has_drained && (everything || is_due(self.tail, self.tail_bytes));
        }
        Ok(())
    }

    /// Drains one window, and seals the files that end with it. Returns false if there was nothing
    /// to drain or no space for it.
    fn one(&mut self, is_closing: bool) -> Result<bool, Error> {
        self.tail.freeze();
        // Everything frozen was written earlier, so it is durable after this sync.
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
        let started = Instant::now();
        let end = window.end();
        let _span = span!(
            "drain",
            head = end.position,
            events = end.position.saturating_sub(self.tail.drained().position),
            bytes = window.frame_bytes()
        );
        let (to_seal, has_last) = self.to_seal(end, is_closing);
        let mut sealed = {
            let trees = sync::read(&self.disk.trees);
            let Some(trees) = trees.as_ref() else { return Ok(false) };
            if self.is_first {
                self.discard(trees)?;
            }
            self.stage_and_seal(trees, &window, &to_seal)?
        };
        self.is_first = false;
        self.disk.meters.drain.record_since(started);
        let before = self.tail.drained().position;
        self.disk.meters.drained.add(end.position.saturating_sub(before));
        drop(window);
        self.tail.set_drained(end);
        if has_last && sealed.len() == to_seal.len() {
            self.last_sealed = sealed.pop();
        }
        for sealed in sealed {
            if !self.publish(sealed)? {
                break;
            }
        }
        Ok(true)
    }

    /// Removes what an unfinished drain staged.
    fn discard(&self, trees: &Trees) -> Result<(), Error> {
        if trees.is_blank()? {
            return Ok(());
        }
        let streams = self.tail.undrained_streams();
        let streams = streams.iter().map(|(name, version)| (&**name, *version));
        let tags = self.tail.undrained_tags();
        trees.discard_above(trees.head()?.position, streams, &tags, || self.beat())
    }

    /// Stages a window while the second thread seals files. Without a second thread, nothing is
    /// sealed yet.
    fn stage_and_seal(
        &self,
        trees: &Trees,
        window: &Window,
        to_seal: &[FullFile],
    ) -> Result<Vec<Sealed>, Error> {
        thread::scope(|scope| {
            let second = &self.disk.second_thread;
            let seal = || {
                let sealed = catch_unwind(AssertUnwindSafe(|| self.seal(to_seal)));
                second.give_back();
                sealed
            };
            let has_second = !to_seal.is_empty() && second.try_take(Use::Sealing);
            let start = || sync::spawn_scoped(scope, "annals-seal", seal).ok();
            let helper = has_second.then(start).flatten();
            if has_second && helper.is_none() {
                second.give_back();
            }
            let staged = self.stage(trees, window);
            let sealed = helper.map_or(Ok(Ok(Vec::new())), |helper| helper.join());
            staged?;
            sealed
                .and_then(|sealed| sealed)
                .map_err(|_| Error::internal("sealing a journal file stopped"))
        })
    }

    fn beat(&self) -> Result<(), Error> {
        self.disk.signals.beat();
        if self.disk.signals.take_file_request() {
            self.disk.prepare_file(self.health);
        }
        self.disk.sync_journal_if_due(self.health)
    }

    fn stage(&self, trees: &Trees, window: &Window) -> Result<(), Error> {
        // A record that cannot be read is damage of the journal, and says nothing of the trees.
        let events = window.decode(|| self.beat()).map_err(|error| self.health.poison(error))?;
        let mut staging = Staging::new(trees, || self.beat());
        staging.train(events.all())?;
        for of_stream in events.by_stream() {
            staging.stream(of_stream)?;
        }
        staging.places(events.all().map(|event| (event.position, event.stream, event.version)))?;
        if !defect::has(Defect::IdsForgotten) {
            staging.ids(&mut window.ids())?;
        }
        staging.tags(events.all().filter(|event| event.tags.len() > 0))?;
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

    /// Ends the journal of a closing store, once everything is drained.
    fn close_journal(&mut self) -> Result<(), Error> {
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
        if !is_drained || !active.is_worth_sealing() {
            return active.cut();
        }
        let is_next = sync::lock(&self.disk.full).is_empty();
        if let Some(sealed) = self.last_sealed.take().filter(|_| is_next) {
            return self.publish(sealed).map(drop);
        }
        sync::lock(&self.disk.full).push(active.to_full(end));
        self.seal_files()
    }
}
