//! Opens and creates the trees.

mod mark;
mod preflight;
mod refresh;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{FORMAT_VERSION, checksum::Checksum},
    storage::{
        files,
        trees::{SEGMENT_BYTES, Trees, close, guarded, is_held_lock},
    },
    sync::thread,
};

pub(crate) use mark::{begin_try, mark_damaged};
pub(super) use refresh::refresh;

/// sled's lock may outlive its handle by this long: sled's background tasks hold the file.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// How to open the trees.
#[derive(Clone, Debug)]
pub(crate) struct OpenTrees {
    pub(crate) directory: PathBuf,
    pub(crate) store_id: Uuid,
    pub(crate) checksum: Checksum,
    pub(crate) cache_bytes: u64,
    /// Whether to open trees that failed earlier: a repair tries that when only they have some
    /// events.
    pub(crate) ignores_mark: bool,
}

/// How long opening sled may take before it counts as hung: sled reads at least everything that was
/// logged since the last open.
pub(crate) fn deadline(directory: &Path) -> Duration {
    const READ_BYTES_PER_SECOND: u64 = 20 << 20;
    let bytes = files::bytes_below(directory).unwrap_or(0);
    Duration::from_secs(30 + bytes / READ_BYTES_PER_SECOND)
}

impl OpenTrees {
    /// Creates the trees of a new store, empty and durable.
    pub(crate) fn create(&self) -> Result<Trees, Error> {
        files::create_directory(&self.directory)?;
        let trees = self.open_with(SEGMENT_BYTES)?;
        let made = trees
            .write_identity(self.store_id)
            .and_then(|()| trees.sync())
            .and_then(|()| sync_files(&self.directory));
        trees.keep_if(made)
    }

    /// Opens the trees of an existing store.
    pub(crate) fn open(&self) -> Result<Trees, Error> {
        if !self.directory.is_dir() {
            let place = self.directory.display().to_string();
            return Err(Error::corrupted(place, None, "the directory is missing"));
        }
        if !self.ignores_mark {
            mark::check(&self.directory)?;
        }
        let segment_bytes = preflight::check(&self.directory)?;
        let trees = self.open_with(segment_bytes)?;
        // Opening logged something, and sled's recovery wrote files without syncing their names.
        let checked = trees
            .flush()
            .and_then(|_| sync_files(&self.directory))
            .and_then(|()| self.check_identity(&trees))
            .and_then(|()| trees.load_dictionary());
        trees.keep_if(checked)
    }

    fn check_identity(&self, trees: &Trees) -> Result<(), Error> {
        let (format, store_id) = trees.identity()?;
        let place = || self.directory.display().to_string();
        if format > FORMAT_VERSION {
            return Err(Error::UnsupportedFormat {
                path: self.directory.clone(),
                found: format,
                supported: FORMAT_VERSION,
            });
        }
        if store_id != self.store_id {
            return Err(Error::corrupted(place(), None, "the trees belong to another store"));
        }
        Ok(())
    }

    fn open_with(&self, segment_bytes: usize) -> Result<Trees, Error> {
        let db = open_sled(&self.directory, segment_bytes, self.cache_bytes)?;
        let data = self.directory.join("db");
        let data = match File::open(&data) {
            Ok(data) => data,
            Err(source) => {
                // Without a descriptor it is unknown whether sled's destructor would panic.
                std::mem::forget(db);
                return Err(Error::io("open", &data, source));
            }
        };
        let assembled = self.assemble(&db, &data);
        match assembled {
            Ok(trees) => Ok(trees),
            Err(error) => {
                let _ = close(db, &data);
                Err(error)
            }
        }
    }

    fn assemble(&self, db: &sled::Db, data: &File) -> Result<Trees, Error> {
        let tree = |name: &str| guarded(|| db.open_tree(name));
        let (streams, parts, events) = (tree("streams")?, tree("parts")?, tree("events")?);
        let (ids, tags) = (tree("ids")?, tree("tags")?);
        let (checkpoints, meta) = (tree("checkpoints")?, tree("meta")?);
        let failed = |source| Error::io("open", self.directory.join("db"), source);
        let trees = Trees {
            db: db.clone(),
            streams,
            parts,
            events,
            ids,
            tags,
            checkpoints,
            meta,
            dictionary: OnceLock::new(),
            data: data.try_clone().map_err(failed)?,
            directory: self.directory.clone(),
            checksum: self.checksum.clone(),
        };
        trees.upgrade_lock()?;
        Ok(trees)
    }
}

fn open_sled(directory: &Path, segment_bytes: usize, cache_bytes: u64) -> Result<sled::Db, Error> {
    let started = Instant::now();
    loop {
        let opened = guarded(|| {
            sled::Config::default()
                .path(directory)
                .segment_size(segment_bytes)
                .cache_capacity(cache_bytes)
                .flush_every_ms(None)
                .open()
        });
        match opened {
            Err(error) if is_lock(&error) && started.elapsed() < LOCK_PATIENCE => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// Makes the files that sled never syncs durable, including their names.
fn sync_files(directory: &Path) -> Result<(), Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files::sync_directory(&path)?;
            continue;
        }
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|source| Error::io("sync", &path, source))?;
    }
    files::sync_directory(directory)
}

fn is_lock(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if is_held_lock(source))
}
