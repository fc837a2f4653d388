//! `import`: appends the events of an NDJSON file.

use std::{
    fs::{self, File},
    io, mem,
    path::Path,
    sync::Arc,
    time::Duration,
};

use annals::{Error, EventStore, ImportError, ImportFault, ImportOptions, ImportReport};
use uuid::Uuid;

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

pub(super) fn run(args: &ImportArgs, output: &mut Output) -> Result<Exit, Failure> {
    // Open the file first: a mistyped name must not create an empty store.
    let interrupts = Interrupts::watch();
    let (reader, length) = open_input(&args.file, &interrupts)?;
    let before = Before::of(&args.store);
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
            if is_empty && !args.dry_run && before != Before::Taken {
                discard(store, &args.store, before);
            } else {
                // The first failure is the one to report.
                let _ = store.close();
            }
            if interrupts.have_come() {
                return Err(interrupted(args, &failure.report));
            }
            return Err(failed(args, head, failure));
        }
    };
    store.close()?;
    if let Some(torn) = &report.torn_tail {
        output::complain(&format!("warning: {}: {torn}", name_of(&args.file)));
    }
    if output.is_json() {
        output.object(&report)?;
    } else {
        output::say(&summary(&report));
    }
    Ok(Exit::Done)
}

/// What was at the path of the store before the command opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    EmptyDirectory,
    /// A store, or something else that the command leaves alone.
    Taken,
}

impl Before {
    fn of(path: &Path) -> Before {
        match fs::read_dir(path) {
            Ok(mut entries) => match entries.next() {
                None => Before::EmptyDirectory,
                Some(_) => Before::Taken,
            },
            Err(_) if path.symlink_metadata().is_err() => Before::Nothing,
            Err(_) => Before::Taken,
        }
    }
}

/// Removes a new store without events. Its lock is held until the program ends, so that no other
/// process can append to it in between.
fn discard(store: EventStore, path: &Path, before: Before) {
    if before == Before::Nothing {
        let aside = path.with_file_name(format!(".annals-{}.tmp", Uuid::new_v4().simple()));
        if fs::rename(path, &aside).is_ok() {
            let _ = fs::remove_dir_all(&aside);
        }
    } else {
        // The lock goes last: until then no other process makes a store of what is left.
        let lock = path.join("LOCK");
        // Without the superblock it is no store, rather than one that has lost its journal.
        let _ = fs::remove_file(path.join("ANNALS"));
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        for entry in entries.map(|entry| entry.path()).filter(|entry| *entry != lock) {
            let _ = fs::remove_file(&entry).or_else(|_| fs::remove_dir_all(&entry));
        }
        let _ = fs::remove_file(lock);
    }
    // A close would go by the path, where another process may have made a store by now.
    mem::forget(store);
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

/// How messages name the input.
fn name_of(file: &Path) -> String {
    if is_dash(file) { "standard input".to_owned() } else { file.display().to_string() }
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
    failure.detail("events", report.events);
    let ImportArgs { store, file, mode, .. } = args;
    failure.messages.push(match (args.dry_run, report.events) {
        (true, _) => "dry run: nothing was written".to_owned(),
        (false, 0) => "nothing was imported".to_owned(),
        (false, events) if matches!(mode, Mode::Append) => {
            format!("imported the first {} of the input", output::counted(events, "event"))
        }
        (false, events) => {
            let (store, file) = (store.display(), file.display());
            let resume = format!("annals import {store} {file} --mode resume");
            format!("imported {}; to continue: {resume}", output::counted(events, "event"))
        }
    });
    failure
}

fn failed(args: &ImportArgs, head: u64, failure: ImportError) -> Failure {
    let input = name_of(&args.file);
    let hint = hint(args, head, &failure);
    let ImportReport { events, skipped, dry_run, .. } = *failure.report;
    // An `Error::Parse` already names its line.
    let line = failure.line.filter(|_| !matches!(failure.error, Error::Parse { .. }));
    let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let mut result = Failure::from(failure.error);
    if let Some(line) = failure.line {
        result.detail("line", line);
    }
    result.detail("events", events);
    for message in &mut result.messages {
        *message = format!("{input}: {line}{message}");
    }
    result.messages.push(match (dry_run, events) {
        (true, _) => "dry run: nothing was written".to_owned(),
        (false, 0) if skipped == 0 => "nothing was imported".to_owned(),
        (false, _) => {
            format!("imported {} before that, skipped {skipped}", output::counted(events, "event"))
        }
    });
    result.messages.extend(hint);
    result
}

/// How to go on after a failure, where an option or another mode helps.
fn hint(args: &ImportArgs, head: u64, failure: &ImportError) -> Option<String> {
    let is_parse = matches!(failure.error, Error::Parse { .. });
    let is_faithful = matches!(args.mode, Mode::Faithful);
    let has_written = !args.dry_run && failure.report.events > 0;
    let can_resume = has_written && !matches!(args.mode, Mode::Append);
    let hint = match failure.fault {
        Some(ImportFault::TornTail) if can_resume => {
            "--mode resume --torn-tail drop continues without the torn line"
        }
        Some(ImportFault::TornTail) if !has_written => "--torn-tail drop leaves the torn line out",
        Some(ImportFault::TornTail) => return None,
        _ if is_parse && can_resume => "once the line is corrected, --mode resume continues",
        _ if failure.report.events > 0 => return None,
        // The file starts with events that may be those of the store.
        Some(ImportFault::EventId { found, .. }) if found <= head => {
            return is_faithful.then(|| {
                let events = output::counted(head, "event");
                format!(
                    "the store already has {events}: --mode resume skips those that the file \
                     repeats, --mode append gives all of them new positions"
                )
            });
        }
        Some(ImportFault::EventId { .. }) => {
            "events before it are missing; --mode append gives new positions"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn summary(report: &ImportReport) -> String {
    let ImportReport { events, skipped, .. } = report;
    let skipped = match skipped {
        0 => String::new(),
        _ => format!(", skipped {skipped} that the store already has"),
    };
    let events = output::counted(*events, "event");
    match report.dry_run {
        true => format!("dry run: would import {events}{skipped}; nothing was written"),
        false => format!("imported {events}{skipped}"),
    }
}
