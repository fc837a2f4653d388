//! Group commit: concurrent appends and saves share one journal write and one sync.
//!
//! The first to arrive leads: it takes everything that has queued up, numbers it, writes it and
//! answers it, then hands the lead to the next in the queue. While it waits for the disk the next
//! group gathers, so there is no artificial wait.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use crate::{
    AppendError, Error,
    codec::saved::Checkpoint,
    storage::Storage,
    store::{
        Inner,
        append::{AppendRequest, Written},
        commit::commit,
    },
    sync,
};

/// A group takes requests up to these limits: enough to keep the disk busy, few enough to keep the
/// first one's wait short.
const GROUP_BYTES: usize = 4 << 20;
const GROUP_REQUESTS: usize = 1_024;

/// The answer to a request; that of a checkpoint has no appended events.
pub(super) type Answer = Result<Written, AppendError>;

/// What is to be written.
#[derive(Debug)]
pub(super) enum Request {
    Append(AppendRequest),
    Checkpoint(Checkpoint),
}

/// The queue of requests.
#[derive(Debug, Default)]
pub(super) struct GroupCommit {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Slot>>,
    has_leader: bool,
}

/// One request in the queue.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) request: Request,
    bytes: usize,
    turn: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Debug)]
enum Turn {
    Waiting,
    Leading,
    Answered(Answer),
    Taken,
}

impl GroupCommit {
    /// Queues an append and returns its answer.
    pub(super) fn append(&self, inner: &Inner, request: AppendRequest) -> Answer {
        let bytes = request
            .units
            .iter()
            .flat_map(|unit| unit.events.iter().map(|event| event.counted_bytes(&unit.stream)))
            .sum();
        self.submit(inner, Request::Append(request), bytes)
    }

    /// Queues a checkpoint, and returns once it is as durable as appends are.
    pub(super) fn save(&self, inner: &Inner, checkpoint: Checkpoint) -> Result<(), Error> {
        match self.submit(inner, Request::Checkpoint(checkpoint), 0) {
            Ok(_) => Ok(()),
            Err(AppendError::Failed(error)) => Err(error),
            Err(AppendError::Conflict(_)) => Err(lost(&inner.storage)),
        }
    }

    fn submit(&self, inner: &Inner, request: Request, bytes: usize) -> Answer {
        let turn = Mutex::new(Turn::Waiting);
        let slot = Arc::new(Slot { request, bytes, turn, changed: Condvar::new() });
        let is_leader = {
            let mut queue = self.lock();
            queue.waiting.push_back(Arc::clone(&slot));
            !mem::replace(&mut queue.has_leader, true)
        };
        if !is_leader && let Some(answer) = slot.wait() {
            return answer;
        }
        self.lead(inner);
        slot.take_answer().unwrap_or_else(|| Err(lost(&inner.storage).into()))
    }

    /// Takes a group from the queue, answers all of it, and hands on the lead.
    fn lead(&self, inner: &Inner) {
        let storage = &inner.storage;
        let group = self.take_group();
        // A panic would leave the others waiting forever; what it left on the disk is unknown.
        let answers = catch_unwind(AssertUnwindSafe(|| commit(storage, &inner.versions, &group)));
        let answers =
            answers.unwrap_or_else(|_| group.iter().map(|_| Err(lost(storage).into())).collect());
        inner.arrivals.announce();
        for (slot, answer) in group.iter().zip(answers) {
            slot.set(Turn::Answered(answer));
        }
        let mut queue = self.lock();
        match queue.waiting.front() {
            Some(next) => next.set(Turn::Leading),
            None => queue.has_leader = false,
        }
    }

    fn take_group(&self) -> Vec<Arc<Slot>> {
        let mut queue = self.lock();
        let (mut bytes, mut count) = (0, 0);
        for slot in queue.waiting.iter().take(GROUP_REQUESTS) {
            bytes += slot.bytes;
            if count > 0 && bytes > GROUP_BYTES {
                break;
            }
            count += 1;
        }
        queue.waiting.drain(..count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        sync::lock(&self.queue)
    }
}

impl Slot {
    /// Waits for the answer, or for the lead.
    fn wait(&self) -> Option<Answer> {
        let waiting = |turn: &mut Turn| matches!(turn, Turn::Waiting);
        drop(sync::wait_while(&self.changed, sync::lock(&self.turn), waiting));
        self.take_answer()
    }

    fn take_answer(&self) -> Option<Answer> {
        let mut turn = sync::lock(&self.turn);
        if !matches!(*turn, Turn::Answered(_)) {
            return None;
        }
        match mem::replace(&mut *turn, Turn::Taken) {
            Turn::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    fn set(&self, turn: Turn) {
        *sync::lock(&self.turn) = turn;
        self.changed.notify_one();
    }
}

/// The error of an append whose leader panicked.
fn lost(storage: &Storage) -> Error {
    storage.poison(Error::internal("the writer of a group of appends stopped half-way"))
}
