//! The marks that a worker leaves: what it tried, what was acknowledged, what must survive.
//!
//! Method: a mark is one line, written with one `write` to a file outside the store, so that it
//! survives a kill, and the recorder sees it in order with the store's own calls. Folding the lines
//! up to any point gives, for each thread, the fewest and the most units that a correct store may
//! show after a crash at that point.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// How far one thread has come; the numbers are those of its last unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub tried: u64,
    pub acked: u64,
    pub durable: u64,
}

/// What the marks say together.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub threads: Vec<Progress>,
    /// Of each thread its checkpoint and its snapshot; the numbers are positions.
    pub saves: Vec<[Progress; 2]>,
    /// The first position that each acknowledged unit was given, by thread and number.
    pub positions: BTreeMap<(usize, u64), u64>,
    /// Every unit carries a checkpoint with its number.
    pub has_unit_checkpoints: bool,
    /// Violations that the worker itself has seen.
    pub complaints: Vec<String>,
    /// The call that was killed or failed, and how the worker ended: for the reader of a failure.
    pub notes: Vec<String>,
    /// What each thread's flush, by its number, was called after.
    flushing: BTreeMap<usize, (Vec<Progress>, Vec<[Progress; 2]>)>,
    /// The sync that failed first since the store began to close.
    closing: Option<Option<String>>,
    is_sync: bool,
}

impl Expected {
    pub fn new(threads: usize, is_sync: bool) -> Expected {
        let saves = vec![[Progress::default(); 2]; threads];
        let threads = vec![Progress::default(); threads];
        Expected { threads, saves, is_sync, ..Expected::default() }
    }

    /// Folds the first `lines` lines of a file of marks, or all of them.
    pub fn read(mut self, path: &Path, lines: Option<usize>) -> io::Result<Expected> {
        let text = std::fs::read_to_string(path)?;
        text.lines().take(lines.unwrap_or(usize::MAX)).for_each(|line| self.fold(line));
        Ok(self)
    }

    pub fn fold(&mut self, line: &str) {
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        if matches!(word, "save" | "saved" | "found") {
            return self.fold_save(word, words);
        }
        let thread = words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
        let unit = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        let position = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        let progress = self.threads.get_mut(thread);
        match (word, progress) {
            ("try", Some(progress)) => progress.tried = unit,
            ("ack", Some(progress)) => {
                self.positions.insert((thread, unit), position);
                progress.acked = unit;
                progress.durable = if self.is_sync { unit } else { progress.durable };
            }
            // The store says that nothing was written, so the unit must never appear.
            ("refused", Some(progress)) => progress.tried = unit - 1,
            // The store has been opened and has shown this much, which must stay.
            ("seen", Some(progress)) => {
                let durable = if self.is_sync { unit } else { progress.durable.min(unit) };
                self.positions.retain(|&(other, number), _| other != thread || number <= unit);
                *progress = Progress { tried: unit, acked: unit, durable };
            }
            // What the readers of a store that has failed still see.
            ("visible", Some(progress))
                if unit < progress.acked || unit > progress.tried.max(progress.acked) =>
            {
                self.complaints.push(format!("{line}, but {progress:?}"));
            }
            ("flushing", _) => {
                self.flushing.insert(thread, (self.threads.clone(), self.saves.clone()));
            }
            ("flushed", _) => {
                let (units, saves) = self.flushing.remove(&thread).unwrap_or_default();
                let flushed =
                    units.iter().chain(saves.iter().flatten()).copied().collect::<Vec<_>>();
                for (progress, flushed) in self.all().zip(flushed) {
                    progress.durable = progress.durable.max(flushed.acked);
                }
            }
            ("closing", _) => self.closing = Some(None),
            ("settled" | "closed", _) => {
                if let (Some(Some(sync)), "closed") = (self.closing.take(), word) {
                    self.complaints.push(format!("closed without an error, after {sync:?}"));
                }
                self.all().for_each(|progress| progress.durable = progress.acked);
            }
            ("checkpoints", _) => self.has_unit_checkpoints = true,
            ("bad", _) => self.complaints.push(line.to_owned()),
            ("shim" | "error" | "end", _) => {
                let is_sync = line.contains(" fsync ") || line.contains(" fdatasync ");
                // What is unfinished is written again later, into another file.
                let is_unfinished = line.contains(".tmp ") || line.ends_with(".tmp");
                if let Some(failed @ None) = &mut self.closing
                    && (is_sync || line.contains(" lost "))
                    && !is_unfinished
                {
                    *failed = Some(line.to_owned());
                }
                self.notes.push(line.to_owned());
            }
            _ => {}
        }
    }

    /// The rest of a line is a kind, a thread and a position.
    fn fold_save<'a>(&mut self, word: &str, mut rest: impl Iterator<Item = &'a str>) {
        let kind = rest.next().and_then(|kind| crate::saves::KINDS.iter().position(|k| *k == kind));
        let mut number = || rest.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(kind), Some(thread), Some(position)) = (kind, number(), number()) else { return };
        let Some(progress) = self.saves.get_mut(thread as usize).map(|both| &mut both[kind]) else {
            return;
        };
        match word {
            "save" => progress.tried = position,
            "saved" => {
                progress.acked = position;
                progress.durable = if self.is_sync { position } else { progress.durable };
            }
            // What a store shows when it is opened again must stay.
            _ => {
                let durable = if self.is_sync { position } else { progress.durable.min(position) };
                // A store on a full disk is read from its journal alone, and shows no snapshots.
                let hidden = if kind == 1 { progress.tried } else { 0 };
                *progress = Progress { tried: position.max(hidden), acked: position, durable };
            }
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Progress> {
        self.threads.iter_mut().chain(self.saves.iter_mut().flatten())
    }

    /// The fewest units of each thread that must be there.
    pub fn least(&self) -> Vec<u64> {
        self.threads.iter().map(|progress| progress.durable).collect()
    }

    /// The most units of each thread that may be there.
    pub fn most(&self) -> Vec<u64> {
        self.threads.iter().map(|progress| progress.tried.max(progress.acked)).collect()
    }
}

/// Writes marks.
pub struct Marker {
    file: File,
}

impl Marker {
    pub fn open(path: &Path) -> io::Result<Marker> {
        Ok(Marker { file: OpenOptions::new().create(true).append(true).open(path)? })
    }

    /// One line, in one `write`.
    pub fn mark(&self, line: &str) {
        let line = format!("{}\n", line.replace('\n', " "));
        (&self.file).write_all(line.as_bytes()).expect("the marks can be written");
    }
}

/// How a store is opened and what is written to it; travels to the children as arguments.
#[derive(Clone, Debug)]
pub struct Setup {
    pub seed: u64,
    pub is_mixed: bool,
    pub threads: usize,
    pub is_sync: bool,
    /// How long an append may stay in memory if it is not synced.
    pub delay_ms: u64,
    pub tail_bytes: u64,
    pub journal_bytes: u64,
}

impl Setup {
    /// One thread, durable appends, small units; tail and journal so small that checkpoints and new
    /// journal files come all the time.
    pub fn small(seed: u64) -> Setup {
        let (tail_bytes, journal_bytes) = (48 << 10, 64 << 10);
        Setup::of(seed, tail_bytes, journal_bytes)
    }

    pub fn mixed(seed: u64, threads: usize) -> Setup {
        let (tail_bytes, journal_bytes) = (256 << 10, 256 << 10);
        Setup { is_mixed: true, threads, ..Setup::of(seed, tail_bytes, journal_bytes) }
    }

    fn of(seed: u64, tail_bytes: u64, journal_bytes: u64) -> Setup {
        let (threads, delay_ms) = (1, 10);
        let (is_mixed, is_sync) = (false, true);
        Setup { seed, is_mixed, threads, is_sync, delay_ms, tail_bytes, journal_bytes }
    }

    pub fn to_args(&self) -> Vec<String> {
        vec![
            format!("seed={}", self.seed),
            format!("mixed={}", u8::from(self.is_mixed)),
            format!("threads={}", self.threads),
            format!("sync={}", u8::from(self.is_sync)),
            format!("delay={}", self.delay_ms),
            format!("tail={}", self.tail_bytes),
            format!("journal={}", self.journal_bytes),
        ]
    }

    pub fn from_args(args: &Args) -> Setup {
        Setup {
            seed: args.number("seed", 1),
            is_mixed: args.number("mixed", 0) == 1,
            threads: args.number("threads", 1) as usize,
            is_sync: args.number("sync", 1) == 1,
            delay_ms: args.number("delay", 10),
            tail_bytes: args.number("tail", 64 << 10),
            journal_bytes: args.number("journal", 128 << 10),
        }
    }
}

/// Arguments of the form `name=value`.
#[derive(Clone, Debug, Default)]
pub struct Args(pub Vec<String>);

impl Args {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.text(name).unwrap_or_default())
    }
}
