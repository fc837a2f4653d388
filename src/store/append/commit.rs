//! The work of a group's leader: number, encode, write, answer.

use std::{collections::HashMap, sync::Arc};

use super::{
    Answer, Written,
    number::Numbering,
    request::{AppendRequest, Slot},
    versions::Versions,
};
use crate::{
    Error,
    codec::saved::Checkpoint,
    defect::{self, Defect},
    storage::{Frame, Storage},
};

/// Numbers, writes and answers a group. The group is one frame: if the frame is written, every
/// answer holds, even a rejection; if it is not, none does.
pub(super) fn commit(storage: &Storage, versions: &Versions, group: &[Arc<Slot>]) -> Vec<Answer> {
    let refused = |error: Error| group.iter().map(|_| Err(error.clone().into())).collect();
    if let Err(error) = storage.wait_for_room() {
        return refused(error);
    }
    let mut accepted = Accepted::new(storage, versions);
    let answers: Vec<Answer> = group.iter().map(|slot| accepted.add(&slot.request)).collect();
    let Some(frame) = accepted.frame() else { return answers };
    match storage.commit(frame) {
        Ok(()) => {
            versions.wrote(accepted.numbering.versions());
            answers
        }
        Err(error) => refused(error),
    }
}

/// The data that a group writes.
struct Accepted<'a> {
    storage: &'a Storage,
    numbering: Numbering<'a>,
    checkpoints: Vec<Checkpoint>,
    /// The newest position of each checkpoint, by name.
    positions: HashMap<&'a str, u64>,
}

impl<'a> Accepted<'a> {
    fn new(storage: &'a Storage, versions: &'a Versions) -> Self {
        Accepted {
            storage,
            numbering: Numbering::new(storage, versions),
            checkpoints: Vec::new(),
            positions: HashMap::new(),
        }
    }

    /// Accepts a request, recognizes it as a retry, or refuses it without leaving a trace.
    fn add(&mut self, request: &'a AppendRequest) -> Answer {
        let replayed = self.numbering.check(request)?;
        let events = if replayed.is_some() { 0 } else { request.contents.events() };
        let head = self.numbering.head() + events;
        let mut saved = Vec::new();
        for checkpoint in &request.contents.checkpoints {
            if self.moves(checkpoint, head, replayed.is_some())? {
                saved.push(checkpoint);
            }
        }
        let is_replay = replayed.is_some();
        let appended = match replayed {
            Some(appended) => appended,
            None => self.numbering.accept(request)?,
        };
        for checkpoint in saved {
            self.positions.insert(&checkpoint.name, checkpoint.position);
            self.checkpoints.push(checkpoint.clone());
        }
        Ok(Written { appended, is_replay })
    }

    /// Whether a checkpoint is ahead of the stored one. A checkpoint at the same position writes
    /// nothing. One that goes back is refused, except in a retry of a batch: the first try saved
    /// the checkpoint, and others may have moved it forward since.
    fn moves(&self, new: &Checkpoint, head: u64, is_replay: bool) -> Result<bool, Error> {
        let Checkpoint { name, position } = new;
        if *position > head {
            let reason = format!(
                "the checkpoint {name:?} cannot move to {position}, past the head of the store, \
                 which is {head}"
            );
            return Err(Error::invalid("position", reason));
        }
        let current = match self.positions.get(&**name) {
            Some(&position) => position,
            None => self.storage.checkpoint_of(name)?,
        };
        if *position < current && !is_replay && !defect::has(Defect::CheckpointGoesBack) {
            let reason = format!("the checkpoint {name:?} is at {current} and cannot go back");
            return Err(Error::invalid("position", reason));
        }
        Ok(*position > current || defect::has(Defect::CheckpointGoesBack))
    }

    /// The frame to write, or `None` if there is nothing to write.
    fn frame(&self) -> Option<Frame<'_>> {
        let events = self.numbering.events();
        if events.is_empty() && self.checkpoints.is_empty() {
            return None;
        }
        Some(Frame::of(events, self.checkpoints.clone()))
    }
}
