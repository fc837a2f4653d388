//! Follows a store that another process writes: reads its journal up to the last frame that is
//! known to be durable.
//!
//! A reader takes no lock and writes nothing. After each sync, the writer publishes the end of the
//! durable log in `HEAD`; without a writer, the log ends where a recovery would end it. Open files
//! stay readable after the writer removes them; a file that was sealed before the reader reached it
//! is read in its sealed form. If the path leads to another directory, as after a compaction, the
//! reader continues there (`reopen`).

mod frames;
mod gap;
mod listing;
mod reopen;

use std::{fs::File, path::Path};

use crate::{
    Error,
    codec::{frame::FIRST_FRAME_OFFSET, head::LogEnd},
    storage::{
        Storage,
        disk::Disk,
        home::{
            Changes, Lock,
            head::{HeadWatch, Look},
        },
        journal::{
            self, FileKey, Identity, OpenFile, RawFile, Replay, SealedFile, SealedFiles, Source,
            Walk,
        },
        open::{end_of, start_of},
        replay::IntoTail,
        tail::Tail,
    },
    sync::{
        self,
        atomic::{AtomicU64, Ordering},
    },
};

use frames::{WalkEnd, pass_on};
pub(super) use reopen::begin;

/// How far a reader has got.
#[derive(Debug)]
pub(super) struct Follow {
    watch: HeadWatch,
    /// The last frame that was read.
    end: LogEnd,
    /// The file of that frame, unless the next frame is in another file.
    file: Option<Following>,
    /// The file that was begun last, and the files in the tail.
    last: Option<FileKey>,
    in_tail: Vec<FileKey>,
    /// What is wrong after that frame, if anything, and what `HEAD` said when it was found.
    failure: Option<(Error, Look)>,
}

/// An unsealed file, and where its next frame starts.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) key: FileKey,
    pub(super) raw: RawFile,
    pub(super) offset: u64,
}

/// How often the store has been exchanged while its reader had it open.
#[derive(Debug, Default)]
pub(super) struct Exchanges(AtomicU64);

impl Exchanges {
    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn note(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Where the events that are read go.
#[derive(Clone, Copy)]
struct Target<'a> {
    identity: &'a Identity,
    sealed: &'a SealedFiles,
    tail: &'a Tail,
}

impl Follow {
    /// Starts after the sealed files, of which the last has this key and ends with this frame.
    pub(super) fn new(watch: HeadWatch, last: Option<FileKey>, end: LogEnd) -> Follow {
        Follow { watch, end, file: None, last, in_tail: Vec::new(), failure: None }
    }
}

impl Storage {
    /// If the store is followed, reads on, so that the head becomes the current one.
    pub(crate) fn refresh(&self) -> Result<(), Error> {
        let Some(disk) = self.disk().filter(|disk| disk.is_reading) else { return Ok(()) };
        // In a forked child, another thread may hold the lock forever.
        self.check_open()?;
        let mut follow = sync::lock(&disk.follow);
        let Some(follow) = follow.as_mut() else { return Ok(()) };
        let is_new = loop {
            let look = match follow.watch.look()? {
                Look::Gone => follow.reopen(self, disk)?,
                // It may have been repaired. If not, everything before the damage stays readable.
                look if follow.failure.as_ref().is_some_and(|(_, then)| *then != look) => {
                    follow.reopen(self, disk).unwrap_or(look)
                }
                look => look,
            };
            let (sealed, tail) = (&disk.sealed, &self.tail);
            let known = follow.failure.as_ref().map(|(_, then)| *then);
            let read = follow.read_to(look, Target { identity: &disk.identity, sealed, tail });
            // It was exchanged during the read.
            if !matches!(read, Ok(false)) && follow.watch.is_gone() {
                continue;
            }
            // An increment of a backup replaces files, also the one that was being read.
            if follow.failure.as_ref().is_some_and(|(_, then)| known != Some(*then)) {
                // If this fails as well, the damage stays.
                let _ = follow.reopen(self, disk);
            }
            self.show(follow.end.position);
            break read?;
        };
        if is_new { follow.drop_sealed(self, disk) } else { Ok(()) }
    }

    /// Reports when the writer of a followed store has published something.
    pub(crate) fn changes(&self) -> Option<Changes> {
        let disk = self.disk().filter(|disk| disk.is_reading)?;
        Some(Changes::of(disk.path()))
    }

    /// What is wrong after the last event of a followed store.
    pub(crate) fn damage_after_head(&self) -> Option<Error> {
        let disk = self.disk().filter(|disk| disk.is_reading)?;
        // In a forked child, another thread may hold the lock forever.
        if self.is_forked() {
            return Some(Error::Forked);
        }
        sync::lock(&disk.follow).as_ref()?.failure.as_ref().map(|(failure, _)| failure.clone())
    }

    /// The process that has the store open for writing: this process, unless the store is followed.
    pub(crate) fn writer(&self) -> Option<Writer> {
        let process = Some(std::process::id());
        let Some(disk) = self.disk().filter(|disk| disk.is_reading) else {
            return Some(Writer { process });
        };
        let mut follow = sync::lock(&disk.follow);
        let is_open = matches!(follow.as_mut()?.watch.look(), Ok(Look::Running(_)));
        is_open.then(|| Writer { process: Lock::holder(disk.path()) })
    }
}

/// The process that writes a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) process: Option<u32>,
}

impl Follow {
    /// Reads everything that is durable according to this look at `HEAD`, up to the first damage;
    /// returns false if there is nothing new.
    fn read_to(&mut self, look: Look, target: Target<'_>) -> Result<bool, Error> {
        let (until, least) = match look {
            Look::Running(end) | Look::Closed(end) if end.frame_number <= self.end.frame_number => {
                return Ok(false);
            }
            Look::Running(end) => (Some(end), end),
            Look::Closed(end) | Look::Unknown(end) => (None, end),
            Look::Gone => return Err(Error::Closed),
        };
        self.failure = None;
        match self.read_on(target, until, least) {
            // Everything before the damage can be read; a read then ends with this error.
            Err(damage @ Error::Corrupted { .. }) => self.failure = Some((damage, look)),
            read => read?,
        }
        Ok(true)
    }

    /// Reads frames up to this one, or up to the end of the log.
    fn read_on(
        &mut self,
        target: Target<'_>,
        until: Option<LogEnd>,
        least: LogEnd,
    ) -> Result<(), Error> {
        let directory = &target.identity.directory;
        let is_reached =
            |end: LogEnd| until.is_some_and(|until| end.frame_number >= until.frame_number);
        while !is_reached(self.end) {
            if self.file.is_none() && !self.next_file(target, least)? {
                break;
            }
            if self.file.is_some() && !self.frames(target, least, &is_reached)? {
                break;
            }
        }
        if self.end.frame_number < least.frame_number {
            let place = directory.display().to_string();
            let (end, known) = (self.end.position, least.position);
            let reason = format!("it ends at position {end}, but once reached {known}");
            return Err(Error::corrupted(place, Some(end + 1), reason));
        }
        Ok(())
    }

    /// The last frame that was read.
    pub(super) fn end(&self) -> LogEnd {
        self.end
    }

    /// Opens the next file of a log that reaches `known`; returns false if there is none yet.
    fn next_file(&mut self, target: Target<'_>, known: LogEnd) -> Result<bool, Error> {
        let Identity { directory, store_id, checksum } = target.identity;
        let Some(key) = self.next_key(directory, known)? else { return Ok(false) };
        // The sealed form first: it exists before the other form is removed.
        let sealed = SealedFile::open(&key.sealed_path(directory), *store_id, checksum);
        if let Ok(file) = &sealed {
            let start = start_of(file.facts());
            let is_of_log = || gap::is_of_log(file, target.identity, known);
            self.check_follows(start, &key.sealed_path(directory), target, is_of_log)?;
            self.note_sealed(target)?;
            target.sealed.add(key, *file.facts());
            // Reads look in the tail first, so nothing in it may be older than a sealed file.
            target.tail.clear();
            self.in_tail.clear();
            self.end = end_of(file.facts());
            self.last = Some(key);
            return Ok(true);
        }
        let OpenFile { header, raw, .. } = match journal::open(directory, key, checksum) {
            Err(error) if is_missing(&error) => {
                return match sealed {
                    // Its sealed form is damaged, and its contents are lost to a reader.
                    Err(Error::Corrupted { .. }) => {
                        self.last = Some(key);
                        Ok(true)
                    }
                    Err(error) if !is_missing(&error) => Err(error),
                    // It was sealed in the meantime, and is looked for again.
                    _ => Ok(true),
                };
            }
            opened => opened?,
        };
        let start = header.before();
        let is_of_log = || Ok(start.frame_number < known.frame_number || start == known);
        self.check_follows(start, &raw.path, target, is_of_log)?;
        self.file = Some(Following { key, raw, offset: FIRST_FRAME_OFFSET });
        self.last = Some(key);
        self.in_tail.push(key);
        Ok(true)
    }

    /// The key of the next file of a log that reaches `known`.
    fn next_key(&self, directory: &Path, known: LogEnd) -> Result<Option<FileKey>, Error> {
        listing::next_key((self.last, self.end), known, || journal::list(directory))
    }

    /// A file must follow on the last frame, or start after it, if it is of this log: what is in
    /// between is lost, and a read of that part reports it.
    fn check_follows(
        &mut self,
        start: LogEnd,
        path: &Path,
        target: Target<'_>,
        is_of_log: impl FnOnce() -> Result<bool, Error>,
    ) -> Result<(), Error> {
        if start == self.end {
            return Ok(());
        }
        // Reads look in the tail first, and it can have no gap: the log ends before one.
        let is_gap = start.frame_number > self.end.frame_number && self.in_tail.is_empty();
        if is_gap && is_of_log()? {
            // Also if only checkpoints are lost: no answer may be based on the earlier files alone.
            target.sealed.reach(start.position.max(self.end.position + 1));
            self.end = start;
            return Ok(());
        }
        let reason = "it does not continue the file before it: one is missing, or it is of \
                      another history";
        let place = path.display().to_string();
        Err(Error::corrupted(place, Some(self.end.position + 1), reason))
    }

    /// Reads the frames of the open file of a log that reaches `known`; returns false at the end of
    /// the log.
    fn frames(
        &mut self,
        target: Target<'_>,
        known: LogEnd,
        is_reached: &dyn Fn(LogEnd) -> bool,
    ) -> Result<bool, Error> {
        let Some(following) = &mut self.file else { return Ok(false) };
        // A writer may have made the file longer, or a close may have made it shorter.
        following.raw.end = length_of(&following.raw.file, &following.raw.path)?;
        let Identity { directory, store_id, checksum } = target.identity;
        let mut walk = Walk::new(&following.raw, (*store_id, checksum), following.offset, self.end);
        let mut replay = IntoTail { tail: target.tail, checksum };
        let source =
            Source { key: following.key, path: &following.raw.path, file: &following.raw.file };
        let mut place = (following.offset, self.end);
        let walked =
            pass_on(&mut walk, is_reached, &mut place, |frame| replay.frame(frame, source));
        (following.offset, self.end) = place;
        let goes_on = match walked? {
            WalkEnd::Reached => return Ok(true),
            WalkEnd::Continued => true,
            // A close seals the last file without writing a marker.
            WalkEnd::End => self.next_key(directory, known)?.is_some(),
            WalkEnd::Damaged(reason) => {
                let place = following.raw.path.display().to_string();
                return Err(Error::corrupted(place, Some(self.end.position + 1), reason));
            }
        };
        if goes_on {
            self.file = None;
        }
        Ok(goes_on)
    }

    /// Lists the files that were read before they were sealed, once a later file is listed: the
    /// list of sealed files has no gaps.
    fn note_sealed(&self, target: Target<'_>) -> Result<(), Error> {
        let Identity { directory, store_id, checksum } = target.identity;
        for key in self.in_tail.iter().filter(|key| !target.sealed.has(**key)) {
            match SealedFile::open(&key.sealed_path(directory), *store_id, checksum) {
                Ok(file) => target.sealed.add(*key, *file.facts()),
                // A damaged or lost file stays a gap, which a read reports.
                Err(Error::Corrupted { .. }) => {}
                Err(error) if is_missing(&error) => {}
                // The tail still has its events: the next look tries again.
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Discards the events of files that are sealed by now.
    fn drop_sealed(&mut self, storage: &Storage, disk: &Disk) -> Result<(), Error> {
        if storage.tail.memory_bytes() < storage.options.tail_bytes {
            return Ok(());
        }
        let Identity { directory, store_id, checksum } = &disk.identity;
        let current = self.file.as_ref().map(|file| file.key);
        while let Some(&key) = self.in_tail.first().filter(|key| Some(**key) != current) {
            match SealedFile::open(&key.sealed_path(directory), *store_id, checksum) {
                Ok(file) => {
                    disk.sealed.add(key, *file.facts());
                    storage.tail.drop_file(key);
                    self.in_tail.remove(0);
                }
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

fn length_of(file: &File, path: &Path) -> Result<u64, Error> {
    let metadata = file.metadata().map_err(|source| Error::io("read", path, source))?;
    Ok(metadata.len())
}
