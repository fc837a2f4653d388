//! How long the leader of a group waits for threads that are about to append again.
//!
//! Threads that append in a loop are answered together, and all return within microseconds. If the
//! first of them took a group at once, the others would wait for its sync, then share the next one,
//! and so on: two groups of half the threads alternate, and each append takes the time of two
//! syncs. So a leader that finds fewer requests than were answered or waiting a moment ago lets
//! other threads run first. A single thread is never delayed, because its own request is all that
//! is expected.
//!
//! The wait takes at most half as long as the last commit, and at most some milliseconds: a commit
//! may have waited for a drain, or for the end of a suspension of the process. A commit that is as
//! short as the wake-up of a thread, in a buffered store, is not worth a wait. If a wait was in
//! vain, because the threads do other work between their appends, the next groups go without: one
//! of them, then two, then four, and so on.

use std::time::{Duration, Instant};

/// At most this many groups go without a wait after one in vain.
const SKIPS_MAX: u32 = 256;

/// After a shorter commit there is no wait.
const COMMIT_MIN: Duration = Duration::from_micros(40);

/// The longest wait. The sync of a slow disk takes about twice as long.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// What the last group says about the next one.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// How many requests the next group should wait for.
    expected: usize,
    limit: Duration,
    /// How many groups still go without a wait.
    skips: u32,
    next_skips: u32,
}

/// A wait that is under way.
#[derive(Debug)]
pub(super) struct Wait {
    started: Instant,
    looks: u32,
    at_first: usize,
}

impl Gathering {
    /// Notes that a commit answered some threads, while others were already waiting.
    pub(super) fn committed(&mut self, answered: usize, waiting: usize, taken: Duration) {
        self.expected = if taken < COMMIT_MIN { 0 } else { answered + waiting };
        self.limit = (taken / 2).min(WAIT_MAX);
    }

    /// Starts a wait if the next group should get more than the `waiting` requests.
    pub(super) fn begin(&mut self, waiting: usize) -> Option<Wait> {
        if waiting >= self.expected {
            return None;
        }
        if let Some(skips) = self.skips.checked_sub(1) {
            self.skips = skips;
            return None;
        }
        Some(Wait { started: Instant::now(), looks: 0, at_first: waiting })
    }

    /// Whether the wait is over, now that there are `waiting` requests.
    pub(super) fn is_over(&mut self, wait: &mut Wait, waiting: usize) -> bool {
        if waiting >= self.expected {
            self.next_skips = 0;
            return true;
        }
        wait.looks += 1;
        if !wait.is_too_long(self.limit) {
            return false;
        }
        let arrived = waiting.saturating_sub(wait.at_first);
        let missing = self.expected.saturating_sub(wait.at_first);
        if arrived * 2 >= missing {
            self.next_skips = 0;
        } else {
            self.next_skips = (self.next_skips * 2).clamp(1, SKIPS_MAX);
            self.skips = self.next_skips;
        }
        true
    }
}

impl Wait {
    fn is_too_long(&self, limit: Duration) -> bool {
        match cfg!(feature = "model-checking") {
            // A model checker repeats a schedule, but not its times.
            true => self.looks > 2,
            false => self.started.elapsed() >= limit,
        }
    }
}

#[cfg(all(test, not(feature = "model-checking")))]
mod tests {
    use super::*;
    use crate::Error;

    const LONG: Duration = Duration::from_secs(3600);

    fn begun(gathering: &mut Gathering) -> Result<Wait, Error> {
        gathering.begin(1).ok_or_else(|| Error::internal("it does not wait"))
    }

    #[test]
    fn a_group_that_is_as_large_as_expected_does_not_wait() {
        let mut gathering = Gathering::default();
        assert!(gathering.begin(1).is_none(), "the first append of all");
        gathering.committed(1, 0, LONG);
        assert!(gathering.begin(1).is_none(), "a single thread");
        gathering.committed(3, 2, LONG);
        assert!(gathering.begin(5).is_none());
        assert!(gathering.begin(4).is_some());
    }

    #[test]
    fn after_a_commit_without_a_sync_there_is_no_wait() {
        let mut gathering = Gathering::default();
        gathering.committed(16, 0, COMMIT_MIN - Duration::from_nanos(1));
        assert!(gathering.begin(1).is_none());
        gathering.committed(16, 0, COMMIT_MIN);
        assert!(gathering.begin(1).is_some());
    }

    #[test]
    fn the_longest_commit_is_not_followed_by_a_long_wait() {
        let mut gathering = Gathering::default();
        gathering.committed(2, 0, COMMIT_MIN);
        assert_eq!(gathering.limit, COMMIT_MIN / 2);
        gathering.committed(2, 0, LONG);
        assert_eq!(gathering.limit, WAIT_MAX);
    }

    #[test]
    fn a_wait_ends_with_the_last_expected_request() -> Result<(), Error> {
        let mut gathering = Gathering::default();
        gathering.committed(2, 1, LONG);
        gathering.limit = LONG;
        let mut wait = begun(&mut gathering)?;
        assert!(!gathering.is_over(&mut wait, 1));
        assert!(!gathering.is_over(&mut wait, 2));
        assert!(gathering.is_over(&mut wait, 3));
        assert!(gathering.begin(1).is_some(), "it was not in vain");
        Ok(())
    }

    #[test]
    fn after_waits_in_vain_more_and_more_groups_go_without() -> Result<(), Error> {
        let mut gathering = Gathering::default();
        gathering.committed(2, 0, COMMIT_MIN);
        gathering.limit = Duration::ZERO;
        for skipped in [1, 2, 4, 8, 16, 32, 64, 128, 256, 256] {
            let mut wait = begun(&mut gathering)?;
            assert!(gathering.is_over(&mut wait, 1));
            let skips = (0..).take_while(|_| gathering.begin(1).is_none()).count();
            assert_eq!(skips, skipped);
        }
        Ok(())
    }

    #[test]
    fn a_wait_that_half_of_the_others_join_is_not_in_vain() -> Result<(), Error> {
        let mut gathering = Gathering::default();
        gathering.committed(5, 0, COMMIT_MIN);
        gathering.limit = Duration::ZERO;
        for (arrived, is_in_vain) in [(3, false), (2, true)] {
            let mut wait = begun(&mut gathering)?;
            assert!(gathering.is_over(&mut wait, arrived));
            assert_eq!(gathering.begin(1).is_none(), is_in_vain, "{arrived} of five");
        }
        Ok(())
    }
}
