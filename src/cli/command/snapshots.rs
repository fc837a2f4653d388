//! `snapshots`: what was saved by projections and callers.

use annals::Reader;

use crate::{
    args::SnapshotsArgs,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &SnapshotsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = Reader::open(&args.store)?;
    for snapshot in store.snapshots() {
        let snapshot = snapshot?;
        if args.name.as_ref().is_none_or(|name| name == snapshot.key.name()) {
            output.snapshot(&snapshot)?;
        }
    }
    Ok(Exit::Done)
}
