//! `checkpoints`: lists how far each consumer has come.

use crate::{
    args::CheckpointsArgs,
    command::open_reader,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &CheckpointsArgs, output: &mut Output) -> Result<Exit, Failure> {
    for (name, position) in open_reader(&args.store)?.checkpoints()? {
        output.checkpoint(&name, position)?;
    }
    Ok(Exit::Done)
}
