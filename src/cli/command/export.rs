//! `export`: every event as NDJSON, to standard output or to a new file.

use std::path::Path;

use annals::{Error, EventStore, ExportOptions, ExportReport};

use crate::{
    args::ExportArgs,
    command::{is_dash, open_existing},
    exit::{Exit, Failure},
    new_file::NewFile,
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
    NewFile::check(file)?;
    let store = open_existing(store)?;
    let new_file = NewFile::create(file)?;
    let report = export(&store, new_file.file()).map_err(|error| named(error, file))?;
    new_file.publish()?;
    if output.is_json() {
        output.object(&report)?;
    } else {
        let ExportReport { events, bytes, .. } = report;
        output::say(&format!("exported {events} events, {bytes} bytes, to {}", file.display()));
    }
    Ok(Exit::Done)
}

/// Standard output has the events; a report beside them could only go to standard error.
fn to_stdout(store: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let store = open_existing(store)?;
    match export(&store, output.writer()) {
        Ok(_) => Ok(Exit::Done),
        Err(
            Error::Io { source, action: "write", .. } | Error::NoSpace { source: Some(source), .. },
        ) => Err(Failure::stdout(&source)),
        Err(error) => Err(error.into()),
    }
}

fn export(store: &EventStore, writer: impl std::io::Write) -> Result<ExportReport, Error> {
    let bar = output::progress(Some(store.head()?), PROGRESS);
    let hook = bar.clone();
    let options = ExportOptions::new().progress(move |progress| hook.set_position(progress.events));
    let report = store.export_ndjson(writer, &options);
    bar.finish_and_clear();
    report
}

/// The library knows the output only as a writer.
fn named(error: Error, file: &Path) -> Error {
    match error {
        Error::Io { action: "write", source, .. } => {
            Error::Io { action: "write", path: file.to_owned(), source }
        }
        Error::NoSpace { source, .. } => {
            Error::NoSpace { what: file.display().to_string(), source }
        }
        error => error,
    }
}
