//! Power cuts between any two block writes, below a real file system.
//!
//! Method: the disk is a file that this program serves (`device.rs`), a loop device makes it a
//! block device, and ext4 is on it. A writer of the crash tests runs there; every block write and
//! every flush is recorded, with how much the writer had marked as acknowledged. From the record
//! states of the disk are made (`states.rs`), mounted, so that ext4 recovers, and checked by the
//! oracle of the crash tests: everything that was durable by contract is there, and otherwise a
//! prefix of whole units. Two controls must go red: flushes that mean nothing, and a library that
//! leaves out the journal's fdatasync.
//!
//! `cargo run --release --manifest-path tests/block/Cargo.toml -- [STATES] [SEED]`, as root.

#![allow(clippy::cast_possible_truncation, reason = "the disk is small")]

mod children;
mod device;
mod states;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use device::{Device, Entry};
use states::{Cut, FATES, Random};

const DISK_BYTES: usize = 64 << 20;

/// Where everything is.
struct Bench {
    device: Device,
    mounted: PathBuf,
    marks: PathBuf,
}

/// A writer's life on the disk.
struct Recording {
    initial: Vec<u8>,
    log: Vec<Entry>,
    /// The bytes of marks at its end.
    marks: u64,
}

impl Bench {
    fn new(root: &Path) -> io::Result<Bench> {
        let place = |name: &str| root.join(name);
        for name in ["served", "mounted"] {
            fs::create_dir(place(name))?;
        }
        let device = Device::serve(&place("served"), DISK_BYTES)?;
        Ok(Bench { device, mounted: place("mounted"), marks: place("marks") })
    }

    fn mount(&self) -> io::Result<()> {
        let (disk, mounted) = (self.device.path().display(), self.mounted.display());
        children::tool("mount", &["-o", "loop", &disk.to_string(), &mounted.to_string()])
    }

    fn unmount(&self) -> io::Result<()> {
        children::tool("umount", &[&self.mounted.display().to_string()])
    }

    /// Records a writer on a new file system.
    fn record(&self, program: &Path, defect: Option<&str>) -> io::Result<Recording> {
        let disk = self.device.path().display().to_string();
        self.device.disk().bytes.fill(0);
        children::tool("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0", &disk])?;
        self.mount()?;
        children::tool("sync", &[])?;
        fs::write(&self.marks, "")?;
        let initial = {
            let mut disk = self.device.disk();
            disk.log.clear();
            disk.marks = Some(self.marks.clone());
            disk.bytes.clone()
        };
        let store = self.mounted.join("store");
        let written = children::write(program, (&store, &self.marks), defect);
        let log = {
            let mut disk = self.device.disk();
            disk.marks = None;
            std::mem::take(&mut disk.log)
        };
        self.unmount()?;
        written?;
        let marks = fs::metadata(&self.marks)?.len();
        Ok(Recording { initial, log, marks })
    }

    /// Mounts and checks a state. The `Err` is what is wrong with it.
    fn check(&self, program: &Path, state: Vec<u8>, lines: usize) -> Result<(), String> {
        self.device.disk().bytes = state;
        self.mount().map_err(|error| error.to_string())?;
        let store = self.mounted.join("store");
        let checked = children::check(program, (&store, &self.marks), lines);
        self.unmount().map_err(|error| error.to_string())?;
        checked
    }

    /// Checks so many states; returns how many were checked, and what was wrong.
    fn explore(
        &self,
        program: &Path,
        recording: &Recording,
        (states, failures_max, ignores_flushes): (usize, usize, bool),
        random: &mut Random,
    ) -> io::Result<(usize, Vec<String>)> {
        let Recording { initial, log, marks } = recording;
        let text = fs::read(&self.marks)?;
        let lines_at = |bytes: u64| {
            text[..(bytes as usize).min(text.len())].iter().filter(|byte| **byte == b'\n').count()
        };
        let mut cuts: Vec<usize> = (0..states).map(|_| random.below(log.len() + 1)).collect();
        cuts.sort_unstable();
        let mut cut = Cut::new(initial, log, ignores_flushes);
        let (mut checked, mut failures) = (0, Vec::new());
        for (number, at) in cuts.into_iter().enumerate() {
            let fate = FATES[number % FATES.len()];
            let state = cut.state(at, fate, random);
            let lines = lines_at(log.get(at).map_or(*marks, |next| next.marks));
            checked += 1;
            if let Err(text) = self.check(program, state, lines) {
                let operations = log.len();
                failures
                    .push(format!("cut before operation {at} of {operations}, {fate:?}: {text}"));
                if failures.len() >= failures_max {
                    break;
                }
            }
        }
        Ok((checked, failures))
    }
}

fn run(states: usize, seed: u64) -> io::Result<bool> {
    let (sound, defective) = (children::crash_tests(false)?, children::crash_tests(true)?);
    let root = tempfile::tempdir()?;
    let bench = Bench::new(root.path())?;
    let mut random = Random::new(seed);
    println!("block-level power cuts, seed {seed}");
    let recording = bench.record(&sound, None)?;
    let found = bench.explore(&sound, &recording, (states, 5, false), &mut random)?;
    let flushes = recording.log.iter().filter(|entry| matches!(entry.op, device::Op::Flush));
    let (writes, flushes) = (recording.log.len(), flushes.count());
    println!(
        "{} states of {writes} operations, {flushes} of them flushes: {} violations",
        found.0,
        found.1.len()
    );
    found.1.iter().for_each(|text| println!("  {text}"));
    let mut is_sound = found.1.is_empty();
    let control = (states.min(200), 1, true);
    let (tried, red) = bench.explore(&sound, &recording, control, &mut random)?;
    println!("control, flushes ignored: {} after {tried} states", word(&red));
    is_sound &= !red.is_empty();
    let recording = bench.record(&defective, Some("AckBeforeSync"))?;
    let control = (states.min(200), 1, false);
    let (tried, red) = bench.explore(&sound, &recording, control, &mut random)?;
    println!("control, no fdatasync of the journal: {} after {tried} states", word(&red));
    Ok(is_sound && !red.is_empty())
}

fn word(failures: &[String]) -> &'static str {
    if failures.is_empty() { "GREEN, which it must not be" } else { "red" }
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let (states, seed) = (numbers.next().unwrap_or(300), numbers.next().unwrap_or(1));
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root || !Path::new("/dev/fuse").exists() {
        println!("SKIPPED: block-level power cuts need root and /dev/fuse");
        return ExitCode::SUCCESS;
    }
    match run(states as usize, seed) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
