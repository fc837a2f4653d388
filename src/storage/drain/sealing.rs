//! Seals the journal files whose events are in the trees, or will be once the current window is
//! drained.
//!
//! Reading, compressing and comparing a file takes about as long as putting its events into the
//! trees, and the two are independent: only the sealed file's name must wait for the trees.

use std::{fs, io, slice, sync::Arc};

use rustix::io::Errno;

use crate::{
    Error,
    codec::{head::LogEnd, saved::Checkpoint, sealed::new_sealed_header},
    storage::{
        drain::Drain,
        journal::{FileKey, FullFile, Journal, RawFile, ToSeal, Unpublished, seal},
    },
    sync::{self, Stretch},
};

/// The work between two beats: a block is written, or read back and compared.
const BLOCK_WORK: usize = 64 << 10;

/// A full file, and its sealed form or the reason why there is none.
pub(super) type Sealed = (FullFile, Result<Unpublished, Error>);

impl Drain<'_> {
    /// The files to seal with the window that ends here, and whether the last of them is the active
    /// file of a closing store. Empty while earlier files wait, because files are sealed in order.
    pub(super) fn to_seal(&self, end: LogEnd, is_closing: bool) -> (Vec<FullFile>, bool) {
        let drained = self.tail.drained().frame_number;
        let mut full = self.full_through(end);
        if full.iter().any(|file| file.last_frame <= drained) {
            return (Vec::new(), false);
        }
        let last = if is_closing { self.last_file(end) } else { None };
        let has_last = last.is_some();
        full.extend(last);
        (full, has_last)
    }

    /// The full files whose frames go no further than `end`.
    fn full_through(&self, end: LogEnd) -> Vec<FullFile> {
        let full = sync::lock(&self.disk.full);
        full.iter().filter(|file| file.last_frame <= end.frame_number).cloned().collect()
    }

    /// The active file of a closing store, if the log ends with this frame and the file should be
    /// sealed.
    fn last_file(&self, end: LogEnd) -> Option<FullFile> {
        let journal = sync::lock(&self.disk.journal);
        journal.as_ref().filter(|journal| journal.end() == end).and_then(Journal::last_file)
    }

    /// Seals the full files whose frames are in the trees. A file that cannot be sealed stays as it
    /// is; that only costs space.
    pub(super) fn seal_files(&self) -> Result<(), Error> {
        // One by one: a crash between two files then loses the work on only one.
        while let Some(file) = self.full_through(self.tail.drained()).first() {
            for sealed in self.seal(slice::from_ref(file)) {
                if !self.publish(sealed)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Writes the sealed forms of these files, which are in journal order, without giving them
    /// their names. Stops at the first failure: the file after a damaged one gets its checkpoints
    /// from the trees, which may not have them yet.
    pub(super) fn seal(&self, full: &[FullFile]) -> Vec<Sealed> {
        let mut done: Vec<Sealed> = Vec::new();
        for file in full {
            let before = done.last().and_then(|(_, sealed)| sealed.as_ref().ok());
            let sealed = match before {
                Some(before) => self.seal_one(file, before.checkpoints()),
                None => self
                    .checkpoints_before(file)
                    .and_then(|checkpoints| self.seal_one(file, &checkpoints)),
            };
            let goes_on = sealed.is_ok();
            done.push((file.clone(), sealed));
            if !goes_on {
                break;
            }
        }
        done
    }

    fn seal_one(&self, file: &FullFile, checkpoints: &[Checkpoint]) -> Result<Unpublished, Error> {
        let source =
            RawFile { path: file.path.clone(), file: Arc::clone(&file.file), end: file.end };
        let identity = &self.disk.identity;
        let header = new_sealed_header(
            (identity.store_id, file.key.first_position),
            (file.first_frame, file.prev_checksum),
            false,
        );
        let to_seal =
            ToSeal { source: &source, header, number: file.key.number, checkpoints, end: None };
        let mut stretch = Stretch::default();
        let mut beat = || {
            self.disk.signals.beat();
            stretch.add(BLOCK_WORK);
            Ok(())
        };
        seal(&to_seal, &identity.directory, &identity.checksum, &mut beat)
    }

    /// Replaces a file whose events are in the trees with its sealed form. Returns false if the
    /// next drain must try again.
    pub(super) fn publish(&self, (file, sealed): Sealed) -> Result<bool, Error> {
        self.disk.check_in_place(self.health)?;
        let FullFile { key, path, .. } = file;
        let published = sealed.and_then(|sealed| sealed.publish(&self.disk.identity.directory));
        let facts = match published {
            Ok(facts) => facts,
            // Damage stays where it is, and `verify` reports it.
            Err(Error::Corrupted { .. }) => {
                self.forget(key);
                self.tail.drop_file(key);
                return Ok(true);
            }
            Err(error) if is_lacking(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.forget(key);
        let mut encoded = Vec::new();
        if facts.encode(&mut encoded).is_ok()
            && let Some(trees) = sync::read(&self.disk.trees).as_ref()
        {
            trees.note_sealed(key.first_position, key.number, &encoded)?;
        }
        self.disk.sealed.add(key, facts);
        self.tail.drop_file(key);
        let removed = fs::remove_file(&path);
        removed.map(|()| true).map_err(|source| Error::io("remove", path, source))
    }

    /// Removes a file from the list of files that are full and not sealed.
    fn forget(&self, key: FileKey) {
        sync::lock(&self.disk.full).retain(|file| file.key != key);
    }

    /// The checkpoints as of the start of a file: those of the sealed file before it. If that is
    /// lost, or the file before it is damaged and could not be sealed, the trees have them.
    fn checkpoints_before(&self, file: &FullFile) -> Result<Vec<Checkpoint>, Error> {
        let before = self.disk.sealed.keys().into_iter().rev().find(|sealed| *sealed < file.key);
        let read = before.map(|before| {
            let before = self.disk.sealed.open(before)?;
            Ok((before.facts().last_frame, before.checkpoints()?))
        });
        match read {
            Some(Ok((last_frame, found))) if last_frame + 1 == file.first_frame => Ok(found),
            None if file.first_frame == 1 => Ok(Vec::new()),
            Some(Err(error)) if !is_lost(&error) => Err(error),
            _ => {
                let end = file.key.first_position.saturating_sub(1);
                self.disk.checkpoints_at(file.key, end)
            }
        }
    }
}

/// Whether space or descriptors were lacking: nothing has changed, and a later drain may have them.
fn is_lacking(error: &Error) -> bool {
    let no_descriptors = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    match error {
        Error::NoSpace { .. } => true,
        Error::Io { source, .. } => no_descriptors.contains(&source.raw_os_error()),
        _ => false,
    }
}

/// Whether a file is damaged or missing.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        error => matches!(error, Error::Corrupted { .. }),
    }
}
