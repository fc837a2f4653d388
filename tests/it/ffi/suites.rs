//! The C suites in `tests/c`, against the shared and the static library, and under tools that watch
//! memory.

use std::path::PathBuf;

use crate::support::c::{Linkage, Workshop, root, succeed};

/// Each is a program whose exit code says whether all of it held.
const SUITES: [&str; 4] = ["store", "append", "read", "ndjson"];

fn source(suite: &str) -> PathBuf {
    root().join("tests/c").join(suite).with_extension("c")
}

fn run_all(linkage: Linkage) {
    for suite in SUITES {
        let Some(shop) = Workshop::with("cc") else { return };
        let program = shop.compile("cc", &["-std=c11", "-g"], &[source(suite)], linkage);
        succeed(&mut shop.command(&program));
    }
}

#[test]
fn the_suites_pass_with_the_shared_library() {
    run_all(Linkage::Shared);
}

#[test]
fn the_suites_pass_with_the_static_library() {
    run_all(Linkage::Static);
}
