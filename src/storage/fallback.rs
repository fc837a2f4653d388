//! Reading without the trees: what they served is in the journal too.
//!
//! After a write of sled's has failed, some of its reads fail as well, because they tidy up leaves
//! on the way. A poisoned store must go on serving what is committed, so whatever its trees refuse
//! is looked for in the journal. That is slow where a key is needed, since the journal has none,
//! but it needs nothing that is broken. A journal without an archive has only the latest events.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        Reason,
        frame::{FrameHeader, FrameKind},
        record::Record,
        saved::Checkpoint,
    },
    event::RecordedEvent,
    storage::{
        Storage,
        journal::{self, JournalFile, Walked},
    },
};

/// Positions returned at once, whatever is asked for, because each call walks the journal.
const POSITIONS: usize = 64 << 10;

/// Bytes of records returned at once.
const READ_BYTES: usize = 4 << 20;

impl Storage {
    /// Takes the answer of the trees, or that of the journal when the trees have failed.
    pub(super) fn or_journal<T>(
        &self,
        answer: Result<T, Error>,
        from_journal: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        match answer {
            Err(Error::Closed) => Err(Error::Closed),
            Err(_) if self.health.is_poisoned() => from_journal(),
            answer => answer,
        }
    }

    /// As `Trees::records`.
    pub(super) fn records_in_journal(
        &self,
        position: u64,
        backward: bool,
        limit: usize,
    ) -> Result<Vec<Record>, Error> {
        let files = self.journal_files()?;
        let behind = files.partition_point(|file| file.first_position <= position);
        let Some(file) = behind.checked_sub(1).and_then(|index| files.get(index)) else {
            return Ok(Vec::new());
        };
        let mut records = Vec::new();
        self.walk_file(file, |record| records.push(record))?;
        let index = records.partition_point(|record| record.first_position() <= position);
        let Some(index) = index.checked_sub(1) else { return Ok(Vec::new()) };
        if backward {
            records.truncate(index + 1);
            records.reverse();
        } else {
            records.drain(..index);
        }
        let mut bytes = 0;
        let fits = records.iter().take(limit).take_while(|record| {
            let has_room = bytes < READ_BYTES;
            bytes += record.bytes().len();
            has_room
        });
        let count = fits.count();
        records.truncate(count);
        Ok(records)
    }

    /// As `Trees::stream_version`.
    pub(super) fn stream_version_in_journal(&self, stream: &str, head: u64) -> Result<u64, Error> {
        let mut version = 0;
        self.walk_events(head, |event| {
            if event.stream_id() == stream {
                version = event.version();
            }
        })?;
        Ok(version)
    }

    /// As `Trees::positions`.
    pub(super) fn positions_in_journal(
        &self,
        stream: &str,
        version: u64,
        backward: bool,
    ) -> Result<Vec<u64>, Error> {
        let mut found = VecDeque::new();
        self.walk_events(self.head(), |event| {
            let is_wanted = match backward {
                true => event.version() <= version,
                false => event.version() >= version && found.len() < POSITIONS,
            };
            if is_wanted && event.stream_id() == stream {
                // Backward, the last ones are wanted.
                if found.len() == POSITIONS {
                    found.pop_front();
                }
                found.push_back(event.position());
            }
        })?;
        let found = found.into_iter();
        Ok(if backward { found.rev().collect() } else { found.collect() })
    }

    /// As `Trees::streams`.
    pub(super) fn streams_in_journal(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error> {
        let mut versions = BTreeMap::<Arc<str>, u64>::new();
        self.walk_events(head, |event| {
            match versions.get_mut(event.stream_id()) {
                Some(version) => *version = event.version(),
                None => drop(versions.insert(Arc::from(event.stream_id()), event.version())),
            };
        })?;
        let listed = versions.range::<str, _>((after, Bound::Unbounded)).take(limit);
        Ok(listed.map(|(id, version)| (Arc::clone(id), *version)).collect())
    }

    /// As `Trees::position_of`.
    pub(super) fn position_of_in_journal(&self, id: Uuid) -> Result<Option<u64>, Error> {
        let mut position = None;
        self.walk_events(self.head(), |event| {
            if event.id() == Some(id) {
                position = Some(event.position());
            }
        })?;
        Ok(position)
    }

    /// As `Trees::checkpoint`.
    pub(super) fn checkpoint_in_journal(&self, name: &str) -> Result<Option<u64>, Error> {
        let mut position = None;
        self.walk_journal(|file| {
            self.walk_frames(file, |frame, records| {
                if frame.kind != FrameKind::Checkpoints {
                    return Ok(());
                }
                for bytes in records {
                    let found = Checkpoint::decode(bytes, &self.checksum)?;
                    if &*found.name == name {
                        position = Some(found.position);
                    }
                }
                Ok(())
            })
        })?;
        Ok(position)
    }

    fn journal_files(&self) -> Result<Vec<JournalFile>, Error> {
        let directory = self.directory().map(|store| store.join("journal"));
        directory.map_or(Ok(Vec::new()), |directory| journal::list(&directory))
    }

    /// The journal's files, if they hold everything from the start.
    fn whole_journal(&self) -> Result<Vec<JournalFile>, Error> {
        let files = self.journal_files()?;
        let first = files.first().map_or(1, |file| file.first_position);
        if first > 1 {
            let reason = format!("the journal has only the events from {first} on");
            return Err(Error::corrupted("the directory trees", Some(1), reason));
        }
        Ok(files)
    }

    /// Walks the whole journal. Damage in it may hide what is looked for, except at its very end,
    /// where nothing that was published can stand behind it.
    fn walk_journal(
        &self,
        mut walk: impl FnMut(&JournalFile) -> Result<Walked, Error>,
    ) -> Result<(), Error> {
        let mut files = self.whole_journal()?.into_iter().peekable();
        while let Some(file) = files.next() {
            let walked = walk(&file)?;
            let Some(next) = files.peek() else { break };
            let (header, _) = journal::read_header(next, &self.checksum)?;
            if (walked.next_position, walked.chain) != (next.first_position, header.chain) {
                let reason = walked.damage.unwrap_or_else(|| "its end is missing".to_owned());
                let place = file.path.display().to_string();
                return Err(Error::corrupted(place, Some(walked.next_position), reason));
            }
        }
        Ok(())
    }

    fn walk_events(&self, head: u64, mut visit: impl FnMut(RecordedEvent)) -> Result<(), Error> {
        self.walk_journal(|file| {
            self.walk_file(file, |record| {
                record.events().filter(|event| event.position() <= head).for_each(&mut visit);
            })
        })
    }

    fn walk_file(
        &self,
        file: &JournalFile,
        mut visit: impl FnMut(Record),
    ) -> Result<Walked, Error> {
        self.walk_frames(file, |frame, records| {
            if frame.kind == FrameKind::Events {
                for bytes in records {
                    visit(Record::decode(Arc::from(bytes), &self.checksum)?);
                }
            }
            Ok(())
        })
    }

    fn walk_frames(
        &self,
        file: &JournalFile,
        mut visit: impl FnMut(&FrameHeader, Vec<&[u8]>) -> Result<(), Reason>,
    ) -> Result<Walked, Error> {
        let (header, bytes) = journal::read(file, &self.checksum)?;
        journal::walk(&bytes, &header, &self.checksum, |frame, records, _| {
            visit(&frame, records).map_err(|reason| {
                let place = file.path.display().to_string();
                Error::corrupted(place, Some(frame.first_position), reason)
            })
        })
    }
}
