//! Rebuilds the trees from the sealed files of the journal. (Unsealed events go into the tail and
//! are drained as usual.)
//!
//! The files are read in order, checked block by block, and collected into windows as large as
//! those of a drain. Nothing is synced until the end: unfinished trees are discarded.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use uuid::Uuid;

use crate::{
    Error,
    codec::{head::LogEnd, page::Page, record::EventToEncode, saved::Checkpoint},
    storage::{
        OnProgress,
        journal::{self, Checked, FileKey, Identity, SealedFile},
        open::{Resolved, end_of, start_of},
        trees::{Head, OpenTrees, Staging, Trees},
    },
    sync::atomic::{AtomicU64, Ordering},
};

/// A window is staged at this many events, or this many bytes of events.
const WINDOW_EVENTS: usize = 200_000;
const WINDOW_BYTES: u64 = 64 << 20;

/// How many times as large a large window is: events of one window are stored close together.
const LARGE: usize = 8;

/// How a store was healed when it was opened.
#[derive(Clone, Debug)]
pub(crate) struct Healing {
    pub(crate) rebuilt_events: u64,
    pub(crate) duration: Duration,
    /// Why the old trees could not be used.
    pub(crate) reason: String,
    /// The new path of the old trees; `None` if there were none.
    pub(crate) set_aside: Option<PathBuf>,
}

/// The progress of a rebuild, for the thread that waits for it.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    beats: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

impl Steps {
    /// How many steps have been done, of any kind.
    pub(crate) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Reports the progress of a rebuild, if one is running.
    pub(crate) fn report(&self, on_progress: &OnProgress) {
        let total = self.total.load(Ordering::Relaxed);
        if total > 0 {
            on_progress.report(self.done.load(Ordering::Relaxed), total);
        }
    }

    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}

/// What to rebuild trees from.
#[derive(Debug)]
pub(crate) struct Rebuild {
    /// Where to build them: a directory that does not exist yet.
    pub(crate) open: OpenTrees,
    pub(crate) identity: Identity,
    pub(crate) files: Resolved,
    /// Whether positions that the journal has lost may be missing.
    pub(crate) accepts_gaps: bool,
    /// Whether to use large windows.
    pub(crate) is_large: bool,
}

/// The readable sealed files.
struct Sealed {
    /// They are opened one at a time: there may be more of them than descriptors.
    files: Vec<FileKey>,
    /// Where they end.
    head: Head,
}

impl Rebuild {
    /// Builds the trees: complete and durable, or not at all.
    pub(crate) fn run(&self, steps: &Steps) -> Result<Trees, Error> {
        let trees = self.open.create()?;
        let filled = self.fill(&trees, steps);
        trees.keep_if(filled)
    }

    fn fill(&self, trees: &Trees, steps: &Steps) -> Result<(), Error> {
        let Sealed { files, head } = self.open_files()?;
        if head.frame_number == 0 {
            return Ok(());
        }
        steps.total.store(head.position, Ordering::Relaxed);
        let mut staging = Staging::unsynced(trees, || {
            steps.beat();
            Ok(())
        });
        let mut window = Window::default();
        for &key in &files {
            let file = self.open_file(key)?;
            file.verify(&mut |part| match part {
                Checked::Events(page) => {
                    window.add(page);
                    if window.is_full(if self.is_large { LARGE } else { 1 }) {
                        window.stage(&mut staging)?;
                        steps.done.store(page.last_position(), Ordering::Relaxed);
                    }
                    Ok(())
                }
                // Damage of the index hides no event, and a check reports it.
                Checked::Damage { positions: None, .. } => Ok(()),
                Checked::Damage { .. } if self.accepts_gaps => Ok(()),
                Checked::Damage { error, .. } => Err(error),
            })?;
            trees.put_sealed(key.first_position, key.number, file.facts())?;
        }
        window.stage(&mut staging)?;
        staging.checkpoints(&self.checkpoints(&files)?)?;
        staging.finish(head)?;
        steps.done.store(head.position, Ordering::Relaxed);
        Ok(())
    }

    /// The checkpoints at the end of the files; each file has all of them as of its end.
    fn checkpoints(&self, files: &[FileKey]) -> Result<Vec<Checkpoint>, Error> {
        for &key in files.iter().rev() {
            match self.open_file(key)?.checkpoints() {
                Err(Error::Corrupted { .. }) if self.accepts_gaps => {}
                found => return found,
            }
        }
        Ok(Vec::new())
    }

    /// Opens the files, each of which must follow on the previous one.
    fn open_files(&self) -> Result<Sealed, Error> {
        let (mut files, mut end) = (Vec::new(), LogEnd::default());
        let mut head = Head::default();
        for &key in &self.files.sealed {
            let file = match self.open_file(key) {
                Err(Error::Corrupted { .. }) if self.accepts_gaps => continue,
                opened => opened?,
            };
            let facts = file.facts();
            let start = start_of(facts);
            let is_gap = self.accepts_gaps && start.frame_number > end.frame_number;
            if start != end && !is_gap {
                let reason = "it does not continue the file before it, which is missing or of \
                              another history";
                let place = key.sealed_path(&self.identity.directory).display().to_string();
                return Err(Error::corrupted(place, Some(end.position + 1), reason));
            }
            end = end_of(facts);
            head = head_at(end, key, facts.end);
            files.push(key);
        }
        if self.accepts_gaps {
            head = self.head_before_unsealed(head);
        }
        Ok(Sealed { files, head })
    }

    fn open_file(&self, key: FileKey) -> Result<SealedFile, Error> {
        let Identity { directory, store_id, checksum } = &self.identity;
        SealedFile::open(&key.sealed_path(directory), *store_id, checksum)
    }

    /// Where the first unsealed file starts, if that is after the end of what can be read before
    /// it.
    fn head_before_unsealed(&self, head: Head) -> Head {
        let Identity { directory, checksum, .. } = &self.identity;
        let Some(&key) = self.files.unsealed.first() else { return head };
        match journal::open(directory, key, checksum) {
            Ok(open) if open.header.first_frame > head.frame_number + 1 => {
                head_at(open.header.before(), key, 0)
            }
            _ => head,
        }
    }
}

fn head_at(end: LogEnd, key: FileKey, offset: u64) -> Head {
    Head {
        position: end.position,
        frame_number: end.frame_number,
        file_first_position: key.first_position,
        file_number: key.number,
        offset,
        prev_checksum: end.prev_checksum,
    }
}

/// Events that are staged together.
#[derive(Debug, Default)]
struct Window {
    pages: Vec<Page>,
    events: usize,
    bytes: u64,
}

impl Window {
    fn add(&mut self, page: &Page) {
        self.events += page.len();
        self.bytes += page.bytes_len() as u64;
        self.pages.push(page.clone());
    }

    fn is_full(&self, factor: usize) -> bool {
        self.events >= WINDOW_EVENTS * factor || self.bytes >= WINDOW_BYTES * factor as u64
    }

    /// Stages the events and empties the window.
    fn stage<B: FnMut() -> Result<(), Error>>(
        &mut self,
        staging: &mut Staging<'_, B>,
    ) -> Result<(), Error> {
        let pages = std::mem::take(&mut self.pages);
        *self = Window::default();
        let all = || pages.iter().flat_map(Page::all_to_encode);
        staging.train(all())?;
        let mut streams: HashMap<&str, Vec<EventToEncode<'_>>> = HashMap::new();
        let mut ids: Vec<(Uuid, u64)> = Vec::new();
        for event in all() {
            ids.extend(event.id.map(|id| (id, event.position)));
            streams.entry(event.stream).or_default().push(event);
        }
        let mut names: Vec<&str> = streams.keys().copied().collect();
        names.sort_unstable();
        for name in names {
            let events = streams.remove(name).unwrap_or_default();
            // The versions in a run must be consecutive.
            for run in events.chunk_by(|one, next| one.version + 1 == next.version) {
                staging.stream(run.iter().copied())?;
            }
        }
        staging.places(all().map(|event| (event.position, event.stream, event.version)))?;
        staging.ids(&mut ids)?;
        staging.tags(all().filter(|event| event.tags.len() > 0))?;
        staging.end_window();
        Ok(())
    }
}
