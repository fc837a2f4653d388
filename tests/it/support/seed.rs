//! Seeds of random tests: printed, and accepted back.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const VARIABLE: &str = "ANNALS_TEST_SEED";

/// A runner for `cases` random cases. A failing test shows the seed, which the environment variable
/// `ANNALS_TEST_SEED` gives back to it.
#[expect(clippy::print_stdout, reason = "the output of a failing test is shown")]
pub(crate) fn runner(cases: u32) -> TestRunner {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().expect("the seed is a number"),
        Err(_) => RandomState::new().hash_one(0),
    };
    println!("{VARIABLE}={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_be_bytes(seed));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
