//! Operations on whole stores: copying, checking files that nobody has open, repairing.

mod backup;
mod beside;
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

/// What is wrong, without the place in front: a finding names its place anyway.
fn without_place<'a>(message: &'a str, place: &str) -> &'a str {
    let rest = message.strip_prefix(place).unwrap_or_default();
    let rest = rest.strip_prefix(" is damaged: ").or_else(|| rest.strip_prefix(": "));
    rest.unwrap_or(message)
}

/// The failure that poisoned a store. A caller who gave a path has no open store that
/// could refuse writes.
fn not_poisoned(error: Error) -> Error {
    match error {
        Error::Poisoned { cause } => Error::clone(&cause),
        other => other,
    }
}

/// Turns an error about a private copy into one about the store.
fn about(copy: &CopiedSite, error: Error) -> Error {
    match not_poisoned(error) {
        Error::Corrupted { place, position, reason } => Error::Corrupted {
            place: copy.about_original(&place),
            position,
            reason: copy.about_original(&reason),
        },
        other => other,
    }
}
