//! Repairing a store that does not open, or that a check finds something wrong with.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    Error,
    maintenance::{SCRATCH, about, mend},
    storage::Site,
    verify::Finding,
};

/// How a store is repaired.
///
/// # Examples
/// See [`repair`].
#[derive(Clone, Debug)]
pub struct RepairOptions {
    applies: bool,
    discards_evidence: bool,
    scratch: PathBuf,
}

impl RepairOptions {
    /// A plan alone: nothing of the store changes.
    pub fn new() -> RepairOptions {
        RepairOptions { applies: false, discards_evidence: false, scratch: PathBuf::from(SCRATCH) }
    }

    /// Whether the store is repaired. Otherwise the repair is tried on a private copy, to show what
    /// it would do.
    #[must_use]
    pub fn apply(mut self, applies: bool) -> RepairOptions {
        self.applies = applies;
        self
    }

    /// Whether what earlier repairs have set aside is removed, except for the first and the newest
    /// of each file. Without [`apply`](Self::apply) this does nothing.
    #[must_use]
    pub fn discard_evidence(mut self, discards: bool) -> RepairOptions {
        self.discards_evidence = discards;
        self
    }

    /// The directory for the private copy, `/tmp` by default. It takes as much space as the trees,
    /// and twice that when they have to be rebuilt.
    #[must_use]
    pub fn scratch(mut self, directory: impl Into<PathBuf>) -> RepairOptions {
        self.scratch = directory.into();
        self
    }
}

impl Default for RepairOptions {
    fn default() -> RepairOptions {
        RepairOptions::new()
    }
}

/// What a repair did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// Whether it was done.
    pub applied: bool,
    /// The position of the last event afterwards.
    pub head: u64,
    /// Each step: what is wrong, and what is done about it. Empty for a store that needs none.
    ///
    /// The codes are `superblock-damaged`, `trees-damaged`, `journal-damaged`, `log-cut`,
    /// `snapshot-damaged` and `evidence-discarded`.
    pub steps: Vec<Finding>,
    /// What no step can bring back, as [`EventStore::verify`](crate::EventStore::verify) reports it
    /// after the repair. [`salvage`](crate::salvage) saves the rest.
    pub lost: Vec<Finding>,
}

/// Repairs the store in the directory `path`, or shows how.
///
/// In this order:
/// * a damaged superblock is written anew, with the store id from the journal;
/// * trees that cannot be used are rebuilt from the journal, and files of the journal from the
///   trees;
/// * where only the journal has events and it is damaged, the log is cut off: that loses the
///   events from there on, and `log-cut` says how many are known;
/// * snapshots past the head, and damaged ones, are set aside.
///
/// What is replaced is kept beside it as `<name>.damaged-<n>`. A repair that is killed can be
/// repeated.
///
/// # Errors
/// [`Error::Locked`] while the store is open elsewhere; [`Error::Io`] with `NotFound` when there is
/// none; [`Error::UnsupportedFormat`]; [`Error::NoSpace`] and [`Error::Io`]; [`Error::Corrupted`]
/// when nothing of the store can be used.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent, RepairOptions, repair};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("orders.annals");
/// let store = EventStore::open(&path)?;
/// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("OrderPlaced", &1)?])?;
/// store.close()?;
/// std::fs::remove_dir_all(path.join("trees"))?;
/// let plan = repair(&path, &RepairOptions::new())?;
/// assert_eq!(plan.steps[0].code, "trees-damaged");
/// let done = repair(&path, &RepairOptions::new().apply(true))?;
/// assert!(done.applied && done.lost.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn repair(path: impl AsRef<Path>, options: &RepairOptions) -> Result<RepairReport, Error> {
    let path = path.as_ref();
    let site = Site::of(path)?;
    site.check_unused()?;
    if !options.applies {
        let copy = site.private_copy(&options.scratch)?;
        let mut report = mend::mend(copy.site()).map_err(|error| about(&copy, error))?;
        report.steps.iter_mut().chain(&mut report.lost).for_each(|found| {
            found.place = copy.about_original(&found.place);
            found.message = copy.about_original(&found.message);
        });
        return Ok(report);
    }
    let mut report = mend::mend(&site)?;
    report.applied = true;
    if options.discards_evidence {
        for removed in site.discard_evidence()? {
            report.steps.push(Finding {
                code: "evidence-discarded",
                place: removed.display().to_string(),
                position: None,
                message: "removed".to_owned(),
            });
        }
    }
    Ok(report)
}
