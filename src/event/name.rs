//! Names: stream ids, event types, and the names of projections, snapshots and checkpoints.

use crate::{
    Error,
    event::limits::{self, NAME_BYTES_MAX},
};

/// Checks the form of a name, apart from its length: it is not empty and has no NUL (which ends a
/// name inside keys and in C).
pub(crate) fn check_form(argument: &'static str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::invalid(argument, "it is empty"));
    }
    if let Some(offset) = name.bytes().position(|byte| byte == 0) {
        return Err(Error::invalid(argument, format!("it contains a NUL at byte {offset}")));
    }
    Ok(())
}

/// Checks the length of a name; `what` names it with its unit, such as "stream id (bytes)".
pub(crate) fn check_length(what: &'static str, name: &str) -> Result<(), Error> {
    limits::check(what, name.len(), NAME_BYTES_MAX)
}

/// Checks a stream id in full, for calls with no other argument to check.
pub(crate) fn check_stream_id(name: &str) -> Result<(), Error> {
    check("stream id", name)
}

/// Checks any name in full.
pub(crate) fn check(argument: &'static str, name: &str) -> Result<(), Error> {
    check_form(argument, name)?;
    check_length(limit_of(argument), name)
}

/// The name of an argument in a limit error, with its unit.
fn limit_of(argument: &'static str) -> &'static str {
    match argument {
        "stream id" => "stream id (bytes)",
        "snapshot name" => "snapshot name (bytes)",
        "projection name" => "projection name (bytes)",
        "checkpoint name" => "checkpoint name (bytes)",
        _ => "name (bytes)",
    }
}
