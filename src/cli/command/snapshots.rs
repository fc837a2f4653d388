//! `snapshots`: lists what projections and callers have saved.

use crate::{
    args::SnapshotsArgs,
    command::open_reader,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &SnapshotsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = open_reader(&args.store)?;
    for snapshot in store.snapshots() {
        let snapshot = snapshot?;
        if args.name.as_ref().is_none_or(|name| name == snapshot.key.name()) {
            output.snapshot(&snapshot)?;
        }
    }
    Ok(Exit::Done)
}
