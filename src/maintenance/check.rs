//! Checking a store by its path, even if it does not open.

use std::path::{Path, PathBuf};

use crate::{
    Error, EventStore,
    maintenance::{
        SCRATCH, about,
        mend::{self, Mended},
        without_place,
    },
    storage::{CopiedSite, Losses, Site},
    verify::{Finding, Report},
};

/// Options for checking a store.
///
/// # Examples
/// See [`verify`].
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    scratch: PathBuf,
}

impl VerifyOptions {
    /// The defaults.
    pub fn new() -> VerifyOptions {
        VerifyOptions { scratch: PathBuf::from(SCRATCH) }
    }

    /// Sets the directory for the private copy, `/tmp` by default. The copy takes as much space as
    /// the trees, and twice that if they are damaged.
    #[must_use]
    pub fn scratch(mut self, directory: impl Into<PathBuf>) -> VerifyOptions {
        self.scratch = directory.into();
        self
    }
}

impl Default for VerifyOptions {
    fn default() -> VerifyOptions {
        VerifyOptions::new()
    }
}

/// Checks the store in the directory `path`, as [`EventStore::verify`] does, and changes nothing in
/// it. If the store does not open, the report says why, and what else is wrong.
///
/// The trees are checked in a private copy, because sled writes even to trees that it only reads.
/// While the store is open, in this process or another one, the trees are not checked, and
/// [`Report::not_checked`] says so; the journal, snapshots and checkpoints are checked.
///
/// # Errors
/// [`Error::Io`], with `NotFound` if there is no store; [`Error::NoSpace`] for the copy;
/// [`Error::UnsupportedFormat`]; [`Error::Corrupted`] if nothing in the store can be used.
///
/// # Examples
/// ```
/// use annals::{EventStore, VerifyOptions, verify};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("orders.annals");
/// EventStore::open(&path)?.close()?;
/// std::fs::remove_dir_all(path.join("trees"))?;
/// let report = verify(&path, &VerifyOptions::new())?;
/// assert_eq!(report.findings[0].code, "trees-damaged");
/// assert_eq!(report.unreadable, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(path: impl AsRef<Path>, options: &VerifyOptions) -> Result<Report, Error> {
    let site = Site::of(path.as_ref())?;
    match site.check_unused() {
        Err(Error::Locked { .. }) => EventStore::open_reading(site.path())?.verify(),
        Err(error) => Err(error),
        Ok(()) => {
            let copy = site.private_copy(&options.scratch)?;
            let mut report = check(&copy).map_err(|error| about(&copy, error))?;
            for found in &mut report.findings {
                found.place = copy.about_original(&found.place);
                found.message = copy.about_original(&found.message);
            }
            Ok(report)
        }
    }
}

fn check(copy: &CopiedSite) -> Result<Report, Error> {
    let path = copy.site().path();
    let is_new_backup = copy.site().is_new_backup()?;
    let store = match mend::options(copy.site(), Losses::None).open(path) {
        Err(Error::Corrupted { .. }) => return check_what_does_not_open(copy),
        opened => opened?,
    };
    let mut report = store.verify()?;
    if let Some(reason) = store.recovery().reason().filter(|_| !is_new_backup) {
        let place = path.join("trees").display().to_string();
        let message = without_place(reason, &place).to_owned();
        let found = Finding { code: "trees-damaged", place, position: None, message };
        report.findings.insert(0, found);
    }
    store.close()?;
    Ok(report)
}

/// Reports the steps that a repair would take as findings.
fn check_what_does_not_open(copy: &CopiedSite) -> Result<Report, Error> {
    let site = copy.site();
    let Mended { steps, lost, head } = mend::mend(site)?;
    let store = mend::options(site, Losses::Gaps).open(site.path())?;
    let mut report = store.verify()?;
    store.close()?;
    // The events that the repair cuts off are lost, unless it is known that there are none.
    let has_cut = steps.iter().any(|step| step.code == "log-cut");
    let known = copy.original_head().saturating_sub(head);
    report.unreadable += if has_cut { known.max(1) } else { 0 };
    report.findings = [steps, lost].concat();
    Ok(report)
}
