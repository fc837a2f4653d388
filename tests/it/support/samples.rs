//! Event logs to test with: the project's own, and real ones that lie beside the project, if at
//! all.

use std::{path::PathBuf, process::Command};

use crate::support::system::{has_program, skipped};

/// `examples/data/orders.ndjson`.
pub(crate) fn orders() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data/orders.ndjson");
    std::fs::read_to_string(path).unwrap()
}

/// A log of `../shared/data`. `None`, and a line that says so, when it is missing.
pub(crate) fn shared(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.is_file() {
        skipped(&format!("{} is missing", path.display()));
        return None;
    }
    if !has_program("gzip", "--version") {
        return None;
    }
    let unpacked = Command::new("gzip").args(["--decompress", "--stdout"]).arg(path).output();
    let unpacked = unpacked.unwrap();
    assert!(unpacked.status.success(), "gzip failed");
    Some(unpacked.stdout)
}
