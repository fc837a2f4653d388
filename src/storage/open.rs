//! Opening a store: the lock, the superblock, the trees, and the journal against them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, RwLock,
        atomic::AtomicU64,
        mpsc::{self, Receiver, RecvTimeoutError, SendError, SyncSender},
    },
    thread,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        checksum::Checksum,
        frame::{self, FrameKind},
        record::Record,
        saved::{Checkpoint, StoredSnapshot},
        superblock::Superblock,
    },
    storage::{
        Home, Storage, StorageOptions, checkpoint, files,
        health::Health,
        journal::{self, FullFile, Journal, Place, RecoveredFrame, Recovery, WriteFailure},
        lock::Lock,
        superblock,
        tail::{FrameEnd, Tail, TailEntry, TailRecord},
        trees::{Head, OpenTrees, Trees, deadline},
    },
};

const JOURNAL: &str = "journal";
const TREES: &str = "trees";

/// What a creation may leave behind when it is interrupted, and what a store is made of.
/// `lost+found` is what some file systems keep at their top.
const OWN_ENTRIES: [&str; 6] = ["LOCK", "ANNALS", "ANNALS.tmp", JOURNAL, TREES, "lost+found"];

/// Where the first journal file of a store stands.
const FIRST: Place = Place { first_position: 1, number: 0, chain: 0 };

/// Trees without events take less than this; with any, and closed, more than their journal shows.
const EMPTY_TREES_BYTES: u64 = 1 << 10;

/// What the background thread is told once the trees are open.
enum Start {
    Run(Arc<Storage>),
    /// The store could not be opened: drop the trees where a hang harms nobody.
    GiveUp(Box<Trees>),
}

impl Storage {
    /// A store without files: everything stays in the tail.
    pub(crate) fn in_memory(options: StorageOptions) -> Arc<Storage> {
        Arc::new(Storage::assemble(None, Uuid::new_v4(), options))
    }

    /// Opens the store at `path`, or makes it.
    pub(crate) fn open(path: &Path, options: StorageOptions) -> Result<Arc<Storage>, Error> {
        prepare_directory(path, options.creates)?;
        // The process may change its directory while the store is open.
        let path = &fs::canonicalize(path).map_err(|source| Error::io("open", path, source))?;
        let lock = Lock::take(path)?;
        // Only behind the lock does nobody else make a store here.
        let (superblock, is_new) = match superblock::read(path)? {
            Some(superblock) => (superblock, false),
            None => {
                refuse_remains(path)?;
                if !options.creates {
                    return Err(Error::io("open", path, no_store()));
                }
                clear_unfinished(path)?;
                let store_id = options.store_id.unwrap_or_else(Uuid::new_v4);
                (Superblock { format: FORMAT_VERSION, store_id }, true)
            }
        };
        let store_id = superblock.store_id;
        let home = Home { path: path.to_owned(), lock: Mutex::new(Some(lock)) };
        let storage = Storage::assemble(Some(home), store_id, options);
        let open_trees = OpenTrees {
            directory: path.join(TREES),
            store_id,
            checksum: storage.checksum.clone(),
            cache_bytes: storage.options.cache_bytes,
        };
        let (thread, trees) = match start_thread(open_trees, is_new) {
            Err(full @ Error::NoSpace { .. }) if !is_new => {
                return storage.start_for_reading(path, full);
            }
            started => started?,
        };
        let prepared = match is_new {
            true => storage.create(path, &superblock),
            false => storage.recover(path, &trees),
        };
        let (journal, full_files) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                // The thread may be gone already; then so are the trees.
                let _ = thread.send(Start::GiveUp(Box::new(trees)));
                return Err(error);
            }
        };
        let storage = Storage { full_files: Mutex::new(full_files), ..storage };
        Ok(storage.start(journal, trees, &thread))
    }

    fn assemble(home: Option<Home>, store_id: Uuid, options: StorageOptions) -> Storage {
        Storage {
            home,
            store_id,
            checksum: Checksum::of_store(store_id),
            options,
            health: Health::new(),
            signals: checkpoint::Signals::default(),
            trees: RwLock::new(None),
            tail: Tail::default(),
            last_decoded: Mutex::new(None),
            journal: Mutex::new(None),
            full_files: Mutex::new(Vec::new()),
            head: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            syncing: Mutex::new(()),
            oldest_unsynced: Mutex::new(None),
        }
    }

    /// Makes the journal of a new store and, last, its superblock.
    fn create(
        &self,
        path: &Path,
        superblock: &Superblock,
    ) -> Result<(Journal, Vec<FullFile>), Error> {
        let directory = path.join(JOURNAL);
        files::create_directory(&directory)?;
        let capacity = self.options.journal_bytes;
        let created = Journal::create(&directory, (self.store_id, &self.checksum), capacity, FIRST);
        let journal = created.map_err(|failure| match failure {
            WriteFailure::Refused(error) | WriteFailure::Failed(error) => error,
        })?;
        superblock::write(path, superblock)?;
        Ok((journal, Vec::new()))
    }

    /// Replays into the tail what the journal has above the trees.
    fn recover(&self, path: &Path, trees: &Trees) -> Result<(Journal, Vec<FullFile>), Error> {
        let directory = path.join(JOURNAL);
        if !directory.is_dir() {
            let place = directory.display().to_string();
            return Err(Error::corrupted(place, None, "the directory is missing"));
        }
        // The superblock's name may not be durable when its writer was killed.
        files::sync_directory(path)?;
        let Head { position: trees_head, chain: trees_chain } = trees.head()?;
        check_sealed(&directory, trees_head, &self.checksum)?;
        let recovery = Recovery {
            directory: &directory,
            store_id: self.store_id,
            checksum: &self.checksum,
            capacity_max: self.options.journal_bytes,
            trees_head,
            trees_chain,
        };
        let (journal, full_files) = journal::recover(&recovery, |frame| self.replay(&frame))?;
        let staged = trees.last_position()?;
        if staged > journal.last_position() {
            let reason = format!("the trees hold position {staged}, which the journal lost");
            let missing = journal.last_position() + 1;
            return Err(Error::corrupted(directory.display().to_string(), Some(missing), reason));
        }
        Ok((journal, full_files))
    }

    fn replay(&self, frame: &RecoveredFrame<'_>) -> Result<(), Error> {
        let RecoveredFrame { header, sequence, records, path } = frame;
        let head = header.last_position();
        let end = FrameEnd { chain: header.checksum, sequence: *sequence };
        let damaged = |reason: String| {
            let place = path.display().to_string();
            Error::corrupted(place, Some(header.first_position), reason)
        };
        match header.kind {
            FrameKind::Events => self.replay_events(frame, end, damaged)?,
            FrameKind::Checkpoints => {
                let decode = |bytes: &&[u8]| Checkpoint::decode(bytes, &self.checksum);
                let checkpoints: Result<Vec<_>, _> = records.iter().map(decode).collect();
                let checkpoints = checkpoints.map_err(damaged)?;
                self.tail.push_checkpoints(end, head, checkpoints);
            }
            FrameKind::Snapshot => {
                // A damaged one is none: it can be had from the events again.
                let snapshot = records.first().and_then(|bytes| {
                    let identity = (self.store_id, &self.checksum);
                    StoredSnapshot::decode(Arc::from(*bytes), identity).ok()
                });
                match snapshot {
                    Some(snapshot) => self.tail.push_snapshot(end, head, snapshot),
                    None => self.tail.push_nothing(end, head),
                }
            }
            FrameKind::Continued | FrameKind::Closed => {}
        }
        Ok(())
    }

    fn replay_events(
        &self,
        frame: &RecoveredFrame<'_>,
        end: FrameEnd,
        damaged: impl Fn(String) -> Error + Copy,
    ) -> Result<(), Error> {
        let first = frame.header.first_position;
        let mut expected = first;
        let (mut kept, mut all) = (Vec::new(), Vec::new());
        for bytes in &frame.records {
            let bytes: Arc<[u8]> = Arc::from(*bytes);
            let record = Record::decode(Arc::clone(&bytes), &self.checksum).map_err(damaged)?;
            if record.first_position() != expected {
                return Err(damaged(format!("its record for position {expected} is missing")));
            }
            expected = record.last_position() + 1;
            let count = expected - record.first_position();
            kept.push(TailRecord { first_position: record.first_position(), count, bytes });
            all.extend(record.events());
        }
        if expected != frame.header.last_position() + 1 {
            return Err(damaged(format!("its records end before position {expected}")));
        }
        let entries = all.iter().map(|event| TailEntry {
            stream: event.stream_id(),
            version: event.version(),
            position: event.position(),
            id: event.id(),
        });
        self.tail.push(end, kept, entries);
        Ok(())
    }

    /// A store on a full disk can still be read: sled cannot open its files without writing, but
    /// the journal has everything. What is written is refused until the store is opened again.
    fn start_for_reading(self, path: &Path, full: Error) -> Result<Arc<Storage>, Error> {
        let head = journal::last_position(&path.join(JOURNAL), &self.checksum)?;
        let head = AtomicU64::new(head);
        let storage = Storage { head, ..self };
        drop(storage.health.poison(full));
        storage.signals.end();
        Ok(Arc::new(storage))
    }

    fn start(self, journal: Journal, trees: Trees, thread: &SyncSender<Start>) -> Arc<Storage> {
        let (head, sequence) = (journal.last_position(), journal.sequence());
        let storage = Storage {
            journal: Mutex::new(Some(journal)),
            trees: RwLock::new(Some(trees)),
            head: AtomicU64::new(head),
            durable: AtomicU64::new(head),
            written: AtomicU64::new(sequence),
            synced: AtomicU64::new(sequence),
            ..self
        };
        let storage = Arc::new(storage);
        if thread.send(Start::Run(Arc::clone(&storage))).is_err() {
            let reason = "the thread that writes them has ended";
            drop(storage.poison(Error::corrupted("the directory trees", None, reason)));
        }
        storage
    }
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
        .name("annals-checkpoint".to_owned())
        .spawn(body)
        .map_err(|source| Error::io("start a thread for", &directory, source))?;
    let place = directory.display().to_string();
    // Waits are counted, because time passes for a process that is suspended as well.
    let waits = patience.as_millis().div_ceil(checkpoint::WAIT.as_millis());
    let received = (1..waits)
        .map(|_| openings.recv_timeout(checkpoint::WAIT))
        .find(|received| !matches!(received, Err(RecvTimeoutError::Timeout)));
    match received.unwrap_or(Err(RecvTimeoutError::Timeout)) {
        Ok(trees) => Ok((start, trees?)),
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::corrupted(place, None, "opening the trees makes no progress"))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::corrupted(place, None, "opening the trees failed"))
        }
    }
}

fn run(starts: &Receiver<Start>) {
    match starts.recv() {
        Ok(Start::Run(storage)) => checkpoint::run(&storage),
        Ok(Start::GiveUp(trees)) => trees.close(),
        Err(_) => {}
    }
}

/// Sees to it that `path` is a directory that is a store or may become one.
fn prepare_directory(path: &Path, creates: bool) -> Result<(), Error> {
    let open = |source| Error::io("open", path, source);
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            return Err(open(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && creates => {
            return files::create_directory(path);
        }
        Err(error) => return Err(open(error)),
    }
    if path.join("ANNALS").exists() {
        return Ok(());
    }
    let names = entry_names(path)?;
    if let Some(name) = names.iter().find(|name| !OWN_ENTRIES.contains(&name.as_str())) {
        return Err(foreign(path, &path.join(name)));
    }
    if creates || path.join("LOCK").exists() {
        return Ok(());
    }
    // Nothing is made on the way to this answer, not even a lock.
    refuse_remains(path)?;
    Err(open(no_store()))
}

fn no_store() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "there is no store in the directory")
}

fn entry_names(path: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::io("read the directory", path, source);
    fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Without a superblock, what is there must be what an unfinished creation left: it is removed. A
/// journal or trees with events are a store that has lost its superblock.
fn refuse_remains(path: &Path) -> Result<(), Error> {
    let lost = |place: &Path| {
        let reason = "it is missing, and there are events";
        let first = path.join("ANNALS").display().to_string();
        Err(Error::corrupted(format!("{first} (beside {})", place.display()), None, reason))
    };
    let journal = path.join(JOURNAL);
    for name in names_in(&journal)? {
        let file = journal.join(&name);
        if !is_own_journal_file(&name) {
            return Err(foreign(path, &file));
        }
        let bytes = files::read_bounded(&file, journal::FILE_BYTES_MAX);
        let bytes = bytes.map_err(|source| Error::io("read", &file, source))?;
        if frame::may_hold_events(&bytes) {
            return lost(&file);
        }
    }
    let trees = path.join(TREES);
    for name in names_in(&trees)? {
        let file = trees.join(&name);
        if !["conf", "db", "blobs"].contains(&name.as_str()) && !name.starts_with("snap.") {
            return Err(foreign(path, &file));
        }
        let len = fs::metadata(&file).map_err(|source| Error::io("read", &file, source))?.len();
        if name == "db" && len > EMPTY_TREES_BYTES {
            return lost(&file);
        }
    }
    match names_in(&trees.join("blobs"))?.first() {
        Some(name) => Err(foreign(path, &trees.join("blobs").join(name))),
        None => Ok(()),
    }
}

fn is_own_journal_file(name: &str) -> bool {
    let stem = name.strip_suffix(".journal").or_else(|| name.strip_suffix(".tmp"));
    stem == Some("00000000000000000001")
}

fn foreign(path: &Path, found: &Path) -> Error {
    let reason =
        format!("{} is not a store, and not empty: it holds {}", path.display(), found.display());
    Error::invalid("path", reason)
}

/// The names in a directory; none where it is missing.
fn names_in(path: &Path) -> Result<Vec<String>, Error> {
    if path.is_dir() { entry_names(path) } else { Ok(Vec::new()) }
}

/// Removes what a creation left that did not finish; `refuse_remains` has seen that it is no more
/// than that.
fn clear_unfinished(path: &Path) -> Result<(), Error> {
    let remove = |path: PathBuf| match fs::remove_dir_all(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| Error::io("remove", &path, source)),
    };
    remove(path.join(JOURNAL))?;
    remove(path.join(TREES))?;
    files::sync_directory(path)
}

/// A journal file is shortened only when the trees durably hold its events: trees that end before
/// it have lost something.
fn check_sealed(directory: &Path, trees_head: u64, checksum: &Checksum) -> Result<(), Error> {
    let found = journal::list(directory)?;
    for (file, next) in found.iter().zip(found.iter().skip(1)) {
        if next.first_position <= trees_head + 1 {
            continue;
        }
        let (header, len) = journal::read_header(file, checksum)?;
        if len < header.capacity {
            let place = directory.with_file_name(TREES).display().to_string();
            let reason = format!(
                "the trees end at position {trees_head}, but held the events before {}",
                next.first_position
            );
            return Err(Error::corrupted(place, Some(trees_head + 1), reason));
        }
    }
    Ok(())
}
