//! `compact`: a store written anew.

use annals::compact;

use crate::{
    args::CompactArgs,
    exit::{Exit, Failure},
    output,
};

pub(super) fn run(args: &CompactArgs) -> Result<Exit, Failure> {
    compact(&args.store)?;
    output::say(&format!("{} was written anew", args.store.display()));
    Ok(Exit::Done)
}
