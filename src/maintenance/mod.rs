//! Operations on whole stores: copying, checking files that nobody has open, repairing.

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

/// The directory for private copies, unless the caller names another.
const SCRATCH: &str = "/tmp";

/// Turns an error about a private copy into one about the store.
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
