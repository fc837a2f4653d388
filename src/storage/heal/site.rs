//! The directory of a store that is repaired while it is closed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    ops::RangeInclusive,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        FORMAT_VERSION, checksum::Checksum, frame::FileHeader, sealed::SealedHeader,
        superblock::Superblock,
    },
    event::RecordedEvent,
    storage::{
        copy::PrivateCopy,
        files,
        heal::stray,
        home::{Lock, head, names, superblock},
        journal, trees,
    },
};

/// The offset of the store id in both kinds of journal files.
const STORE_ID_OFFSET: u64 = 12;

/// The header size of both.
const HEADER_BYTES: usize = 64;

/// The directory of a store.
#[derive(Debug)]
pub(crate) struct Site {
    path: PathBuf,
    /// Whether it is a private copy, in which files are links to those of the store.
    is_copy: bool,
}

impl Site {
    /// The directory at `path`.
    ///
    /// # Errors
    /// `Io` with `NotFound` when there is no store, and any error of the system.
    pub(crate) fn of(path: &Path) -> Result<Site, Error> {
        let path = fs::canonicalize(path).map_err(|source| Error::io("open", path, source))?;
        match names::is_store(&path)? {
            true => {
                names::refuse_links(&path)?;
                Ok(Site { path, is_copy: false })
            }
            false => Err(names::no_store(&path)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Returns an error if the store is open elsewhere. Nothing is written, not even `LOCK`.
    pub(crate) fn check_unused(&self) -> Result<(), Error> {
        Lock::probe(&self.path)
    }

    /// Whether this is a backup that has not been opened for writing yet, and so has no trees.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn is_new_backup(&self) -> Result<bool, Error> {
        if self.path.join(names::TREES).symlink_metadata().is_ok() {
            return Ok(false);
        }
        let Ok(Some(superblock)) = superblock::read(&self.path) else { return Ok(false) };
        let record = head::read(&self.path, &Checksum::of_store(superblock.store_id))?;
        Ok(record.is_some_and(|record| record.is_of_backup()))
    }

    /// Rewrites a superblock that cannot be read, and returns what was wrong with it.
    ///
    /// # Errors
    /// `Corrupted` when the journal does not say which store this is.
    pub(crate) fn restore_superblock(&self) -> Result<Option<String>, Error> {
        let reason = match superblock::read(&self.path) {
            Ok(Some(_)) => return Ok(None),
            Ok(None) => "it is missing".to_owned(),
            Err(Error::Corrupted { reason, .. }) => reason,
            Err(error) => return Err(error),
        };
        let _lock = Lock::take(&self.path)?;
        let Some(store_id) = self.store_id_of_journal()? else {
            let place = self.path.join(superblock::FILE).display().to_string();
            let reason = format!("{reason}, and no file of the journal has the id of the store");
            return Err(Error::corrupted(place, None, reason));
        };
        let path = self.path.join(superblock::FILE);
        if path.symlink_metadata().is_ok() {
            files::set_aside(&path)?;
        }
        superblock::write(&self.path, &Superblock { format: FORMAT_VERSION, store_id })?;
        Ok(Some(reason))
    }

    /// The store id in most of the journal's intact file headers.
    fn store_id_of_journal(&self) -> Result<Option<Uuid>, Error> {
        let directory = self.path.join(names::JOURNAL);
        if !directory.is_dir() {
            return Ok(None);
        }
        let listing = journal::list(&directory)?;
        let sealed = listing.sealed.into_iter().map(|key| key.sealed_path(&directory));
        let unsealed = listing.unsealed.into_iter().map(|key| key.active_path(&directory));
        let mut found = BTreeMap::<Uuid, usize>::new();
        for path in sealed.chain(unsealed) {
            if let Some(id) = store_id_in(&path) {
                *found.entry(id).or_default() += 1;
            }
        }
        Ok(found.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| id))
    }

    /// Creates missing directories, so that the other copy can be used. Returns true if the journal
    /// was one of them.
    pub(crate) fn restore_directories(&self) -> Result<bool, Error> {
        let mut has_lost_journal = false;
        for name in [names::JOURNAL, names::SNAPSHOTS] {
            let path = self.path.join(name);
            if !path.is_dir() {
                let _lock = Lock::take(&self.path)?;
                files::create_directory(&path)?;
                has_lost_journal |= name == names::JOURNAL;
            }
        }
        Ok(has_lost_journal)
    }

    /// Makes the next open rebuild the trees.
    pub(crate) fn mark_trees_damaged(&self, reason: &str) {
        trees::mark_damaged(&self.path.join(names::TREES), reason);
    }

    /// Whether the trees are marked as damaged and no repair has tried them yet.
    pub(crate) fn begin_try_of_trees(&self) -> Result<bool, Error> {
        trees::begin_try(&self.path.join(names::TREES))
    }

    /// Makes a copy on which a repair can be tried.
    pub(crate) fn private_copy(&self, scratch: &Path) -> Result<CopiedSite, Error> {
        let copy = PrivateCopy::of(&self.path, scratch)?;
        let site = Site { path: copy.path().to_owned(), is_copy: true };
        Ok(CopiedSite { original: self.path.clone(), copy, site })
    }

    /// Removes the items that were set aside, except the first and the newest of each name, and
    /// returns those that it removed.
    pub(crate) fn discard_evidence(&self) -> Result<Vec<PathBuf>, Error> {
        let _lock = Lock::take(&self.path)?;
        let mut of_name = BTreeMap::<String, Vec<String>>::new();
        for name in names::set_aside(&self.path)? {
            of_name.entry(files::name_before_damage(&name).to_owned()).or_default().push(name);
        }
        let mut removed = Vec::new();
        for (_, mut set_aside) in of_name {
            set_aside.sort_by_key(|name| files::number_of_damage(name));
            let newest = set_aside.len().saturating_sub(1);
            for name in set_aside.into_iter().take(newest).skip(1) {
                let path = self.path.join(name);
                let gone =
                    if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                gone.map_err(|source| Error::io("remove", &path, source))?;
                removed.push(path);
            }
        }
        Ok(removed)
    }

    /// The last position recorded in `HEAD`, if that can be read.
    pub(crate) fn known_head(&self) -> u64 {
        let Ok(Some(Superblock { store_id, .. })) = superblock::read(&self.path) else { return 0 };
        let record = head::read(&self.path, &Checksum::of_store(store_id)).ok().flatten();
        record.map_or(0, |record| record.end.position)
    }

    /// Passes on the events at these positions from intact frames of unsealed files, or of files
    /// that a repair set aside, even if the log does not lead to them.
    pub(crate) fn stray_events(
        &self,
        positions: RangeInclusive<u64>,
        on_event: &mut dyn FnMut(&RecordedEvent) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let store_id = match superblock::read(&self.path) {
            Ok(Some(superblock)) => Some(superblock.store_id),
            _ => self.store_id_of_journal()?,
        };
        match store_id {
            Some(id) => stray::events(&self.path.join(names::JOURNAL), id, &positions, on_event),
            None => Ok(()),
        }
    }
}

/// The store id in an intact header of a journal file.
fn store_id_in(path: &Path) -> Option<Uuid> {
    let mut bytes = [0; HEADER_BYTES];
    File::open(path).and_then(|file| file.read_exact_at(&mut bytes, 0)).ok()?;
    let at = usize::try_from(STORE_ID_OFFSET).ok()?;
    let id = Uuid::from_slice(bytes.get(at..at + 16)?).ok()?;
    let checksum = Checksum::of_store(id);
    let is_intact = FileHeader::decode(&bytes, &checksum).is_ok()
        || SealedHeader::decode(&bytes, &checksum).is_ok();
    is_intact.then_some(id)
}

/// A private copy of a store, and the original.
#[derive(Debug)]
pub(crate) struct CopiedSite {
    original: PathBuf,
    copy: PrivateCopy,
    site: Site,
}

impl CopiedSite {
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// The last position that the original is known to have reached.
    pub(crate) fn original_head(&self) -> u64 {
        Site { path: self.original.clone(), is_copy: false }.known_head()
    }

    /// Converts a text about the copy to one about the original.
    pub(crate) fn about_original(&self, text: &str) -> String {
        let copy = self.copy.path().display().to_string();
        text.replace(&copy, &self.original.display().to_string())
    }
}
