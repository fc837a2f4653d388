//! `compact`: rewrites a store into fewer and smaller files.

use annals::compact;

use crate::{
    args::CompactArgs,
    command::interrupt::end_on_signal,
    exit::{Exit, Failure},
    output,
};

pub(super) fn run(args: &CompactArgs) -> Result<Exit, Failure> {
    end_on_signal("interrupted: no event is lost; run the command again", || {});
    compact(&args.store)?;
    output::say(&format!("{} was compacted", args.store.display()));
    Ok(Exit::Done)
}
