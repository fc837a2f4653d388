//! Waits for a writer in another process, by waiting for a change of the file `HEAD`.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, WatchFlags},
};

use crate::{
    storage::home::head,
    sync::{self, Mutex, thread},
};

/// How long one wait lasts at most: a caller also checks other things.
const WAIT: Duration = Duration::from_millis(20);

/// The time from one change that ended a wait to the next. A change after a longer time is reported
/// at once. While a writer appends without a break, the system merges what changes meanwhile, so
/// that several readers do not take the processor from the writer.
const BETWEEN: Duration = Duration::from_micros(500);

/// The time between two checks where the system does not report changes.
const POLL: Duration = Duration::from_millis(2);

/// Reports changes of one file.
#[derive(Debug)]
pub(crate) struct Changes {
    /// `None` if the system does not report changes.
    queue: Option<OwnedFd>,
    file: PathBuf,
    /// When the last change ended a wait.
    last: Mutex<Option<Instant>>,
}

impl Changes {
    /// Starts to watch: any later change ends a [`wait`](Self::wait).
    pub(crate) fn of(store: &Path) -> Changes {
        let made = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let file = store.join(head::FILE);
        let queue = made.ok().filter(|queue| watch(queue, &file));
        Changes { queue, file, last: Mutex::new(None) }
    }

    /// Waits for a change, at most this long and at most some milliseconds. Afterwards it watches
    /// the file that has the name then, which may be another one.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let timeout = timeout.map_or(WAIT, |timeout| timeout.min(WAIT));
        let Some(queue) = &self.queue else { return thread::sleep(timeout.min(POLL)) };
        let mut last = sync::lock(&self.last);
        let rest = last.and_then(|last| BETWEEN.checked_sub(last.elapsed()));
        let rest = rest.unwrap_or_default().min(timeout);
        if !rest.is_zero() {
            thread::sleep(rest);
        }
        let timeout = timeout.saturating_sub(rest);
        let nanos = i64::from(timeout.subsec_nanos());
        let timeout = Timespec { tv_sec: 0, tv_nsec: nanos };
        let mut polled = [PollFd::new(queue, PollFlags::IN)];
        if poll(&mut polled, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            *last = Some(Instant::now());
            // Which change it was does not matter.
            let mut buffer = [0; 4 << 10];
            while matches!(rustix::io::read(queue, &mut buffer), Ok(1..)) {}
        }
        // While the file is missing, every wait lasts its full time.
        watch(queue, &self.file);
    }
}

/// Watches a file, unless it is watched already; returns false if that is not possible.
fn watch(queue: &OwnedFd, file: &Path) -> bool {
    let watched = WatchFlags::MODIFY | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
    inotify::add_watch(queue, file, watched).is_ok()
}
