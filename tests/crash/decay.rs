//! One damage to the files of a store, chosen by a number.
//!
//! Method: the first even numbers flip one bit of every byte of every small file; the others pick a
//! file and a kind of damage at random, at places that hold data rather than in preallocated zeros.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::plan::Random;

/// A store, what it once was, and another store.
pub struct Subject {
    pub pristine: PathBuf,
    pub older: PathBuf,
    pub other: PathBuf,
}

/// What was done.
pub struct Damage {
    pub words: String,
    pub is_flip: bool,
    pub is_newest_journal: bool,
    /// The journal is as it was.
    pub is_in_trees: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// Files up to this size have every byte damaged.
const SMALL: usize = 256;

pub const BLOCK: usize = 512;

/// Damages the copy `dir` of the pristine store.
pub fn damage(subject: &Subject, dir: &Path, seed: u64, case: u64) -> Damage {
    let mut files = Vec::new();
    list(&subject.pristine, Path::new(""), &mut files);
    let newest = files.iter().filter(|path| path.starts_with("journal")).max().cloned();
    let is_newest = |path: &Path| Some(path) == newest.as_deref();
    let mut rest = case as usize / 2;
    for path in files.iter().filter(|_| case.is_multiple_of(2)) {
        let mut bytes = fs::read(dir.join(path)).expect("a file of the store");
        if bytes.len() > SMALL {
            continue;
        }
        if rest < bytes.len() {
            let bit = Random::new(&[seed, case]).below(8);
            bytes[rest] ^= 1 << bit;
            fs::write(dir.join(path), &bytes).expect("a file of the store");
            let words = format!("bit {bit} of byte {rest} of {} flipped", path.display());
            return Damage {
                words,
                is_flip: true,
                is_newest_journal: is_newest(path),
                is_in_trees: path.starts_with("trees"),
            };
        }
        rest -= bytes.len();
    }
    let mut random = Random::new(&[seed, case]);
    if random.one_in(12) {
        let (name, words) = damage_folder(subject, dir, &mut random);
        let is_in_trees = name == "trees";
        return Damage { words, is_flip: false, is_newest_journal: false, is_in_trees };
    }
    // The journal and sled's log are what matters most.
    let large: Vec<_> = files
        .iter()
        .filter(|path| path.starts_with("journal") || path.ends_with("db"))
        .cloned()
        .collect();
    let files = if random.one_in(3) || large.is_empty() { &files } else { &large };
    let path = &files[random.below(files.len() as u64) as usize];
    let (what, is_flip) = damage_file(subject, dir, path, &mut random);
    let words = format!("{}: {what}", path.display());
    let is_in_trees = path.starts_with("trees");
    Damage { words, is_flip, is_newest_journal: is_newest(path), is_in_trees }
}

/// All files but the lock, as paths below the store, sorted.
pub fn list(root: &Path, below: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(root.join(below)).expect("a directory of the store");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    for name in names {
        let path = below.join(&name);
        if root.join(&path).is_dir() {
            list(root, &path, files);
        } else if name != "LOCK" {
            files.push(path);
        }
    }
}

/// Replaces or removes everything of one kind.
/// Damages a folder; says which and how.
fn damage_folder(subject: &Subject, dir: &Path, random: &mut Random) -> (&'static str, String) {
    let name = ["journal", "trees"][random.below(2) as usize];
    let target = dir.join(name);
    if target.exists() {
        fs::remove_dir_all(&target).expect("a folder of the store");
    }
    let (source, words) = match random.below(3) {
        0 => return (name, format!("folder {name} deleted")),
        1 => (&subject.older, "its older self"),
        _ => (&subject.other, "that of another store"),
    };
    if source.join(name).exists() {
        crate::harness::copy_tree(&source.join(name), &target).expect("a folder can be copied");
    }
    (name, format!("folder {name} replaced by {words}"))
}

/// Damages one file; says how, and whether it was a single bit.
fn damage_file(subject: &Subject, dir: &Path, path: &Path, random: &mut Random) -> (String, bool) {
    let target = dir.join(path);
    let mut bytes = fs::read(&target).expect("a file of the store");
    let blocks = filled_blocks(&bytes);
    let place = |random: &mut Random| match blocks.is_empty() || random.one_in(8) {
        true => random.below(bytes.len().max(1) as u64) as usize,
        false => {
            let block = blocks[random.below(blocks.len() as u64) as usize];
            (block * BLOCK + random.below(BLOCK as u64) as usize).min(bytes.len().max(1) - 1)
        }
    };
    let (at, to) = (place(random), place(random));
    let len = [1, 16, BLOCK, 8 * BLOCK][random.below(4) as usize];
    let end = (at + len).min(bytes.len());
    let words = match random.below(14) {
        0..5 if !bytes.is_empty() => {
            let bit = random.below(8);
            bytes[at] ^= 1 << bit;
            fs::write(&target, &bytes).expect("a file of the store");
            return (format!("bit {bit} of byte {at} flipped"), true);
        }
        5 | 6 => {
            bytes[at..end].fill(0);
            format!("bytes {at}..{end} zeroed")
        }
        7 => {
            let noise = random.bytes(end - at);
            bytes[at..end].copy_from_slice(&noise);
            format!("bytes {at}..{end} are noise")
        }
        8 => {
            let (at, to) = (at / BLOCK * BLOCK, to / BLOCK * BLOCK);
            for offset in 0..BLOCK.min(bytes.len().saturating_sub(at.max(to))) {
                bytes.swap(at + offset, to + offset);
            }
            format!("blocks at {at} and {to} exchanged")
        }
        9 => {
            bytes.truncate(at);
            format!("cut to {at} bytes")
        }
        10 => {
            bytes.extend(random.bytes(len));
            format!("{len} bytes of noise at its end")
        }
        11 => {
            fs::remove_file(&target).expect("a file of the store");
            return ("deleted".to_owned(), false);
        }
        kind => {
            let (source, words) = match kind {
                12 => (&subject.older, "its older self"),
                _ => (&subject.other, "that of another store"),
            };
            bytes = namesake(source, path)
                .map_or_else(Vec::new, |path| fs::read(path).expect("a file of a store"));
            format!("replaced by {words}")
        }
    };
    fs::write(&target, &bytes).expect("a file of the store");
    (words, false)
}

/// The file with the same path, or else one of the same kind in the same folder.
fn namesake(source: &Path, path: &Path) -> Option<PathBuf> {
    let same = source.join(path);
    if same.is_file() {
        return Some(same);
    }
    let mut files = Vec::new();
    list(source, Path::new(""), &mut files);
    let mut alike = files
        .iter()
        .filter(|other| other.parent() == path.parent() && other.extension() == path.extension());
    alike.next_back().map(|path| source.join(path))
}

pub fn filled_blocks(bytes: &[u8]) -> Vec<usize> {
    let blocks = bytes.chunks(BLOCK).enumerate();
    blocks.filter(|(_, block)| block.iter().any(|byte| *byte != 0)).map(|(at, _)| at).collect()
}
