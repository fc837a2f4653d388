//! `compact`: rewrites a store into fewer and smaller files.

use std::path::Path;

use annals::{Error, Reader, compact};
use serde::Serialize;

use crate::{
    args::CompactArgs,
    command::{interrupt::end_on_signal, of_missing},
    exit::{Exit, Failure},
    output::{self, Output},
};

/// The bytes of all files of the store.
#[derive(Serialize)]
struct Report {
    bytes_before: u64,
    bytes_after: u64,
}

pub(super) fn run(args: &CompactArgs, output: &mut Output) -> Result<Exit, Failure> {
    end_on_signal("interrupted: no event is lost; run the command again", || {});
    // What is wrong with a store that cannot be read, the compaction says.
    let bytes_before = bytes_of(&args.store).unwrap_or(0);
    compact(&args.store).map_err(of_missing)?;
    let report = Report { bytes_before, bytes_after: bytes_of(&args.store)? };
    if output.is_json() {
        output.object(&report)?;
    } else {
        let Report { bytes_before, bytes_after } = report;
        let store = args.store.display();
        output::say(&format!("{store} was compacted: {bytes_before} to {bytes_after} bytes"));
    }
    Ok(Exit::Done)
}

fn bytes_of(store: &Path) -> Result<u64, Error> {
    let stats = Reader::open(store)?.stats()?;
    Ok(stats.journal_bytes + stats.trees_bytes + stats.snapshots_bytes)
}
