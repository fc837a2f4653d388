//! `checkpoints`: how far the consumers have come.

use annals::Reader;

use crate::{
    args::CheckpointsArgs,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &CheckpointsArgs, output: &mut Output) -> Result<Exit, Failure> {
    for (name, position) in Reader::open(&args.store)?.checkpoints()? {
        output.checkpoint(&name, position)?;
    }
    Ok(Exit::Done)
}
