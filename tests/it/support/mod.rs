//! Helpers of the tests: copies of stores, the lines of NDJSON, the program, real data, seeds.

#[cfg(feature = "capi")]
pub(crate) mod c;
pub(crate) mod files;
pub(crate) mod lines;
#[cfg(feature = "cli")]
pub(crate) mod program;
pub(crate) mod samples;
pub(crate) mod seed;
pub(crate) mod system;
