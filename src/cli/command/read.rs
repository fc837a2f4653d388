//! `read`: prints events of the store or of one stream.

use std::collections::VecDeque;

use annals::{Error, Events, Query, QueryItem, Reader, RecordedEvent};
use serde_json::Value;

use crate::{
    args::ReadArgs,
    command::open_reader,
    exit::{Exit, Failure},
    output::{self, Form, Output},
};

pub(super) fn run(args: ReadArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = open_reader(&args.store)?;
    output.set_form(match (args.full, args.table, args.with_version) {
        (true, _, _) => Form::Whole,
        (_, true, _) => Form::Table,
        (_, _, true) => Form::WithVersion,
        _ => Form::Auto,
    });
    if let Some(id) = args.id {
        let Some(event) = store.event_by_id(id)? else {
            return Err(Failure::new(Exit::No, format!("no event has the id {id}")));
        };
        output.event(&event)?;
        return Ok(Exit::Done);
    }
    if let Some(stream) = &args.stream
        && store.stream_version(stream)? == 0
    {
        output::complain(&format!("there is no stream {stream:?} in {}", args.store.display()));
    }
    let (limit, last, correlation) = (args.limit, args.last, args.correlation.clone());
    let first_version = last.and(args.from_version).unwrap_or(0);
    let is_within = |event: &Result<RecordedEvent, Error>| {
        event.as_ref().map_or(true, |event| event.version() >= first_version)
    };
    let found = matching(&store, args).take_while(is_within);
    let found = found.filter(|event| match (event, &correlation) {
        (Ok(event), Some(id)) => has_correlation(event, id),
        _ => true,
    });
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    match last {
        None => found.take(limit).try_for_each(|event| output.event(&event?))?,
        Some(last) => {
            let last = usize::try_from(last).unwrap_or(usize::MAX);
            let events = found.take(last).collect::<Result<VecDeque<_>, Error>>()?;
            events.iter().rev().try_for_each(|event| output.event(event))?;
        }
    }
    Ok(Exit::Done)
}

/// The events that the options select.
fn matching(store: &Reader, args: ReadArgs) -> Events {
    let mut events = match &args.stream {
        Some(stream) if args.tags.is_empty() => store.read_stream(stream),
        _ => store.read_all(),
    };
    // With --last, from_version is where the backward read ends.
    let is_start = args.last.is_none() || args.stream.is_none();
    if let Some(version) = args.from_version.filter(|_| is_start) {
        events = events.from_version(version);
    }
    if let Some(position) = args.from_position {
        events = events.from_position(position);
    }
    if let Some(position) = args.until_position {
        events = events.until_position(position);
    }
    if let Some(time) = args.since {
        events = events.since(time);
    }
    if let Some(time) = args.until {
        events = events.until(time);
    }
    if args.backward {
        events = events.backward();
    }
    if args.last.is_some() {
        // The last ones are read first, so the bounds change places.
        events = backward_within(events, args.from_position, args.until_position);
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
    events
}

/// Reads the same events backward.
fn backward_within(events: Events, from: Option<u64>, until: Option<u64>) -> Events {
    let events = events.backward().until_position(from.unwrap_or(0));
    events.from_position(until.unwrap_or(u64::MAX))
}

/// Whether an event belongs to a correlation: its metadata says so, or it is the event that started
/// it.
fn has_correlation(event: &RecordedEvent, id: &str) -> bool {
    let metadata = event.metadata_json::<serde_json::Map<String, Value>>();
    let found =
        metadata.ok().flatten().and_then(|metadata| metadata.get("correlation_id").cloned());
    // A null counts as absent, as in `NewEvent::caused_by`.
    match found.filter(|found| !found.is_null()) {
        Some(Value::String(found)) => found == id,
        Some(found) => serde_json::to_string(&found).is_ok_and(|text| text == id),
        None => match event.id() {
            Some(own) => own.to_string() == id,
            None => event.position().to_string() == id,
        },
    }
}
