//! The commands, one file each: open the store, call a function of the library, print the result.

mod append;
mod checkpoints;
mod completions;
mod export;
mod import;
mod interrupt;
mod maintenance;
mod read;
mod snapshots;
mod stats;
mod streams;
mod tail;

use std::{io, path::Path, time::Duration};

use annals::{Error, EventStore, Options, Reader};

use crate::{
    args::Command,
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(crate) use interrupt::wait_if_ending;

const REBUILD: &str = "rebuilding the trees {wide_bar} {pos}/{len} events, {eta} left";

/// Runs one command.
pub(crate) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Append(args) => append::run(args, output),
        Command::Read(args) => read::run(args, output),
        Command::Tail(args) => tail::run(&args, output),
        Command::Streams(args) => streams::run(&args, output),
        Command::Snapshots(args) => snapshots::run(&args, output),
        Command::Checkpoints(args) => checkpoints::run(&args, output),
        Command::Stats(args) => stats::run(&args, output),
        Command::Import(args) => import::run(&args, output),
        Command::Export(args) => export::run(&args, output),
        Command::Maintenance(command) => maintenance::run(command, output),
        Command::Completions(args) => completions::run(&args, output),
        Command::Manual(args) => completions::write_manual(&args),
    }
}

/// Opens a store that must exist: a mistyped path does not create one.
fn open_existing(path: &Path) -> Result<EventStore, Error> {
    open(path, false, Duration::ZERO)
}

/// Opens a store for reading. It must exist.
fn open_reader(path: &Path) -> Result<Reader, Failure> {
    Reader::open(path).map_err(of_missing)
}

/// A failure of a command that creates no store.
fn of_missing(error: Error) -> Failure {
    let is_missing = match &error {
        Error::Io { action: "open", source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    };
    let note = "check the path: only `annals append` and `annals import` create a store";
    let failure = Failure::from(error);
    if is_missing { failure.note(note) } else { failure }
}

/// Opens a store for writing, and reports what had to be rebuilt for that.
fn open(path: &Path, creates: bool, wait: Duration) -> Result<EventStore, Error> {
    let bar = output::progress(None, REBUILD);
    let hook = bar.clone();
    let on_rebuild = move |done, total| {
        hook.set_length(total);
        hook.set_position(done);
    };
    let store =
        Options::new().create(creates).wait_for_lock(wait).on_rebuild(on_rebuild).open(path)?;
    bar.finish_and_clear();
    let recovery = store.recovery();
    if let Some(reason) = recovery.reason() {
        let kept = recovery
            .set_aside()
            .map(|aside| format!("; the old ones are kept in {}", aside.display()));
        let (events, seconds) = (recovery.rebuilt_events(), recovery.duration().as_secs_f64());
        let events = output::counted(events, "event");
        let built = format!("from {events} of the journal in {seconds:.1} s");
        match kept {
            Some(kept) => output::complain(&format!(
                "warning: rebuilt the trees of {} {built}: {reason}{kept}",
                path.display()
            )),
            // A backup has no trees.
            None => output::say(&format!("built the trees of {} {built}", path.display())),
        }
    }
    Ok(store)
}

/// Whether a path argument means standard input or output.
fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}
