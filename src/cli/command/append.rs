//! `append`: appends one event to one stream.

use std::{
    io::{self, IsTerminal, Read},
    time::Duration,
};

use annals::{AppendError, Error, ErrorCode, EventStore, NewEvent, limits};
use serde::Serialize;

use crate::{
    args::AppendArgs,
    command::open,
    exit::{Exit, Failure},
    output::{self, Output},
};

/// The most that is read from standard input. White space around the payload does not count towards
/// the limit of an event, so this leaves room for some.
const INPUT_BYTES_MAX: usize = 2 * limits::EVENT_BYTES_MAX;

/// What to do about data that is not JSON: most often it lacks its quotes.
const NOT_JSON: &str = "the data must be JSON: a text in it needs double quotes, inside the single \
                        quotes of the shell, as in '\"tea\"'";

#[derive(Serialize)]
struct Report<'a> {
    stream_id: &'a str,
    position: u64,
    version: u64,
    /// Whether the event was already stored, and nothing was written.
    #[serde(skip_serializing_if = "is_false")]
    is_replay: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

pub(super) fn run(args: AppendArgs, output: &mut Output) -> Result<Exit, Failure> {
    let given = args.data.filter(|data| data != "-");
    let is_input = given.is_none();
    // Wrong data from standard input is wrong input, not wrong usage.
    let blame = |failure: Failure| if is_input { failure.of_input() } else { failure };
    let data = given.map_or_else(|| read_stdin().map_err(blame), Ok)?;
    let event = NewEvent::raw_json(args.event_type, &data);
    let mut event = event.map_err(|error| match is_input {
        true => Failure::from(error).of_input(),
        false => Failure::from(error).note(NOT_JSON),
    })?;
    if let Some(metadata) = &args.metadata {
        event = event.raw_metadata(metadata)?;
    }
    if let Some(id) = args.id {
        event = event.id(id);
    }
    event = event.tags(args.tags);
    let append = |store: &EventStore, event: NewEvent| {
        store.append(&args.stream, args.expected, [event]).map_err(|error| match error {
            AppendError::Failed(Error::LimitExceeded { what: "event (bytes)", .. }) => {
                blame(error.into())
            }
            AppendError::Conflict(conflict) => Failure::from(AppendError::from(conflict))
                .note("nothing was written: read the stream, and decide again"),
            error => Failure::from(error),
        })
    };
    if args.store.symlink_metadata().is_err() {
        // An append that an empty store refuses must not create one.
        append(&EventStore::in_memory()?, event.clone())?;
    }
    let opened = open(&args.store, true, Duration::from_secs(args.wait));
    let store = opened.map_err(|error| match (error.code(), args.wait) {
        (ErrorCode::Locked, 0) => Failure::from(error).note("--wait SECONDS waits for it"),
        _ => error.into(),
    })?;
    let appended = append(&store, event)?;
    store.close()?;
    let (position, version) = (*appended.positions().start(), *appended.versions().start());
    let is_replay = appended.is_replay();
    if output.is_json() {
        output.object(&Report { stream_id: &args.stream, position, version, is_replay })?;
    } else {
        output.text(&format!("{}: position {position}, version {version}", args.stream))?;
    }
    if is_replay {
        output::say("the event was already stored: nothing was written");
    }
    Ok(Exit::Done)
}

fn read_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    if io::stdin().is_terminal() {
        output::say("type the data as JSON, and end it with Ctrl-D on a line of its own");
    }
    let mut bounded = io::stdin().lock().take(INPUT_BYTES_MAX as u64 + 1);
    bounded.read_to_end(&mut bytes).map_err(|error| {
        Failure::new(Exit::System, format!("cannot read standard input: {error}"))
    })?;
    if bytes.len() > INPUT_BYTES_MAX {
        let (limit, actual) = (INPUT_BYTES_MAX as u64, bytes.len() as u64);
        return Err(Error::LimitExceeded { what: "standard input (bytes)", limit, actual }.into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let reason = format!("byte {} of standard input is not valid UTF-8", offset + 1);
        Error::InvalidArgument { argument: "data", reason }.into()
    })
}
