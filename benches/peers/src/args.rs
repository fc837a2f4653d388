//! The command line.

use std::path::PathBuf;

use crate::store::Kind;

pub(crate) const USAGE: &str = "\
Compares Annals with other stores and writes a table and plots.

Options:
  --rounds N       rounds of each workload (default 5)
  --only A,C,..    these rows alone
  --case TEXT      those of their cases alone that have it in their names
  --stores S,..    these of bare,annals,sqlite,lmdb,redb,fjall,umadb,tephra
  --out DIR        where the results and the scratch files go (default target/peers)
  --events N       so many events in rows E to J
  --quick          small sizes and one round, about two minutes
  --scale          how cost grows with the number of events, beside the table
  --large          10 million events for annals and sqlite in H, J and --scale";

/// What a run is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) rounds: usize,
    /// Empty: all rows.
    pub(crate) only: Vec<char>,
    pub(crate) case: String,
    pub(crate) stores: Vec<Kind>,
    pub(crate) out: PathBuf,
    pub(crate) events: Option<u64>,
    pub(crate) quick: bool,
    pub(crate) scale: bool,
    pub(crate) large: bool,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let out = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers").into();
        let mut args = Args {
            rounds: 0,
            only: Vec::new(),
            case: String::new(),
            stores: Kind::ALL.to_vec(),
            out,
            events: None,
            quick: false,
            scale: false,
            large: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => args.rounds = value()?.parse().map_err(|_| "--rounds: no number")?,
                "--only" => {
                    args.only = value()?.split(',').filter_map(|row| row.chars().next()).collect();
                }
                "--case" => args.case = value()?,
                "--stores" => {
                    let kind = |name| Kind::named(name).ok_or(format!("no such store: {name}"));
                    args.stores = value()?.split(',').map(kind).collect::<Result<_, _>>()?;
                }
                "--out" => args.out = value()?.into(),
                "--events" => args.events = value()?.parse().ok(),
                "--quick" => args.quick = true,
                "--scale" => args.scale = true,
                "--large" => args.large = true,
                _ => return Err(format!("{word}?\n\n{USAGE}")),
            }
        }
        if args.rounds == 0 {
            args.rounds = if args.quick { 1 } else { 5 };
        }
        Ok(args)
    }

    /// How many events a store is filled with, in whole batches.
    pub(crate) fn events(&self, quick: u64, full: u64) -> u64 {
        self.events.unwrap_or(self.size(quick, full)).next_multiple_of(1_000)
    }

    /// `quick` in a quick run, else `full`.
    pub(crate) fn size(&self, quick: u64, full: u64) -> u64 {
        if self.quick { quick } else { full }
    }
}
