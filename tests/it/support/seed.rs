//! Seeds of random tests: printed, and accepted back.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const VARIABLE: &str = "ANNALS_TEST_SEED";

/// A seed. A failing test shows it, and the environment variable `ANNALS_TEST_SEED` gives it back.
#[expect(clippy::print_stdout, reason = "the output of a failing test is shown")]
fn seed() -> u64 {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().expect("the seed is a number"),
        Err(_) => RandomState::new().hash_one(0),
    };
    println!("{VARIABLE}={seed}");
    seed
}

/// Random numbers.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Random {
        Random(seed() | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

/// A runner for `cases` random cases.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_be_bytes(seed));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
