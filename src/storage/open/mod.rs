//! Opens a store: the lock, the superblock, `HEAD`, the trees, and the journal checked against
//! them.

mod found;
mod heal;
mod resolve;
mod restored;
mod thread;

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        checksum::Checksum,
        head::{Beyond, HeadRecord, LogEnd},
        superblock::Superblock,
    },
    defect::{self, Defect},
    storage::{
        Losses, Place, Storage, StorageOptions, files, follow,
        home::{
            Lock,
            head::{self, HeadFile},
            names, superblock,
        },
        journal::{FileKey, Identity, Journal, SealedFiles},
        snapshots::SnapshotMap,
        tail::Tail,
        trees::OpenTrees,
    },
};

use found::Found;
use heal::{Sound, Unsound};
pub(super) use resolve::{Noted, Resolved, end_of, linked, resolve, start_of};
use thread::{Make, Thread};

/// A directory whose lock is held.
struct Home {
    path: PathBuf,
    /// `None` for a store that is opened only for reading.
    lock: Option<Lock>,
    store_id: Uuid,
    checksum: Checksum,
}

impl Storage {
    /// A store without files: everything stays in the tail.
    pub(crate) fn in_memory(options: StorageOptions) -> Arc<Storage> {
        let place = Place::Memory(SnapshotMap::default());
        Arc::new(Storage::new(Uuid::new_v4(), options, place))
    }

    /// Opens the journal of the store at `path` for reading, whether or not another process has it
    /// open.
    pub(crate) fn open_reading(
        path: &Path,
        options: StorageOptions,
    ) -> Result<Arc<Storage>, Error> {
        loop {
            match open_reading(path, options.clone()) {
                // The store was moved meanwhile: nothing is open yet that could be closed.
                Err(Error::Closed) => {}
                opened => return opened,
            }
        }
    }

    /// Opens the store at `path`, or creates it.
    pub(crate) fn open(path: &Path, options: StorageOptions) -> Result<Arc<Storage>, Error> {
        let (path, lock) = match enter(path, &options) {
            // The directory may have been removed while its lock was awaited.
            Err(Error::Io { source, .. })
                if source.kind() == ErrorKind::NotFound && !options.wait.is_zero() =>
            {
                enter(path, &options)?
            }
            entered => entered?,
        };
        files::sync_name(&path)?;
        // Check while the lock is held: only then can no other process create a store here.
        match superblock::read(&path)? {
            Some(Superblock { store_id, .. }) => {
                let checksum = Checksum::of_store(store_id);
                open_existing(Home { path, lock: Some(lock), store_id, checksum }, options)
            }
            None => {
                names::refuse_remains(&path)?;
                if !options.creates {
                    return Err(names::no_store(&path));
                }
                let store_id = Uuid::new_v4();
                let checksum = Checksum::of_store(store_id);
                create(Home { path, lock: Some(lock), store_id, checksum }, options)
            }
        }
    }
}

/// Finds or creates the directory of a store, and locks it.
fn enter(path: &Path, options: &StorageOptions) -> Result<(PathBuf, Lock), Error> {
    names::prepare_directory(path, options.creates)?;
    // The process may change its working directory while the store is open.
    let path = fs::canonicalize(path).map_err(|source| Error::io("open", path, source))?;
    if !options.follows_links {
        names::refuse_links(&path)?;
    }
    let lock = Lock::wait(&path, options.wait)?;
    Ok((path, lock))
}

/// The superblock of an existing store. The caller holds no lock: another process may create the
/// store between any two lines.
fn superblock_of(path: &Path) -> Result<Superblock, Error> {
    if let Some(found) = superblock::read(path)? {
        return Ok(found);
    }
    let remains = names::refuse_remains(path);
    // A creation writes the superblock before the first event.
    match (superblock::read(path)?, remains) {
        (Some(found), _) => Ok(found),
        (None, Err(lost @ Error::Corrupted { .. })) => Err(lost),
        (None, _) => Err(names::no_store(path)),
    }
}

/// Reads the journal of a store that may be in use: takes no lock, opens no trees, and writes
/// nothing.
fn open_reading(path: &Path, options: StorageOptions) -> Result<Arc<Storage>, Error> {
    let path = fs::canonicalize(path).map_err(|source| Error::io("open", path, source))?;
    if let Err(linked) = names::refuse_links(&path) {
        return Err(if names::is_store(&path)? { linked } else { names::no_store(&path) });
    }
    let (home, (sealed, follow)) = loop {
        let store_id = superblock_of(&path)?.store_id;
        let checksum = Checksum::of_store(store_id);
        let home = Home { path: path.clone(), lock: None, store_id, checksum };
        match follow::begin(&home.path, &home.identity()) {
            // It is being removed, as a failed import does with the store that it has created.
            Err(Error::Corrupted { .. }) if superblock::read(&path)?.is_none() => {}
            begun => break (home, begun?),
        }
    };
    let identity = home.identity();
    let found = Found {
        tail: Tail::new(options.tail_bytes),
        journal: Journal::new(identity, 0, None, FileKey::default(), follow.end()),
        full: Vec::new(),
        sealed,
        cut: None,
    };
    let storage = Arc::new(found.into_reading(home, options, follow));
    drop(storage.health.poison(Error::ReadOnly));
    if let Some(disk) = storage.disk() {
        disk.signals.end();
    }
    storage.refresh()?;
    Ok(storage)
}

impl Home {
    fn identity(&self) -> Identity {
        Identity {
            directory: self.path.join(names::JOURNAL),
            store_id: self.store_id,
            checksum: self.checksum.clone(),
        }
    }

    fn trees(&self, options: &StorageOptions) -> OpenTrees {
        OpenTrees {
            directory: self.path.join(names::TREES),
            store_id: self.store_id,
            checksum: self.checksum.clone(),
            cache_bytes: options.cache_bytes,
            ignores_mark: options.ignores_mark,
        }
    }
}

/// Creates a store. Its superblock is written last.
fn create(home: Home, options: StorageOptions) -> Result<Arc<Storage>, Error> {
    let path = home.path.clone();
    names::clear_unfinished(&path)?;
    files::create_directory(&path.join(names::JOURNAL))?;
    files::create_directory(&path.join(names::SNAPSHOTS))?;
    let head_file = HeadFile::start(&path, &home.checksum, None, LogEnd::default())?;
    let make = Make::Create(home.trees(&options));
    let (thread, trees) = Thread::begin(make, &options.on_rebuild)?;
    let superblock = Superblock { format: FORMAT_VERSION, store_id: home.store_id };
    if let Err(error) = superblock::write(&path, &superblock) {
        thread.give_up(trees);
        return Err(error);
    }
    let identity = home.identity();
    let first = FileKey { first_position: 1, number: 0 };
    let journal =
        Journal::new(identity.clone(), options.journal_bytes, None, first, LogEnd::default());
    let found = Found {
        tail: Tail::new(options.tail_bytes),
        journal,
        full: Vec::new(),
        sealed: SealedFiles::new(identity, Vec::new(), BTreeMap::new(), 0),
        cut: None,
    };
    let storage = Arc::new(found.into_storage(home, options, (Some(head_file), Some(trees)), None));
    thread.run(&storage);
    Ok(storage)
}

/// Opens an existing store.
fn open_existing(home: Home, options: StorageOptions) -> Result<Arc<Storage>, Error> {
    // A process that was killed while creating the store may have left a superblock whose name is
    // not durable. The name must be durable before sled writes: trees without a superblock count as
    // a store that lost it.
    files::sync_directory(&home.path)?;
    let before = head::read(&home.path, &home.checksum)?;
    let before = before.filter(|_| !defect::has(Defect::CloseIgnored));
    // Durably, before anything else changes.
    let known = before.map(|record| record.end).unwrap_or_default();
    let mut head_file = match HeadFile::start(&home.path, &home.checksum, before, known) {
        Err(full @ Error::NoSpace { .. }) => return read_only(home, options, before, full),
        started => started?,
    };
    let Sound { thread, trees, found, healing } = match heal::open(&home, &options, before) {
        Ok(sound) => sound,
        Err(Unsound::Full(full)) => return read_only(home, options, before, full),
        Err(Unsound::Failed(error)) => return Err(error),
    };
    if found.cut.is_some()
        && let Err(error) = head_file.made(Beyond::Nothing, found.journal.end())
    {
        thread.give_up(trees);
        return Err(error);
    }
    // The space that a close cut off is not allocated again yet, and the record must still say so.
    if !found.journal.is_cut() {
        head_file.publish(found.journal.end());
    }
    let open_files = (Some(head_file), Some(trees));
    let storage = Arc::new(found.into_storage(home, options, open_files, healing));
    thread.run(&storage);
    Ok(storage)
}

/// Opens a store on a full disk for reading: sled cannot open its files without writing, but the
/// journal has everything. Writes are refused until the store is opened again.
fn read_only(
    home: Home,
    options: StorageOptions,
    before: Option<HeadRecord>,
    full: Error,
) -> Result<Arc<Storage>, Error> {
    if options.losses != Losses::None {
        // A repair has to write.
        return Err(full);
    }
    let found = Found::recover(&home, &options, (before, None))?;
    let storage = found.into_storage(home, options, (None, None), None);
    drop(storage.health.poison(full));
    if let Some(disk) = storage.disk() {
        disk.signals.end();
    }
    Ok(Arc::new(storage))
}
