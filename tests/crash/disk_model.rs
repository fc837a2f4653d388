//! A disk as the rules of POSIX allow it to be after a power cut, and no kinder.
//!
//! Method: a file is its durable bytes plus the operations since its last fsync, a directory is its
//! durable names plus the changes since its own. An fsync of a file makes its bytes and size
//! durable but not its name; an fsync of a directory makes its names durable but not what they
//! name. Every operation that is not yet durable may have reached the disk or not, independently of
//! every other. An operation before a failed fsync never becomes certain again. What
//! `sync_file_range` does counts as nothing, and is not recorded at all.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use crate::{
    image::Image,
    plan::{Random, digest, mix},
    shim::{Bytes, Call, Entry},
};

pub const SECTOR: u64 = 512;

#[derive(Clone)]
enum FileChange {
    Write {
        offset: u64,
        len: u64,
        data: Option<Bytes>,
    },
    Resize(u64),
    /// At least this size.
    Extend(u64),
}

#[derive(Clone)]
enum NameChange {
    Add(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

/// How certain a change is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pending,
    /// An fsync has failed over it.
    Doomed,
    /// Durable, but after a doomed one, and kept for its order.
    Certain,
}

#[derive(Clone)]
struct Pending<T> {
    number: u64,
    fate: Fate,
    change: T,
}

#[derive(Clone)]
enum Object {
    File { durable: Image, changes: Vec<Pending<FileChange>>, size: u64 },
    Dir { durable: BTreeMap<String, usize>, changes: Vec<Pending<NameChange>>, live: Names },
}

type Names = BTreeMap<String, usize>;

/// What becomes of one change that is not certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Keep,
    Drop,
    /// The size grows, the data does not come: what was there stays, what is new is zeros.
    Grow,
    /// Only so many leading sectors.
    Prefix(u64),
    /// Random sectors, by this seed.
    Scatter(u64),
}

/// A change that a state may keep or drop.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// The index of its entry in the log.
    pub number: u64,
    pub object: usize,
    pub is_write: bool,
    pub sectors: u64,
}

/// What is found after a power cut: files, and directories as `None`.
pub type State = BTreeMap<String, Option<Image>>;

pub fn state_digest(state: &State) -> u64 {
    state.iter().fold(0, |sum, (path, image)| {
        let sum = digest(sum, path.as_bytes());
        mix(sum ^ image.as_ref().map_or(1, Image::digest))
    })
}

/// Makes the state below `base`, which exists.
pub fn save_state(state: &State, base: &Path) -> io::Result<()> {
    for (path, image) in state {
        match image {
            None => fs::create_dir(base.join(path))?,
            Some(image) => image.save(&base.join(path))?,
        }
    }
    Ok(())
}

#[derive(Clone)]
pub struct Disk {
    objects: Vec<Object>,
    by_inode: HashMap<u64, usize>,
    /// Sizes that changed without a recorded call.
    pub unseen: u64,
}

const ROOT: usize = 0;

impl Disk {
    /// What lies below `base` is durable.
    pub fn load(base: &Path) -> io::Result<Disk> {
        let mut disk = Disk { objects: Vec::new(), by_inode: HashMap::new(), unseen: 0 };
        disk.load_dir(base)?;
        Ok(disk)
    }

    fn load_dir(&mut self, dir: &Path) -> io::Result<usize> {
        let number = self.add(new_dir(), fs::metadata(dir)?.ino());
        let mut names = Names::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            let object = if entry.file_type()?.is_dir() {
                self.load_dir(&path)?
            } else {
                let durable = Image::load(&path)?;
                let size = durable.size;
                let file = Object::File { durable, changes: Vec::new(), size };
                self.add(file, entry.metadata()?.ino())
            };
            names.insert(entry.file_name().to_string_lossy().into_owned(), object);
        }
        if let Object::Dir { durable, live, .. } = &mut self.objects[number] {
            durable.clone_from(&names);
            *live = names;
        }
        Ok(number)
    }

    fn add(&mut self, object: Object, inode: u64) -> usize {
        self.objects.push(object);
        self.by_inode.insert(inode, self.objects.len() - 1);
        self.objects.len() - 1
    }

    fn find(&self, path: &str) -> Option<usize> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        parts.try_fold(ROOT, |at, part| match &self.objects[at] {
            Object::Dir { live, .. } => live.get(part).copied(),
            Object::File { .. } => None,
        })
    }

    /// Makes the change of one entry of the log, the `number`-th.
    pub fn apply(&mut self, number: u64, entry: &Entry) {
        match entry.call {
            Call::Create | Call::MakeDir => {
                let is_dir = entry.call == Call::MakeDir;
                let object = self.add(if is_dir { new_dir() } else { new_file() }, entry.file);
                self.rename(number, None, Some((&entry.path, object)));
            }
            Call::Unlink | Call::RemoveDir => self.rename(number, Some(&entry.path), None),
            Call::Rename | Call::Link => {
                assert!(
                    entry.mode & !1 == 0,
                    "the model knows no rename with flags {}",
                    entry.mode
                );
                let object = self.find(&entry.path).expect("what is renamed is known");
                let from = (entry.call == Call::Rename).then_some(entry.path.as_str());
                self.rename(number, from, Some((&entry.other, object)));
            }
            Call::Write => {
                let (offset, len, data) = (entry.offset, entry.length, entry.data.clone());
                self.change(number, entry, FileChange::Write { offset, len, data });
            }
            Call::Resize => self.change(number, entry, FileChange::Resize(entry.size)),
            Call::Allocate => {
                // With the flag to keep the size, it changes nothing that could be read.
                assert!(entry.mode <= 1, "the model knows no allocation with mode {}", entry.mode);
                let end = if entry.mode == 0 { entry.offset + entry.length } else { 0 };
                self.change(number, entry, FileChange::Extend(end));
            }
            Call::Sync | Call::FailedSync => {
                if let Some(&object) = self.by_inode.get(&entry.file) {
                    self.objects[object].sync(entry.call == Call::Sync);
                }
            }
            Call::Mark => {}
        }
    }

    fn change(&mut self, number: u64, entry: &Entry, change: FileChange) {
        let object = self.by_inode.get(&entry.file).copied().expect("a file that is known");
        let Object::File { changes, size, .. } = &mut self.objects[object] else { return };
        *size = match change {
            FileChange::Write { offset, len, .. } => (*size).max(offset + len),
            FileChange::Resize(new) => new,
            FileChange::Extend(end) => (*size).max(end),
        };
        changes.push(Pending { number, fate: Fate::Pending, change });
        if *size != entry.size {
            self.unseen += 1;
            *size = entry.size;
            let change = FileChange::Resize(entry.size);
            changes.push(Pending { number, fate: Fate::Pending, change });
        }
    }

    /// Removes a name, adds one, or both in one step if they are in the same directory.
    fn rename(&mut self, number: u64, from: Option<&str>, to: Option<(&str, usize)>) {
        let split = |path: &str| {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
            (dir.to_owned(), name.to_owned())
        };
        let from = from.map(split);
        let to = to.map(|(path, object)| (split(path), object));
        match (from, to) {
            (Some((dir, from)), Some(((target, to), object))) if dir == target => {
                self.name_change(number, &dir, NameChange::Rename(from, to, object));
            }
            (from, to) => {
                if let Some(((dir, name), object)) = to {
                    self.name_change(number, &dir, NameChange::Add(name, object));
                }
                if let Some((dir, name)) = from {
                    self.name_change(number, &dir, NameChange::Remove(name));
                }
            }
        }
    }

    fn name_change(&mut self, number: u64, dir: &str, change: NameChange) {
        let dir = self.find(dir).expect("a directory that is known");
        if let Object::Dir { changes, live, .. } = &mut self.objects[dir] {
            change.apply(live);
            changes.push(Pending { number, fate: Fate::Pending, change });
        }
    }

    /// Every change that may or may not have reached the disk.
    pub fn open_changes(&self) -> Vec<Open> {
        let mut open = Vec::new();
        for (object, kind) in self.objects.iter().enumerate() {
            match kind {
                Object::File { changes, .. } => {
                    let changes = changes.iter().filter(|change| change.fate != Fate::Certain);
                    open.extend(changes.map(|Pending { number, change, .. }| Open {
                        number: *number,
                        object,
                        is_write: matches!(change, FileChange::Write { .. }),
                        sectors: change.sectors(),
                    }));
                }
                Object::Dir { changes, .. } => {
                    let changes = changes.iter().filter(|change| change.fate != Fate::Certain);
                    open.extend(changes.map(|Pending { number, .. }| Open {
                        number: *number,
                        object,
                        is_write: false,
                        sectors: 0,
                    }));
                }
            }
        }
        open
    }

    /// The state in which every open change has met the fate that `choose` gives it.
    pub fn state(&self, choose: &dyn Fn(u64, usize) -> Choice) -> State {
        let mut state = State::new();
        self.add_dir(ROOT, "", choose, &mut state);
        state
    }

    fn add_dir(
        &self,
        dir: usize,
        prefix: &str,
        choose: &dyn Fn(u64, usize) -> Choice,
        state: &mut State,
    ) {
        let Object::Dir { durable, changes, .. } = &self.objects[dir] else { return };
        let mut names = durable.clone();
        for Pending { number, fate, change } in changes {
            if *fate == Fate::Certain || choose(*number, dir) != Choice::Drop {
                change.apply(&mut names);
            }
        }
        for (name, &object) in &names {
            let path = format!("{prefix}{name}");
            match &self.objects[object] {
                Object::Dir { .. } => {
                    // A directory with two names, after half a rename, is shown under both.
                    self.add_dir(object, &format!("{path}/"), choose, state);
                    state.insert(path, None);
                }
                Object::File { durable, changes, .. } => {
                    let mut image = durable.clone();
                    for Pending { number, fate, change } in changes {
                        let is_certain = *fate == Fate::Certain;
                        let choice =
                            if is_certain { Choice::Keep } else { choose(*number, object) };
                        change.apply(&mut image, choice);
                    }
                    state.insert(path, Some(image));
                }
            }
        }
    }
}

fn new_file() -> Object {
    Object::File { durable: Image::default(), changes: Vec::new(), size: 0 }
}

fn new_dir() -> Object {
    Object::Dir { durable: Names::new(), changes: Vec::new(), live: Names::new() }
}

impl Object {
    fn sync(&mut self, is_success: bool) {
        match self {
            Object::File { durable, changes, .. } => {
                settle(changes, is_success, |change| change.apply(durable, Choice::Keep));
            }
            Object::Dir { durable, changes, .. } => {
                settle(changes, is_success, |change| change.apply(durable));
            }
        }
    }
}

/// Makes changes durable, or dooms them.
fn settle<T>(changes: &mut Vec<Pending<T>>, is_success: bool, mut apply: impl FnMut(&T)) {
    if !is_success {
        let pending = changes.iter_mut().filter(|change| change.fate == Fate::Pending);
        pending.for_each(|change| change.fate = Fate::Doomed);
    } else if changes.iter().any(|change| change.fate == Fate::Doomed) {
        let pending = changes.iter_mut().filter(|change| change.fate == Fate::Pending);
        pending.for_each(|change| change.fate = Fate::Certain);
    } else {
        changes.drain(..).for_each(|change| apply(&change.change));
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            NameChange::Add(name, object) => {
                names.insert(name.clone(), *object);
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
            NameChange::Rename(from, to, object) => {
                names.remove(from);
                names.insert(to.clone(), *object);
            }
        }
    }
}

impl FileChange {
    fn sectors(&self) -> u64 {
        match self {
            FileChange::Write { len, .. } => len.div_ceil(SECTOR),
            _ => 0,
        }
    }

    fn apply(&self, image: &mut Image, choice: Choice) {
        let FileChange::Write { offset, len, data } = self else {
            match (choice, self) {
                (Choice::Drop, _) => {}
                (_, FileChange::Resize(size)) => image.resize(*size),
                (_, FileChange::Extend(end)) => image.resize(image.size.max(*end)),
                (_, FileChange::Write { .. }) => unreachable!("handled above"),
            }
            return;
        };
        let write = |image: &mut Image, from: u64, to: u64| match data {
            Some(data) => {
                image.write(offset + from, &data.get()[from as usize..to as usize]);
            }
            None => image.write_zeros(offset + from, to - from),
        };
        match choice {
            Choice::Drop => {}
            Choice::Keep => write(image, 0, *len),
            Choice::Grow => image.resize(image.size.max(offset + len)),
            Choice::Prefix(sectors) => {
                let end = (offset / SECTOR + sectors) * SECTOR;
                write(image, 0, end.saturating_sub(*offset).min(*len));
            }
            Choice::Scatter(seed) => {
                // Sectors of the disk, not of the write, are whole.
                let mut random = Random::new(&[seed, *offset]);
                let (mut from, mut to) = (0, SECTOR - offset % SECTOR);
                while from < *len {
                    if random.one_in(2) {
                        write(image, from, to.min(*len));
                    }
                    (from, to) = (to, to + SECTOR);
                }
            }
        }
    }
}
