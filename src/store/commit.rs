//! What the leader of a group does: number, encode, write, answer.

use std::{collections::HashMap, sync::Arc};

use crate::{
    AppendError, Error,
    codec::{
        pack, record,
        saved::{Checkpoint, StoredSnapshot},
    },
    storage::{CommitFailure, Frame, Storage, TailEntry, TailRecord},
    store::{
        append::Written,
        group::{Answer, Request, Slot},
        number::Numbering,
    },
};

/// What an answer rests on, a refusal too: it holds once that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    Events,
    Checkpoints,
    /// The n-th snapshot of the group.
    Snapshot(usize),
    Nothing,
}

/// Numbers, writes and answers a group.
pub(super) fn commit(storage: &Storage, group: &[Arc<Slot>]) -> Vec<Answer> {
    if let Err(error) = storage.wait_for_room() {
        return group.iter().map(|_| Err(error.clone().into())).collect();
    }
    let mut accepted = Accepted::new(storage);
    let answers: Vec<(Answer, Basis)> =
        group.iter().map(|slot| accepted.add(&slot.request)).collect();
    let (frames, bases) = match accepted.frames() {
        Ok(frames) => frames,
        Err(error) => return group.iter().map(|_| Err(error.clone().into())).collect(),
    };
    if frames.is_empty() {
        return answers.into_iter().map(|(answer, _)| answer).collect();
    }
    let Err(CommitFailure { written, error }) = storage.commit(frames) else {
        return answers.into_iter().map(|(answer, _)| answer).collect();
    };
    let settle = |(answer, basis): (Answer, Basis)| {
        let frame = bases.iter().position(|frame| *frame == basis);
        match frame {
            // The basis was not written: none of what rests on it holds.
            Some(frame) if frame >= written => Err(error.clone().into()),
            _ => answer,
        }
    };
    answers.into_iter().map(settle).collect()
}

/// What a group writes.
struct Accepted<'a> {
    storage: &'a Storage,
    numbering: Numbering<'a>,
    checkpoints: Vec<Checkpoint>,
    /// The newest of these by name.
    positions: HashMap<&'a str, u64>,
    snapshots: Vec<StoredSnapshot>,
}

impl<'a> Accepted<'a> {
    fn new(storage: &'a Storage) -> Self {
        Accepted {
            storage,
            numbering: Numbering::new(storage),
            checkpoints: Vec::new(),
            positions: HashMap::new(),
            snapshots: Vec::new(),
        }
    }

    fn add(&mut self, request: &'a Request) -> (Answer, Basis) {
        let saved = |result: Result<(), Error>| {
            let nothing = Written { appended: Vec::new(), is_replay: false };
            result.map(|()| nothing).map_err(AppendError::Failed)
        };
        match request {
            Request::Append(append) => (self.numbering.add(append), Basis::Events),
            Request::Checkpoint(checkpoint) => {
                (saved(self.add_checkpoint(checkpoint)), Basis::Checkpoints)
            }
            Request::Snapshot(snapshot) => match self.storage.check_reached(snapshot.position) {
                Ok(()) => {
                    self.snapshots.push(snapshot.clone());
                    (saved(Ok(())), Basis::Snapshot(self.snapshots.len() - 1))
                }
                Err(error) => (saved(Err(error)), Basis::Nothing),
            },
        }
    }

    fn add_checkpoint(&mut self, new: &'a Checkpoint) -> Result<(), Error> {
        let Checkpoint { name, position } = new;
        self.storage.check_reached(*position)?;
        let current = match self.positions.get(&**name) {
            Some(&position) => position,
            None => self.storage.checkpoint_of(name)?,
        };
        if *position < current {
            let reason = format!("the checkpoint {name:?} is at {current}, and never goes back");
            return Err(Error::invalid("position", reason));
        }
        if *position > current {
            self.positions.insert(name, *position);
            self.checkpoints.push(new.clone());
        }
        Ok(())
    }

    /// The frames to write, and what each of them is the basis of.
    fn frames(&self) -> Result<(Vec<Frame<'_>>, Vec<Basis>), Error> {
        let (mut frames, mut bases) = (Vec::new(), Vec::new());
        if !self.numbering.events().is_empty() {
            frames.push(events(self.storage, &self.numbering)?);
            bases.push(Basis::Events);
        }
        if !self.checkpoints.is_empty() {
            frames.push(Frame::Checkpoints(self.checkpoints.clone()));
            bases.push(Basis::Checkpoints);
        }
        for (number, snapshot) in self.snapshots.iter().enumerate() {
            frames.push(Frame::Snapshot(snapshot.clone()));
            bases.push(Basis::Snapshot(number));
        }
        Ok((frames, bases))
    }
}

fn events<'a>(storage: &Storage, numbering: &'a Numbering<'_>) -> Result<Frame<'a>, Error> {
    let mut next = numbering.base() + 1;
    let mut records = Vec::new();
    for events in pack::cut(numbering.events()) {
        let bytes = record::encode(next, events, storage.checksum())
            .map_err(|reason| Error::internal(format!("events have no record: {reason}")))?;
        let count = events.len() as u64;
        records.push(TailRecord { first_position: next, count, bytes: Arc::from(bytes) });
        next += count;
    }
    let entries = (numbering.base() + 1..).zip(numbering.events()).map(|(position, event)| {
        TailEntry { stream: event.stream, version: event.version, position, id: event.id }
    });
    Ok(Frame::Events { records, entries: entries.collect() })
}
