//! Reading the journal when a store is opened: what is above the trees is replayed, and a write
//! that never finished is told from damage.
//!
//! A frame whose checksum does not fit is the end of the journal when it looks like an unfinished
//! write and no intact frame behind it was written in the knowledge that it is durable. Everything
//! else is damage, which is an error where it touches events that only the journal has.

use std::{ops::Range, os::unix::fs::FileExt, path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{self, FIRST_FRAME_OFFSET, FileHeader, FrameHeader, HEADER_BYTES},
    },
    storage::{
        files,
        journal::{
            JournalFile, file,
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

/// How the frames of one file end.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Where the next frame would start.
    pub(crate) offset: u64,
    /// The position that it would have.
    pub(crate) next_position: u64,
    /// What it would chain to.
    pub(crate) chain: u32,
    /// What is wrong with the bytes there, when they are more than an unfinished write.
    pub(crate) damage: Option<String>,
}

/// Walks the frames of a file's bytes and hands each intact one to `on_frame`, with the range of
/// its bytes.
pub(crate) fn walk<'a>(
    bytes: &'a [u8],
    header: &FileHeader,
    checksum: &Checksum,
    mut on_frame: impl FnMut(FrameHeader, Vec<&'a [u8]>, Range<u64>) -> Result<(), Error>,
) -> Result<Walked, Error> {
    let mut at = Walked {
        offset: FIRST_FRAME_OFFSET,
        next_position: header.first_position,
        chain: header.chain,
        damage: None,
    };
    loop {
        match frame_at(bytes, &at, header.store_id, checksum) {
            Frame::Intact(frame, records) => {
                let end = at.offset + frame.frame_bytes();
                on_frame(frame, records, at.offset..end)?;
                at.offset = end;
                at.next_position = frame.last_position() + 1;
                at.chain = frame.checksum;
            }
            Frame::End => break,
            Frame::Damaged(reason) => {
                at.damage = Some(reason);
                break;
            }
        }
    }
    if at.damage.is_none() {
        at.damage = intact_behind(bytes, &at, checksum);
    }
    Ok(at)
}

enum Frame<'a> {
    Intact(FrameHeader, Vec<&'a [u8]>),
    /// Nothing was written here, or a write that did not finish.
    End,
    Damaged(String),
}

fn frame_at<'a>(bytes: &'a [u8], at: &Walked, store_id: Uuid, checksum: &Checksum) -> Frame<'a> {
    let start = usize::try_from(at.offset).unwrap_or(usize::MAX);
    let Some(head) = start.checked_add(HEADER_BYTES).and_then(|end| bytes.get(start..end)) else {
        return Frame::End;
    };
    let Some(header) = FrameHeader::decode(head, checksum) else {
        let is_unfinished = frame::looks_unfinished(head, at.offset);
        return match is_unfinished {
            true => Frame::End,
            false => Frame::Damaged("the checksum of a frame's header does not fit".to_owned()),
        };
    };
    let fits = header.store_id == store_id
        && header.first_position == at.next_position
        && header.chain == at.chain
        && header.count > 0;
    if !fits {
        let found = header.first_position;
        return Frame::Damaged(format!("a frame for position {found} stands out of its place"));
    }
    let payload_start = start + HEADER_BYTES;
    let payload_end = payload_start.saturating_add(header.payload_len as usize);
    let Some(payload) = bytes.get(payload_start..payload_end) else {
        return Frame::Damaged("a frame is cut off".to_owned());
    };
    if checksum.of(payload) != header.payload_checksum {
        let written = bytes.get(start..payload_end).unwrap_or_default();
        return match frame::looks_unfinished(written, at.offset) {
            true => Frame::End,
            false => Frame::Damaged("the checksum of a frame does not fit".to_owned()),
        };
    }
    match frame::records(payload) {
        Ok(records) => Frame::Intact(header, records),
        Err(reason) => Frame::Damaged(reason),
    }
}

/// Looks behind the end for a frame that was written when the one missing here was durable already.
fn intact_behind(bytes: &[u8], at: &Walked, checksum: &Checksum) -> Option<String> {
    let start = usize::try_from(at.offset).ok()?;
    let rest = bytes.get(start..)?;
    let later = rest
        .chunks_exact(HEADER_BYTES)
        .filter_map(|head| FrameHeader::decode(head, checksum))
        .find(|header| header.durable >= at.next_position)?;
    let (found, missing) = (later.first_position, at.next_position);
    Some(format!("position {missing} is missing, and an intact frame for {found} follows"))
}

/// The last position that the journal holds, found without writing anything.
pub(crate) fn last_position(directory: &Path, checksum: &Checksum) -> Result<u64, Error> {
    let found = file::list(directory)?;
    let place = || directory.display().to_string();
    let Some(last) = found.last() else {
        return Err(Error::corrupted(place(), None, "it holds no file"));
    };
    let (header, bytes) = file::read(last, checksum)?;
    let walked = walk(&bytes, &header, checksum, |_, _, _| Ok(()))?;
    match walked.damage {
        Some(reason) => {
            let place = last.path.display().to_string();
            Err(Error::corrupted(place, Some(walked.next_position), reason))
        }
        None => Ok(walked.next_position - 1),
    }
}

/// Where the journal stands and what the trees lack of it.
pub(crate) struct Recovery<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) store_id: Uuid,
    pub(crate) checksum: &'a Checksum,
    pub(crate) capacity_max: u64,
    /// The last position that the trees serve.
    pub(crate) trees_head: u64,
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
    let Some(start) = needed.checked_sub(1) else {
        let reason = "no file holds it";
        let place = directory.display().to_string();
        return Err(Error::corrupted(place, Some(trees_head + 1), reason));
    };
    let mut full = Vec::new();
    let mut files = found.get(start..).unwrap_or_default().iter().peekable();
    while let Some(file) = files.next() {
        let next_file = files.peek().map(|next| next.first_position);
        match recover_file(recovery, file, next_file, &mut on_frame)? {
            Recovered::Full(file) => full.push(file),
            Recovered::Damaged => {}
            Recovered::Last(journal) => return Ok((*journal, full)),
        }
    }
    Err(Error::corrupted(directory.display().to_string(), None, "its last file is missing"))
}

/// Recovers one file; the last one becomes the journal's end.
fn recover_file(
    recovery: &Recovery<'_>,
    file: &JournalFile,
    next_file: Option<u64>,
    on_frame: &mut impl FnMut(RecoveredFrame<'_>) -> Result<(), Error>,
) -> Result<Recovered, Error> {
    let Recovery { checksum, trees_head, .. } = *recovery;
    let (header, bytes) = file::read(file, checksum)?;
    let place = || file.path.display().to_string();
    let mut unsynced: Option<Range<u64>> = None;
    let walked = walk(&bytes, &header, checksum, |header, records, range| {
        if header.last_position() <= trees_head {
            return Ok(());
        }
        if header.first_position <= trees_head {
            let reason = format!("the trees end at {trees_head}, inside a unit");
            return Err(Error::corrupted(place(), Some(header.first_position), reason));
        }
        let start = unsynced.as_ref().map_or(range.start, |known| known.start);
        unsynced = Some(start..range.end);
        on_frame(RecoveredFrame { header, records, path: &file.path })
    })?;
    let is_cut = next_file.is_none() && (bytes.len() as u64) < header.capacity;
    let damage = match next_file {
        Some(next) if next != walked.next_position => Some(walked.damage.unwrap_or_else(|| {
            format!("it ends before {}, and the next file starts at {next}", walked.next_position)
        })),
        Some(_) => None,
        None if is_cut => Some("it is shorter than it was made".to_owned()),
        None => walked.damage,
    };
    // What the trees hold is served from there; the damaged file stays as it is, as evidence.
    let missing = walked.next_position;
    if let Some(reason) = &damage {
        let is_in_trees = next_file.is_some_and(|next| next <= trees_head + 1)
            || (next_file.is_none() && missing <= trees_head);
        if !is_in_trees {
            return Err(Error::corrupted(place(), Some(missing), reason.clone()));
        }
    }
    if let Some(next) = next_file {
        let (path, used) = (file.path.clone(), walked.offset);
        return Ok(match damage {
            None => Recovered::Full(FullFile { path, last_position: next - 1, used }),
            Some(_) => Recovered::Damaged,
        });
    }
    if missing <= trees_head {
        let journal = continue_behind_trees(recovery, walked.chain)?;
        return Ok(Recovered::Last(Box::new(journal)));
    }
    make_durable(file, &bytes, unsynced, walked.offset)?;
    let active = Active {
        path: file.path.clone(),
        file: Arc::new(files::open(&file.path)?),
        capacity: header.capacity,
        offset: walked.offset,
    };
    Ok(Recovered::Last(Box::new(Journal {
        directory: recovery.directory.to_owned(),
        store_id: recovery.store_id,
        checksum: checksum.clone(),
        capacity_max: recovery.capacity_max,
        active,
        chain: walked.chain,
        next_position: walked.next_position,
        buffer: Vec::new(),
    })))
}

/// What a file turned out to be.
enum Recovered {
    /// It is whole, and another follows.
    Full(FullFile),
    /// The trees hold what it lost, and another follows.
    Damaged,
    Last(Box<Journal>),
}

/// The journal lost events that the trees have: it goes on in a new file behind them.
fn continue_behind_trees(recovery: &Recovery<'_>, chain: u32) -> Result<Journal, Error> {
    let Recovery { directory, store_id, checksum, capacity_max, trees_head } = *recovery;
    Journal::create(directory, store_id, checksum, capacity_max, trees_head + 1, chain).map_err(
        |failure| match failure {
            WriteFailure::Refused(error) | WriteFailure::Failed(error) => error,
        },
    )
}

/// Makes the replayed frames durable and clears what lies behind them.
///
/// The frames may have been read from memory that a failed sync marked clean without writing it, so
/// they are written again, byte for byte, before they are synced. What is behind the end was never
/// acknowledged; were it to stay, a later frame of the same length could bring it back.
fn make_durable(
    file: &JournalFile,
    bytes: &[u8],
    unsynced: Option<Range<u64>>,
    end: u64,
) -> Result<(), Error> {
    let rest_start = usize::try_from(end).unwrap_or(usize::MAX);
    let rest = bytes.get(rest_start..).unwrap_or_default();
    let remains = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
    if unsynced.is_none() && remains == 0 {
        return Ok(());
    }
    let handle = files::open(&file.path)?;
    let failed = |source| Error::io("write to", &file.path, source);
    if let Some(Range { start, end }) = unsynced {
        let from = usize::try_from(start).unwrap_or(usize::MAX);
        let to = usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
        handle.write_all_at(bytes.get(from..to).unwrap_or_default(), start).map_err(failed)?;
    }
    files::write_zeros(&handle, end, remains).map_err(failed)?;
    handle.sync_data().map_err(|source| Error::io("sync", &file.path, source))
}
