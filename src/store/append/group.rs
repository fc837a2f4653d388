//! Group commit: concurrent appends, batches and saves share one journal write and one sync.
//!
//! The first request to arrive leads: its thread takes everything that has queued up, numbers it,
//! writes it and answers it, then hands the lead to the next in the queue. The next group gathers
//! while the leader waits for the disk, and for a moment after it; see `gather.rs`. Submitted
//! batches use the same queue, so the order of one thread's calls holds for all of them; see
//! `submitted.rs`.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use super::{
    Answer,
    commit::commit,
    committer::{Committer, Submitted},
    gather::Gathering,
    outcome::Outcome,
    request::{AppendRequest, Owner, Slot, lost},
};
use crate::{
    AppendError, EventStore,
    defect::{self, Defect},
    metrics::Meters,
    store::Inner,
    sync::{self, Condvar, Mutex, MutexGuard, thread},
    trace::span,
};

/// A group takes requests up to these limits: enough to keep the disk busy, but few enough to keep
/// the wait of the first request short.
const GROUP_BYTES: usize = 4 << 20;
const GROUP_REQUESTS: usize = 1_024;

/// The queue of requests.
#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    queue: Mutex<Queue>,
    /// Where callers wait whose requests queued in an even or an odd round. The next group gathers
    /// while one group is written, so the two rarely wait at the same place, and one wake-up
    /// reaches a whole group. Requests that did not fit into a group keep the place of their round.
    answered: [Condvar; 2],
    pub(super) committer: Committer,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Arc<Slot>>,
    has_leader: bool,
    /// The number of groups taken so far.
    round: usize,
    gathering: Gathering,
    pub(super) submitted: Submitted,
}

impl Queue {
    /// Whether a leader is needed.
    pub(super) fn needs_leader(&self) -> bool {
        !self.has_leader && !self.waiting.is_empty()
    }

    /// The store of a waiting batch, if there is one.
    pub(super) fn first_store(&self) -> Option<EventStore> {
        self.waiting.iter().find_map(|slot| match &slot.owner {
            Owner::Caller { .. } => None,
            Owner::Ticket { store, .. } => sync::lock(store).clone(),
        })
    }

    /// Adds a batch whose outcome will be delivered to a ticket.
    pub(super) fn submit(
        &mut self,
        request: AppendRequest,
        bytes: usize,
        outcome: &Arc<Outcome>,
        store: &EventStore,
    ) {
        let store = Mutex::new(Some(store.clone()));
        let owner = Owner::Ticket { outcome: Arc::clone(outcome), store };
        self.waiting.push_back(Arc::new(Slot { request, bytes, owner, answer: Mutex::default() }));
        self.submitted.entered(bytes);
    }
}

impl GroupCommit {
    /// Queues a request and returns its answer.
    pub(in crate::store) fn append(&self, inner: &Inner, request: AppendRequest) -> Answer {
        let bytes = request.contents.weight();
        let mut queue = self.lock();
        let place = queue.round % 2;
        let (owner, answer) = (Owner::Caller { place }, Mutex::default());
        let slot = Arc::new(Slot { request, bytes, owner, answer });
        queue.waiting.push_back(Arc::clone(&slot));
        loop {
            if let Some(answer) = sync::lock(&slot.answer).take() {
                return answer;
            }
            if queue.has_leader {
                let Some(changed) = self.answered.get(place) else {
                    return Err(lost(&inner.storage).into());
                };
                queue = sync::wait(changed, queue);
                continue;
            }
            queue = self.lead(inner, queue, Some(&slot));
        }
    }

    /// Takes a group from the queue, answers all of it, and gives up the lead. The group need not
    /// contain `own`, the request of the leading thread.
    pub(super) fn lead<'a>(
        &'a self,
        inner: &Inner,
        queue: MutexGuard<'a, Queue>,
        own: Option<&Arc<Slot>>,
    ) -> MutexGuard<'a, Queue> {
        self.lead_with(inner, queue, own, |group| commit(&inner.storage, &inner.versions, group))
    }

    fn lead_with<'a>(
        &'a self,
        inner: &Inner,
        mut queue: MutexGuard<'a, Queue>,
        own: Option<&Arc<Slot>>,
        commit: impl FnOnce(&[Arc<Slot>]) -> Vec<Answer>,
    ) -> MutexGuard<'a, Queue> {
        queue.has_leader = true;
        let storage = &inner.storage;
        let group = self.take_group(self.gather(queue));
        let started = Instant::now();
        storage.meters().group.record(group.len() as u64);
        let _span = span!(
            "commit",
            requests = group.len(),
            events = group.iter().map(|slot| slot.request.contents.events()).sum::<u64>(),
            bytes = group.iter().map(|slot| slot.request.contents.bytes()).sum::<usize>()
        );
        // A panic would leave the others waiting forever; the state of the disk after it is
        // unknown.
        let answers = catch_unwind(AssertUnwindSafe(|| commit(&group)));
        let answers =
            answers.unwrap_or_else(|_| group.iter().map(|_| Err(lost(storage).into())).collect());
        answers.iter().for_each(|answer| count(storage.meters(), answer));
        for (slot, answer) in group.iter().zip(answers) {
            *sync::lock(&slot.answer) = Some(answer);
        }
        let mut queue = self.lock();
        queue.has_leader = false;
        let callers = group.iter().filter(|slot| slot.place().is_some()).count();
        let waiting = queue.waiting.len();
        queue.gathering.committed(callers, waiting, started.elapsed());
        let tickets = group.iter().filter(|slot| slot.place().is_none());
        queue.submitted.finished.extend(tickets.map(Arc::clone));
        // Callers lead in preference to the committer, which may be busy with handlers.
        let next = queue.waiting.iter().find_map(|slot| slot.place());
        if !queue.submitted.finished.is_empty() || (next.is_none() && queue.needs_leader()) {
            self.committer.wake();
        }
        drop(queue);
        // A wake-up is a system call, so places where nobody waits are skipped.
        for (place, changed) in self.answered.iter().enumerate() {
            let is_other = |slot: &&Arc<Slot>| !own.is_some_and(|own| Arc::ptr_eq(slot, own));
            if group.iter().filter(is_other).any(|slot| slot.place() == Some(place)) {
                changed.notify_all();
            } else if next == Some(place) && !defect::has(Defect::NextLeaderAsleep) {
                // All threads that still wait here have no answer, so any of them may lead.
                changed.notify_one();
            }
        }
        // Waking a task runs code of the caller's executor, which may itself append.
        inner.arrivals.announce();
        self.lock()
    }

    /// Lets threads that were just answered queue their next requests.
    fn gather<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let waiting = queue.waiting.len();
        let Some(mut wait) = queue.gathering.begin(waiting) else { return queue };
        loop {
            drop(queue);
            thread::yield_now();
            queue = self.lock();
            let waiting = queue.waiting.len();
            if queue.gathering.is_over(&mut wait, waiting) {
                return queue;
            }
        }
    }

    /// Takes the next group.
    fn take_group(&self, mut queue: MutexGuard<'_, Queue>) -> Vec<Arc<Slot>> {
        let (mut bytes, mut count) = (0, 0);
        for slot in queue.waiting.iter().take(GROUP_REQUESTS) {
            bytes += slot.bytes;
            if count > 0 && bytes > GROUP_BYTES {
                break;
            }
            count += 1;
        }
        queue.round += 1;
        let group: Vec<_> = queue.waiting.drain(..count).collect();
        for slot in group.iter().filter(|slot| slot.place().is_none()) {
            queue.submitted.left(slot.bytes);
        }
        if queue.submitted.is_awaited() {
            self.committer.make_room();
        }
        group
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        sync::lock(&self.queue)
    }
}

/// Counts answers other than ordinary successes.
fn count(meters: &Meters, answer: &Answer) {
    match answer {
        Err(AppendError::Conflict(_)) => meters.conflicts.add(1),
        Ok(written) if written.is_replay => meters.replays.add(1),
        _ => {}
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a leader that panics is what the test is about")]
mod tests {
    use super::*;
    use crate::{
        Error, ErrorCode, ExpectedVersion, NewEvent,
        event::Timestamp,
        store::{
            Contents, Unit,
            append::seen::{SeenConditions, SeenIds},
        },
    };

    fn request(number: u64) -> Result<AppendRequest, Error> {
        let unit = Unit::to("s", ExpectedVersion::Any, [NewEvent::json("T", &number)?]);
        Ok(AppendRequest {
            contents: Contents::of_units(vec![unit]),
            head: None,
            now: Timestamp::utc(0)?,
            seen: SeenIds::default(),
            seen_conditions: SeenConditions::default(),
        })
    }

    #[test]
    fn a_leader_that_panics_answers_its_group_and_gives_up_the_lead() -> Result<(), Error> {
        let store = EventStore::in_memory()?;
        let commits = &store.inner.commits;
        let mut queue = commits.lock();
        for place in [0, 1] {
            let owner = Owner::Caller { place };
            let (request, answer) = (request(place as u64)?, Mutex::default());
            queue.waiting.push_back(Arc::new(Slot { request, bytes: 1, owner, answer }));
        }
        let group: Vec<_> = queue.waiting.iter().map(Arc::clone).collect();
        let queue = commits.lead_with(&store.inner, queue, None, |_| panic!("in the middle"));
        assert!(!queue.has_leader && queue.waiting.is_empty());
        drop(queue);
        let code = |answer: &Answer| answer.as_ref().err().map(AppendError::code);
        for slot in &group {
            let answer = sync::lock(&slot.answer);
            assert_eq!(answer.as_ref().and_then(code), Some(ErrorCode::Poisoned));
        }
        let next = store.append("s", ExpectedVersion::Any, [NewEvent::json("T", &1)?]);
        assert_eq!(next.err().map(|error| error.code()), Some(ErrorCode::Poisoned));
        Ok(())
    }
}
