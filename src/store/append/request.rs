//! A request in the queue, and the recipient of its answer.

use std::sync::Arc;

use super::{
    Answer,
    contents::Contents,
    outcome::Outcome,
    seen::{SeenConditions, SeenIds},
};
use crate::{
    Error, EventStore,
    event::Timestamp,
    storage::Storage,
    sync::{self, Mutex},
};

/// What a caller asks for.
#[derive(Debug)]
pub(crate) struct AppendRequest {
    pub(crate) contents: Contents,
    /// The head that the store must have, for an import that continues it.
    pub(crate) head: Option<u64>,
    /// The timestamp for events that have none.
    pub(crate) now: Timestamp,
    /// The results of the lookups before the request queued.
    pub(crate) seen: SeenIds,
    pub(crate) seen_conditions: SeenConditions,
}

/// A request in the queue.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) request: AppendRequest,
    pub(super) bytes: usize,
    pub(super) owner: Owner,
    /// Set before the queue is locked to wake the owner.
    pub(super) answer: Mutex<Option<Answer>>,
}

/// The recipient of the answer.
#[derive(Debug)]
pub(super) enum Owner {
    /// A thread that is waiting at one of the two condition variables.
    Caller { place: usize },
    /// A ticket. The store stays open until the ticket is answered.
    Ticket { outcome: Arc<Outcome>, store: Mutex<Option<EventStore>> },
}

impl Slot {
    /// The place where the owner waits; `None` for a ticket.
    pub(super) fn place(&self) -> Option<usize> {
        match self.owner {
            Owner::Caller { place } => Some(place),
            Owner::Ticket { .. } => None,
        }
    }

    /// Takes the ticket's outcome, its store, and the answer to deliver.
    pub(super) fn ticket(&self) -> Option<(&Outcome, EventStore, Answer)> {
        let Owner::Ticket { outcome, store } = &self.owner else { return None };
        let store = sync::lock(store).take()?;
        let answer = sync::lock(&self.answer).take();
        let answer = answer.unwrap_or_else(|| Err(lost(&store.inner.storage).into()));
        Some((outcome, store, answer))
    }
}

/// The error for an append whose leader panicked.
pub(super) fn lost(storage: &Storage) -> Error {
    storage.poison(Error::internal("the writer of a group of appends stopped in the middle"))
}
