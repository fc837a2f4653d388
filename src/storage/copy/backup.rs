//! Backups: copies of the superblock, `HEAD`, the journal and the snapshots of a store that may be
//! in use. The trees are left out; the first open of the backup builds them.
//!
//! A sealed file never changes, so it is copied once: an increment adds the files that are new, and
//! the frames that are not in a sealed file yet. Each step leaves a backup that opens:
//! ```text
//! new sealed files, each under a temporary name first -> frames of unsealed files, likewise ->
//! snapshots -> HEAD, in place of the old one -> unsealed files that are sealed by now are removed,
//! and trees that the backup got when it was opened, if they end before the new sealed files
//! ```

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        frame::{FIRST_FRAME_OFFSET, FileHeader},
        head::{HEAD_BYTES, HeadRecord, LogEnd},
        superblock::Superblock,
    },
    storage::{
        Storage,
        copy::{
            site::BackupSite,
            source::{Open, check_continues, keys, open},
        },
        disk::Disk,
        files,
        heal::{self, Gap, Piece},
        home::{head, names, superblock},
        journal::{self, Checked, FileKey, Identity, RawFile, SealedFile, Step, Walk},
        open::end_of,
        snapshots::position_in,
    },
};

/// How to copy sealed files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyMode {
    Copy,
    /// Give them a second name.
    Link,
    /// Merge small neighbours into one. Only for a new copy of a store that nobody writes to.
    Merge,
}

/// The result of a backup.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backup {
    /// The last position in the backup.
    pub(crate) head: u64,
    /// Bytes of files that were copied or linked.
    pub(crate) bytes: u64,
}

impl Storage {
    /// Whether a path is the directory of this store, or is inside it.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        let Some(disk) = self.disk() else { return false };
        let there = path.ancestors().find_map(|path| fs::canonicalize(path).ok());
        there.is_some_and(|there| there.starts_with(disk.path()))
    }

    /// Copies everything that is durable at this moment.
    ///
    /// # Errors
    /// `InvalidArgument` for a store in memory, and for an earlier backup that this store does not
    /// continue; `Corrupted` for damage that cannot be restored from the trees; `Io`, `NoSpace`.
    pub(crate) fn back_up(&self, site: &BackupSite, mode: CopyMode) -> Result<Backup, Error> {
        self.check_open()?;
        let Some(disk) = self.disk() else {
            return Err(Error::invalid("store", "a store in memory has no files to copy"));
        };
        let exchanges = self.exchanges()?;
        if !disk.is_reading {
            disk.sync_journal(&self.health)?;
        }
        let end = match disk.is_reading {
            true => disk.end_of_log(),
            false => disk.durability.synced(),
        };
        if let Some(before) = site.before {
            check_continues(&disk.identity, before.end, end)?;
        }
        let mut copier =
            Copier { storage: self, disk, site, mode, end, group: Vec::new(), bytes: 0 };
        copier.journal()?;
        copier.snapshots()?;
        self.check_exchanges(exchanges)?;
        copier.publish_head()?;
        copier.remove_obsolete()?;
        site.remove_stale_trees(&disk.identity)?;
        Ok(Backup { head: copier.end.position, bytes: copier.bytes })
    }
}

/// A copy in progress.
pub(super) struct Copier<'a> {
    storage: &'a Storage,
    pub(super) disk: &'a Disk,
    site: &'a BackupSite,
    mode: CopyMode,
    end: LogEnd,
    /// Sealed files to be merged.
    pub(super) group: Vec<(FileKey, Arc<SealedFile>)>,
    pub(super) bytes: u64,
}

impl Copier<'_> {
    pub(super) fn directory(&self) -> PathBuf {
        self.site.path.join(names::JOURNAL)
    }

    fn journal(&mut self) -> Result<(), Error> {
        let mut before = None;
        loop {
            let mut keys = keys(&self.disk.identity)?;
            keys.retain(|key| key.first_position <= self.end.position + 1);
            let is_known = self.are_known(&keys)?;
            match if is_known { self.files(&keys) } else { Ok(false) } {
                Ok(true) => return files::sync_directory(&self.directory()),
                Ok(false) | Err(Error::Corrupted { .. }) => {}
                Err(error) => return Err(error),
            }
            // A listing can miss a file that is being sealed. A file that is missing twice is lost.
            match before.as_ref() == Some(&keys) {
                true if is_known => return self.journal_with_gaps(),
                true => {
                    let reason =
                        "the store has been compacted or repaired since: make a new backup";
                    return Err(Error::invalid("path", reason));
                }
                false => before = Some(keys),
            }
        }
    }

    /// Whether the copied files reach the end. A file that was sealed meanwhile is copied
    /// completely, and goes further.
    fn reaches(&mut self, copied: LogEnd) -> bool {
        if copied.frame_number > self.end.frame_number {
            self.end = copied;
        }
        copied == self.end
    }

    /// Copies files up to the end; returns false if they do not reach it.
    ///
    /// In a journal, all sealed files come before the others. If a file was sealed after an earlier
    /// file had been copied unsealed, that earlier file is also sealed by now, because files are
    /// sealed in order, and it is copied again.
    fn files(&mut self, keys: &[FileKey]) -> Result<bool, Error> {
        let (mut index, mut end) = (0, LogEnd::default());
        let mut unsealed: Option<(usize, LogEnd)> = None;
        let mut again = None;
        while let Some(&key) = keys.get(index)
            && end.frame_number < self.end.frame_number
        {
            let file = open(&self.disk.identity, key)?;
            match (&file, unsealed) {
                (Open::Sealed(_), Some((first, before))) => {
                    (index, end, again, unsealed) = (first, before, Some(first), None);
                    continue;
                }
                // It cannot be sealed.
                (Open::Raw(..), _) if again == Some(index) => return Ok(false),
                (Open::Raw(..), None) => unsealed = Some((index, end)),
                _ => {}
            }
            end = self.file(key, &file, end)?;
            index += 1;
        }
        self.merge()?;
        Ok(self.reaches(end))
    }

    /// Whether every file of an earlier backup is a file of the store. Otherwise it would stay
    /// between files that do not follow on it.
    fn are_known(&self, keys: &[FileKey]) -> Result<bool, Error> {
        let there = journal::list(&self.directory())?;
        let mut there = there.sealed.iter().chain(&there.unsealed);
        Ok(there.all(|key| keys.binary_search(key).is_ok()))
    }

    /// Copies a file that follows on the frame `before`, and returns the last frame of the file.
    fn file(&mut self, key: FileKey, file: &Open, before: LogEnd) -> Result<LogEnd, Error> {
        if file.start() != before {
            return Err(self.missing(before));
        }
        match file {
            Open::Sealed(file) if self.mode == CopyMode::Merge => {
                self.gather(key, file)?;
                Ok(end_of(file.facts()))
            }
            Open::Sealed(file) => {
                self.sealed(key, file)?;
                Ok(end_of(file.facts()))
            }
            Open::Raw(raw, header) => {
                self.merge()?;
                self.frames(key, (raw, header), before)
            }
        }
    }

    pub(super) fn missing(&self, before: LogEnd) -> Error {
        let place = self.disk.identity.directory.display().to_string();
        Error::corrupted(place, Some(before.position + 1), "a file is missing")
    }

    /// Copies a sealed file, unless the backup already has the same one.
    pub(super) fn sealed(&mut self, key: FileKey, file: &SealedFile) -> Result<(), Error> {
        let Identity { store_id, checksum, .. } = &self.disk.identity;
        let target = key.sealed_path(&self.directory());
        let there = SealedFile::open(&target, *store_id, checksum);
        if there.is_ok_and(|there| there.facts() == file.facts()) {
            return Ok(());
        }
        // Before anything is made: a link to a damaged file would be written to by the rewrite.
        check_sealed(file)?;
        let source = key.sealed_path(&self.disk.identity.directory);
        let unfinished = target.with_extension(files::UNFINISHED);
        remove(&unfinished)?;
        match self.mode {
            CopyMode::Link => fs::hard_link(&source, &unfinished)
                .map_err(|source| Error::io("link to", &unfinished, source))?,
            CopyMode::Copy | CopyMode::Merge => {
                // On file systems that support it, the copy shares the blocks.
                let copied = fs::copy(&source, &unfinished);
                copied.map_err(|source| Error::io("copy to", &unfinished, source))?;
            }
        }
        File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .map_err(|source| Error::io("sync", &unfinished, source))?;
        fs::rename(&unfinished, &target)
            .map_err(|source| Error::io("rename to", &target, source))?;
        // Check the copy as it was written.
        let copy = SealedFile::open(&target, *store_id, checksum);
        if let Err(error) = copy.and_then(|copy| check_sealed(&copy)) {
            // Another attempt must not take it for the copy of an earlier backup.
            remove(&target)?;
            return Err(error);
        }
        self.bytes += file.facts().file_len;
        Ok(())
    }

    /// Copies the frames of an unsealed file up to the end of the backup, and returns the last one.
    fn frames(
        &mut self,
        key: FileKey,
        (raw, header): (&RawFile, &FileHeader),
        start: LogEnd,
    ) -> Result<LogEnd, Error> {
        let identity = &self.disk.identity;
        let mut walk =
            Walk::new(raw, (identity.store_id, &identity.checksum), FIRST_FRAME_OFFSET, start);
        while walk.last().frame_number < self.end.frame_number {
            match walk.step()? {
                Step::Frame(_) => {}
                Step::Continued | Step::End => break,
                Step::Damaged(reason) => {
                    let place = raw.path.display().to_string();
                    let position = walk.last().position + 1;
                    return Err(Error::corrupted(place, Some(position), reason));
                }
            }
        }
        // Without the marker at its end, which would promise a file that does not exist yet.
        let (end, last) = (walk.offset(), walk.last());
        let target = key.active_path(&self.directory());
        let unfinished = target.with_extension(files::UNFINISHED);
        let copied = copy_range(raw, &unfinished, end, header.capacity);
        copied.map_err(|source| Error::io("copy to", &unfinished, source))?;
        // Everything before it must be durable first.
        files::sync_directory(&self.directory())?;
        fs::rename(&unfinished, &target)
            .map_err(|source| Error::io("rename to", &target, source))?;
        self.remove_sealed_early(key)?;
        self.bytes += end;
        Ok(last)
    }

    /// Removes the sealed form of a file that is not sealed in the store: a close of the backup has
    /// sealed the file where the backup ended then.
    fn remove_sealed_early(&self, key: FileKey) -> Result<(), Error> {
        let path = key.sealed_path(&self.directory());
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        // The copy that replaces it must have its name first.
        files::sync_directory(&self.directory())?;
        remove(&path)
    }

    /// Copies the journal of a store that has lost a part of it, which is restored from the trees.
    fn journal_with_gaps(&mut self) -> Result<(), Error> {
        let directory = self.directory();
        let mut end = LogEnd::default();
        let pieces = heal::chain(self.disk)?;
        let is_gap = |piece: &Piece| matches!(piece, Piece::Gap(_));
        let last_gap = pieces.iter().rposition(is_gap).unwrap_or(0);
        for (index, piece) in pieces.into_iter().enumerate() {
            match piece {
                _ if end.frame_number >= self.end.frame_number => break,
                Piece::Gap(gap) if self.disk.is_reading => {
                    let place = self.disk.identity.directory.display().to_string();
                    let position = Some(gap.first_position());
                    let reason =
                        "it is damaged: `annals repair --apply` rebuilds it from the trees";
                    return Err(Error::corrupted(place, position, reason));
                }
                Piece::Gap(gap) => {
                    self.storage.copy_gap(self.disk, &gap, &directory)?;
                    end = gap.end();
                }
                Piece::Whole(key) => {
                    let file = open(&self.disk.identity, key)?;
                    end = match file {
                        // A file that fills a gap is sealed, and only sealed files may come before
                        // it.
                        Open::Raw(..) if index < last_gap => {
                            let gap = Gap::of_file(key, (file.start(), self.end_of_raw(&file)?));
                            self.storage.copy_gap(self.disk, &gap, &directory)?;
                            gap.end()
                        }
                        file => self.file(key, &file, end)?,
                    };
                }
            }
        }
        match self.reaches(end) {
            true => files::sync_directory(&directory),
            false => Err(self.missing(end)),
        }
    }

    /// The last frame of an intact file.
    fn end_of_raw(&self, file: &Open) -> Result<LogEnd, Error> {
        let Open::Raw(raw, _) = file else { return Ok(file.start()) };
        let identity = &self.disk.identity;
        let of_store = (identity.store_id, &identity.checksum);
        let mut walk = Walk::new(raw, of_store, FIRST_FRAME_OFFSET, file.start());
        while let Step::Frame(_) = walk.step()? {}
        Ok(walk.last())
    }

    /// Copies the snapshots up to the end, and removes those that the store no longer has.
    fn snapshots(&mut self) -> Result<(), Error> {
        let (from, to) =
            (self.disk.path().join(names::SNAPSHOTS), self.site.path.join(names::SNAPSHOTS));
        let mut kept = BTreeSet::new();
        for name in file_names(&from)? {
            if position_in(&name).is_none_or(|at| at > self.end.position) {
                continue;
            }
            let target = to.join(&name);
            let bytes = match fs::read(from.join(&name)) {
                // It has been superseded meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read.map_err(|source| Error::io("read", from.join(&name), source))?,
            };
            // A snapshot that was saved again has the same name.
            if fs::read(&target).ok().as_ref() != Some(&bytes) {
                files::publish(&target, &bytes)?;
                self.bytes += bytes.len() as u64;
            }
            kept.insert(name);
        }
        for name in file_names(&to)? {
            let is_stale = position_in(&name).is_some();
            if is_stale && !kept.contains(&name) {
                remove(&to.join(&name))?;
            }
        }
        files::sync_directory(&to)
    }

    /// Records where the backup ends, and makes the directory a store.
    fn publish_head(&self) -> Result<(), Error> {
        let before = self.site.before;
        let turn = before.map_or(1, |before| before.turn + 1);
        let record = HeadRecord::of_backup(turn, self.end);
        let (slot, offset) = record.encode(&self.storage.checksum);
        let mut bytes = vec![0; HEAD_BYTES];
        let at = usize::try_from(offset).unwrap_or(0);
        if let Some(place) = bytes.get_mut(at..at + slot.len()) {
            place.copy_from_slice(&slot);
        }
        files::publish(&self.site.path.join(head::FILE), &bytes)?;
        if before.is_some() {
            return Ok(());
        }
        let format = FORMAT_VERSION;
        let superblock = Superblock { format, store_id: self.storage.store_id };
        superblock::write(&self.site.path, &superblock)
    }

    /// Removes unsealed files of an earlier backup that now exist sealed.
    fn remove_obsolete(&self) -> Result<(), Error> {
        let directory = self.directory();
        let there = journal::list(&directory)?;
        for key in there.unsealed {
            if there.sealed.binary_search(&key).is_ok() {
                remove(&key.active_path(&directory))?;
            }
        }
        files::sync_directory(&directory)
    }
}

/// Checks every block of a sealed file.
fn check_sealed(file: &SealedFile) -> Result<(), Error> {
    file.verify(&mut |part| match part {
        Checked::Events(_) => Ok(()),
        Checked::Damage { error, .. } => Err(error),
    })
}

/// Copies the start of a file to a new one, which gets the length that the original had when it was
/// created.
fn copy_range(raw: &RawFile, target: &Path, end: u64, capacity: u64) -> io::Result<()> {
    const STEP: u64 = 1 << 20;
    let file = files::create_truncated(target)?;
    let mut at = 0;
    while at < end {
        let mut buffer = vec![0; usize::try_from((end - at).min(STEP)).unwrap_or(0)];
        raw.file.read_exact_at(&mut buffer, at)?;
        file.write_all_at(&buffer, at)?;
        at += buffer.len() as u64;
    }
    file.set_len(capacity)?;
    file.sync_all()
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| Error::io("remove", path, source)),
    }
}

/// The names of the files in a directory; none if it is missing.
fn file_names(directory: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into())).collect()
}
