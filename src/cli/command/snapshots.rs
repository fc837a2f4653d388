//! `snapshots`: what was saved by projections and callers.

use crate::{
    args::SnapshotsArgs,
    command::open_existing,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &SnapshotsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = open_existing(&args.store)?;
    for snapshot in store.snapshots() {
        let snapshot = snapshot?;
        if args.name.as_ref().is_none_or(|name| name == snapshot.key.name()) {
            output.snapshot(&snapshot)?;
        }
    }
    Ok(Exit::Done)
}
