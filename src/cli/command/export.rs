//! `export`: writes every event as NDJSON, to standard output or to a new file.

use std::{io, path::Path, sync::Arc};

use annals::{Error, ExportOptions, ExportReport, Reader};
use indicatif::ProgressBar;

use crate::{
    args::ExportArgs,
    command::{interrupt::Interrupts, is_dash, open_reader},
    exit::{Exit, Failure},
    output::{self, Output},
};

const PROGRESS: &str = "{wide_bar} {human_pos}/{human_len} events, {eta} left";

pub(super) fn run(args: &ExportArgs, output: &mut Output) -> Result<Exit, Failure> {
    match args.file.as_deref().filter(|file| !is_dash(file)) {
        Some(file) => to_file(&args.store, file, output),
        None => to_stdout(&args.store, output),
    }
}

fn to_file(store: &Path, file: &Path, output: &mut Output) -> Result<Exit, Failure> {
    check_free(file)?;
    let interrupts = Interrupts::watch();
    let store = open_reader(store)?;
    let stopped = interrupts.clone();
    let exported = export(&store, true, |options| {
        let options = options.stop_when(move || stopped.have_come());
        store.export_ndjson_file(file, &options)
    });
    let report = exported.map_err(|error| match interrupts.have_come() {
        true => {
            let message = format!("interrupted: {} was not created", file.display());
            Failure::new(Exit::Interrupted, message)
        }
        false => error.into(),
    })?;
    if output.is_json() {
        output.object(&report)?;
    } else {
        let ExportReport { events, bytes, .. } = report;
        let events = output::counted(events, "event");
        output::say(&format!("exported {events}, {bytes} bytes, to {}", file.display()));
    }
    Ok(Exit::Done)
}

/// Checks the name first: the export would refuse it too, but only after the store is open.
fn check_free(file: &Path) -> Result<(), Error> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let reason = "it already exists, and nothing is overwritten";
    let source = io::Error::new(io::ErrorKind::AlreadyExists, reason);
    Err(Error::Io { action: "create", path: file.to_owned(), source: Arc::new(source) })
}

/// Standard output has the events, so there is no report.
fn to_stdout(store: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let store = open_reader(store)?;
    let has_bar = !output.is_terminal();
    let writer = output.writer();
    match export(&store, has_bar, |options| store.export_ndjson(writer, &options)) {
        Ok(_) => Ok(Exit::Done),
        Err(
            Error::Io { source, action: "write", .. } | Error::NoSpace { source: Some(source), .. },
        ) => Err(Failure::stdout(&source)),
        Err(error) => Err(error.into()),
    }
}

/// Runs an export with a progress bar.
fn export(
    store: &Reader,
    has_bar: bool,
    run: impl FnOnce(ExportOptions) -> Result<ExportReport, Error>,
) -> Result<ExportReport, Error> {
    let bar = match has_bar {
        true => output::progress(Some(store.head()?), PROGRESS),
        // The events are on the terminal.
        false => ProgressBar::hidden(),
    };
    let hook = bar.clone();
    let options = ExportOptions::new().progress(move |progress| hook.set_position(progress.events));
    let report = run(options);
    bar.finish_and_clear();
    report
}
