//! A run of the comparison: what it has to work with, its rounds, and what it has measured.

use std::{path::PathBuf, sync::Arc};

use tempfile::TempDir;

use crate::{
    args::Args,
    feed::{Feed, Order},
    logs,
    payload::Payloads,
    store::{Kind, Mode, Store},
};

/// The cache of a store, where a workload does not say otherwise.
pub(crate) const CACHE_BYTES: u64 = 256 << 20;

pub(crate) const SMALL_CACHE_BYTES: u64 = 64 << 20;

/// A store in one of its modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) mode: Mode,
}

impl Contender {
    pub(crate) fn label(self) -> String {
        let name = self.kind.name();
        match (self.kind, self.mode) {
            (Kind::Sqlite, Mode::Durable) => "sqlite FULL".to_owned(),
            (Kind::Sqlite, Mode::Buffered) => "sqlite NORMAL".to_owned(),
            (_, Mode::Durable) => name.to_owned(),
            (_, Mode::Buffered) => format!("{name} buffered"),
        }
    }

    pub(crate) fn open(self, path: &std::path::Path) -> Box<dyn Store> {
        self.kind.open(path, self.mode, CACHE_BYTES)
    }
}

/// What a case of a row has measured: for each contender a value of each round.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) row: char,
    pub(crate) case: String,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<(String, Vec<f64>)>,
}

pub(crate) struct Bench {
    pub(crate) args: Args,
    /// Payloads of 260 bytes and of 2 KiB.
    pub(crate) small: Arc<Payloads>,
    pub(crate) large: Arc<Payloads>,
    pub(crate) logs: Option<Feed>,
    pub(crate) measured: Vec<Measured>,
    scratch: PathBuf,
}

impl Bench {
    pub(crate) fn new(args: Args) -> Bench {
        let scratch = args.out.join("scratch");
        std::fs::create_dir_all(&scratch).unwrap();
        let logs = logs::load();
        if logs.is_none() {
            eprintln!("SKIPPED: no real logs; ANNALS_DATA names the directory that has them");
        }
        Bench {
            args,
            small: Arc::new(Payloads::new(260)),
            large: Arc::new(Payloads::new(2048)),
            logs,
            measured: Vec::new(),
            scratch,
        }
    }

    pub(crate) fn wants(&self, row: char) -> bool {
        self.args.only.is_empty() || self.args.only.contains(&row)
    }

    /// A directory on the file system that is measured; gone when it is dropped.
    pub(crate) fn directory(&self) -> TempDir {
        TempDir::new_in(&self.scratch).unwrap()
    }

    /// Made-up events with payloads of 260 bytes.
    pub(crate) fn made(&self, streams: usize, order: Order) -> Feed {
        Feed::made(&self.small, streams, order)
    }

    /// The chosen stores in durable mode, with the bare file or without.
    pub(crate) fn durable(&self, bare: bool) -> Vec<Contender> {
        let kinds = self.args.stores.iter().copied();
        kinds
            .filter(|kind| bare || kind.is_store())
            .map(|kind| Contender { kind, mode: Mode::Durable })
            .collect()
    }

    /// Those that also run with ten million events.
    pub(crate) fn large_ones(&self) -> Vec<Contender> {
        let mut contenders = self.durable(false);
        contenders.retain(|contender| matches!(contender.kind, Kind::Annals | Kind::Sqlite));
        contenders
    }

    /// The chosen stores that have a buffered mode.
    pub(crate) fn buffered(&self, bare: bool) -> Vec<Contender> {
        let kinds = self.args.stores.iter().copied();
        kinds
            .filter(|kind| kind.has_buffered() && (bare || kind.is_store()))
            .map(|kind| Contender { kind, mode: Mode::Buffered })
            .collect()
    }

    /// Measures every contender once in each round, each round beginning with another one.
    pub(crate) fn compare(
        &mut self,
        row: char,
        case: &str,
        unit: &'static str,
        contenders: &[Contender],
        mut measure: impl FnMut(&Bench, Contender) -> f64,
    ) {
        if !case.contains(&self.args.case) {
            return;
        }
        let mut values: Vec<(String, Vec<f64>)> =
            contenders.iter().map(|contender| (contender.label(), Vec::new())).collect();
        for round in 0..self.args.rounds {
            for turn in 0..contenders.len() {
                let index = (round + turn) % contenders.len();
                let value = measure(self, contenders[index]);
                values[index].1.push(value);
                eprintln!(
                    "{row} {case}, round {}: {:<16} {value:.3} {unit}",
                    round + 1,
                    values[index].0
                );
            }
        }
        self.measured.push(Measured { row, case: case.to_owned(), unit, values });
    }

    /// Takes values that were measured elsewhere.
    pub(crate) fn tell(
        &mut self,
        row: char,
        case: &str,
        unit: &'static str,
        values: Vec<(String, Vec<f64>)>,
    ) {
        if !case.contains(&self.args.case) {
            return;
        }
        for (label, values) in &values {
            eprintln!("{row} {case}: {label:<16} {:.3} {unit}", median(values));
        }
        self.measured.push(Measured { row, case: case.to_owned(), unit, values });
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
