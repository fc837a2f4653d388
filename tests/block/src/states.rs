//! What the disk may hold after a power cut: everything up to the last flush, and of the writes
//! after it any subset, each whole or torn at 512 bytes.

use crate::device::{Entry, Op};

const SECTOR: usize = 512;

/// A small generator of pseudo-random numbers (splitmix64).
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// What happened to the writes after the last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Dropped,
    /// Each of them kept or dropped.
    Random,
    /// All but one kept.
    OneMissing,
    /// All kept, the last one up to some sector, or some of its sectors.
    TornEnd,
    /// Each sector of each of them kept or dropped.
    Scattered,
}

pub const FATES: [Fate; 6] =
    [Fate::Kept, Fate::Dropped, Fate::Random, Fate::OneMissing, Fate::TornEnd, Fate::Scattered];

/// The disk at a cut, which comes before the operation with this number.
pub struct Cut<'a> {
    /// What is durable.
    durable: Vec<u8>,
    /// The number of the first operation after the last flush.
    start: usize,
    log: &'a [Entry],
    /// A control: flushes mean nothing.
    ignores_flushes: bool,
}

impl<'a> Cut<'a> {
    pub fn new(initial: &[u8], log: &'a [Entry], ignores_flushes: bool) -> Cut<'a> {
        Cut { durable: initial.to_vec(), start: 0, log, ignores_flushes }
    }

    /// The state of a disk that lost power before operation `at`; cuts come in ascending order.
    pub fn state(&mut self, at: usize, fate: Fate, random: &mut Random) -> Vec<u8> {
        let is_flush = |entry: &Entry| matches!(entry.op, Op::Flush);
        let flush = self.log[self.start..at].iter().rposition(is_flush);
        if let Some(flush) = flush.filter(|_| !self.ignores_flushes) {
            let flush = self.start + flush;
            for entry in &self.log[self.start..flush] {
                apply(&mut self.durable, &entry.op, |_| true);
            }
            self.start = flush + 1;
        }
        let mut bytes = self.durable.clone();
        let open: Vec<&Op> = self.log[self.start..at].iter().map(|entry| &entry.op).collect();
        let missing = random.below(open.len().max(1));
        for (number, op) in open.iter().enumerate() {
            let is_last = number + 1 == open.len();
            match fate {
                Fate::Dropped => {}
                Fate::Kept => apply(&mut bytes, op, |_| true),
                Fate::Random if random.below(2) == 0 => {}
                Fate::OneMissing if number == missing => {}
                Fate::TornEnd if is_last => {
                    let (sectors, is_prefix) = (sectors_of(op), random.below(2) == 0);
                    let end = random.below(sectors.max(1) + 1);
                    apply(&mut bytes, op, |sector| {
                        if is_prefix { sector < end } else { random.below(2) == 0 }
                    });
                }
                Fate::Scattered => apply(&mut bytes, op, |_| random.below(2) == 0),
                Fate::Random | Fate::OneMissing | Fate::TornEnd => apply(&mut bytes, op, |_| true),
            }
        }
        bytes
    }
}

fn sectors_of(op: &Op) -> usize {
    match op {
        Op::Write { data, .. } => data.len().div_ceil(SECTOR),
        Op::Flush => 0,
    }
}

/// Writes the sectors of an operation that are kept.
fn apply(bytes: &mut [u8], op: &Op, mut keeps: impl FnMut(usize) -> bool) {
    let Op::Write { offset, data } = op else { return };
    for (number, sector) in data.chunks(SECTOR).enumerate() {
        if keeps(number) {
            let start = *offset as usize + number * SECTOR;
            bytes[start..start + sector.len()].copy_from_slice(sector);
        }
    }
}
