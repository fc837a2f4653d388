//! Starts the background thread. The thread opens or creates sled, because that may hang or panic,
//! and the caller of the open waits for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use crate::{
    Error,
    storage::{
        OnProgress, Storage, drain,
        heal::{Rebuild, Steps},
        trees::{OpenTrees, Trees, deadline},
    },
    sync::{
        mpsc::{self, Receiver, RecvTimeoutError, SendError, SyncSender},
        thread,
    },
};

/// How the thread gets its trees.
#[derive(Debug)]
pub(super) enum Make {
    Create(OpenTrees),
    Open(OpenTrees),
    Rebuild(Rebuild),
}

impl Make {
    fn directory(&self) -> &PathBuf {
        match self {
            Make::Create(open) | Make::Open(open) => &open.directory,
            Make::Rebuild(rebuild) => &rebuild.open.directory,
        }
    }

    fn run(&self, steps: &Steps) -> Result<Trees, Error> {
        match self {
            Make::Create(open) => open.create(),
            Make::Open(open) => open.open(),
            Make::Rebuild(rebuild) => rebuild.run(steps),
        }
    }
}

/// What the thread should do once the trees are open.
#[derive(Debug)]
enum Start {
    Run(Arc<Storage>),
    /// The store could not be opened: drop the trees on this thread, where a hang blocks no caller.
    GiveUp(Box<Trees>),
}

/// The thread, waiting for the store.
#[derive(Debug)]
pub(super) struct Thread {
    start: SyncSender<Start>,
}

impl Thread {
    /// Starts the thread and waits for the trees.
    pub(super) fn begin(make: Make, on_progress: &OnProgress) -> Result<(Thread, Trees), Error> {
        let (start, starts) = mpsc::sync_channel(1);
        let (opened, openings) = mpsc::sync_channel(1);
        let directory = make.directory().clone();
        let patience = deadline(&directory);
        let steps = Arc::new(Steps::default());
        let shared = Arc::clone(&steps);
        let body = move || match opened.send(make.run(&shared)) {
            Ok(()) => run(&starts),
            // No caller waits any more.
            Err(SendError(Ok(trees))) => trees.abandon(),
            Err(SendError(Err(_))) => {}
        };
        thread::Builder::new()
            .name("annals-drain".to_owned())
            .spawn(body)
            .map_err(|source| Error::io("start a thread for", &directory, source))?;
        wait(&openings, patience, &steps, on_progress).map(|trees| (Thread { start }, trees))
    }

    /// Lets the thread work for a store.
    pub(super) fn run(&self, storage: &Arc<Storage>) {
        if self.start.send(Start::Run(Arc::clone(storage))).is_err() {
            drop(storage.poison(Error::internal("the thread that writes the trees has ended")));
            if let Some(disk) = storage.disk() {
                disk.signals.end();
            }
        }
    }

    /// Ends the thread, which drops its trees as they are.
    pub(super) fn give_up(&self, trees: Trees) {
        // The thread may have ended already, and its trees with it.
        let _ = self.start.send(Start::GiveUp(Box::new(trees)));
    }
}

/// Waits for the trees. It counts waits without progress instead of measuring time, so that a
/// suspended process does not give up.
fn wait(
    openings: &Receiver<Result<Trees, Error>>,
    patience: Duration,
    steps: &Steps,
    on_progress: &OnProgress,
) -> Result<Trees, Error> {
    const STEP: Duration = Duration::from_millis(100);
    let waits_max = patience.as_millis().div_ceil(STEP.as_millis());
    let (mut waits, mut beats) = (0, 0);
    while waits < waits_max {
        match openings.recv_timeout(STEP) {
            Ok(trees) => {
                steps.report(on_progress);
                return trees;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::internal("opening the trees failed"));
            }
        }
        steps.report(on_progress);
        let has_moved = steps.beats() != beats;
        beats = steps.beats();
        waits = if has_moved { 0 } else { waits + 1 };
    }
    Err(drain::hung("opening the trees"))
}

/// What the thread does once the trees are open. A panic must not leave others waiting.
fn run(starts: &Receiver<Start>) {
    match starts.recv() {
        Ok(Start::Run(storage)) => {
            let ended = catch_unwind(AssertUnwindSafe(|| drain::run(&storage)));
            if ended.is_err() {
                drop(storage.poison(Error::internal("the thread that drains the tail panicked")));
            }
            if let Some(disk) = storage.disk() {
                disk.signals.end();
            }
        }
        Ok(Start::GiveUp(trees)) => trees.abandon(),
        Err(_) => {}
    }
}
