//! `backup`: a copy of the store in a new directory.

use serde::Serialize;

use crate::{
    args::BackupArgs,
    command::open_existing,
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(in crate::command) fn run(args: &BackupArgs, output: &mut Output) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    struct Report {
        events: u64,
    }
    let store = open_existing(&args.store)?;
    // Nobody else has the store open, so this is what the copy will hold.
    let events = store.head()?;
    store.backup(&args.directory)?;
    if output.is_json() {
        output.object(&Report { events })?;
    } else {
        output::say(&format!("copied {events} events to {}", args.directory.display()));
    }
    Ok(Exit::Done)
}
