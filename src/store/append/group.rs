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

use super::{AppendRequest, Written, commit::commit};
use crate::{AppendError, Error, codec::saved::Checkpoint, storage::Storage, store::Inner, sync};

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
pub(crate) struct GroupCommit {
    queue: Mutex<Queue>,
    /// Where those wait whose requests queued in an even and in an odd round. While one group is
    /// written the next one gathers, so the two rarely wait at the same place, and one wake-up
    /// reaches a whole group. Requests that did not fit into a group keep the place of their round.
    answered: [Condvar; 2],
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Slot>>,
    has_leader: bool,
    /// Counts the groups that were taken.
    round: usize,
}

/// One request in the queue.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) request: Request,
    bytes: usize,
    /// Which of the two condition variables its owner waits at.
    place: usize,
    /// Set before the queue is locked to wake its owner.
    answer: Mutex<Option<Answer>>,
}

impl GroupCommit {
    /// Queues an append and returns its answer.
    pub(crate) fn append(&self, inner: &Inner, request: AppendRequest) -> Answer {
        let bytes = request
            .units
            .iter()
            .flat_map(|unit| unit.events.iter().map(|event| event.counted_bytes(&unit.stream)))
            .sum();
        self.submit(inner, Request::Append(request), bytes)
    }

    /// Queues a checkpoint, and returns once it is as durable as appends are.
    pub(crate) fn save(&self, inner: &Inner, checkpoint: Checkpoint) -> Result<(), Error> {
        match self.submit(inner, Request::Checkpoint(checkpoint), 0) {
            Ok(_) => Ok(()),
            Err(AppendError::Failed(error)) => Err(error),
            Err(AppendError::Conflict(_)) => Err(lost(&inner.storage)),
        }
    }

    fn submit(&self, inner: &Inner, request: Request, bytes: usize) -> Answer {
        let mut queue = self.lock();
        let place = queue.round % 2;
        let slot = Arc::new(Slot { request, bytes, place, answer: Mutex::default() });
        queue.waiting.push_back(Arc::clone(&slot));
        loop {
            if let Some(answer) = sync::lock(&slot.answer).take() {
                return answer;
            }
            if mem::replace(&mut queue.has_leader, true) {
                let Some(changed) = self.answered.get(place) else {
                    return Err(lost(&inner.storage).into());
                };
                queue = sync::wait(changed, queue);
                continue;
            }
            drop(queue);
            self.lead(inner, &slot);
            queue = self.lock();
        }
    }

    /// Takes a group from the queue, answers all of it, and gives up the lead. The group need not
    /// hold the request of the thread that leads, `own`.
    fn lead(&self, inner: &Inner, own: &Arc<Slot>) {
        let storage = &inner.storage;
        let group = self.take_group();
        // A panic would leave the others waiting forever; what it left on the disk is unknown.
        let answers = catch_unwind(AssertUnwindSafe(|| commit(storage, &inner.versions, &group)));
        let answers =
            answers.unwrap_or_else(|_| group.iter().map(|_| Err(lost(storage).into())).collect());
        inner.arrivals.announce();
        for (slot, answer) in group.iter().zip(answers) {
            *sync::lock(&slot.answer) = Some(answer);
        }
        let next = {
            let mut queue = self.lock();
            queue.has_leader = false;
            queue.waiting.front().map(|slot| slot.place)
        };
        // A wake-up is a system call, so none is made where nobody waits.
        for (place, changed) in self.answered.iter().enumerate() {
            if group.iter().any(|slot| slot.place == place && !Arc::ptr_eq(slot, own)) {
                changed.notify_all();
            } else if next == Some(place) {
                // Whoever still waits here has no answer, so any of them may lead.
                changed.notify_one();
            }
        }
    }

    /// The next group.
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
        queue.round += 1;
        queue.waiting.drain(..count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        sync::lock(&self.queue)
    }
}

/// The error of an append whose leader panicked.
fn lost(storage: &Storage) -> Error {
    storage.poison(Error::internal("the writer of a group of appends stopped half-way"))
}
