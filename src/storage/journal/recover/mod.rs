//! Reads the unsealed files when a store is opened: every frame goes to the tail, the remains of an
//! unfinished write are cleared, and frames that only the journal has must be intact.
//!
//! An example. The trees have the frames up to 6, `S` marks the sealed files:
//!
//! ```text
//! | S: 1 2 3 | 4 5 6 7 | 8 9 torn |
//! ```
//! Frames 4 to 9 are read, 7 to 9 are not drained yet, and the torn end is cleared. Damage in 4 to
//! 6 stays as it is, because the trees have those frames: the tail starts with 7, whose place is
//! recorded in the trees' head. Damage in 7, 8 or 9 is `Corrupted`: only the journal has them.

use std::{fs::File, ops::Range, path::Path, sync::Arc};

use crate::{
    Error,
    codec::{
        frame::{FIRST_FRAME_OFFSET, FileHeader, HEADER_BYTES},
        head::{HeadRecord, LogEnd},
    },
    storage::{
        home::files,
        journal::{
            file::{self, FileKey, OpenFile},
            raw::RawFile,
            walk::{Frame, Step, Walk},
            write::{Active, FullFile, Identity, Journal},
        },
    },
};

mod cut;
mod end;
mod settle;

pub(crate) use cut::Cut;
use settle::{make_durable, note_proof};

/// The end of the trees: a frame and its location.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreesEnd {
    pub(crate) end: LogEnd,
    pub(crate) key: FileKey,
    /// Where the frame ends.
    pub(crate) offset: u64,
}

/// What is known before the unsealed files are read.
#[derive(Debug)]
pub(crate) struct Recovery<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) capacity_max: u64,
    /// The files after the last sealed one.
    pub(crate) unsealed: &'a [FileKey],
    /// The last frame of the sealed files; `None` when the last of these is damaged.
    pub(crate) sealed_end: Option<LogEnd>,
    /// The last sealed file, even if it is missing.
    pub(crate) last_sealed: Option<FileKey>,
    /// `None` when there are no trees to continue from: then all frames are needed.
    pub(crate) trees: Option<TreesEnd>,
    pub(crate) head: Option<HeadRecord>,
    /// Whether files may be written to: a store on a full disk is opened only for reading.
    pub(crate) writes: bool,
    /// Whether to cut off the log where only the journal has its continuation, and lacks it or has
    /// it damaged.
    pub(crate) cuts: bool,
}

/// The result of recovery.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) journal: Journal,
    /// Intact files before the active one.
    pub(crate) full: Vec<FullFile>,
    pub(crate) cut: Option<Cut>,
}

/// Receives the frames that recovery reads.
pub(crate) trait Replay {
    /// Receives a frame from `file`.
    fn frame(&mut self, frame: &Frame<'_>, file: Source<'_>) -> Result<(), Error>;
    /// Discards the frames so far: those that follow do not continue them.
    fn forget(&mut self);
}

/// The file that holds a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) key: FileKey,
    pub(crate) path: &'a Path,
    pub(crate) file: &'a Arc<File>,
}

/// How reading a file ended.
enum FileEnd {
    /// Another file follows.
    Full(FullFile),
    /// Its damaged part is in the trees. The next file continues from this end, if it is known.
    Damaged(Option<LogEnd>),
    /// The last file ends: the next frame goes here.
    Active(u64),
    /// The log must be cut off at this offset of the file, or before it, for this reason.
    Cut(u64, String),
}

struct Reader<'a, R> {
    recovery: &'a Recovery<'a>,
    replay: &'a mut R,
    /// The last frame so far, if it is known.
    end: Option<LogEnd>,
}

/// Reads the unsealed files.
pub(crate) fn recover(
    recovery: &Recovery<'_>,
    replay: &mut impl Replay,
) -> Result<Recovered, Error> {
    let mut reader = Reader { recovery, replay, end: recovery.sealed_end };
    reader.check_sealed_end()?;
    let (mut full, mut active, mut cut) = (Vec::new(), None, None);
    for (index, &key) in recovery.unsealed.iter().enumerate() {
        let next = recovery.unsealed.get(index + 1).copied();
        match reader.read_or_cut(key, next)? {
            (_, FileEnd::Full(file)) => full.push(file),
            (_, FileEnd::Damaged(end)) => reader.end = end,
            (Some(OpenFile { key, header, raw }), FileEnd::Active(offset)) => {
                let RawFile { path, file, end: len } = raw;
                let file = match recovery.writes {
                    true => Arc::new(files::open(&path)?),
                    false => file,
                };
                active = Some(Active {
                    key,
                    path,
                    file,
                    capacity: header.capacity,
                    allocated: len,
                    first_frame: header.first_frame,
                    prev_checksum: header.prev_checksum,
                    offset,
                });
            }
            (None, FileEnd::Active(_)) => {}
            (open, FileEnd::Cut(offset, reason)) => {
                let rest = recovery.unsealed.get(index..).unwrap_or_default();
                let made = cut::make(recovery.identity, rest, (open, offset), reason)?;
                active = made.active;
                cut = Some(made.cut);
                break;
            }
        }
    }
    let end = match recovery.cuts {
        true => reader.cut_end(&mut cut, &mut active),
        false => reader.check_end(active.is_some())?,
    };
    let last = recovery.unsealed.last().copied().max(recovery.last_sealed);
    // Files without events also have this position, and may be sealed by now.
    let first_position = end.position + 1;
    let last = last.filter(|key| key.first_position == first_position);
    let number = last.map_or(0, |key| key.number + 1);
    let next_key = FileKey { first_position, number };
    let identity = recovery.identity.clone();
    let journal = Journal::new(identity, recovery.capacity_max, active, next_key, end);
    let cut = cut.map(|cut| Cut { position: end.position, ..cut });
    Ok(Recovered { journal, full, cut })
}

impl<R: Replay> Reader<'_, R> {
    fn trees(&self) -> LogEnd {
        self.recovery.trees.map_or(LogEnd::default(), |trees| trees.end)
    }

    /// Like [`read_file`](Self::read_file), but if the log may be cut off, an unusable file ends
    /// it.
    fn read_or_cut(
        &mut self,
        key: FileKey,
        next: Option<FileKey>,
    ) -> Result<(Option<OpenFile>, FileEnd), Error> {
        match self.read_file(key, next) {
            Err(Error::Corrupted { place, reason, .. }) if self.recovery.cuts => {
                Ok((None, FileEnd::Cut(0, format!("{place}: {reason}"))))
            }
            read => read,
        }
    }

    fn read_file(
        &mut self,
        key: FileKey,
        next: Option<FileKey>,
    ) -> Result<(Option<OpenFile>, FileEnd), Error> {
        let Identity { directory, checksum, .. } = &self.recovery.identity;
        // The trees have every frame of a file if the next file starts at or before their end.
        let next_header = match next {
            None => None,
            Some(next) => file::open(directory, next, checksum).ok().map(|open| open.header),
        };
        let is_in_trees =
            next_header.is_some_and(|next| next.first_frame <= self.trees().frame_number + 1);
        let open = match file::open(directory, key, checksum) {
            Err(Error::Corrupted { .. }) if is_in_trees => {
                self.replay.forget();
                return Ok((None, FileEnd::Damaged(None)));
            }
            opened => opened?,
        };
        let start = open.header.before();
        if self.end.is_some_and(|end| end != start) {
            let reason = "it does not continue the file before it: one is missing, or it is of \
                          another history";
            return Err(damaged(&open.raw.path, key.first_position, reason));
        }
        let end = self.walk(&open, start, next_header, is_in_trees)?;
        Ok((Some(open), end))
    }

    fn walk(
        &mut self,
        open: &OpenFile,
        start: LogEnd,
        next: Option<FileHeader>,
        is_in_trees: bool,
    ) -> Result<FileEnd, Error> {
        let Identity { store_id, checksum, .. } = self.recovery.identity;
        let mut walk = Walk::new(&open.raw, (*store_id, checksum), FIRST_FRAME_OFFSET, start);
        let (mut has_damage, mut unproven) = (false, None);
        loop {
            let found = match walk.step()? {
                Step::Frame(frame) => {
                    let range = frame.offset..frame.offset + frame.header.frame_bytes();
                    self.take(&frame, open)?;
                    let header = frame.header;
                    note_proof(&header, range, &mut unproven);
                    continue;
                }
                Step::Continued => (true, None),
                Step::End => (false, None),
                Step::Damaged(reason) => (false, Some(reason)),
            };
            let (is_continued, damage) = found;
            let mut damage =
                damage.or_else(|| self.wrong_end(open, walk.last(), is_continued, next));
            if damage.is_none() && has_damage && next.is_none() {
                damage = self.hidden_loss(&mut walk)?;
            }
            let Some(reason) = damage else {
                return self.finish(
                    open,
                    &mut walk,
                    next.is_some(),
                    (is_continued, has_damage),
                    unproven,
                );
            };
            let trees = self.recovery.trees.filter(|trees| trees.key == open.key);
            let lost = walk.last().frame_number;
            match trees.filter(|trees| !has_damage && lost < trees.end.frame_number) {
                // The trees have the damaged events. What they lack starts at the place that their
                // head names.
                Some(trees) => {
                    has_damage = true;
                    self.replay.forget();
                    walk.resume(trees.offset, trees.end);
                }
                None if is_in_trees => {
                    self.replay.forget();
                    return Ok(FileEnd::Damaged(None));
                }
                None if self.recovery.cuts => {
                    self.end = Some(walk.last());
                    return Ok(FileEnd::Cut(walk.offset(), reason));
                }
                None => return Err(damaged(&open.raw.path, walk.last().position + 1, &reason)),
            }
        }
    }

    fn take(&mut self, frame: &Frame<'_>, open: &OpenFile) -> Result<(), Error> {
        let header = &frame.header;
        self.check_known(LogEnd {
            position: header.last_position(),
            frame_number: header.number,
            prev_checksum: header.checksum,
        })?;
        let RawFile { path, file, .. } = &open.raw;
        self.replay.frame(frame, Source { key: open.key, path, file })
    }

    fn finish(
        &mut self,
        open: &OpenFile,
        walk: &mut Walk<'_>,
        has_next: bool,
        (is_continued, has_damage): (bool, bool),
        unproven: Option<Range<u64>>,
    ) -> Result<FileEnd, Error> {
        let (offset, last) = (walk.offset(), walk.last());
        self.end = Some(last);
        if has_damage {
            // The file keeps its damage as evidence; new frames go into a new file.
            if !has_next && self.recovery.writes {
                make_durable(&open.raw, unproven, offset, 0)?;
            }
            return Ok(FileEnd::Damaged(Some(last)));
        }
        if has_next {
            let end = offset + if is_continued { HEADER_BYTES as u64 } else { 0 };
            let OpenFile { key, header, raw: RawFile { path, file, .. } } = open;
            return Ok(FileEnd::Full(FullFile {
                key: *key,
                path: path.clone(),
                file: Arc::clone(file),
                first_frame: header.first_frame,
                prev_checksum: header.prev_checksum,
                end,
                last_frame: last.frame_number,
            }));
        }
        if self.recovery.writes {
            let remains = walk.remains(offset)?;
            make_durable(&open.raw, unproven, offset, remains)?;
        }
        Ok(FileEnd::Active(offset))
    }
}

fn damaged(path: &Path, position: u64, reason: &str) -> Error {
    Error::corrupted(path.display().to_string(), Some(position), reason)
}
