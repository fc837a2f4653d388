//! What a check of a whole store needs besides reads: walks over each copy from start to end that
//! check every checksum and continue after damage.

use std::{path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        frame::{FIRST_FRAME_OFFSET, ItemKind},
        head::LogEnd,
        page::Page,
        saved::Checkpoint,
        tagged::Place,
    },
    storage::{
        Storage,
        disk::Disk,
        journal::{self, Checked, FileKey, Frame, OpenFile, RawFile, SealedFile, Step, Walk},
        open::{end_of, start_of},
    },
};

/// The code of the finding that a run of the trees is damaged.
pub(crate) const DAMAGED_RUN: &str = "event-damaged";

/// Receives what a walk over a copy finds.
pub(crate) trait Audit {
    /// Events of the journal, in position order.
    fn journal_events(&mut self, page: &Page);
    /// A checkpoint of the journal; `is_drained` says whether the trees have its frame.
    fn checkpoint(&mut self, saved: Checkpoint, is_drained: bool);
    /// A run of the trees, in the order of streams and versions.
    fn run(&mut self, stream: &Arc<str>, first_version: u64, page: &Page);
    /// The stream and version of an event according to the trees, in position order.
    fn place(&mut self, position: u64, stream: &str, version: u64);
    /// An entry of the index of event ids.
    fn id(&mut self, id: Uuid, position: u64);
    /// An entry of the index of tags: an event with its stream and version.
    fn tag(&mut self, tag: &str, place: Place<'_>);
    /// Something is wrong at a place, from `position` on.
    fn damage(&mut self, code: &'static str, place: &str, position: Option<u64>, reason: String);
}

impl Storage {
    /// The last position that the trees hold; `None` without trees.
    pub(crate) fn trees_head(&self) -> Result<Option<u64>, Error> {
        self.check_open()?;
        let Some(disk) = self.disk() else { return Ok(None) };
        disk.with_trees(|trees| trees.head()).map(|head| Some(head.position))
    }

    /// The checkpoints that the trees have.
    pub(crate) fn checkpoints_of_trees(&self) -> Result<Vec<Checkpoint>, Error> {
        self.check_open()?;
        let Some(disk) = self.disk() else { return Ok(Vec::new()) };
        let all = disk.with_trees(|trees| trees.checkpoints().collect::<Result<Vec<_>, _>>())?;
        Ok(all.into_iter().map(|(name, position)| Checkpoint { name, position }).collect())
    }

    /// Walks the trees. Entries above their head are staged, and skipped.
    pub(crate) fn audit_trees(&self, head: u64, audit: &mut impl Audit) -> Result<(), Error> {
        self.check_open()?;
        let Some(disk) = self.disk() else { return Ok(()) };
        disk.with_trees(|trees| {
            for run in trees.runs() {
                match run {
                    Ok((stream, first_version, page)) if page.first_position() <= head => {
                        audit.run(&stream, first_version, &page);
                    }
                    Ok(_) => {}
                    Err(error) => damaged(audit, DAMAGED_RUN, error)?,
                }
            }
            for chunk in trees.places() {
                match chunk {
                    Ok(chunk) => {
                        let below = chunk.iter().filter(|(position, _, _)| *position <= head);
                        below.for_each(|(at, stream, version)| audit.place(*at, stream, *version));
                    }
                    Err(error) => damaged(audit, "place-index", error)?,
                }
            }
            for id in trees.ids() {
                match id {
                    Ok((id, position)) if position <= head => audit.id(id, position),
                    Ok(_) => {}
                    Err(error) => damaged(audit, "id-index", error)?,
                }
            }
            for run in trees.tagged_runs() {
                match run {
                    Ok((tag, run)) => {
                        let below = run.iter().filter(|(position, ..)| *position <= head);
                        below.for_each(|place| audit.tag(&tag, place));
                    }
                    Err(error) => damaged(audit, "tag-index", error)?,
                }
            }
            Ok(())
        })
    }

    /// Walks the whole journal up to its last frame. A store in memory has none.
    pub(crate) fn audit_journal(&self, audit: &mut impl Audit) -> Result<(), Error> {
        self.check_open()?;
        let Some(disk) = self.disk() else { return Ok(()) };
        let end = disk.end_of_log();
        let drained = disk.with_trees(|trees| trees.head()).map_or(0, |head| head.frame_number);
        let newest_sealed = disk.sealed.keys().last().copied();
        let listing = journal::list(&disk.identity.directory)?;
        let mut keys = [listing.sealed, listing.unsealed].concat();
        keys.sort_unstable();
        keys.dedup();
        let mut walk =
            JournalWalk { disk, audit, end, drained, newest_sealed, last: Some(LogEnd::default()) };
        for (index, key) in keys.iter().enumerate() {
            walk.file(*key, keys.get(index + 1).copied())?;
        }
        if walk.last.is_some_and(|last| last.frame_number < end.frame_number) {
            let position = walk.last.map(|last| last.position + 1);
            let place = disk.identity.directory.display().to_string();
            audit.damage("journal-damaged", &place, position, "its end is missing".to_owned());
        }
        Ok(())
    }
}

/// Reports damage, and returns any other error.
fn damaged(audit: &mut impl Audit, code: &'static str, error: Error) -> Result<(), Error> {
    match error {
        Error::Corrupted { place, position, reason } => {
            audit.damage(code, &place, position, reason);
            Ok(())
        }
        other => Err(other),
    }
}

struct JournalWalk<'a, A> {
    disk: &'a Disk,
    audit: &'a mut A,
    /// The last frame to check.
    end: LogEnd,
    /// The last frame that the trees have.
    drained: u64,
    newest_sealed: Option<FileKey>,
    /// The last frame so far; `None` after damage.
    last: Option<LogEnd>,
}

impl<A: Audit> JournalWalk<'_, A> {
    fn file(&mut self, key: FileKey, next: Option<FileKey>) -> Result<(), Error> {
        if self.disk.sealed.keys().binary_search(&key).is_ok() {
            return self.sealed(key);
        }
        let identity = &self.disk.identity;
        let path = key.active_path(&identity.directory);
        match journal::open(&identity.directory, key, &identity.checksum) {
            Ok(OpenFile { header, raw, .. }) => {
                let start = header.before();
                self.follows(&raw.path, start);
                self.raw(&raw, start, next)
            }
            // It has been sealed meanwhile.
            Err(Error::Io { .. }) if !path.exists() => self.sealed(key),
            Err(error) => self.lost(error),
        }
    }

    /// The frames of a file must follow on those of the previous file.
    fn follows(&mut self, path: &Path, start: LogEnd) {
        if self.last.is_some_and(|last| last != start) {
            let position = self.last.map(|last| last.position + 1);
            let reason = "it does not continue the file before it".to_owned();
            self.audit.damage("journal-damaged", &path.display().to_string(), position, reason);
        }
    }

    fn lost(&mut self, error: Error) -> Result<(), Error> {
        self.last = None;
        damaged(self.audit, "journal-damaged", error)
    }

    fn sealed(&mut self, key: FileKey) -> Result<(), Error> {
        let file = match self.disk.sealed.open(key) {
            Ok(file) => file,
            Err(error) => return self.lost(error),
        };
        let facts = *file.facts();
        let start = start_of(&facts);
        self.follows(&self.disk.sealed.path(key), start);
        self.blocks(&file)?;
        // Each file holds all checkpoints as of its end.
        if self.newest_sealed.is_none_or(|newest| key >= newest)
            && let Ok(checkpoints) = file.checkpoints()
        {
            checkpoints.into_iter().for_each(|saved| self.audit.checkpoint(saved, true));
        }
        self.last = Some(end_of(&facts));
        Ok(())
    }

    fn blocks(&mut self, file: &SealedFile) -> Result<(), Error> {
        file.verify(&mut |part| match part {
            Checked::Events(page) => {
                self.audit.journal_events(page);
                Ok(())
            }
            Checked::Damage {
                positions: Some(positions),
                error: Error::Corrupted { place, position, reason },
            } => {
                let (first, last) = positions.into_inner();
                let reason = format!("{reason} (a block of the positions {first} to {last})");
                self.audit.damage("journal-damaged", &place, position, reason);
                Ok(())
            }
            Checked::Damage { error, .. } => damaged(self.audit, "journal-damaged", error),
        })
    }

    fn raw(&mut self, raw: &RawFile, start: LogEnd, next: Option<FileKey>) -> Result<(), Error> {
        let identity = &self.disk.identity;
        let of_store = (identity.store_id, &identity.checksum);
        let mut walk = Walk::new(raw, of_store, FIRST_FRAME_OFFSET, start);
        let place = raw.path.display().to_string();
        while walk.last().frame_number < self.end.frame_number {
            let at = walk.last().position + 1;
            let reason = match walk.step()? {
                Step::Frame(frame) => match self.items(&frame) {
                    Ok(()) => continue,
                    Err(reason) => reason,
                },
                Step::Continued if next.is_some() => break,
                // A marker may be missing if the next file exists.
                Step::End if next.is_some_and(|next| next.first_position == at) => break,
                Step::Continued => "the file that continues it is missing".to_owned(),
                Step::End => format!("it ends before position {at}"),
                Step::Damaged(reason) => reason,
            };
            self.audit.damage("journal-damaged", &place, Some(at), reason);
            self.last = None;
            return Ok(());
        }
        self.last = Some(walk.last());
        Ok(())
    }

    fn items(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        for item in &frame.items {
            let content = frame.payload.get(item.range.clone()).unwrap_or_default();
            match item.kind {
                ItemKind::Record => {
                    self.audit.journal_events(&Page::of_record(Arc::from(content))?);
                }
                ItemKind::Checkpoint => {
                    let saved = Checkpoint::decode(content, &self.disk.identity.checksum)?;
                    self.audit.checkpoint(saved, frame.header.number <= self.drained);
                }
            }
        }
        Ok(())
    }
}
