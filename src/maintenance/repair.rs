//! Repairing a store that does not open, or in which a check found problems.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    Error,
    maintenance::{
        SCRATCH, about,
        mend::{self, Mended},
        not_poisoned,
    },
    storage::Site,
    verify::Finding,
};

/// Options for a repair.
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
    /// The default: only plan the repair, and change nothing in the store.
    pub fn new() -> RepairOptions {
        RepairOptions { applies: false, discards_evidence: false, scratch: PathBuf::from(SCRATCH) }
    }

    /// Sets whether the store is repaired. Otherwise the repair is tried on a private copy, to show
    /// what it would do.
    #[must_use]
    pub fn apply(mut self, applies: bool) -> RepairOptions {
        self.applies = applies;
        self
    }

    /// Sets whether files that earlier repairs set aside are removed, except the first and the
    /// newest copy of each. This has no effect without [`apply`](Self::apply).
    #[must_use]
    pub fn discard_evidence(mut self, discards: bool) -> RepairOptions {
        self.discards_evidence = discards;
        self
    }

    /// Sets the directory for the private copy, `/tmp` by default. The copy takes as much space as
    /// the trees, and twice that if they have to be rebuilt.
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

/// What a repair did or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// Whether the repair was applied.
    pub applied: bool,
    /// The position of the last event after the repair.
    pub head: u64,
    /// The steps: what is wrong, and how it is repaired. Empty if the store needs no repair.
    ///
    /// The codes are `superblock-damaged`, `trees-damaged`, `journal-damaged`, `log-cut`,
    /// `snapshot-damaged` and `evidence-discarded`.
    pub steps: Vec<Finding>,
    /// Losses that no step can restore, as [`EventStore::verify`](crate::EventStore::verify)
    /// reports them after the repair. [`salvage`](crate::salvage) saves the rest.
    pub lost: Vec<Finding>,
}

/// Repairs the store in the directory `path`, or shows what a repair would do.
///
/// The steps, in this order:
/// * a damaged superblock is rewritten, with the store id from the journal;
/// * unusable trees are rebuilt from the journal, and damaged journal files from the trees;
/// * if only the journal has some events and it is damaged there, the log is cut off: the events
///   from that point on are lost, and `log-cut` says how many are known;
/// * damaged snapshots, and snapshots past the head, are set aside.
///
/// Files that are replaced are kept in the same place as `<name>.damaged-<n>`. If a repair is
/// killed, run it again.
///
/// # Errors
/// [`Error::Locked`] while the store is open elsewhere; [`Error::Io`] with `NotFound` if there is
/// no store; [`Error::UnsupportedFormat`]; [`Error::NoSpace`] and [`Error::Io`];
/// [`Error::Corrupted`] if nothing in the store can be used.
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
        let mended = mend::mend(copy.site()).map_err(|error| about(&copy, error))?;
        let Mended { head, mut steps, mut lost } = mended;
        steps.iter_mut().chain(&mut lost).for_each(|found| {
            found.place = copy.about_original(&found.place);
            found.message = copy.about_original(&found.message);
        });
        return Ok(RepairReport { applied: false, head, steps, lost });
    }
    let Mended { head, mut steps, lost } = mend::mend(&site).map_err(not_poisoned)?;
    if options.discards_evidence {
        for removed in site.discard_evidence()? {
            steps.push(Finding {
                code: "evidence-discarded",
                place: removed.display().to_string(),
                position: None,
                message: "removed".to_owned(),
            });
        }
    }
    Ok(RepairReport { applied: true, head, steps, lost })
}
