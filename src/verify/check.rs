//! Walking over a store to check it.
//!
//! Each copy is walked once, from start to end, and every checksum is checked. Sums of hashes show
//! whether the two copies have the same events, and whether the indexes lead to the right events,
//! without keeping either in memory: a sum does not depend on the order, and the copies have
//! different orders.

use std::{
    hash::{BuildHasher, Hash},
    mem,
    sync::Arc,
};

use foldhash::quality::FixedState;
use uuid::Uuid;

use crate::{
    Error, EventStore,
    codec::{page::Page, saved::Checkpoint, tagged::Place},
    event::RecordedEvent,
    snapshot::SnapshotInfo,
    storage::{Audit, DAMAGED_RUN, Storage},
    verify::{Finding, NotChecked, Report, checkpoints::OfJournal},
};

/// The maximum number of findings; more would not help to describe a badly damaged store.
const FINDINGS_MAX: usize = 1_000;

pub(super) fn run(store: &EventStore) -> Result<Report, Error> {
    let storage = store.storage();
    let mut check = Check { store, storage, report: Report::default() };
    let head = store.head()?;
    let exchanges = storage.exchanges()?;
    match storage.trees_head() {
        Ok(Some(trees_head)) => check.copies(head, trees_head)?,
        Ok(None) => check.memory(head)?,
        Err(Error::Closed) => return Err(Error::Closed),
        Err(Error::Forked) => return Err(Error::Forked),
        Err(_) if storage.is_reading() => {
            let reason = "in use".to_owned();
            check.report.not_checked = Some(NotChecked { what: "trees", reason });
            check.copies(head, 0)?;
        }
        Err(failure) => {
            let cause = storage.check_writable().err().unwrap_or(failure);
            let message = format!("the trees were not checked: {}", cause.chain());
            check.find("not-checked", "the directory trees", None, message);
            check.copies(head, 0)?;
            return Ok(check.report);
        }
    }
    check.streams()?;
    check.checkpoints()?;
    check.snapshots()?;
    check.count_unreadable(head)?;
    storage.check_exchanges(exchanges)?;
    Ok(check.report)
}

struct Check<'a> {
    store: &'a EventStore,
    storage: &'a Storage,
    report: Report,
}

/// The sum of hashes of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest {
    sum: u64,
    count: u64,
}

impl Digest {
    fn add(&mut self, value: impl Hash) {
        self.add_more(value);
        self.count += 1;
    }

    /// Adds a part of an element that has already been counted.
    fn add_more(&mut self, value: impl Hash) {
        self.sum = self.sum.wrapping_add(FixedState::default().hash_one(value));
    }
}

/// The contents of one copy, counting only events that both should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Contents {
    events: Digest,
    places: Digest,
    ids: Digest,
    tags: Digest,
}

impl Contents {
    fn add(&mut self, event: &RecordedEvent) {
        let (position, stream, version) = (event.position(), event.stream_id(), event.version());
        let content = (event.is_binary(), event.event_type(), event.data(), event.metadata());
        self.events.add((position, stream, version, content, event.timestamp(), event.id()));
        self.places.add((position, stream, version));
        for tag in event.tags() {
            self.events.add_more((position, tag));
            self.tags.add((tag, position, stream, version));
        }
        if let Some(id) = event.id() {
            self.ids.add((id, position));
        }
    }
}

/// The results of walking over both copies.
#[derive(Debug, Default)]
struct Walks {
    /// The last position that both copies should have.
    both: u64,
    head: u64,
    /// The next position in the journal.
    next: u64,
    events: u64,
    journal: Contents,
    runs: Contents,
    /// The indexes of the trees.
    places: Digest,
    ids: Digest,
    tags: Digest,
    checkpoints: OfJournal,
    /// The last run that was walked: its stream and its last version.
    stream: Option<(Arc<str>, u64)>,
    /// Whether the run after that one is damaged.
    is_run_lost: bool,
    findings: Vec<Finding>,
    has_damage: bool,
}

impl Walks {
    fn find(&mut self, code: &'static str, place: &str, position: Option<u64>, message: String) {
        self.has_damage = true;
        let place = place.to_owned();
        self.findings.push(Finding { code, place, position, message });
    }
}

impl Audit for Walks {
    fn journal_events(&mut self, page: &Page) {
        let head = self.head;
        for event in page.events().filter(|event| event.position() <= head) {
            let position = event.position();
            // Damage that was already found explains what is missing.
            if position > self.next && !self.has_damage {
                let message = format!("the next event is at {position}");
                self.find("event-missing", "the journal", Some(self.next), message);
            }
            self.next = self.next.max(position + 1);
            self.events += 1;
            if position <= self.both {
                self.journal.add(&event);
            }
        }
    }

    fn checkpoint(&mut self, saved: Checkpoint, is_drained: bool) {
        self.checkpoints.add(saved, is_drained);
    }

    fn run(&mut self, stream: &Arc<str>, first_version: u64, page: &Page) {
        let before = self.stream.as_ref().filter(|(known, _)| known == stream);
        let before = before.map_or(0, |(_, version)| *version);
        // A damaged run before this one explains a gap.
        let is_explained = mem::take(&mut self.is_run_lost);
        if first_version != before + 1 && !is_explained {
            let message = format!("version {first_version} follows version {before}");
            self.find("version-gap", stream, Some(page.first_position()), message);
        }
        page.events().for_each(|event| self.runs.add(&event));
        self.stream = Some((Arc::clone(stream), first_version + page.len() as u64 - 1));
    }

    fn place(&mut self, position: u64, stream: &str, version: u64) {
        self.places.add((position, stream, version));
    }

    fn id(&mut self, id: Uuid, position: u64) {
        self.ids.add((id, position));
    }

    fn tag(&mut self, tag: &str, (position, stream, version): Place<'_>) {
        self.tags.add((tag, position, stream, version));
    }

    fn damage(&mut self, code: &'static str, place: &str, position: Option<u64>, reason: String) {
        self.is_run_lost |= code == DAMAGED_RUN;
        self.find(code, place, position, reason);
    }
}

impl Check<'_> {
    fn find(&mut self, code: &'static str, place: &str, position: Option<u64>, message: String) {
        if self.report.findings.len() < FINDINGS_MAX {
            let place = place.to_owned();
            self.report.findings.push(Finding { code, place, position, message });
        }
    }

    /// Turns damage into a finding and returns any other error.
    fn find_damage(&mut self, code: &'static str, error: Error) -> Result<(), Error> {
        match error {
            Error::Corrupted { place, position, reason } => {
                self.find(code, &place, position, reason);
                Ok(())
            }
            other => Err(other),
        }
    }

    /// Walks both copies, and compares the events that both should have: those up to `both`.
    fn copies(&mut self, head: u64, both: u64) -> Result<(), Error> {
        let mut walks = Walks { both, head, next: 1, ..Walks::default() };
        if both > 0 {
            self.storage.audit_trees(both, &mut walks)?;
        }
        let trees_are_whole = !walks.has_damage;
        let before = self.checkpoints_of_trees(both)?;
        self.storage.audit_journal(&mut walks)?;
        if walks.next <= head && !walks.has_damage {
            let message = format!("the journal ends before position {head}");
            walks.find("event-missing", "the journal", Some(walks.next), message);
        }
        // Of the events that both copies should have, count as many as the better copy has.
        let of_journal = walks.journal.events.count;
        self.report.events = walks.events - of_journal + of_journal.max(walks.runs.events.count);
        if let (Some(before), false) = (before, walks.has_damage)
            && let Some(now) = self.checkpoints_of_trees(both)?
        {
            for (name, position, message) in walks.checkpoints.differences(&before, &now) {
                self.find("checkpoint-damaged", &name, Some(position), message);
            }
        }
        let Walks { journal, runs, places, ids, tags, .. } = walks;
        let journal_is_whole = journal.events.count == both;
        let mut differs = Vec::new();
        if trees_are_whole && both > 0 {
            if places != runs.places {
                let message = "it does not match the events of the streams";
                differs.push(("place-index", "the index of positions", message));
            }
            if ids != runs.ids {
                let message = "it does not match the ids of the events";
                differs.push(("id-index", "the index of event ids", message));
            }
            if tags != runs.tags {
                let message = "it does not match the tags of the events";
                differs.push(("tag-index", "the index of tags", message));
            }
            if journal_is_whole && journal.events != runs.events {
                let message = "the journal and the trees have different events";
                differs.push(("copies-differ", "the store", message));
            }
        }
        for finding in walks.findings {
            self.find(finding.code, &finding.place, finding.position, finding.message);
        }
        for (code, place, message) in differs {
            self.find(code, place, None, message.to_owned());
        }
        Ok(())
    }

    /// The checkpoints of the trees; `None` if the trees are not checked, or one is damaged, which
    /// is reported later.
    fn checkpoints_of_trees(&self, both: u64) -> Result<Option<Vec<Checkpoint>>, Error> {
        if both == 0 {
            return Ok(None);
        }
        match self.storage.checkpoints_of_trees() {
            Err(Error::Corrupted { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Checks a store in memory, which has only one copy, by reading it from start to end.
    fn memory(&mut self, head: u64) -> Result<(), Error> {
        let mut next = 1;
        while next <= head {
            let page = self.storage.page(next, Page::default())?;
            next = page.last_position() + 1;
            self.report.events +=
                page.events().filter(|event| event.position() <= head).count() as u64;
        }
        Ok(())
    }

    /// Counts the positions that no read can return, if anything is wrong.
    fn count_unreadable(&mut self, head: u64) -> Result<(), Error> {
        if self.report.findings.is_empty() {
            return Ok(());
        }
        let (mut position, mut page) = (1, Page::default());
        while position <= head {
            match self.storage.page(position, page) {
                Ok(found) => {
                    page = found;
                    while page.index_of(position).is_some() {
                        position += 1;
                    }
                }
                Err(Error::Corrupted { .. }) => {
                    page = Page::default();
                    self.report.unreadable += 1;
                    position += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn streams(&mut self) -> Result<(), Error> {
        for stream in self.store.streams() {
            match stream {
                Ok(_) => self.report.streams += 1,
                Err(error) => return self.find_damage("stream-index", error),
            }
        }
        Ok(())
    }

    /// Checks that every checkpoint is readable, and that none is past the head.
    fn checkpoints(&mut self) -> Result<(), Error> {
        let names = match self.storage.checkpoint_names() {
            Ok(names) => names,
            Err(error) => return self.find_damage("checkpoint-damaged", error),
        };
        for name in names {
            match self.storage.checkpoint_of(&name) {
                // The head may have moved since this check began.
                Ok(position) if position <= self.store.head()? => {}
                Ok(position) => {
                    let message = format!("it is at position {position}, past the head");
                    self.find("checkpoint-damaged", &name, Some(position), message);
                }
                Err(error) => self.find_damage("checkpoint-damaged", error)?,
            }
        }
        Ok(())
    }

    /// Checks that every snapshot is usable.
    fn snapshots(&mut self) -> Result<(), Error> {
        for snapshot in self.store.snapshots() {
            match snapshot {
                Ok(SnapshotInfo { key, position, fault: Some(reason), .. }) => {
                    self.find("snapshot-damaged", key.name(), Some(position), reason);
                }
                Ok(_) => {}
                Err(error) => self.find_damage("snapshot-damaged", error)?,
            }
        }
        Ok(())
    }
}
