//! `import`: appends the events of an NDJSON file.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use annals::{Error, EventStore, ImportError, ImportOptions, ImportReport};

use crate::{
    args::{ImportArgs, Mode},
    command::{
        interrupt::{Input, Interrupts},
        is_dash, open, open_existing,
    },
    exit::{Exit, Failure},
    output::{self, Output},
};

const PROGRESS: &str = "{wide_bar} {bytes}/{total_bytes}, {eta} left";
const PROGRESS_UNBOUNDED: &str = "{spinner} {bytes} read";
/// What the reason for a refused torn line contains.
const TORN_LINE: &str = "(a torn last line";

pub(super) fn run(args: &ImportArgs, output: &mut Output) -> Result<Exit, Failure> {
    // Open the file first: a mistyped name must not create an empty store.
    let interrupts = Interrupts::watch();
    let (reader, length) = open_input(&args.file, &interrupts)?;
    let is_new = args.store.symlink_metadata().is_err();
    let store = open_store(args)?;
    let head = store.head()?;
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
    let report = match outcome {
        Ok(report) => report,
        Err(failure) => {
            let is_empty = store.head().is_ok_and(|head| head == 0);
            // The first failure is the one to report.
            let is_closed = store.close().is_ok();
            if is_new && is_empty && is_closed && !args.dry_run {
                // It contains only what this command has just created.
                let _ = fs::remove_dir_all(&args.store);
            }
            if interrupts.have_come() {
                return Err(interrupted(args, &failure.report));
            }
            return Err(failed(args, head, failure));
        }
    };
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

/// The input, and its length if it has one.
fn open_input(path: &Path, interrupts: &Interrupts) -> Result<(Input, Option<u64>), Error> {
    if is_dash(path) {
        let stdin = Input::of_stdin(interrupts).map_err(|source| {
            let path = "standard input".into();
            Error::Io { action: "read", path, source: Arc::new(source) }
        })?;
        return Ok((stdin, None));
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
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Input::new(file, interrupts), length))
}

/// A dry run creates no store: if there is none, it checks against an empty one.
fn open_store(args: &ImportArgs) -> Result<EventStore, Error> {
    if !args.dry_run {
        open(&args.store, true, Duration::ZERO)
    } else if args.store.symlink_metadata().is_ok() {
        open_existing(&args.store)
    } else {
        EventStore::in_memory()
    }
}

fn interrupted(args: &ImportArgs, report: &ImportReport) -> Failure {
    let mut failure = Failure::new(Exit::Interrupted, "interrupted");
    let ImportArgs { store, file, mode, .. } = args;
    failure.messages.push(match (args.dry_run, report.events) {
        (true, _) => "dry run: nothing was written".to_owned(),
        (false, 0) => "nothing was imported".to_owned(),
        (false, events) if matches!(mode, Mode::Append) => {
            format!("the first {events} events of the input were imported")
        }
        (false, events) => {
            let (store, file) = (store.display(), file.display());
            let resume = format!("annals import {store} {file} --mode resume");
            format!("{events} events were imported; to continue: {resume}")
        }
    });
    failure
}

fn failed(args: &ImportArgs, head: u64, failure: ImportError) -> Failure {
    let file = &args.file;
    let hint = hint(args, head, &failure);
    let ImportReport { events, skipped, dry_run, .. } = failure.report;
    // An `Error::Parse` already names its line.
    let line = failure.line.filter(|_| !matches!(failure.error, Error::Parse { .. }));
    let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let mut result = Failure::from(failure.error);
    for message in &mut result.messages {
        *message = format!("{}: {line}{message}", file.display());
    }
    result.messages.push(match (dry_run, events) {
        (true, _) => "dry run: nothing was written".to_owned(),
        (false, 0) if skipped == 0 => "nothing was imported".to_owned(),
        (false, _) => format!("imported {events} events before that, skipped {skipped}"),
    });
    result.messages.extend(hint);
    result
}

/// How to go on after a failure, where an option or another mode helps.
fn hint(args: &ImportArgs, head: u64, failure: &ImportError) -> Option<String> {
    let Error::Parse { reason, .. } = &failure.error else { return None };
    let is_faithful = matches!(args.mode, Mode::Faithful);
    let has_written = !args.dry_run && failure.report.events > 0;
    let can_resume = has_written && !matches!(args.mode, Mode::Append);
    match (reason.contains(TORN_LINE), can_resume) {
        (true, true) => {
            let hint = "--mode resume --torn-tail drop continues without the torn line";
            return Some(hint.to_owned());
        }
        (true, false) if !has_written => {
            return Some("--torn-tail drop leaves the torn line out".to_owned());
        }
        (false, true) => {
            return Some("once the line is corrected, --mode resume continues".to_owned());
        }
        _ => {}
    }
    match refused_id(reason) {
        // The file starts with events that may be those of the store.
        Some(event_id) if is_faithful && failure.report.events == 0 && event_id <= head => {
            Some(format!(
                "the store already has {head} events: --mode resume skips those that the file \
                 repeats, --mode append gives all of them new positions"
            ))
        }
        Some(event_id) if failure.report.events == 0 && event_id > head => {
            Some("events before it are missing; --mode append gives new positions".to_owned())
        }
        _ => None,
    }
}

/// The event id of a line, if it was refused because it does not follow the one before it.
fn refused_id(reason: &str) -> Option<u64> {
    let (event_id, rest) = reason.strip_prefix("event_id ")?.split_once(' ')?;
    event_id.parse().ok().filter(|_| rest.starts_with("does not follow"))
}

fn summary(report: &ImportReport) -> String {
    let ImportReport { events, skipped, .. } = report;
    let skipped = match skipped {
        0 => String::new(),
        _ => format!(", skipped {skipped} that the store already has"),
    };
    if report.dry_run {
        format!("dry run: would import {events} events{skipped}; nothing was written")
    } else {
        format!("imported {events} events{skipped}")
    }
}
