//! `streams`: the streams and their versions.

use annals::Reader;

use crate::{
    args::StreamsArgs,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &StreamsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = Reader::open(&args.store)?;
    let mut streams = store.streams();
    if let Some(prefix) = &args.prefix {
        streams = streams.prefix(prefix);
    }
    for stream in streams {
        output.stream(&stream?)?;
    }
    Ok(Exit::Done)
}
