//! The outcome of a submitted batch, and waiting for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll, Waker},
    time::Instant,
};

use super::Answer;
use crate::{
    defect::{self, Defect},
    sync::{self, Condvar, Mutex},
};

/// The answer to a submitted batch, once there is one. It is kept, and any number of threads may
/// ask for it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// When the batch was submitted.
    submitted: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    answer: Option<Answer>,
    /// The waker of the last poll.
    waker: Option<Waker>,
    /// The number of waiting threads. A wake-up is a system call, so none is made when this is
    /// zero.
    waiting: usize,
}

impl Outcome {
    /// The outcome of a batch that is being submitted.
    pub(crate) fn pending() -> Outcome {
        Outcome { submitted: Instant::now(), state: Mutex::default(), changed: Condvar::new() }
    }

    pub(crate) fn submitted(&self) -> Instant {
        self.submitted
    }

    pub(crate) fn known(answer: Answer) -> Outcome {
        let outcome = Outcome::pending();
        sync::lock(&outcome.state).answer = Some(answer);
        outcome
    }

    pub(super) fn set(&self, answer: Answer) {
        let (waker, is_awaited) = {
            let mut state = sync::lock(&self.state);
            state.answer = Some(answer);
            (state.waker.take(), state.waiting > 0)
        };
        if is_awaited && !defect::has(Defect::TicketUnanswered) {
            self.changed.notify_all();
        }
        if let Some(waker) = waker {
            // This is code of the caller's executor.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }

    pub(crate) fn get(&self) -> Option<Answer> {
        sync::lock(&self.state).answer.clone()
    }

    /// Waits for the answer until the deadline; `None` waits forever.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Option<Answer> {
        let mut state = sync::lock(&self.state);
        if state.answer.is_some() {
            return state.answer.clone();
        }
        state.waiting += 1;
        let is_open = |state: &mut State| state.answer.is_none();
        let mut state = match deadline {
            None => sync::wait_while(&self.changed, state, is_open),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                sync::wait_timeout_while(&self.changed, state, left, is_open).0
            }
        };
        state.waiting -= 1;
        state.answer.clone()
    }

    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Answer> {
        let mut state = sync::lock(&self.state);
        if let Some(answer) = &state.answer {
            return Poll::Ready(answer.clone());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}
