//! Waiting for a writer in another process: for a change of the file `HEAD`.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, WatchFlags},
};

use crate::{storage::home::head, sync::thread};

/// How long one wait lasts at most: a caller looks at other things too.
const WAIT: Duration = Duration::from_millis(20);

/// Between two looks where the system does not report changes.
const POLL: Duration = Duration::from_millis(2);

/// Where changes of one file are reported.
#[derive(Debug)]
pub(crate) struct Changes {
    /// `None` where the system does not report them.
    queue: Option<OwnedFd>,
    file: PathBuf,
}

impl Changes {
    /// Starts to watch: what changes from here on ends a [`wait`](Self::wait).
    pub(crate) fn of(store: &Path) -> Changes {
        let made = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let file = store.join(head::FILE);
        let queue = made.ok().filter(|queue| watch(queue, &file));
        Changes { queue, file }
    }

    /// Waits for a change, at most this long and at most some milliseconds. Afterwards it watches
    /// the file of that moment: another one may have the name by now.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let timeout = timeout.map_or(WAIT, |timeout| timeout.min(WAIT));
        let Some(queue) = &self.queue else { return thread::sleep(timeout.min(POLL)) };
        let nanos = i64::from(timeout.subsec_nanos());
        let timeout = Timespec { tv_sec: 0, tv_nsec: nanos };
        let mut polled = [PollFd::new(queue, PollFlags::IN)];
        if poll(&mut polled, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            // Which change it was does not matter.
            let mut buffer = [0; 4 << 10];
            while matches!(rustix::io::read(queue, &mut buffer), Ok(1..)) {}
        }
        // While it is missing, every wait lasts its full time.
        watch(queue, &self.file);
    }
}

/// Watches a file, unless it is watched already; false if that is not possible.
fn watch(queue: &OwnedFd, file: &Path) -> bool {
    let watched = WatchFlags::MODIFY | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
    inotify::add_watch(queue, file, watched).is_ok()
}
