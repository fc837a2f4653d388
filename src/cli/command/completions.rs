//! `completions`: prints a script for a shell. `manual`: writes the man pages.

use std::{
    fs,
    io::{self, Write},
};

use clap::CommandFactory;

use crate::{
    args::{Args, CompletionsArgs, ManualArgs},
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<Exit, Failure> {
    // The generator panics if its writer fails, which a vector never does.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "annals", &mut script);
    output.writer().write_all(&script).map_err(|error| Failure::stdout(&error))?;
    Ok(Exit::Done)
}

/// Writes the man pages.
pub(super) fn write_manual(args: &ManualArgs) -> Result<Exit, Failure> {
    let failed = |error: io::Error| {
        let path = args.directory.display();
        Failure::new(Exit::System, format!("cannot write {path}: {error}"))
    };
    fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), &args.directory).map_err(failed)?;
    Ok(Exit::Done)
}
