//! Rewrites damaged or lost files of the journal from the events in the trees.
//!
//! The files are examined in order. What is between an intact file and the next intact one is a
//! gap, and becomes one sealed file, marked as rebuilt: its frames are new, and its edges match
//! those of its neighbours, so that it is one link of the chain. The damaged files are set aside.
//!
//! ```text
//! | 1 2 | 3 damaged | (lost) | 7 8 |    ->    | 1 2 | 3 to 6, rebuilt | 7 8 |
//! ```

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        frame::{self, FIRST_FRAME_OFFSET, FrameKind, FrameMeta, ItemKind},
        head::LogEnd,
        pack,
        page::Page,
        record::{self, EventToEncode},
        saved::Checkpoint,
        sealed::{SealedFacts, new_sealed_header},
    },
    storage::{
        Storage,
        disk::Disk,
        files,
        journal::{self, Checked, FileKey, Identity, OpenFile, RawFile, Step, ToSeal, Walk, seal},
        open::{end_of, start_of},
    },
    sync,
};

/// A frame of a rebuilt file is closed at this size.
const FRAME_BYTES: usize = 4 << 20;

/// A part of the journal that was rewritten, or the reason why it was not.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// The original paths of the damaged files, or the path of the lost file.
    pub(crate) place: PathBuf,
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    pub(crate) reason: String,
    /// The new paths of the files that were set aside; or the error for a position that is in
    /// neither copy.
    pub(crate) outcome: Result<Vec<PathBuf>, Error>,
}

/// A part of the journal.
#[derive(Debug)]
pub(in crate::storage) enum Piece {
    /// An intact file.
    Whole(FileKey),
    Gap(Gap),
}

impl Piece {
    pub(in crate::storage) fn gap(self) -> Option<Gap> {
        match self {
            Piece::Whole(_) => None,
            Piece::Gap(gap) => Some(gap),
        }
    }
}

/// What is between two intact files.
#[derive(Debug)]
pub(in crate::storage) struct Gap {
    from: LogEnd,
    to: LogEnd,
    /// The intact file before it, if any.
    after: Option<FileKey>,
    damaged: Vec<(FileKey, PathBuf)>,
    reason: String,
}

/// The frames of a gap, in a file that is not sealed yet.
struct GapFrames {
    unfinished: Unfinished,
    end: u64,
    checkpoints: Vec<Checkpoint>,
}

impl GapFrames {
    fn seal(&self, gap: &Gap, directory: &Path) -> Result<SealedFacts, Error> {
        let Identity { store_id, checksum, .. } = &self.unfinished.identity;
        let key = gap.key();
        let header = new_sealed_header(
            (*store_id, key.first_position),
            (gap.from.frame_number + 1, gap.from.prev_checksum),
            true,
        );
        let (path, file) = (self.unfinished.path.clone(), Arc::clone(&self.unfinished.file));
        let to_seal = ToSeal {
            source: &RawFile { path, file, end: self.end },
            header,
            number: key.number,
            checkpoints: &self.checkpoints,
            end: Some(gap.to),
        };
        seal(&to_seal, directory, checksum, &mut || Ok(()))?.publish(directory)
    }
}

/// A file of the journal in the state in which it was found.
enum Link {
    Whole(LogEnd, LogEnd),
    Damaged(String),
}

impl Storage {
    /// Rewrites each gap that the trees can fill. Everything must be drained, and no append may run
    /// meanwhile.
    pub(crate) fn rewrite_journal(&self) -> Result<Vec<Rewritten>, Error> {
        let Some(disk) = self.disk() else { return Ok(Vec::new()) };
        let mut done = Vec::new();
        for gap in chain(disk)?.into_iter().filter_map(Piece::gap) {
            let rewritten = self.fill(disk, &gap);
            let outcome = match rewritten {
                Err(lost @ Error::Corrupted { .. }) => Err(lost),
                other => Ok(other?),
            };
            let identity = &disk.identity;
            let place = gap.damaged.first().map(|(_, path)| path.clone());
            done.push(Rewritten {
                place: place.unwrap_or_else(|| gap.key().sealed_path(&identity.directory)),
                first_position: gap.from.position + 1,
                last_position: gap.to.position,
                reason: gap.reason,
                outcome,
            });
        }
        Ok(done)
    }

    fn fill(&self, disk: &Disk, gap: &Gap) -> Result<Vec<PathBuf>, Error> {
        let identity = &disk.identity;
        let frames = match gap.is_empty() {
            true => None,
            false => Some(self.frames_of(disk, gap, &identity.directory)?),
        };
        let mut set_aside = Vec::new();
        for (_, path) in &gap.damaged {
            set_aside.push(files::set_aside(path)?);
        }
        let facts = frames.map(|frames| frames.seal(gap, &identity.directory)).transpose()?;
        let key = gap.key();
        let replaced: Vec<FileKey> = gap.damaged.iter().map(|(key, _)| *key).collect();
        disk.with_trees(|trees| {
            // Files in the gap are part of this file now.
            trees.forget_sealed(|first_position, number| {
                let known = FileKey { first_position, number };
                replaced.contains(&known) || gap.covers(known)
            })?;
            if let Some(facts) = &facts {
                trees.put_sealed(key.first_position, key.number, facts)?;
            }
            trees.sync()
        })?;
        sync::lock(&disk.full).retain(|file| !replaced.contains(&file.key));
        disk.sealed.remove(|known| replaced.contains(&known) || gap.covers(known));
        if let Some(facts) = facts {
            disk.sealed.add(key, facts);
        }
        replaced.iter().for_each(|key| self.tail.drop_file(*key));
        Ok(set_aside)
    }

    /// Makes a sealed file for a gap in another directory.
    pub(in crate::storage) fn copy_gap(
        &self,
        disk: &Disk,
        gap: &Gap,
        directory: &Path,
    ) -> Result<(), Error> {
        match gap.is_empty() {
            true => Ok(()),
            false => self.frames_of(disk, gap, directory)?.seal(gap, directory).map(drop),
        }
    }

    /// Reads the events of a gap from the trees into frames.
    fn frames_of(&self, disk: &Disk, gap: &Gap, directory: &Path) -> Result<GapFrames, Error> {
        let unfinished = Unfinished::new(&disk.identity, directory)?;
        let end = self.write_frames(gap, &unfinished)?;
        let checkpoints = disk.checkpoints_at(gap.key(), gap.to.position)?;
        Ok(GapFrames { unfinished, end, checkpoints })
    }

    /// Writes the events of a gap as frames, and returns where they end.
    fn write_frames(&self, gap: &Gap, unfinished: &Unfinished) -> Result<u64, Error> {
        let mut frames = Frames {
            unfinished,
            identity: &unfinished.identity,
            offset: FIRST_FRAME_OFFSET,
            end: gap.from,
            buffer: Vec::new(),
            count: 0,
        };
        frame::begin(&mut frames.buffer);
        let (mut next, last) = (gap.from.position + 1, gap.to.position);
        while next <= last {
            let page = self.page(next, Page::default())?;
            // A page from the trees is of one stream, and lacks the positions of events in other
            // streams.
            let wanted: Vec<EventToEncode<'_>> = page
                .all_to_encode()
                .skip_while(|event| event.position < next)
                .zip(next..=last)
                .take_while(|(event, position)| event.position == *position)
                .map(|(event, _)| event)
                .collect();
            for share in pack::cut(&wanted) {
                frames.add(share)?;
            }
            next += wanted.len().max(1) as u64;
        }
        frames.finish()?;
        Ok(frames.offset)
    }
}

impl Gap {
    /// Makes a gap of a whole file that is to be rewritten.
    pub(in crate::storage) fn of_file(key: FileKey, (from, to): (LogEnd, LogEnd)) -> Gap {
        // The file before it, if that has the same first position.
        let number = key.number.checked_sub(1);
        let after = number.map(|number| FileKey { number, ..key });
        Gap { from, to, after, damaged: Vec::new(), reason: String::new() }
    }

    /// Whether the intact files follow on each other. Then what is between them belongs to another
    /// history or another store, and nothing replaces it.
    fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Whether a file with this key would be in it.
    fn covers(&self, key: FileKey) -> bool {
        self.after.is_none_or(|after| key > after)
            && (self.first_position()..=self.to.position).contains(&key.first_position)
    }

    /// The first position that is damaged or lost.
    pub(in crate::storage) fn first_position(&self) -> u64 {
        self.from.position + 1
    }

    /// Its last frame.
    pub(in crate::storage) fn end(&self) -> LogEnd {
        self.to
    }

    /// The name of the file that fills it. An earlier file without events has the same first
    /// position.
    fn key(&self) -> FileKey {
        let first_position = self.first_position();
        let known = self.damaged.iter().map(|(key, _)| *key);
        let known = known.filter(|key| key.first_position == first_position).min();
        let after = self.after.filter(|after| after.first_position == first_position);
        let number = after.map_or(0, |after| after.number + 1);
        known.unwrap_or(FileKey { first_position, number })
    }
}

/// The journal in order: intact files, and what is damaged or lost between them. This reads the
/// whole journal.
pub(in crate::storage) fn chain(disk: &Disk) -> Result<Vec<Piece>, Error> {
    let identity = &disk.identity;
    let listing = journal::list(&identity.directory)?;
    let sealed = disk.sealed.keys();
    let mut keys = [listing.sealed, listing.unsealed].concat();
    keys.sort_unstable();
    keys.dedup();
    let (mut pieces, mut end) = (Vec::new(), LogEnd::default());
    let (mut open, mut after): (Option<Gap>, Option<FileKey>) = (None, None);
    let lost = || "a file is missing".to_owned();
    let new_gap = |after, from, reason| Gap { from, to: from, after, damaged: Vec::new(), reason };
    for key in keys {
        let (path, link) = match sealed.binary_search(&key) {
            Ok(_) => (key.sealed_path(&identity.directory), sealed_link(disk, key)?),
            Err(_) => (key.active_path(&identity.directory), unsealed_link(identity, key)?),
        };
        match link {
            Link::Whole(start, last) if start.frame_number >= end.frame_number => {
                if start != end || open.is_some() {
                    let gap = open.take().unwrap_or_else(|| new_gap(after, end, lost()));
                    pieces.push(Piece::Gap(Gap { to: start, ..gap }));
                }
                pieces.push(Piece::Whole(key));
                (end, after) = (last, Some(key));
            }
            Link::Whole(..) => {
                let reason = "it does not continue the file before it".to_owned();
                open.get_or_insert_with(|| new_gap(after, end, reason)).damaged.push((key, path));
            }
            Link::Damaged(reason) => {
                open.get_or_insert_with(|| new_gap(after, end, reason)).damaged.push((key, path));
            }
        }
    }
    let written = disk.end_of_log();
    if open.is_some() || end.frame_number < written.frame_number {
        let gap = open.unwrap_or_else(|| new_gap(after, end, lost()));
        pieces.push(Piece::Gap(Gap { to: written, ..gap }));
    }
    Ok(pieces)
}

fn sealed_link(disk: &Disk, key: FileKey) -> Result<Link, Error> {
    let mut damage = None;
    let checked = disk.sealed.open(key).and_then(|file| {
        file.verify(&mut |part| {
            if let Checked::Damage { error, .. } = part {
                damage.get_or_insert(error.to_string());
            }
            Ok(())
        })?;
        Ok(*file.facts())
    });
    match (checked, damage) {
        (Ok(facts), None) => Ok(Link::Whole(start_of(&facts), end_of(&facts))),
        (Ok(_), Some(reason)) => Ok(Link::Damaged(reason)),
        (Err(error @ Error::Corrupted { .. }), _) => Ok(Link::Damaged(error.to_string())),
        (Err(error), _) => Err(error),
    }
}

fn unsealed_link(identity: &Identity, key: FileKey) -> Result<Link, Error> {
    let Identity { directory, store_id, checksum } = identity;
    let OpenFile { header, raw, .. } = match journal::open(directory, key, checksum) {
        Err(error @ Error::Corrupted { .. }) => return Ok(Link::Damaged(error.to_string())),
        opened => opened?,
    };
    let start = header.before();
    let place = raw.path.display().to_string();
    let mut walk = Walk::new(&raw, (*store_id, checksum), FIRST_FRAME_OFFSET, start);
    loop {
        match walk.step()? {
            Step::Frame(_) => {}
            Step::Continued | Step::End => return Ok(Link::Whole(start, walk.last())),
            Step::Damaged(reason) => return Ok(Link::Damaged(format!("{place}: {reason}"))),
        }
    }
}

/// A file of frames, which is removed when it has been sealed or is abandoned.
struct Unfinished {
    identity: Identity,
    path: PathBuf,
    file: Arc<File>,
}

impl Unfinished {
    fn new(identity: &Identity, directory: &Path) -> Result<Unfinished, Error> {
        let name = format!("{}.{}", Uuid::new_v4().simple(), files::UNFINISHED);
        let path = directory.join(name);
        let file = files::create_truncated(&path);
        let file = file.map_err(|source| Error::io("create", &path, source))?;
        Ok(Unfinished { identity: identity.clone(), path, file: Arc::new(file) })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // If this fails, the next open removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes frames into a file.
struct Frames<'a> {
    unfinished: &'a Unfinished,
    identity: &'a Identity,
    offset: u64,
    /// The last frame written.
    end: LogEnd,
    /// The frame that is being filled.
    buffer: Vec<u8>,
    count: u32,
}

impl Frames<'_> {
    fn add(&mut self, share: &[EventToEncode<'_>]) -> Result<(), Error> {
        let mut content = Vec::new();
        record::encode(share, &mut content);
        if self.count > 0 && self.buffer.len() + content.len() > FRAME_BYTES {
            self.finish()?;
        }
        frame::put_item(&mut self.buffer, ItemKind::Record, &content)
            .map_err(|reason| self.failed(reason))?;
        self.count += u32::try_from(share.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Writes the frame that is being filled, if it has any events.
    fn finish(&mut self) -> Result<(), Error> {
        if self.count == 0 {
            return Ok(());
        }
        let meta = FrameMeta {
            kind: FrameKind::Events,
            count: self.count,
            first_position: self.end.position + 1,
            number: self.end.frame_number + 1,
            prev_checksum: self.end.prev_checksum,
            store_id: self.identity.store_id,
            unsynced: 0,
        };
        let completed =
            frame::complete(meta, self.offset, &self.identity.checksum, &mut self.buffer);
        let prev_checksum = completed.map_err(|reason| self.failed(reason))?;
        let written = self.unfinished.file.write_all_at(&self.buffer, self.offset);
        written.map_err(|source| Error::io("write to", &self.unfinished.path, source))?;
        self.offset += self.buffer.len() as u64;
        self.end = LogEnd {
            position: self.end.position + u64::from(self.count),
            frame_number: meta.number,
            prev_checksum,
        };
        self.count = 0;
        frame::begin(&mut self.buffer);
        Ok(())
    }

    fn failed(&self, reason: String) -> Error {
        let place = self.unfinished.path.display().to_string();
        Error::corrupted(place, Some(self.end.position + 1), reason)
    }
}
