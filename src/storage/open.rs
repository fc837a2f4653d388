//! Opening a store: the lock, the superblock, `HEAD`, the trees, and the journal against them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::AtomicU64,
        mpsc::{self, Receiver, RecvTimeoutError, SendError, SyncSender},
    },
    thread,
    time::Duration,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        checksum::Checksum,
        head::{HeadRecord, LogEnd},
        sealed::SealedFacts,
        superblock::Superblock,
    },
    storage::{
        Place, Storage, StorageOptions,
        disk::{Disk, DiskParts},
        drain, files,
        home::{Lock, head, names, superblock},
        journal::{
            self, Checked, FileKey, Identity, Journal, Recovery, SealedFile, SealedFiles, TreesEnd,
        },
        replay::IntoTail,
        snapshots::SnapshotMap,
        tail::Tail,
        trees::{OpenTrees, Trees, deadline},
    },
};

/// What the background thread is to do once the trees are open.
enum Start {
    Run(Arc<Storage>),
    /// The store could not be opened: drop the trees on the thread, where a hang blocks no caller.
    GiveUp(Box<Trees>),
}

/// A directory whose lock is taken.
struct Home {
    path: PathBuf,
    lock: Lock,
    store_id: Uuid,
    checksum: Checksum,
}

impl Storage {
    /// A store without files: everything stays in the tail.
    pub(crate) fn in_memory(options: StorageOptions) -> Arc<Storage> {
        let place = Place::Memory(SnapshotMap::default());
        Arc::new(Storage::new(Uuid::new_v4(), options, place))
    }

    /// Opens the store at `path`, or makes it.
    pub(crate) fn open(path: &Path, options: StorageOptions) -> Result<Arc<Storage>, Error> {
        names::prepare_directory(path, options.creates)?;
        // The process may change its directory while the store is open.
        let path = fs::canonicalize(path).map_err(|source| Error::io("open", path, source))?;
        let lock = Lock::take(&path)?;
        // Check under the lock: only now can no other process create a store here.
        match superblock::read(&path)? {
            Some(Superblock { store_id, .. }) => {
                let checksum = Checksum::of_store(store_id);
                open_existing(Home { path, lock, store_id, checksum }, options)
            }
            None => {
                names::refuse_remains(&path)?;
                if !options.creates {
                    return Err(names::no_store(&path));
                }
                let store_id = options.store_id.unwrap_or_else(Uuid::new_v4);
                let checksum = Checksum::of_store(store_id);
                create(Home { path, lock, store_id, checksum }, options)
            }
        }
    }
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
        }
    }
}

/// Makes a store. Its superblock is written last.
fn create(home: Home, options: StorageOptions) -> Result<Arc<Storage>, Error> {
    let path = home.path.clone();
    names::clear_unfinished(&path)?;
    files::create_directory(&path.join(names::JOURNAL))?;
    files::create_directory(&path.join(names::SNAPSHOTS))?;
    let head_file = head::HeadFile::start(&path, &home.checksum, None, LogEnd::default())?;
    let (thread, trees) = start_thread(home.trees(&options), true)?;
    let superblock = Superblock { format: FORMAT_VERSION, store_id: home.store_id };
    if let Err(error) = superblock::write(&path, &superblock) {
        let _ = thread.send(Start::GiveUp(Box::new(trees)));
        return Err(error);
    }
    let identity = home.identity();
    let first = FileKey { first_position: 1, number: 0 };
    let journal =
        Journal::new(identity.clone(), options.journal_bytes, None, first, LogEnd::default());
    let parts = DiskParts {
        path,
        sealed: SealedFiles::new(identity.clone(), Vec::new(), BTreeMap::new(), 0),
        identity,
        lock: home.lock,
        head_file: Some(head_file),
        journal,
        full: Vec::new(),
        trees: Some(trees),
        max_delay: options.max_delay,
    };
    Ok(start(Opened::new(home.store_id, options, parts), &thread))
}

/// Opens a store that exists.
fn open_existing(home: Home, options: StorageOptions) -> Result<Arc<Storage>, Error> {
    // A creator that was killed may have left the superblock without its name on the disk. It must
    // be there before sled writes: trees without a superblock are a store that lost it.
    files::sync_directory(&home.path)?;
    let before = head::read(&home.path, &home.checksum)?;
    // Durably, before anything else changes.
    let known = before.map(|record| record.end).unwrap_or_default();
    let head_file = match head::HeadFile::start(&home.path, &home.checksum, before, known) {
        Err(full @ Error::NoSpace { .. }) => return read_only(home, options, before, full),
        started => started?,
    };
    let (thread, trees) = match start_thread(home.trees(&options), false) {
        Err(full @ Error::NoSpace { .. }) => return read_only(home, options, before, full),
        started => started?,
    };
    let opened = Opened::recover(home, options, (before, Some(&trees)));
    match opened {
        Ok(mut opened) => {
            opened.parts.head_file = Some(head_file);
            opened.parts.trees = Some(trees);
            Ok(start(opened, &thread))
        }
        Err(error) => {
            // The thread may be gone already; then so are the trees.
            let _ = thread.send(Start::GiveUp(Box::new(trees)));
            Err(error)
        }
    }
}

/// A store on a full disk can still be read: sled cannot open its files without writing, but the
/// journal has everything. Writes are refused until the store is opened again.
fn read_only(
    home: Home,
    options: StorageOptions,
    before: Option<HeadRecord>,
    full: Error,
) -> Result<Arc<Storage>, Error> {
    let opened = Opened::recover(home, options, (before, None))?;
    let storage = opened.into_storage();
    drop(storage.health.poison(full));
    if let Some(disk) = storage.disk() {
        disk.signals.end();
    }
    Ok(Arc::new(storage))
}

/// A store that is about to start.
struct Opened {
    store_id: Uuid,
    options: StorageOptions,
    parts: DiskParts,
    tail: Tail,
}

impl Opened {
    fn new(store_id: Uuid, options: StorageOptions, parts: DiskParts) -> Opened {
        let tail = Tail::new(options.tail_bytes);
        Opened { store_id, options, parts, tail }
    }

    /// Reads the journal from where the sealed files end.
    fn recover(
        home: Home,
        options: StorageOptions,
        (head, trees): (Option<HeadRecord>, Option<&Trees>),
    ) -> Result<Opened, Error> {
        let identity = home.identity();
        if !identity.directory.is_dir() {
            let place = identity.directory.display().to_string();
            return Err(Error::corrupted(place, None, "the directory is missing"));
        }
        let writes = trees.is_some();
        if writes {
            journal::remove_unfinished(&identity.directory)?;
            // The names of the newest files may not be durable when their writer was killed.
            files::sync_directory(&identity.directory)?;
        }
        let (sealed, unsealed) = resolve(&identity, writes)?;
        let trees_end = trees.map(trees_end).transpose()?;
        let noted = match trees {
            Some(trees) => noted(trees),
            // Nobody else knows which files belong together.
            None => linked(&identity, &sealed)?,
        };
        let last_noted = noted.last_key_value().map(|(key, facts)| (*key, end_of(facts)));
        let sealed_end = sealed_end(&identity, (&sealed, &unsealed), last_noted, trees_end)?;
        let tail = Tail::new(options.tail_bytes);
        tail.set_drained(trees_end.map_or(LogEnd::default(), |trees| trees.end));
        let recovery = Recovery {
            identity: &identity,
            capacity_max: options.journal_bytes,
            unsealed: &unsealed,
            sealed_end,
            last_sealed: sealed.last().copied().max(last_noted.map(|(key, _)| key)),
            trees: trees_end,
            head,
            writes,
        };
        let mut replay = IntoTail { tail: &tail, checksum: &home.checksum };
        let recovered = journal::recover(&recovery, &mut replay)?;
        // The sealed files have what the tail has not.
        let end = recovered.journal.end().position;
        let reached = if tail.page(end)?.is_some() { tail.floor() } else { end };
        let parts = DiskParts {
            sealed: SealedFiles::new(identity.clone(), sealed, noted, reached),
            identity,
            path: home.path,
            lock: home.lock,
            head_file: None,
            journal: recovered.journal,
            full: recovered.full,
            trees: None,
            max_delay: options.max_delay,
        };
        Ok(Opened { store_id: home.store_id, options, parts, tail })
    }

    fn into_storage(self) -> Storage {
        let Opened { store_id, options, parts, tail } = self;
        let head = parts.journal.end().position;
        let place = Place::Disk(Box::new(Disk::new(parts)));
        let storage = Storage::new(store_id, options, place);
        Storage { head: AtomicU64::new(head), tail, ..storage }
    }
}

/// The sealed and the unsealed files. If a file exists in both forms, the sealed one wins when it
/// is intact.
fn resolve(identity: &Identity, writes: bool) -> Result<(Vec<FileKey>, Vec<FileKey>), Error> {
    let mut listing = journal::list(&identity.directory)?;
    let sealed: BTreeSet<FileKey> = listing.sealed.iter().copied().collect();
    let both: Vec<FileKey> =
        listing.unsealed.iter().copied().filter(|key| sealed.contains(key)).collect();
    for key in both {
        let path = key.sealed_path(&identity.directory);
        if is_whole(identity, &path)? {
            listing.unsealed.retain(|unsealed| *unsealed != key);
            if writes {
                let path = key.active_path(&identity.directory);
                fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
            }
            continue;
        }
        listing.sealed.retain(|sealed| *sealed != key);
        if writes {
            files::set_aside(&path)?;
        }
    }
    // A file before a sealed one could not be sealed because it is damaged. The trees have its
    // events, and it stays as it is.
    let last = listing.sealed.last().copied();
    listing.unsealed.retain(|key| last.is_none_or(|last| *key > last));
    Ok((listing.sealed, listing.unsealed))
}

fn is_whole(identity: &Identity, path: &Path) -> Result<bool, Error> {
    let mut has_damage = false;
    let opened = SealedFile::open(path, identity.store_id, &identity.checksum);
    let checked = opened.and_then(|file| {
        file.verify(&mut |part| {
            has_damage |= matches!(part, Checked::Damage { .. });
            Ok(())
        })
    });
    match checked {
        Ok(()) => Ok(!has_damage),
        Err(Error::Corrupted { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn trees_end(trees: &Trees) -> Result<TreesEnd, Error> {
    let head = trees.head()?;
    let (position, frame_number) = (head.position, head.frame_number);
    Ok(TreesEnd {
        end: LogEnd { position, frame_number, prev_checksum: head.prev_checksum },
        key: FileKey { first_position: head.file_first_position, number: head.file_number },
        offset: head.offset,
    })
}

fn end_of(facts: &SealedFacts) -> LogEnd {
    LogEnd {
        position: facts.last_position,
        frame_number: facts.last_frame,
        prev_checksum: facts.last_checksum,
    }
}

/// What the trees know of sealed files.
fn noted(trees: &Trees) -> BTreeMap<FileKey, SealedFacts> {
    let mut noted = BTreeMap::new();
    // Damaged ones are missing, and a check reports them.
    for entry in trees.sealed_facts().flatten() {
        let (first_position, number) = (entry.first_position, entry.file_number);
        if let Ok(facts) = SealedFacts::decode(&entry.facts) {
            noted.insert(FileKey { first_position, number }, facts);
        }
    }
    noted
}

/// The facts of the sealed files, each of which must follow on the one before, if that is there
/// and whole.
fn linked(
    identity: &Identity,
    sealed: &[FileKey],
) -> Result<BTreeMap<FileKey, SealedFacts>, Error> {
    let mut found: BTreeMap<FileKey, SealedFacts> = BTreeMap::new();
    for &key in sealed {
        let path = key.sealed_path(&identity.directory);
        let facts = match SealedFile::open(&path, identity.store_id, &identity.checksum) {
            Ok(file) => *file.facts(),
            Err(Error::Corrupted { .. }) => continue,
            Err(error) => return Err(error),
        };
        let before = found.last_key_value().map(|(_, before)| *before);
        let before = before.filter(|before| before.last_frame + 1 == facts.first_frame);
        if before.is_some_and(|before| before.last_checksum != facts.prev_checksum) {
            let reason = "it does not follow on the file before: it is of another history";
            let place = path.display().to_string();
            return Err(Error::corrupted(place, Some(key.first_position), reason));
        }
        found.insert(key, facts);
    }
    Ok(found)
}

/// The last frame of the sealed files. The last one may be damaged or gone: the trees know of it.
fn sealed_end(
    identity: &Identity,
    (sealed, unsealed): (&[FileKey], &[FileKey]),
    noted: Option<(FileKey, LogEnd)>,
    trees: Option<TreesEnd>,
) -> Result<Option<LogEnd>, Error> {
    // A file that is there unsealed, too, may have been set aside.
    let noted = noted.filter(|(key, _)| unsealed.first().is_none_or(|first| first > key));
    let Some(&last) = sealed.last() else {
        return Ok(noted.map(|(_, end)| end).or(Some(LogEnd::default())));
    };
    if let Some((_, end)) = noted.filter(|(key, _)| *key > last) {
        return Ok(Some(end));
    }
    let path = last.sealed_path(&identity.directory);
    match SealedFile::open(&path, identity.store_id, &identity.checksum) {
        Ok(file) => Ok(Some(end_of(file.facts()))),
        Err(Error::Corrupted { .. }) => {
            let noted = noted.filter(|(key, _)| *key == last).map(|(_, end)| end);
            let of_trees = trees.filter(|_| unsealed.is_empty()).map(|trees| trees.end);
            Ok(noted.or(of_trees))
        }
        Err(error) => Err(error),
    }
}

fn start(opened: Opened, thread: &SyncSender<Start>) -> Arc<Storage> {
    let storage = Arc::new(opened.into_storage());
    if thread.send(Start::Run(Arc::clone(&storage))).is_err() {
        drop(storage.poison(Error::internal("the thread that writes the trees has ended")));
        if let Some(disk) = storage.disk() {
            disk.signals.end();
        }
    }
    storage
}

/// Starts the background thread, which opens the trees, and waits for them.
fn start_thread(open: OpenTrees, is_new: bool) -> Result<(SyncSender<Start>, Trees), Error> {
    let (start, starts) = mpsc::sync_channel(1);
    let (opened, openings) = mpsc::sync_channel(1);
    let directory = open.directory.clone();
    let patience = deadline(&directory);
    let body = move || {
        let trees = if is_new { open.create() } else { open.open() };
        match opened.send(trees) {
            Ok(()) => run(&starts),
            // Nobody waits any more.
            Err(SendError(Ok(trees))) => trees.close(),
            Err(SendError(Err(_))) => {}
        }
    };
    thread::Builder::new()
        .name("annals-drain".to_owned())
        .spawn(body)
        .map_err(|source| Error::io("start a thread for", &directory, source))?;
    wait_for_trees(&openings, patience).map(|trees| (start, trees))
}

/// Waits in steps and counts them, so that a suspended process does not give up.
fn wait_for_trees(
    openings: &Receiver<Result<Trees, Error>>,
    patience: Duration,
) -> Result<Trees, Error> {
    const STEP: Duration = Duration::from_millis(100);
    for _ in 0..patience.as_millis().div_ceil(STEP.as_millis()) {
        match openings.recv_timeout(STEP) {
            Ok(trees) => return trees,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::internal("opening the trees failed"));
            }
        }
    }
    Err(drain::hung("opening the trees"))
}

/// The thread after the trees are open. A panic must not leave others waiting.
fn run(starts: &Receiver<Start>) {
    match starts.recv() {
        Ok(Start::Run(storage)) => {
            let ended = catch_unwind(AssertUnwindSafe(|| drain::run(&storage)));
            if ended.is_err() {
                drop(storage.poison(Error::internal("the thread that drains the tail panicked")));
            }
            if let Some(disk) = storage.disk() {
                disk.signals.end();
            }
        }
        Ok(Start::GiveUp(trees)) => trees.close(),
        Err(_) => {}
    }
}
