//! `import`: the events of an NDJSON file into a store.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use annals::{Error, EventStore, ImportError, ImportOptions, ImportReport};

use crate::{
    args::ImportArgs,
    command::{is_dash, open, open_existing},
    exit::{Exit, Failure},
    output::{self, Output},
};

const PROGRESS: &str = "{wide_bar} {bytes}/{total_bytes}, {eta} left";
const PROGRESS_UNBOUNDED: &str = "{spinner} {bytes} read";

pub(super) fn run(args: &ImportArgs, output: &mut Output) -> Result<Exit, Failure> {
    // The file first: a mistyped name must not leave an empty store behind.
    let (reader, length) = open_input(&args.file)?;
    let store = open_store(args)?;
    let template = if length.is_some() { PROGRESS } else { PROGRESS_UNBOUNDED };
    let bar = output::progress(length, template);
    let hook = bar.clone();
    let options = ImportOptions::new()
        .mode(args.mode.into())
        .torn_tail(args.torn_tail.into())
        .dry_run(args.dry_run)
        .progress(move |progress| hook.set_position(progress.bytes));
    let outcome = store.import_ndjson(reader, &options);
    bar.finish_and_clear();
    let report = outcome.map_err(|failure| failed(&args.file, failure))?;
    store.close()?;
    if let Some(torn) = &report.torn_tail {
        output::complain(&format!("warning: {}: {torn}", args.file.display()));
    }
    if output.is_json() {
        output.object(&report)?;
    } else {
        output::say(&summary(&report));
    }
    Ok(Exit::Done)
}

/// The input, and its length where there is one.
fn open_input(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Error> {
    if is_dash(path) {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|source| {
        let path = path.to_owned();
        Error::Io { action: "open", path, source: Arc::new(source) }
    })?;
    if metadata.is_dir() {
        let source = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(Error::Io { action: "read", path: path.to_owned(), source: Arc::new(source) });
    }
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

/// A dry run makes no store: where there is none, it checks against an empty one.
fn open_store(args: &ImportArgs) -> Result<EventStore, Error> {
    if !args.dry_run {
        open(&args.store, true, Duration::ZERO)
    } else if args.store.symlink_metadata().is_ok() {
        open_existing(&args.store)
    } else {
        EventStore::in_memory()
    }
}

fn failed(file: &Path, failure: ImportError) -> Failure {
    let ImportReport { events, skipped, dry_run, .. } = failure.report;
    // What says its line itself needs no help.
    let line = failure.line.filter(|_| !matches!(failure.error, Error::Parse { .. }));
    let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let mut result = Failure::from(failure.error);
    for message in &mut result.messages {
        *message = format!("{}: {line}{message}", file.display());
    }
    result.messages.push(match (dry_run, events) {
        (true, _) => "dry run: nothing was written".to_owned(),
        (false, 0) if skipped == 0 => "nothing of it was imported".to_owned(),
        (false, _) => format!("imported {events} events before that, skipped {skipped}"),
    });
    result
}

fn summary(report: &ImportReport) -> String {
    let ImportReport { events, skipped, .. } = report;
    let skipped = match skipped {
        0 => String::new(),
        _ => format!(", skipped {skipped} that are there already"),
    };
    if report.dry_run {
        format!("dry run: would import {events} events{skipped}; nothing was written")
    } else {
        format!("imported {events} events{skipped}")
    }
}
