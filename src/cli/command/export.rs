//! `export`: every event as NDJSON, to standard output or to a new file.

use std::{io, path::Path, sync::Arc};

use annals::{Error, ExportOptions, ExportReport, Reader};

use crate::{
    args::ExportArgs,
    command::is_dash,
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
    let store = Reader::open(store)?;
    let report = export(&store, |options| store.export_ndjson_file(file, options))?;
    if output.is_json() {
        output.object(&report)?;
    } else {
        let ExportReport { events, bytes, .. } = report;
        output::say(&format!("exported {events} events, {bytes} bytes, to {}", file.display()));
    }
    Ok(Exit::Done)
}

/// The name first: the export would refuse it too, but only once the store is open.
fn check_free(file: &Path) -> Result<(), Error> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let reason = "it exists already, and nothing is overwritten";
    let source = io::Error::new(io::ErrorKind::AlreadyExists, reason);
    Err(Error::Io { action: "create", path: file.to_owned(), source: Arc::new(source) })
}

/// Standard output has the events; a report beside them could only go to standard error.
fn to_stdout(store: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let store = Reader::open(store)?;
    let writer = output.writer();
    match export(&store, |options| store.export_ndjson(writer, options)) {
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
    run: impl FnOnce(&ExportOptions) -> Result<ExportReport, Error>,
) -> Result<ExportReport, Error> {
    let bar = output::progress(Some(store.head()?), PROGRESS);
    let hook = bar.clone();
    let options = ExportOptions::new().progress(move |progress| hook.set_position(progress.events));
    let report = run(&options);
    bar.finish_and_clear();
    report
}
