//! `backup`: copies the store to a new directory, or adds what is new to an earlier copy.

use annals::{BackupOptions, backup};

use crate::{
    args::BackupArgs,
    command::{interrupt::end_on_signal, of_missing},
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(super) fn run(args: &BackupArgs, output: &mut Output) -> Result<Exit, Failure> {
    end_on_signal("interrupted: run the command again to complete the backup", || {});
    let options = BackupOptions::new().link(args.link);
    let report = backup(&args.store, &args.directory, &options).map_err(of_missing)?;
    if output.is_json() {
        output.object(&report)?;
    } else {
        let events = output::counted(report.events, "event");
        let directory = args.directory.display();
        output::say(&format!("{directory} has {events}; copied {} bytes", report.bytes));
    }
    Ok(Exit::Done)
}
