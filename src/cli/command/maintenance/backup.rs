//! `backup`: a copy of the store in a new directory, or what is new in an earlier one.

use annals::{BackupOptions, backup};

use crate::{
    args::BackupArgs,
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(super) fn run(args: &BackupArgs, output: &mut Output) -> Result<Exit, Failure> {
    let options = BackupOptions::new().link(args.link);
    let report = backup(&args.store, &args.directory, &options)?;
    if output.is_json() {
        output.object(&report)?;
    } else {
        let (events, directory) = (report.events, args.directory.display());
        output::say(&format!("{directory} has {events} events; copied {} bytes", report.bytes));
    }
    Ok(Exit::Done)
}
