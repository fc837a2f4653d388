//! Rebuilding the trees from the sealed files of the journal. (What is not sealed goes into the
//! tail and is drained as usual.)
//!
//! The files are read in order, checked block by block, and gathered into windows as large as those
//! of a drain. Nothing is synced until the end: trees that were not finished are thrown away.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{head::LogEnd, page::Page, record::EventToEncode},
    storage::{
        OnProgress,
        journal::{Checked, FileKey, Identity, SealedFile},
        trees::{Head, OpenTrees, Staging, Trees},
    },
};

/// A window is staged at this many events, or bytes of them.
const WINDOW_EVENTS: usize = 200_000;
const WINDOW_BYTES: u64 = 64 << 20;

/// How a store was healed when it was opened.
#[derive(Clone, Debug)]
pub(crate) struct Healing {
    pub(crate) rebuilt_events: u64,
    pub(crate) duration: Duration,
    /// Why the old trees could not be used.
    pub(crate) reason: String,
    /// Where the old trees are now; `None` when there were none.
    pub(crate) set_aside: Option<PathBuf>,
}

/// How far a rebuild is, for the thread that waits for it.
#[derive(Debug, Default)]
pub(super) struct Steps {
    beats: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

impl Steps {
    /// How many steps were taken, whatever they did.
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Reports the progress of a rebuild, if one is under way.
    pub(super) fn report(&self, on_progress: &OnProgress) {
        let total = self.total.load(Ordering::Relaxed);
        if total > 0 {
            on_progress.report(self.done.load(Ordering::Relaxed), total);
        }
    }

    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}

/// What trees are rebuilt from.
#[derive(Debug)]
pub(super) struct Rebuild {
    /// Where they are made: a directory that is not there.
    pub(super) open: OpenTrees,
    pub(super) identity: Identity,
    /// The sealed files of the journal.
    pub(super) sealed: Vec<FileKey>,
}

impl Rebuild {
    /// Makes the trees: complete and durable, or not at all.
    pub(super) fn run(&self, steps: &Steps) -> Result<Trees, Error> {
        let trees = self.open.create()?;
        let filled = self.fill(&trees, steps);
        trees.keep_if(filled)
    }

    fn fill(&self, trees: &Trees, steps: &Steps) -> Result<(), Error> {
        let files = self.open_files()?;
        let Some((last_key, last)) = files.last() else { return Ok(()) };
        steps.total.store(last.facts().last_position, Ordering::Relaxed);
        let mut staging = Staging::unsynced(trees, || {
            steps.beat();
            Ok(())
        });
        let mut window = Window::default();
        for (key, file) in &files {
            file.verify(&mut |part| match part {
                Checked::Events(page) => {
                    window.add(page);
                    if window.is_full() {
                        window.stage(&mut staging)?;
                        steps.done.store(page.last_position(), Ordering::Relaxed);
                    }
                    Ok(())
                }
                // Damage of the index hides no event, and a check reports it.
                Checked::Damage { positions: None, .. } => Ok(()),
                Checked::Damage { error, .. } => Err(error),
            })?;
            trees.put_sealed(key.first_position, key.number, file.facts())?;
        }
        window.stage(&mut staging)?;
        staging.checkpoints(&last.checkpoints()?)?;
        let facts = last.facts();
        staging.finish(Head {
            position: facts.last_position,
            frame_number: facts.last_frame,
            file_first_position: last_key.first_position,
            file_number: last_key.number,
            offset: facts.end,
            prev_checksum: facts.last_checksum,
        })?;
        steps.done.store(facts.last_position, Ordering::Relaxed);
        Ok(())
    }

    /// Opens the files, each of which must follow on the one before.
    fn open_files(&self) -> Result<Vec<(FileKey, SealedFile)>, Error> {
        let Identity { directory, store_id, checksum } = &self.identity;
        let (mut files, mut end) = (Vec::new(), LogEnd::default());
        for &key in &self.sealed {
            let path = key.sealed_path(directory);
            let file = SealedFile::open(&path, *store_id, checksum)?;
            let facts = file.facts();
            let start = LogEnd {
                position: facts.first_position.saturating_sub(1),
                frame_number: facts.first_frame.saturating_sub(1),
                prev_checksum: facts.prev_checksum,
            };
            if start != end {
                let reason = "it does not follow on the file before, which is missing or of \
                              another history";
                let place = path.display().to_string();
                return Err(Error::corrupted(place, Some(end.position + 1), reason));
            }
            end = LogEnd {
                position: facts.last_position,
                frame_number: facts.last_frame,
                prev_checksum: facts.last_checksum,
            };
            files.push((key, file));
        }
        Ok(files)
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

    fn is_full(&self) -> bool {
        self.events >= WINDOW_EVENTS || self.bytes >= WINDOW_BYTES
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
            check_versions(&events)?;
            staging.stream(events)?;
        }
        staging.places(all().map(|event| (event.position, event.stream, event.version)))?;
        staging.ids(&mut ids)?;
        staging.end_window();
        Ok(())
    }
}

/// A run counts its versions up from the first: a gap would give events the versions of others.
fn check_versions(events: &[EventToEncode<'_>]) -> Result<(), Error> {
    let mut neighbours = events.iter().zip(events.iter().skip(1));
    match neighbours.find(|(one, next)| one.version + 1 != next.version) {
        None => Ok(()),
        Some((one, next)) => {
            let place = format!("the stream {:?}", next.stream);
            let reason = format!("version {} follows version {}", next.version, one.version);
            Err(Error::corrupted(place, Some(next.position), reason))
        }
    }
}
