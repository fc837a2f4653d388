//! `completions`: a script for a shell.

use std::io::Write;

use clap::CommandFactory;

use crate::{
    args::{Args, CompletionsArgs},
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<Exit, Failure> {
    // The generator panics when its writer fails, and a vector does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "annals", &mut script);
    output.writer().write_all(&script).map_err(|error| Failure::stdout(&error))?;
    Ok(Exit::Done)
}
