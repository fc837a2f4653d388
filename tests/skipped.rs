//! Lists what the tests of `tests/it` and `tests/crash` have skipped, after all of them: their own
//! lines are lost in a long run. A run of one of them alone leaves its list for the next run of
//! this.

#![allow(clippy::print_stdout, reason = "it is a program whose purpose is to print")]

use std::{collections::BTreeSet, fs, path::Path};

fn main() {
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped-tests");
    let text = fs::read_to_string(&list).unwrap_or_default();
    let reasons: BTreeSet<&str> = text.lines().collect();
    if reasons.is_empty() {
        println!("\nNo test was skipped.\n");
        return;
    }
    println!("\nSkipped:");
    reasons.iter().for_each(|reason| println!("  {reason}"));
    println!();
    if let Err(error) = fs::remove_file(&list) {
        println!("{} cannot be removed: {error}", list.display());
    }
}
