//! Work on whole stores: copies, checks of files that nobody has open, repairs.

mod backup;
mod check;
mod compact;
mod mend;
mod repair;
mod salvage;

pub use backup::{BackupOptions, BackupReport, backup};
pub use check::{VerifyOptions, verify};
pub use compact::compact;
pub use repair::{RepairOptions, RepairReport, repair};
pub use salvage::{SalvageOptions, SalvageReport, salvage, salvage_with};

use crate::{Error, storage::CopiedSite};

/// Where private copies are made unless the caller names a directory.
const SCRATCH: &str = "/tmp";

/// The error of a private copy, as one of the store.
fn about(copy: &CopiedSite, error: Error) -> Error {
    match error {
        Error::Corrupted { place, position, reason } => Error::Corrupted {
            place: copy.about_original(&place),
            position,
            reason: copy.about_original(&reason),
        },
        other => other,
    }
}
