//! What a check of a whole store needs beyond reading: the journal from its start, the way past
//! damaged records, and the raw entries of the indexes.

use std::{path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        frame::{FileHeader, FrameKind},
        record::Record,
        saved::{Checkpoint, StoredSnapshot},
    },
    storage::{
        Storage,
        journal::{self, JournalFile, Walked},
        trees::Trees,
    },
};

/// What a walk over the journal tells.
pub(crate) trait JournalAudit {
    fn record(&mut self, record: &Record);
    /// Something is wrong in the file at `path`, from `position` on.
    fn damage(&mut self, path: &Path, position: u64, reason: String);
}

impl Storage {
    /// The first position behind `position` at which a record of the trees starts.
    pub(crate) fn next_record(&self, position: u64) -> Result<Option<u64>, Error> {
        self.check_open()?;
        self.with_trees_or(None, |trees| trees.next_record(position))
    }

    /// Every event id in the trees with its position.
    pub(crate) fn ids_in_trees(&self) -> Result<Vec<(Uuid, u64)>, Error> {
        self.check_open()?;
        self.with_trees_or(Vec::new(), |trees| trees.ids().collect())
    }

    /// Walks the whole journal up to `head`. In memory there is none.
    pub(crate) fn audit_journal(
        &self,
        head: u64,
        audit: &mut impl JournalAudit,
    ) -> Result<(), Error> {
        self.check_open()?;
        let Some(directory) = self.directory().map(|store| store.join("journal")) else {
            return Ok(());
        };
        let files = journal::list(&directory)?;
        let first = files.first().map_or(head + 1, |file| file.first_position);
        let removed = match self.with_trees_or(0, Trees::removed) {
            // Trees that have failed cannot tell.
            Err(_) if self.health.is_poisoned() => first.saturating_sub(1),
            removed => removed?,
        };
        if first > removed + 1 {
            audit.damage(&directory, removed + 1, format!("its first file starts at {first}"));
        }
        let mut chain = None;
        for (index, file) in files.iter().enumerate() {
            let next = files.get(index + 1).map(|next| next.first_position);
            chain = self.audit_file(file, (next, removed), chain, head, audit)?;
        }
        Ok(())
    }

    /// Walks one file and returns what the next one must chain to, if that is known.
    fn audit_file(
        &self,
        file: &JournalFile,
        (next, removed): (Option<u64>, u64),
        chain: Option<u32>,
        head: u64,
        audit: &mut impl JournalAudit,
    ) -> Result<Option<u32>, Error> {
        // Nobody writes while the last file is read, so that whatever is wrong with it is damage.
        let writer = next.is_none().then(|| self.writer());
        let is_last = writer.is_some() && self.is_last(file)?;
        let read = journal::read(file, &self.checksum);
        drop(writer);
        let (header, bytes) = match read {
            Ok(read) => read,
            Err(Error::Corrupted { reason, .. }) => {
                audit.damage(&file.path, file.first_position, reason);
                return Ok(None);
            }
            // A checkpoint has removed it meanwhile.
            Err(Error::Io { .. }) if !self.keeps_archive() && !file.path.exists() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if chain.is_some_and(|chain| chain != header.chain) {
            let reason = "it does not follow on the file before".to_owned();
            audit.damage(&file.path, file.first_position, reason);
        }
        let walked = self.audit_frames(file, &header, &bytes, head, audit)?;
        let end = next.map_or(head + 1, |next| next.min(head + 1));
        if walked.next_position < end && end <= removed + 1 {
            // The files between were removed on purpose.
            return Ok(None);
        }
        let damage = match walked.next_position < end {
            true => Some(walked.damage.clone().unwrap_or_else(|| format!("it ends before {end}"))),
            false if is_last => walked.damage_as_last(&header, &bytes),
            // What consumers saved moves no position.
            false => walked.damage.clone().filter(|_| next.is_some()),
        };
        if let Some(reason) = damage {
            audit.damage(&file.path, walked.next_position, reason);
            return Ok(None);
        }
        Ok(Some(walked.chain))
    }

    fn audit_frames(
        &self,
        file: &JournalFile,
        header: &FileHeader,
        bytes: &[u8],
        head: u64,
        audit: &mut impl JournalAudit,
    ) -> Result<Walked, Error> {
        let mut bad = Vec::new();
        let walked = journal::walk(bytes, header, &self.checksum, |frame, records, _| {
            for bytes in records {
                let decoded = match frame.kind {
                    FrameKind::Events => Record::decode(Arc::from(bytes), &self.checksum).map(Some),
                    FrameKind::Checkpoints => {
                        Checkpoint::decode(bytes, &self.checksum).map(|_| None)
                    }
                    FrameKind::Snapshot => {
                        let identity = (self.store_id, &self.checksum);
                        StoredSnapshot::decode(Arc::from(bytes), identity).map(|_| None)
                    }
                    FrameKind::Continued | FrameKind::Closed => Ok(None),
                };
                match decoded {
                    Ok(Some(record)) if record.first_position() <= head => audit.record(&record),
                    Ok(_) => {}
                    Err(reason) => bad.push((frame.first_position, reason)),
                }
            }
            Ok(())
        })?;
        let snapshot = "a snapshot in it is damaged";
        bad.extend(walked.damaged_snapshots.iter().map(|&at| (at, snapshot.to_owned())));
        for (position, reason) in bad {
            audit.damage(&file.path, position, reason);
        }
        Ok(walked)
    }

    /// Whether no file has come behind this one since it was listed.
    fn is_last(&self, file: &JournalFile) -> Result<bool, Error> {
        let directory = file.path.parent().unwrap_or(&file.path);
        let last = journal::list(directory)?.pop();
        Ok(last.is_some_and(|last| last.path == file.path))
    }
}
