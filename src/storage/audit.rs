//! What a check of a whole store needs beyond reading: the journal from its start, the way past
//! damaged records, and the raw entries of the indexes.

use std::{fs, path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::record::Record,
    storage::{
        Storage,
        journal::{self, JournalFile},
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
        if self.keeps_archive() && first > 1 {
            audit.damage(&directory, 1, format!("its first file starts at {first}"));
        }
        let mut chain = None;
        for (index, file) in files.iter().enumerate() {
            let next = files.get(index + 1).map(|next| next.first_position);
            chain = self.audit_file(file, next, chain, head, audit)?;
        }
        Ok(())
    }

    /// Walks one file and returns what the next one must chain to, if that is known.
    fn audit_file(
        &self,
        file: &JournalFile,
        next: Option<u64>,
        chain: Option<u32>,
        head: u64,
        audit: &mut impl JournalAudit,
    ) -> Result<Option<u32>, Error> {
        let (header, bytes) = match journal::read(file, &self.checksum) {
            Ok(read) => read,
            Err(Error::Corrupted { reason, .. }) => {
                audit.damage(&file.path, file.first_position, reason);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if chain.is_some_and(|chain| chain != header.chain) {
            let reason = "it does not follow on the file before".to_owned();
            audit.damage(&file.path, file.first_position, reason);
        }
        let mut bad_record = None;
        let walked = journal::walk(&bytes, &header, &self.checksum, |frame, records, _| {
            for bytes in records {
                match Record::decode(Arc::from(bytes), &self.checksum) {
                    Ok(record) if record.first_position() <= head => audit.record(&record),
                    Ok(_) => {}
                    Err(reason) => bad_record = Some((frame.first_position, reason)),
                }
            }
            Ok(())
        })?;
        if let Some((position, reason)) = bad_record {
            audit.damage(&file.path, position, reason);
        }
        let end = next.map_or(head + 1, |next| next.min(head + 1));
        let is_shorter = next.is_none() && (bytes.len() as u64) < header.capacity;
        if walked.next_position < end {
            let reason = walked.damage.unwrap_or_else(|| format!("it ends before {end}"));
            audit.damage(&file.path, walked.next_position, reason);
            return Ok(None);
        }
        if is_shorter && fs::metadata(&file.path).is_ok_and(|now| now.len() < header.capacity) {
            audit.damage(&file.path, end, "it is shorter than it was made".to_owned());
        }
        Ok(Some(walked.chain))
    }
}
