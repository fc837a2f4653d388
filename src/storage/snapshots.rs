//! Snapshots: a cache beside the log, with one file for each snapshot, or a map in memory.
//!
//! `<owner>-<hash of the name>-<version>-<position>.snapshot` holds the whole snapshot with its
//! full name, the store id and a checksum. A file is written under a temporary name, synced and
//! then renamed, so it either exists completely or not at all. Its position is durable before the
//! file is written. The newest two of each key stay: the second in case the first is damaged.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        saved::{self, StoredSnapshot},
    },
    event::{SnapshotKey, SnapshotOwner, limits::SNAPSHOT_BYTES_MAX},
    storage::{home::files, journal::Identity},
    sync::{self, Mutex},
};

/// How many snapshots are kept for each key: the newest, and one in case the newest is damaged.
const SNAPSHOTS_KEPT: usize = 2;

/// The most bytes in a file up to the end of its name.
const PEEK_BYTES: u64 = 512;

/// The largest size of a file: a snapshot at its limit, and what precedes its data.
const FILE_BYTES_MAX: u64 = SNAPSHOT_BYTES_MAX as u64 + PEEK_BYTES;

const ENDING: &str = "snapshot";

/// What the name of a file says about its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    owner: SnapshotOwner,
    hash: u64,
    version: u32,
    position: u64,
}

/// The names of the snapshots. For a file whose inner name cannot be read, this is the file name.
type Index = BTreeMap<Place, String>;

/// Snapshots by owner and name.
pub(crate) type Listed = BTreeMap<(SnapshotOwner, String), Vec<(SnapshotKey, u64)>>;

/// The snapshots of a store on the disk.
#[derive(Debug)]
pub(crate) struct SnapshotFiles {
    directory: PathBuf,
    store_id: Uuid,
    checksum: Checksum,
    /// Whether the directory belongs to another process: then it is read each time and nothing is
    /// removed.
    is_reading: bool,
    /// Read from the directory on first use.
    index: Mutex<Option<Index>>,
}

/// The snapshots of a store in memory.
#[derive(Debug, Default)]
pub(crate) struct SnapshotMap {
    kept: Mutex<BTreeMap<(SnapshotKey, u64), StoredSnapshot>>,
}

impl Place {
    fn of(key: &SnapshotKey, position: u64) -> Place {
        let hash = hash_of(&key.name);
        Place { owner: key.owner, hash, version: key.version, position }
    }

    fn all_of(owner: SnapshotOwner, name: &str) -> RangeInclusive<Place> {
        Place { owner, hash: hash_of(name), version: 0, position: 0 }.all_of_hash()
    }

    /// All places with this owner and hash.
    fn all_of_hash(self) -> RangeInclusive<Place> {
        let first = Place { version: 0, position: 0, ..self };
        first..=Place { version: u32::MAX, position: u64::MAX, ..self }
    }

    /// Whether this is the snapshot's name, rather than the file name of one whose name is
    /// unreadable.
    fn is_of(self, name: &str) -> bool {
        self.hash == hash_of(name)
    }

    fn stem(self) -> String {
        let Place { owner, hash, version, position } = self;
        format!("{}-{hash:016x}-{version}-{position}", owner as u8)
    }

    fn parse(stem: &str) -> Option<Place> {
        let mut parts = stem.split('-');
        let place = Place {
            owner: SnapshotOwner::of(parts.next()?.parse().ok()?)?,
            hash: u64::from_str_radix(parts.next()?, 16).ok()?,
            version: parts.next()?.parse().ok()?,
            position: parts.next()?.parse().ok()?,
        };
        (place.stem() == stem).then_some(place)
    }
}

/// The position in the name of a snapshot's file; `None` for any other file.
pub(crate) fn position_in(file_name: &str) -> Option<u64> {
    let stem = file_name.strip_suffix(ENDING)?.strip_suffix('.')?;
    Place::parse(stem).map(|place| place.position)
}

/// FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>).
fn hash_of(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The positions of a key to keep once `new` is saved at this head, the newest first.
fn kept(mut positions: Vec<u64>, new: u64, head: u64) -> Vec<u64> {
    positions.retain(|position| *position <= head);
    positions.push(new);
    positions.sort_unstable_by(|one, other| other.cmp(one));
    positions.dedup();
    positions.truncate(SNAPSHOTS_KEPT);
    positions
}

impl SnapshotFiles {
    pub(crate) fn new(directory: PathBuf, identity: &Identity, is_reading: bool) -> SnapshotFiles {
        let (store_id, checksum) = (identity.store_id, identity.checksum.clone());
        SnapshotFiles { directory, store_id, checksum, is_reading, index: Mutex::default() }
    }

    fn path(&self, place: Place) -> PathBuf {
        self.directory.join(format!("{}.{ENDING}", place.stem()))
    }

    fn with_index<T>(
        &self,
        use_index: impl FnOnce(&mut Index) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut index = sync::lock(&self.index);
        match index.as_mut().filter(|_| !self.is_reading) {
            Some(index) => use_index(index),
            None => {
                let found = read_directory(&self.directory, self.is_reading, |_| true)?;
                use_index(index.insert(found))
            }
        }
    }

    /// Saves a snapshot, and removes those of its name that are not kept: older ones, those of
    /// other versions, and any past `head`, for which there are no events.
    /// `step` is called before each part of the file is written.
    pub(crate) fn save(
        &self,
        new: &StoredSnapshot,
        head: u64,
        step: impl Fn(),
    ) -> Result<(), Error> {
        let StoredSnapshot { key, position, bytes, .. } = new;
        let place = Place::of(key, *position);
        self.with_index(|index| {
            let all = index.range(Place::all_of(key.owner, &key.name));
            let all: Vec<Place> = all.map(|(place, _)| *place).collect();
            let of_key = all.iter().filter(|other| other.version == key.version);
            let kept = kept(of_key.map(|other| other.position).collect(), *position, head);
            if kept.contains(position) {
                if !self.directory.is_dir() {
                    files::create_directory(&self.directory)?;
                }
                files::publish_in_steps(&self.path(place), bytes, step)?;
                index.insert(place, key.name.clone());
            }
            for other in all {
                if other.version != key.version || !kept.contains(&other.position) {
                    remove(&self.path(other))?;
                    index.remove(&other);
                }
            }
            Ok(())
        })
    }

    /// The keys and positions of the snapshots of a name, in all versions.
    pub(crate) fn of_name(
        &self,
        owner: SnapshotOwner,
        name: &str,
    ) -> Result<Vec<(SnapshotKey, u64)>, Error> {
        let key = |version| SnapshotKey { owner, name: name.to_owned(), version };
        // A file whose inner name cannot be read is listed under its file name.
        let odd = Place::parse(name).filter(|odd| odd.owner == owner && odd.hash != hash_of(name));
        let find = |index: &mut Index| {
            let found = index.range(Place::all_of(owner, name)).map(|(place, _)| *place);
            let odd = odd.filter(|odd| index.get(odd).is_some_and(|found| found == name));
            Ok(found.chain(odd).map(|place| (key(place.version), place.position)).collect())
        };
        if self.is_reading {
            let is_wanted = |place: Place| place.hash == hash_of(name) || Some(place) == odd;
            return find(&mut read_directory(&self.directory, true, is_wanted)?);
        }
        self.with_index(find)
    }

    /// Every snapshot, by owner and name.
    pub(crate) fn all(&self) -> Result<Listed, Error> {
        self.with_index(|index| {
            let mut all = Listed::new();
            for (place, name) in index.iter() {
                let of_hash = index.range(place.all_of_hash());
                let mut names: Vec<&String> = of_hash
                    .filter(|(other, name)| other.is_of(name))
                    .map(|(_, name)| name)
                    .collect();
                names.sort_unstable();
                names.dedup();
                if names.is_empty() {
                    // A file whose name cannot be read is listed with the others of its hash, if
                    // there are any.
                    names.push(name);
                }
                for name in names {
                    let key = SnapshotKey {
                        owner: place.owner,
                        name: name.clone(),
                        version: place.version,
                    };
                    all.entry((place.owner, name.clone())).or_default().push((key, place.position));
                }
            }
            Ok(all)
        })
    }

    /// Renames the file of a snapshot, so that it no longer counts as one, and returns the new
    /// path.
    pub(crate) fn set_aside(&self, key: &SnapshotKey, position: u64) -> Result<PathBuf, Error> {
        let named = Place::of(key, position);
        // It may be listed under its file name.
        let place = match self.path(named).symlink_metadata() {
            Ok(_) => named,
            Err(_) => Place::parse(&key.name).unwrap_or(named),
        };
        self.with_index(|index| {
            let aside = files::set_aside(&self.path(place))?;
            index.remove(&place);
            Ok(aside)
        })
    }

    /// Reads a snapshot; `None` if it does not exist.
    pub(crate) fn read(
        &self,
        key: &SnapshotKey,
        position: u64,
    ) -> Result<Option<StoredSnapshot>, Error> {
        let damaged = |reason: String| Error::corrupted(key.place(), Some(position), reason);
        let named = read_bounded(&self.path(Place::of(key, position)));
        let read = match (named, Place::parse(&key.name)) {
            // It is listed under its file name.
            (Ok(None), Some(place)) => read_bounded(&self.path(place)),
            (read, _) => read,
        };
        let Some(bytes) = read? else { return Ok(None) };
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(damaged("its file exceeds the limit of a snapshot".to_owned()));
        }
        let identity = (self.store_id, &self.checksum);
        let found = StoredSnapshot::decode(Arc::from(bytes), identity).map_err(damaged)?;
        if (&found.key, found.position) != (key, position) {
            let (name, at) = (&found.key.name, found.position);
            let reason = format!("its contents are for {name:?} at position {at}");
            return Err(damaged(reason));
        }
        Ok(Some(found))
    }
}

/// Lists the wanted snapshots, and removes unfinished files unless the directory is only read.
fn read_directory(
    directory: &Path,
    is_reading: bool,
    is_wanted: impl Fn(Place) -> bool,
) -> Result<Index, Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index::new()),
        entries => entries.map_err(failed)?,
    };
    if !is_reading {
        // If the writer was killed after a rename, the name of that snapshot may not be durable. It
        // must be before anyone sees the snapshot.
        files::sync_directory(directory)?;
    }
    let mut index = Index::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ending == files::UNFINISHED && !is_reading {
            // If this fails, the file stays but is never read.
            let _ = fs::remove_file(&path);
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if ending == ENDING
            && let Some(place) = Place::parse(stem).filter(|place| is_wanted(*place))
        {
            let bytes = files::read_bounded(&path, PEEK_BYTES).unwrap_or_default();
            let name = saved::peek_name(&bytes).filter(|name| hash_of(name) == place.hash);
            index.insert(place, name.unwrap_or(stem).to_owned());
        }
    }
    Ok(index)
}

/// Reads a file up to one byte past the limit. `None` if the file does not exist.
fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match files::read_bounded(path, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::stored("read", path, source)),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| Error::io("remove", path, source)),
    }
}

impl SnapshotMap {
    /// Like [`SnapshotFiles::save`].
    pub(crate) fn save(&self, new: &StoredSnapshot, head: u64) {
        let mut all = sync::lock(&self.kept);
        let of_key = all.keys().filter(|(key, _)| *key == new.key);
        let kept = kept(of_key.map(|(_, position)| *position).collect(), new.position, head);
        if kept.contains(&new.position) {
            all.insert((new.key.clone(), new.position), new.clone());
        }
        let is_of_name =
            |key: &SnapshotKey| (key.owner, &key.name) == (new.key.owner, &new.key.name);
        all.retain(|(key, position), _| {
            !is_of_name(key) || (*key == new.key && kept.contains(position))
        });
    }

    /// Like [`SnapshotFiles::of_name`].
    pub(crate) fn of_name(&self, owner: SnapshotOwner, name: &str) -> Vec<(SnapshotKey, u64)> {
        let all = sync::lock(&self.kept);
        let is_it =
            |(key, _): &&(SnapshotKey, u64)| (key.owner, key.name.as_str()) == (owner, name);
        all.keys().filter(is_it).cloned().collect()
    }

    /// Like [`SnapshotFiles::all`].
    pub(crate) fn all(&self) -> Listed {
        let mut all = Listed::new();
        for (key, position) in sync::lock(&self.kept).keys() {
            let name = (key.owner, key.name.clone());
            all.entry(name).or_default().push((key.clone(), *position));
        }
        all
    }

    /// Like [`SnapshotFiles::read`].
    pub(crate) fn read(&self, key: &SnapshotKey, position: u64) -> Option<StoredSnapshot> {
        sync::lock(&self.kept).get(&(key.clone(), position)).cloned()
    }
}
