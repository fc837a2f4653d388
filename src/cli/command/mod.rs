//! The commands, one file each: open the store, call one function of the library, print.

mod append;
mod backup;
mod completions;
mod export;
mod import;
mod read;
mod snapshots;
mod stats;
mod streams;
mod tail;
mod verify;

use std::path::Path;

use annals::{Error, EventStore, Options};

use crate::{
    args::Command,
    exit::{Exit, Failure},
    output::Output,
};

/// Runs one command.
pub(crate) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Append(args) => append::run(args, output),
        Command::Read(args) => read::run(args, output),
        Command::Tail(args) => tail::run(&args, output),
        Command::Streams(args) => streams::run(&args, output),
        Command::Snapshots(args) => snapshots::run(&args, output),
        Command::Stats(args) => stats::run(&args, output),
        Command::Import(args) => import::run(&args, output),
        Command::Export(args) => export::run(&args, output),
        Command::Verify(args) => verify::run(&args, output),
        Command::Backup(args) => backup::run(&args, output),
        Command::Completions(args) => completions::run(&args, output),
    }
}

/// Opens a store that must be there: a mistyped path makes no new one.
fn open_existing(path: &Path) -> Result<EventStore, Error> {
    Options::new().create(false).open(path)
}

/// Whether a path argument stands for standard input or output.
fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}
