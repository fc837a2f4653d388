//! The walk over a store.
//!
//! The events are read as any reader reads them, so that what is checked is what is served; the
//! journal is read beside them, and a sum of hashes tells whether the two copies hold the same
//! events without keeping either in memory.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use crate::{
    Error, EventStore,
    codec::record::Record,
    event::RecordedEvent,
    snapshot::SnapshotInfo,
    storage::{JournalAudit, Storage},
    verify::{Finding, Report},
};

/// Findings kept; a store in ruins is described by fewer.
const FINDINGS_MAX: usize = 1_000;

/// Records read at once.
const RECORDS: usize = 64;

pub(super) fn run(store: &EventStore) -> Result<Report, Error> {
    let mut check = Check {
        store,
        storage: store.storage(),
        head: store.head()?,
        report: Report::default(),
        versions: HashMap::new(),
        digest: Digest::default(),
        has_gap: false,
        has_indexes: true,
    };
    if let Err(failure) = check.storage.check_writable() {
        // Without the trees each look-up would walk the whole journal.
        check.has_indexes = false;
        let message = format!("the indexes were not checked: {}", failure.chain());
        check.find("not-checked", "the directory trees", None, message);
    }
    check.events()?;
    if check.has_indexes {
        check.streams()?;
        check.ids()?;
        check.checkpoints()?;
        check.snapshots()?;
    }
    check.journal()?;
    check.report.streams = check.versions.len() as u64;
    Ok(check.report)
}

struct Check<'a> {
    store: &'a EventStore,
    storage: &'a Storage,
    head: u64,
    report: Report,
    /// The version of each stream's last event so far.
    versions: HashMap<String, u64>,
    digest: Digest,
    /// Some event could not be read, so that versions may jump.
    has_gap: bool,
    /// The trees answer.
    has_indexes: bool,
}

/// The sum of hashes of a set of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest {
    sum: u64,
    count: u64,
}

impl Digest {
    fn add(&mut self, event: &RecordedEvent) {
        let mut hasher = DefaultHasher::new();
        (event.position(), event.version(), event.is_binary()).hash(&mut hasher);
        (event.stream_id(), event.event_type()).hash(&mut hasher);
        (event.data(), event.metadata()).hash(&mut hasher);
        (event.timestamp(), event.id()).hash(&mut hasher);
        self.sum = self.sum.wrapping_add(hasher.finish());
        self.count += 1;
    }
}

impl Check<'_> {
    fn find(&mut self, code: &'static str, place: &str, position: Option<u64>, message: String) {
        if self.report.findings.len() < FINDINGS_MAX {
            let place = place.to_owned();
            self.report.findings.push(Finding { code, place, position, message });
        }
    }

    /// Takes damage as a finding and hands on any other error.
    fn find_damage(&mut self, code: &'static str, error: Error) -> Result<(), Error> {
        match error {
            Error::Corrupted { place, position, reason } => {
                self.find(code, &place, position, reason);
                Ok(())
            }
            other => Err(other),
        }
    }

    fn events(&mut self) -> Result<(), Error> {
        let mut next = 1;
        while next <= self.head {
            match self.storage.records(next, false, RECORDS) {
                Ok(records) => {
                    for record in records {
                        next = self.record(&record, next)?;
                    }
                }
                Err(error) => {
                    self.find_damage("event-damaged", error)?;
                    self.has_gap = true;
                    next = self.storage.next_record(next)?.unwrap_or(self.head + 1);
                }
            }
        }
        Ok(())
    }

    /// Checks the events of a record from `next` on, and returns the position behind them.
    fn record(&mut self, record: &Record, next: u64) -> Result<u64, Error> {
        if record.first_position() > next && next <= self.head {
            let message = format!("the next record starts at {}", record.first_position());
            self.find("event-missing", "the directory trees", Some(next), message);
            self.has_gap = true;
        }
        for event in record.events() {
            if (next..=self.head).contains(&event.position()) {
                self.event(&event)?;
            }
        }
        Ok(next.max(record.last_position() + 1))
    }

    fn event(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        self.report.events += 1;
        self.digest.add(event);
        let (stream, version) = (event.stream_id(), event.version());
        let position = Some(event.position());
        let before = self.versions.get(stream).copied().unwrap_or(0);
        let follows = version == before + 1 || (self.has_gap && version > before);
        if !follows {
            let message = format!("version {version} follows version {before}");
            self.find("version-gap", stream, position, message);
        }
        match self.versions.get_mut(stream) {
            Some(known) => *known = version,
            None => drop(self.versions.insert(stream.to_owned(), version)),
        }
        if !self.has_indexes {
            return Ok(());
        }
        match self.storage.positions(stream, version, false, 1) {
            Ok(found) if found.first() == position.as_ref() => {}
            Ok(found) => {
                let message = format!("version {version} leads to {:?}", found.first());
                self.find("stream-index", stream, position, message);
            }
            Err(error) => self.find_damage("stream-index", error)?,
        }
        let Some(id) = event.id() else { return Ok(()) };
        match self.storage.position_of(id) {
            Ok(found) if found == position => Ok(()),
            Ok(found) => {
                self.find("id-index", &id.to_string(), position, format!("it leads to {found:?}"));
                Ok(())
            }
            Err(error) => self.find_damage("id-index", error),
        }
    }

    /// Every stream of the index must end where its events do.
    fn streams(&mut self) -> Result<(), Error> {
        let mut listed = 0;
        for stream in self.store.streams() {
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => return self.find_damage("stream-index", error),
            };
            listed += 1;
            let id = stream.stream_id();
            // Appended to since this check began.
            let listed_version = stream.version();
            let indexed = match self.storage.stream_version(id, self.head) {
                Ok(version) => version,
                Err(error) => {
                    self.find_damage("stream-index", error)?;
                    continue;
                }
            };
            let version = self.versions.get(id).copied().unwrap_or(0);
            if indexed != version && listed_version >= indexed {
                let message = format!("the index ends at {indexed}, the events at {version}");
                self.find("stream-index", id, None, message);
            }
            if indexed == 0 {
                listed -= 1;
            }
        }
        if listed < self.versions.len() as u64 {
            let message = format!("it lists {listed} of {} streams", self.versions.len());
            self.find("stream-index", "the index of streams", None, message);
        }
        Ok(())
    }

    /// Every entry of the id index must lead to the event with that id.
    fn ids(&mut self) -> Result<(), Error> {
        let ids = match self.storage.ids_in_trees() {
            Ok(ids) => ids,
            Err(error) => return self.find_damage("id-index", error),
        };
        let head = self.head;
        for (id, position) in ids.into_iter().filter(|&(_, position)| position <= head) {
            match self.storage.event_at(position) {
                Ok(event) if event.id() == Some(id) => {}
                Ok(_) => {
                    let message = "it leads to an event without that id".to_owned();
                    self.find("id-index", &id.to_string(), Some(position), message);
                }
                // Found as a damaged event already.
                Err(Error::Corrupted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Every checkpoint must be readable, and none past the head.
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
                    let message = format!("it is at {position}, past the head");
                    self.find("checkpoint-damaged", &name, Some(position), message);
                }
                Err(error) => self.find_damage("checkpoint-damaged", error)?,
            }
        }
        Ok(())
    }

    /// Every snapshot must be usable.
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

    /// The journal must hold the same events.
    fn journal(&mut self) -> Result<(), Error> {
        let mut audit = Audit { head: self.head, digest: Digest::default(), damage: Vec::new() };
        match self.storage.audit_journal(self.head, &mut audit) {
            Ok(()) => {}
            Err(error) => return self.find_damage("journal-damaged", error),
        }
        let is_whole = audit.digest.count == self.head && self.report.events == self.head;
        let differs = is_whole && audit.digest != self.digest;
        for (path, position, reason) in audit.damage {
            self.find("journal-damaged", &path, Some(position), reason);
        }
        if differs {
            let message = "the journal and the trees hold different events".to_owned();
            self.find("copies-differ", "the store", None, message);
        }
        Ok(())
    }
}

struct Audit {
    head: u64,
    digest: Digest,
    damage: Vec<(String, u64, String)>,
}

impl JournalAudit for Audit {
    fn record(&mut self, record: &Record) {
        for event in record.events().filter(|event| event.position() <= self.head) {
            self.digest.add(&event);
        }
    }

    fn damage(&mut self, path: &Path, position: u64, reason: String) {
        self.damage.push((path.display().to_string(), position, reason));
    }
}
