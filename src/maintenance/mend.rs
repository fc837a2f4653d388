//! The steps of a repair.

use crate::{
    Error, EventStore, Options,
    maintenance::without_place,
    storage::{Losses, Site},
    verify::{Finding, Report},
};

/// Findings that rebuilding the trees removes.
const OF_TREES: [&str; 8] = [
    "event-damaged",
    "version-gap",
    "stream-index",
    "place-index",
    "id-index",
    "tag-index",
    "checkpoint-damaged",
    "copies-differ",
];

/// What the steps did.
pub(super) struct Mended {
    /// The position of the last event afterwards.
    pub(super) head: u64,
    pub(super) steps: Vec<Finding>,
    /// Losses that no step can restore.
    pub(super) lost: Vec<Finding>,
}

/// Repairs the store in place.
pub(super) fn mend(site: &Site) -> Result<Mended, Error> {
    let mut work = Work { site, is_new_backup: site.is_new_backup()?, steps: Vec::new() };
    if let Some(reason) = site.restore_superblock()? {
        let message = format!("{reason}; rewritten with the store id of the journal");
        work.step("superblock-damaged", site.path().join("ANNALS"), None, message);
    }
    if site.restore_directories()? {
        let message = "it is missing; rewritten from the trees, as far as they go".to_owned();
        work.step("journal-damaged", site.path().join("journal"), Some(1), message);
    }
    // Closing drains everything, so that the remaining files can be rebuilt from the trees.
    let store = work.open()?;
    work.note_opening(&store);
    store.close()?;
    let store = work.open_with(Losses::Gaps)?;
    work.note_opening(&store);
    work.rewrite_journal(&store)?;
    let store = work.rebuild_trees(store)?;
    work.set_snapshots_aside(&store)?;
    let report = store.verify()?;
    let head = store.head()?;
    store.close()?;
    Ok(Mended { head, steps: work.steps, lost: report.findings })
}

/// The options with which the store is opened.
pub(super) fn options(site: &Site, losses: Losses) -> Options {
    Options::new().create(false).losses(losses).follow_links(site.is_copy())
}

struct Work<'a> {
    site: &'a Site,
    /// Whether the store is a backup, to which the first open adds the trees.
    is_new_backup: bool,
    steps: Vec<Finding>,
}

impl Work<'_> {
    fn step(
        &mut self,
        code: &'static str,
        place: impl AsRef<std::path::Path>,
        position: Option<u64>,
        message: String,
    ) {
        let place = place.as_ref().display().to_string();
        let message = without_place(&message, &place).to_owned();
        self.steps.push(Finding { code, place, position, message });
    }

    fn open_with(&self, losses: Losses) -> Result<EventStore, Error> {
        options(self.site, losses).open(self.site.path())
    }

    /// Opens the store, giving up as little as possible.
    fn open(&mut self) -> Result<EventStore, Error> {
        let mut outcome = self.open_with(Losses::None);
        if matches!(outcome, Err(Error::Corrupted { .. })) && self.site.begin_try_of_trees()? {
            // Even a full disk can cause the trees to be marked as damaged, and they may have
            // events that the journal lacks. The journal is restored from them as far as possible;
            // if it is then complete, the trees are rebuilt from it.
            self.rewrite_from_marked();
            outcome = self.open_with(Losses::None);
        }
        for losses in [Losses::Gaps, Losses::Cut] {
            if matches!(outcome, Err(Error::Corrupted { .. })) {
                outcome = self.open_with(losses);
            }
        }
        outcome
    }

    /// Rewrites damaged files of the journal from trees that are marked as damaged, if they can be
    /// opened.
    fn rewrite_from_marked(&mut self) {
        let options = options(self.site, Losses::Gaps).ignores_mark();
        let Ok(store) = options.open(self.site.path()) else { return };
        // A failure of these trees is no reason to stop: they are replaced anyway.
        let _ = self.rewrite_journal(&store);
        let _ = store.close();
    }

    /// Reports what the open did.
    fn note_opening(&mut self, store: &EventStore) {
        let path = self.site.path();
        // Later opens have the trees that the first one has built.
        let is_new_backup = std::mem::take(&mut self.is_new_backup);
        if let Some(reason) = store.recovery().reason().filter(|_| !is_new_backup) {
            let message = format!("{reason}; rebuilt from the journal");
            self.step("trees-damaged", path.join("trees"), None, message);
        }
        if let Some(cut) = store.storage().cut() {
            let position = Some(cut.position + 1);
            let mut message = format!(
                "{}; the log is cut here and ends at position {}",
                cut.reason, cut.position
            );
            for aside in &cut.set_aside {
                message.push_str(&format!("; set aside: {}", aside.display()));
            }
            self.step("log-cut", path.join("journal"), position, message);
        }
    }

    fn rewrite_journal(&mut self, store: &EventStore) -> Result<(), Error> {
        for done in store.storage().rewrite_journal()? {
            let position = Some(done.first_position);
            // Events that neither copy has are reported by the check at the end.
            if done.outcome.is_ok() {
                let (first, last) = (done.first_position, done.last_position);
                let message = format!("{}; positions {first} to {last} rewritten", done.reason);
                self.step("journal-damaged", done.place, position, message);
            }
        }
        Ok(())
    }

    /// Rebuilds the trees if they are damaged and the journal is not.
    fn rebuild_trees(&mut self, store: EventStore) -> Result<EventStore, Error> {
        let Report { findings, .. } = store.verify()?;
        let of_trees = findings.iter().filter(|found| OF_TREES.contains(&found.code));
        let Some(first) = of_trees.clone().next() else { return Ok(store) };
        let is_journal_whole = findings.iter().all(|found| found.code != "journal-damaged");
        if !is_journal_whole {
            return Ok(store);
        }
        let reason = format!("{} findings, the first: {first}", of_trees.count());
        store.close()?;
        self.site.mark_trees_damaged(&reason);
        let store = self.open_with(Losses::None)?;
        self.note_opening(&store);
        Ok(store)
    }

    fn set_snapshots_aside(&mut self, store: &EventStore) -> Result<(), Error> {
        for snapshot in store.snapshots() {
            let snapshot = snapshot?;
            if let Some(fault) = &snapshot.fault {
                let aside = store.storage().set_snapshot_aside(&snapshot.key, snapshot.position)?;
                let message = format!("{:?}: {fault}; set aside", snapshot.key.name());
                self.step("snapshot-damaged", aside, Some(snapshot.position), message);
            }
        }
        Ok(())
    }
}
