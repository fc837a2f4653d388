//! `read`: events of the store or of one stream.

use annals::{Query, QueryItem, Reader};

use crate::{
    args::ReadArgs,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: ReadArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = Reader::open(&args.store)?;
    let mut events = match &args.stream {
        Some(stream) if args.tags.is_empty() => store.read_stream(stream),
        _ => store.read_all(),
    };
    if let Some(version) = args.from_version {
        events = events.from_version(version);
    }
    if let Some(position) = args.from_position {
        events = events.from_position(position);
    }
    if args.backward {
        events = events.backward();
    }
    if let Some(limit) = args.limit {
        events = events.limit(limit);
    }
    if !args.tags.is_empty() {
        let item = QueryItem::new().tags(args.tags).types(args.event_types);
        let item = match args.stream {
            Some(stream) => item.stream(stream),
            None => item,
        };
        events = events.query(&Query::new().item(item));
    } else if !args.event_types.is_empty() {
        events = events.event_types(args.event_types);
    }
    if let Some(prefix) = args.prefix {
        events = events.stream_prefix(prefix);
    }
    for event in events {
        output.event(&event?)?;
    }
    Ok(Exit::Done)
}
