//! Reading the journal when a store is opened: what is above the trees is replayed, what a write
//! left that never finished is cleared, and what only the journal has must be whole.

use std::{ops::Range, os::unix::fs::FileExt, path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{FileHeader, FrameHeader},
    },
    storage::{
        files,
        journal::{
            JournalFile, file,
            walk::{Walked, resume, walk, walk_from},
            write::{Active, FullFile, Journal, WriteFailure},
        },
    },
};

/// A frame that the trees do not have.
#[derive(Debug)]
pub(crate) struct RecoveredFrame<'a> {
    pub(crate) header: FrameHeader,
    pub(crate) records: Vec<&'a [u8]>,
    pub(crate) path: &'a Path,
}

/// Where the journal stands and what the trees lack of it.
pub(crate) struct Recovery<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) store_id: Uuid,
    pub(crate) checksum: &'a Checksum,
    pub(crate) capacity_max: u64,
    /// The last position that the trees serve.
    pub(crate) trees_head: u64,
    /// The checksum of the frame that ends there.
    pub(crate) trees_chain: u32,
}

/// The last position that the journal holds, found without writing anything.
pub(crate) fn last_position(directory: &Path, checksum: &Checksum) -> Result<u64, Error> {
    let found = file::list(directory)?;
    let Some(last) = found.last() else {
        return Err(Error::corrupted(directory.display().to_string(), None, "it holds no file"));
    };
    let (header, bytes) = file::read(last, checksum)?;
    let walked = walk(&bytes, &header, checksum, |_, _, _| Ok(()))?;
    match walked.damage_as_last(&header, &bytes) {
        None => Ok(walked.next_position - 1),
        Some(reason) => {
            let place = last.path.display().to_string();
            Err(Error::corrupted(place, Some(walked.next_position), reason))
        }
    }
}

/// Hands every frame above the trees' head to `on_frame`, in order, and returns the journal ready
/// to be written to, with everything handed out durable, and the files before its last one.
pub(crate) fn recover(
    recovery: &Recovery<'_>,
    mut on_frame: impl FnMut(RecoveredFrame<'_>) -> Result<(), Error>,
) -> Result<(Journal, Vec<FullFile>), Error> {
    let Recovery { directory, trees_head, .. } = *recovery;
    file::remove_unfinished(directory)?;
    files::sync_directory(directory)?;
    let found = file::list(directory)?;
    let needed = found.partition_point(|file| file.first_position <= trees_head + 1);
    // One file more, for what the first needed one must chain to.
    let Some(start) = needed.checked_sub(1).map(|holder| holder.saturating_sub(1)) else {
        let reason = "no file holds it";
        let place = directory.display().to_string();
        return Err(Error::corrupted(place, Some(trees_head + 1), reason));
    };
    let mut full = Vec::new();
    let mut chain = None;
    let mut files = found.get(start..).unwrap_or_default().iter().peekable();
    while let Some(file) = files.next() {
        let next_file = files.peek().map(|next| next.first_position);
        let recovered = FileRecovery::new(recovery, file, next_file, chain);
        let is_in_trees = next_file.is_some_and(|next| next <= trees_head + 1);
        let recovered = match recovered {
            // The trees have all of it, and a check will tell.
            Err(Error::Corrupted { .. }) if is_in_trees => Recovered::Damaged,
            recovered => recovered?.run(&mut on_frame)?,
        };
        match recovered {
            Recovered::Full(file, last_chain) => {
                full.push(file);
                chain = Some(last_chain);
            }
            Recovered::Damaged => chain = None,
            Recovered::Last(journal) => return Ok((*journal, full)),
        }
    }
    Err(Error::corrupted(directory.display().to_string(), None, "its last file is missing"))
}

/// What a file turned out to be.
enum Recovered {
    /// It is whole, and another follows, which must chain to this.
    Full(FullFile, u32),
    /// The trees hold what it lost, and another follows.
    Damaged,
    Last(Box<Journal>),
}

struct FileRecovery<'a> {
    recovery: &'a Recovery<'a>,
    file: &'a JournalFile,
    next_file: Option<u64>,
    header: FileHeader,
    bytes: Vec<u8>,
}

impl<'a> FileRecovery<'a> {
    fn new(
        recovery: &'a Recovery<'a>,
        file: &'a JournalFile,
        next_file: Option<u64>,
        chain: Option<u32>,
    ) -> Result<Self, Error> {
        let (header, bytes) = file::read(file, recovery.checksum)?;
        if chain.is_some_and(|chain| chain != header.chain) {
            let place = file.path.display().to_string();
            let reason = "it does not follow on the file before: it belongs to another history";
            return Err(Error::corrupted(place, Some(file.first_position), reason));
        }
        Ok(FileRecovery { recovery, file, next_file, header, bytes })
    }

    /// What is wrong with the file when its frames end so.
    fn damage(&self, walked: &Walked) -> Option<String> {
        let end = walked.next_position;
        match self.next_file {
            None => walked.damage_as_last(&self.header, &self.bytes),
            Some(next) if next != end => Some(walked.damage.clone().unwrap_or_else(|| {
                format!("it ends before {end}, and the next file starts at {next}")
            })),
            Some(_) => None,
        }
    }

    fn run(
        &self,
        on_frame: &mut impl FnMut(RecoveredFrame<'_>) -> Result<(), Error>,
    ) -> Result<Recovered, Error> {
        let Recovery { checksum, trees_head, trees_chain, store_id, .. } = *self.recovery;
        let mut unsynced: Option<Range<u64>> = None;
        let mut replay = |header: FrameHeader, records, range: Range<u64>| {
            let ends = header.last_position() == trees_head && header.checksum != trees_chain;
            let starts = header.first_position == trees_head + 1 && header.chain != trees_chain;
            if ends || starts {
                let reason = "the trees do not belong to the same history".to_owned();
                return Err(self.damaged(header.first_position, reason));
            }
            if header.last_position() <= trees_head {
                return Ok(());
            }
            if header.first_position <= trees_head {
                let reason = format!("the trees end at {trees_head}, inside a unit");
                return Err(self.damaged(header.first_position, reason));
            }
            let start = unsynced.as_ref().map_or(range.start, |known| known.start);
            unsynced = Some(start..range.end);
            on_frame(RecoveredFrame { header, records, path: &self.file.path })
        };
        let mut walked = walk(&self.bytes, &self.header, checksum, &mut replay)?;
        let mut damage = self.damage(&walked);
        let is_short = self.next_file.is_none() && walked.next_position <= trees_head;
        let has_lost = damage.is_some() || is_short;
        if has_lost && self.next_file.is_some_and(|next| next <= trees_head + 1) {
            return Ok(Recovered::Damaged);
        }
        if has_lost && walked.next_position <= trees_head {
            // The trees hold what is lost here. What they lack must be found intact behind it, or a
            // mark that there was nothing more.
            let found = resume(&self.bytes, &walked, trees_head + 1, store_id, checksum);
            if let Some(from) = found {
                walked = walk_from(from, &self.bytes, store_id, checksum, &mut replay)?;
                damage = self.damage(&walked);
            }
        }
        let is_short = self.next_file.is_none() && walked.next_position <= trees_head;
        if damage.is_some() || is_short {
            let reason = damage.unwrap_or_else(|| format!("the trees hold position {trees_head}"));
            return Err(self.damaged(walked.next_position, reason));
        }
        match (self.next_file, has_lost) {
            // The damaged file stays as it is, as evidence.
            (None, true) => Ok(Recovered::Last(Box::new(self.continue_behind(&walked)?))),
            (None, false) => {
                self.make_durable(unsynced, walked.end())?;
                Ok(Recovered::Last(Box::new(self.journal_from(&walked)?)))
            }
            (Some(_), true) => Ok(Recovered::Damaged),
            (Some(next), false) => {
                let (path, used) = (self.file.path.clone(), walked.end());
                let full = FullFile { path, last_position: next - 1, used };
                Ok(Recovered::Full(full, walked.chain))
            }
        }
    }

    fn damaged(&self, position: u64, reason: String) -> Error {
        Error::corrupted(self.file.path.display().to_string(), Some(position), reason)
    }

    fn journal_from(&self, end: &Walked) -> Result<Journal, Error> {
        let Recovery { directory, store_id, checksum, capacity_max, .. } = *self.recovery;
        Ok(Journal {
            directory: directory.to_owned(),
            store_id,
            checksum: checksum.clone(),
            capacity_max,
            active: Active {
                path: self.file.path.clone(),
                file: Arc::new(files::open(&self.file.path)?),
                capacity: self.header.capacity,
                offset: end.offset,
            },
            chain: end.chain,
            next_position: end.next_position,
            buffer: Vec::new(),
        })
    }

    /// The journal lost events that the trees have: it goes on in a new file behind the rest.
    fn continue_behind(&self, end: &Walked) -> Result<Journal, Error> {
        let Recovery { directory, store_id, checksum, capacity_max, .. } = *self.recovery;
        let place = (end.next_position, end.chain);
        Journal::create(directory, (store_id, checksum), capacity_max, place).map_err(|failure| {
            match failure {
                WriteFailure::Refused(error) | WriteFailure::Failed(error) => error,
            }
        })
    }

    /// Makes the replayed frames durable and clears what lies behind them.
    ///
    /// The frames may have been read from memory that a failed sync marked clean without writing
    /// it, so they are written again, byte for byte, before they are synced. What is behind the end
    /// was never acknowledged; were it to stay, a later frame of the same length could bring it
    /// back.
    fn make_durable(&self, unsynced: Option<Range<u64>>, end: u64) -> Result<(), Error> {
        let (path, bytes) = (&self.file.path, &self.bytes);
        let rest_start = usize::try_from(end).unwrap_or(usize::MAX);
        let rest = bytes.get(rest_start..).unwrap_or_default();
        let remains = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        if unsynced.is_none() && remains == 0 {
            return Ok(());
        }
        let handle = files::open(path)?;
        let failed = |source| Error::io("write to", path, source);
        if let Some(Range { start, end }) = unsynced {
            let from = usize::try_from(start).unwrap_or(usize::MAX);
            let to = usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
            handle.write_all_at(bytes.get(from..to).unwrap_or_default(), start).map_err(failed)?;
        }
        files::write_zeros(&handle, end, remains).map_err(failed)?;
        handle.sync_data().map_err(|source| Error::io("sync", path, source))
    }
}
