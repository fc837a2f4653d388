//! What the targets have in common.

pub mod c_calls;

use std::path::Path;

use tempfile::TempDir;

thread_local! {
    /// A directory in memory where there is one.
    static SCRATCH: TempDir = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary directory");
}

/// Calls the function of a target.
pub fn call(target: fn(&[u8], &Path) -> usize, data: &[u8]) {
    SCRATCH.with(|scratch| target(data, scratch.path()));
}
