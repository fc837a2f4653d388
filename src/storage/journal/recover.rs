//! Reading the journal when a store is opened: what is above the trees is replayed, what a write
//! left that never finished is cleared, and what only the journal has must be whole.

use std::{ops::Range, os::unix::fs::FileExt, path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{FileHeader, FrameHeader, FrameKind, HEADER_BYTES},
    },
    storage::{
        files,
        journal::{
            JournalFile, file,
            walk::{Walked, holds, resume, walk, walk_from},
            write::{Active, FullFile, Journal, Place, WriteFailure},
        },
    },
};

/// A frame that the trees do not have.
#[derive(Debug)]
pub(crate) struct RecoveredFrame<'a> {
    pub(crate) header: FrameHeader,
    /// Its number, counted from the first frame that the trees do not have.
    pub(crate) sequence: u64,
    /// A snapshot that has lost its payload comes without any.
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
    /// The checksum of the last frame that the trees have taken in, which is the one that ends
    /// there or one of what consumers saved behind it.
    pub(crate) trees_chain: u32,
}

/// How far the walk over the files has come.
#[derive(Debug, Default)]
struct Progress {
    /// Whether it is past the last frame that the trees have.
    is_past_trees: bool,
    /// Frames found behind that.
    sequence: u64,
}

/// The last position that the journal holds, found without writing anything. A file that does not
/// chain to an intact one before it is damage; other damage in the middle is for readers to find.
pub(crate) fn last_position(directory: &Path, checksum: &Checksum) -> Result<u64, Error> {
    let found = file::list(directory)?;
    let Some((last, before)) = found.split_last() else {
        return Err(Error::corrupted(directory.display().to_string(), None, "it holds no file"));
    };
    // The position and the chain of the next frame, if they are known.
    let mut end = None;
    for file in before {
        end = match file::read(file, checksum) {
            Err(Error::Corrupted { .. }) => None,
            read => {
                let (header, bytes) = read?;
                check_chain(file, &header, end)?;
                let walked = walk(&bytes, &header, checksum, |_, _, _| Ok(()))?;
                walked.damage.is_none().then_some((walked.next_position, walked.chain))
            }
        };
    }
    let (header, bytes) = file::read(last, checksum)?;
    check_chain(last, &header, end)?;
    let walked = walk(&bytes, &header, checksum, |_, _, _| Ok(()))?;
    match walked.damage_as_last(&header, &bytes) {
        None => Ok(walked.next_position - 1),
        Some(reason) => {
            let place = last.path.display().to_string();
            Err(Error::corrupted(place, Some(walked.next_position), reason))
        }
    }
}

/// Refuses a file that starts where the one before ends, but does not chain to it.
fn check_chain(
    file: &JournalFile,
    header: &FileHeader,
    end: Option<(u64, u32)>,
) -> Result<(), Error> {
    match end {
        Some((position, chain)) if position == header.first_position && chain != header.chain => {
            let place = file.path.display().to_string();
            Err(Error::corrupted(place, Some(position), NOT_CHAINED))
        }
        _ => Ok(()),
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
    // The file that holds the last event of the trees, or the end of it where the next one starts
    // there; and one more, for what that must chain to.
    let behind = found.partition_point(|file| file.first_position <= trees_head);
    let is_at_start = found.get(behind).is_some_and(|file| file.first_position == trees_head + 1);
    if behind == 0 && !is_at_start {
        let reason = "no file holds it";
        let place = directory.display().to_string();
        return Err(Error::corrupted(place, Some(trees_head + 1), reason));
    }
    let start = behind.saturating_sub(if is_at_start { 1 } else { 2 });
    let marker = recovery.marker(&found)?;
    let (mut full, mut chain, mut progress) = (Vec::new(), None, Progress::default());
    for (index, file) in found.iter().enumerate().skip(start) {
        let next = found.get(index + 1);
        // The trees have every frame before the file that holds the last one they took in.
        let is_in_trees = next.is_some() && index < marker;
        let recovered = match FileRecovery::new(recovery, file, next, chain) {
            // The trees have all of it, and a check will tell.
            Err(Error::Corrupted { .. }) if is_in_trees => Recovered::Damaged,
            recovered => recovered?.run(is_in_trees, &mut progress, &mut on_frame)?,
        };
        match recovered {
            Recovered::Full(file, last_chain) => {
                full.push(file);
                chain = Some(last_chain);
            }
            Recovered::Damaged => chain = None,
            Recovered::Last(journal) => {
                return Ok((Journal { sequence: progress.sequence, ..*journal }, full));
            }
        }
    }
    Err(Error::corrupted(directory.display().to_string(), None, "its last file is missing"))
}

impl Recovery<'_> {
    /// The index of the first file that holds what the trees lack, or may: every frame of the files
    /// before it is in the trees.
    fn marker(&self, files: &[JournalFile]) -> Result<usize, Error> {
        let Recovery { trees_head, trees_chain, checksum, .. } = *self;
        let behind = files.partition_point(|file| file.first_position <= trees_head);
        let mut marker = behind.saturating_sub(1);
        // Behind the last event there may be files with only what consumers saved.
        let at_head = files.iter().enumerate().skip(behind);
        for (index, file) in at_head.take_while(|(_, file)| file.first_position == trees_head + 1) {
            let (header, bytes) = match file::read(file, checksum) {
                Ok(read) => read,
                // What is damaged may be what the trees lack.
                Err(Error::Corrupted { .. }) => continue,
                Err(error) => return Err(error),
            };
            if header.chain == trees_chain || holds(&bytes, (trees_head + 1, trees_chain), checksum)
            {
                marker = index;
            }
        }
        Ok(marker)
    }
}

/// What a file turned out to be.
enum Recovered {
    /// It is whole, and another follows, which must chain to this.
    Full(FullFile, u32),
    /// The trees hold what it lost, and another follows.
    Damaged,
    Last(Box<Journal>),
}

/// Why two files of a journal do not fit each other.
const NOT_CHAINED: &str = "it does not follow on the file before: it belongs to another history";

/// Why a journal and trees do not fit each other.
const OTHER_HISTORY: &str = "the trees do not belong to the same history";

/// Picks the frames of one file that the trees lack.
struct Replay<'r, 'a> {
    file: &'r FileRecovery<'a>,
    progress: &'r mut Progress,
    /// The bytes of those frames.
    unsynced: Option<Range<u64>>,
    /// Where the payloads of the snapshots lie.
    snapshots: Vec<Range<u64>>,
}

impl Replay<'_, '_> {
    fn frame(
        &mut self,
        header: FrameHeader,
        records: Vec<&[u8]>,
        range: Range<u64>,
        on_frame: &mut impl FnMut(RecoveredFrame<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if header.kind == FrameKind::Snapshot && !records.is_empty() {
            self.snapshots.push(range.start + HEADER_BYTES as u64..range.end);
        }
        if !self.file.is_above(&header, self.progress)? {
            return Ok(());
        }
        self.progress.sequence += 1;
        let start = self.unsynced.as_ref().map_or(range.start, |known| known.start);
        self.unsynced = Some(start..range.end);
        let (sequence, path) = (self.progress.sequence, self.file.file.path.as_path());
        on_frame(RecoveredFrame { header, sequence, records, path })
    }

    /// The trees may end where the frames do.
    fn end(&mut self, walked: &Walked) {
        let Recovery { trees_head, trees_chain, .. } = *self.file.recovery;
        let is_end = (walked.next_position, walked.chain) == (trees_head + 1, trees_chain);
        self.progress.is_past_trees |= is_end;
    }
}

struct FileRecovery<'a> {
    recovery: &'a Recovery<'a>,
    file: &'a JournalFile,
    next_file: Option<u64>,
    /// What the next file chains to, if that can be read.
    next_chain: Option<u32>,
    header: FileHeader,
    bytes: Vec<u8>,
}

impl<'a> FileRecovery<'a> {
    fn new(
        recovery: &'a Recovery<'a>,
        file: &'a JournalFile,
        next_file: Option<&JournalFile>,
        chain: Option<u32>,
    ) -> Result<Self, Error> {
        let next_header = next_file.map(|next| file::read_header(next, recovery.checksum));
        let next_chain = next_header.and_then(Result::ok).map(|(header, _)| header.chain);
        let next_file = next_file.map(|next| next.first_position);
        let (header, bytes) = file::read(file, recovery.checksum)?;
        if chain.is_some_and(|chain| chain != header.chain) {
            let place = file.path.display().to_string();
            return Err(Error::corrupted(place, Some(file.first_position), NOT_CHAINED));
        }
        Ok(FileRecovery { recovery, file, next_file, next_chain, header, bytes })
    }

    /// What is wrong with the file when its frames end so.
    fn damage(&self, walked: &Walked) -> Option<String> {
        let end = walked.next_position;
        match self.next_file {
            None => walked.damage_as_last(&self.header, &self.bytes),
            Some(next) if next != end => Some(walked.damage.clone().unwrap_or_else(|| {
                format!("it ends before {end}, and the next file starts at {next}")
            })),
            // What consumers saved moves no position.
            Some(_) if self.next_chain.is_some_and(|chain| chain != walked.chain) => {
                let lost = || "what consumers saved at its end is missing".to_owned();
                Some(walked.damage.clone().unwrap_or_else(lost))
            }
            Some(_) => None,
        }
    }

    fn run(
        &self,
        is_in_trees: bool,
        progress: &mut Progress,
        on_frame: &mut impl FnMut(RecoveredFrame<'_>) -> Result<(), Error>,
    ) -> Result<Recovered, Error> {
        let Recovery { checksum, trees_head, trees_chain, store_id, .. } = *self.recovery;
        let mut replay = Replay { file: self, progress, unsynced: None, snapshots: Vec::new() };
        let mut walked = walk(&self.bytes, &self.header, checksum, |header, records, range| {
            replay.frame(header, records, range, on_frame)
        })?;
        replay.end(&walked);
        let mut damage = self.damage(&walked);
        let is_short = self.next_file.is_none() && !replay.progress.is_past_trees;
        let has_lost = damage.is_some() || is_short;
        if has_lost && is_in_trees {
            return Ok(Recovered::Damaged);
        }
        if has_lost && !replay.progress.is_past_trees {
            // The trees hold what is lost here. What they lack must be found intact behind it, or a
            // mark that there was nothing more.
            let place = (trees_head + 1, trees_chain);
            if let Some(from) = resume(&self.bytes, &walked, place, store_id, checksum) {
                replay.progress.is_past_trees = true;
                walked =
                    walk_from(from, &self.bytes, store_id, checksum, |header, records, range| {
                        replay.frame(header, records, range, on_frame)
                    })?;
                damage = self.damage(&walked);
            }
        }
        let is_short = self.next_file.is_none() && !replay.progress.is_past_trees;
        if damage.is_some() || is_short {
            let reason = damage.unwrap_or_else(|| match walked.next_position <= trees_head {
                true => format!("the trees hold position {trees_head}"),
                false => OTHER_HISTORY.to_owned(),
            });
            return Err(self.damaged(walked.next_position, reason));
        }
        let Replay { unsynced, snapshots, progress, .. } = replay;
        match (self.next_file, has_lost) {
            // The damaged file keeps its damage, as evidence.
            (None, true) => {
                self.make_durable(unsynced, None)?;
                Ok(Recovered::Last(Box::new(self.continue_behind(&walked)?)))
            }
            (None, false) => {
                self.make_durable(unsynced, Some(walked.end()))?;
                Ok(Recovered::Last(Box::new(self.journal_from(&walked, snapshots)?)))
            }
            (Some(_), true) => Ok(Recovered::Damaged),
            (Some(next), false) => {
                let full = FullFile {
                    path: self.file.path.clone(),
                    last_position: next - 1,
                    last_sequence: progress.sequence,
                    used: walked.end(),
                    snapshots,
                };
                Ok(Recovered::Full(full, walked.chain))
            }
        }
    }

    /// Whether the trees lack this frame.
    fn is_above(&self, header: &FrameHeader, progress: &mut Progress) -> Result<bool, Error> {
        let Recovery { trees_head, trees_chain, .. } = *self.recovery;
        if progress.is_past_trees {
            return Ok(true);
        }
        if (header.first_position, header.chain) == (trees_head + 1, trees_chain) {
            progress.is_past_trees = true;
            return Ok(true);
        }
        if header.last_position() <= trees_head {
            let is_last = (header.last_position(), header.checksum) == (trees_head, trees_chain);
            progress.is_past_trees = is_last;
            return Ok(false);
        }
        let reason = match header.first_position <= trees_head {
            true => format!("the trees end at {trees_head}, inside a unit"),
            false => OTHER_HISTORY.to_owned(),
        };
        Err(self.damaged(header.first_position, reason))
    }

    fn damaged(&self, position: u64, reason: String) -> Error {
        Error::corrupted(self.file.path.display().to_string(), Some(position), reason)
    }

    fn journal_from(&self, end: &Walked, snapshots: Vec<Range<u64>>) -> Result<Journal, Error> {
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
                first_position: self.file.first_position,
                number: self.file.number,
                snapshots,
            },
            chain: end.chain,
            next_position: end.next_position,
            // The caller knows, once it is through with all files.
            sequence: 0,
            buffer: Vec::new(),
        })
    }

    /// The journal lost events that the trees have: it goes on in a new file behind the rest.
    fn continue_behind(&self, end: &Walked) -> Result<Journal, Error> {
        let Recovery { directory, store_id, checksum, capacity_max, .. } = *self.recovery;
        let has_events = end.next_position > self.file.first_position;
        let place = Place {
            first_position: end.next_position,
            number: if has_events { 0 } else { self.file.number + 1 },
            chain: end.chain,
        };
        Journal::create(directory, (store_id, checksum), capacity_max, place).map_err(|failure| {
            match failure {
                WriteFailure::Refused(error) | WriteFailure::Failed(error) => error,
            }
        })
    }

    /// Makes the replayed frames durable and clears what lies behind `end`, where that is given.
    ///
    /// The frames may have been read from memory that a failed sync marked clean without writing
    /// it, so they are written again, byte for byte, before they are synced. What is behind the end
    /// was never acknowledged; were it to stay, a later frame of the same length could bring it
    /// back.
    fn make_durable(&self, unsynced: Option<Range<u64>>, end: Option<u64>) -> Result<(), Error> {
        let (path, bytes) = (&self.file.path, &self.bytes);
        let end = end.unwrap_or(bytes.len() as u64);
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
