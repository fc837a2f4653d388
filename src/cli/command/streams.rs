//! `streams`: lists the streams and their versions.

use annals::{Error, Reader, StreamInfo};

use crate::{
    args::{Sort, StreamsArgs},
    command::open_reader,
    exit::{Exit, Failure},
    output::{LastEvent, Output, StreamRow},
};

pub(super) fn run(args: &StreamsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = open_reader(&args.store)?;
    let mut streams = store.streams();
    if let Some(prefix) = &args.prefix {
        streams = streams.prefix(prefix);
    }
    let needs_last = args.times || args.sort == Sort::Last;
    let rows = streams.map(|stream| row(&store, &stream?, needs_last));
    let limit = args.limit.unwrap_or(usize::MAX);
    if args.sort == Sort::Name {
        rows.take(limit).try_for_each(|row| output.stream(&row?))?;
        return Ok(Exit::Done);
    }
    let mut rows = rows.collect::<Result<Vec<StreamRow>, Error>>()?;
    let last = |row: &StreamRow| row.last.as_ref().map_or(0, |last| last.last_position);
    match args.sort {
        Sort::Events => rows.sort_by_key(|row| std::cmp::Reverse(row.version)),
        _ => rows.sort_by_key(|row| std::cmp::Reverse(last(row))),
    }
    rows.iter().take(limit).try_for_each(|row| output.stream(row))?;
    Ok(Exit::Done)
}

fn row(store: &Reader, stream: &StreamInfo, needs_last: bool) -> Result<StreamRow, Error> {
    let (stream_id, version) = (stream.stream_id().to_owned(), stream.version());
    if !needs_last {
        return Ok(StreamRow { stream_id, version, last: None });
    }
    let last = store.read_stream(&stream_id).backward().limit(1).next().transpose()?;
    let last = last.map(|event| LastEvent {
        last_position: event.position(),
        last_time: event.timestamp().to_string(),
    });
    Ok(StreamRow { stream_id, version, last })
}
