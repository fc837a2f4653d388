//! Keeps an earlier state, so that a handler that fails half-way leaves no trace.
//!
//! A state can be kept only as its JSON. A small state is kept before every handler, which costs
//! little. A large state is kept after enough handlers to make the cost per handler small, and is
//! restored by running the handlers in between again.

use serde::{
    Serialize,
    de::{DeserializeOwned, Error},
};

use crate::error::caught;

/// A state whose JSON is no longer than this is kept before every handler.
const SMALL_BYTES: usize = 1 << 10;

/// Bytes of JSON that one handler pays for, on average, when the state is larger.
const BYTES_PER_HANDLER: usize = 64;

/// The JSON of a state, and the position of that state.
#[derive(Debug, Default)]
pub(super) struct Undo {
    json: Vec<u8>,
    position: u64,
    /// How many handlers have run since; `None` if there is no JSON.
    handled: Option<usize>,
}

impl Undo {
    /// Keeps the state at `position`, if it is due.
    pub(super) fn keep(&mut self, state: &impl Serialize, position: u64) -> Result<(), String> {
        let period = match self.json.len() {
            0..=SMALL_BYTES => 1,
            len => len / BYTES_PER_HANDLER,
        };
        if self.handled.is_some_and(|handled| handled < period) {
            return Ok(());
        }
        self.handled = None;
        self.json.clear();
        serde_json::to_writer(&mut self.json, state).map_err(|error| error.to_string())?;
        self.position = position;
        self.handled = Some(0);
        Ok(())
    }

    /// Notes that a handler has changed the state.
    pub(super) fn note_handled(&mut self) {
        self.handled = self.handled.map(|handled| handled + 1);
    }

    /// Discards what is kept, because the state is replaced.
    pub(super) fn forget(&mut self) {
        self.handled = None;
    }

    /// The state that was kept last, and its position.
    pub(super) fn restore<S: DeserializeOwned>(&self) -> Option<(S, u64)> {
        self.handled?;
        Some((read(&self.json).ok()?, self.position))
    }
}

/// Reads a state from its JSON, however deeply it is nested. If the state's own code panics, the
/// state cannot be read: the state that a failed handler has left must not stay.
pub(super) fn read<S: DeserializeOwned>(json: &[u8]) -> serde_json::Result<S> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer.disable_recursion_limit();
    let state =
        caught(|| S::deserialize(&mut deserializer)).map_err(serde_json::Error::custom)??;
    deserializer.end()?;
    Ok(state)
}
