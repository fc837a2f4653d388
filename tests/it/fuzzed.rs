//! Replays the sequences of C calls that the fuzzer has found worth keeping.

use std::{fs, path::Path};

#[path = "../../fuzz/src/c_calls.rs"]
mod c_calls;

#[test]
fn sequences_of_c_calls_are_replayed() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/c_calls");
    let mut done = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        done += c_calls::run(&bytes, Path::new(""));
    }
    assert!(done > 0, "some calls succeed");
}
