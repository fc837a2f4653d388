//! What the leader of a group does: number, encode, write, answer.

use std::{collections::HashMap, sync::Arc};

use super::{
    Written,
    group::{Answer, Request, Slot},
    number::Numbering,
    versions::Versions,
};
use crate::{
    AppendError, Error,
    codec::saved::Checkpoint,
    storage::{Frame, Storage},
};

/// Numbers, writes and answers a group. All of it is one frame: once the frame is written, every
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

/// What a group writes.
struct Accepted<'a> {
    storage: &'a Storage,
    numbering: Numbering<'a>,
    checkpoints: Vec<Checkpoint>,
    /// The newest of these by name.
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

    fn add(&mut self, request: &'a Request) -> Answer {
        match request {
            Request::Append(append) => self.numbering.add(append),
            Request::Checkpoint(checkpoint) => {
                self.add_checkpoint(checkpoint)?;
                Ok(Written { appended: Vec::new(), is_replay: false })
            }
        }
    }

    fn add_checkpoint(&mut self, new: &'a Checkpoint) -> Result<(), AppendError> {
        let Checkpoint { name, position } = new;
        self.storage.check_reached(*position)?;
        let current = match self.positions.get(&**name) {
            Some(&position) => position,
            None => self.storage.checkpoint_of(name)?,
        };
        if *position < current {
            let reason = format!("the checkpoint {name:?} is at {current}, and never goes back");
            return Err(Error::invalid("position", reason).into());
        }
        if *position > current {
            self.positions.insert(name, *position);
            self.checkpoints.push(new.clone());
        }
        Ok(())
    }

    /// The frame to write, if there is anything to write.
    fn frame(&self) -> Option<Frame<'_>> {
        let events = self.numbering.events();
        if events.is_empty() && self.checkpoints.is_empty() {
            return None;
        }
        Some(Frame::of(events, self.checkpoints.clone()))
    }
}
