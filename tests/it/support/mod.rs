//! Helpers of the tests: C programs, copies of stores, NDJSON, the program, real data, seeds.

#[cfg(all(feature = "capi", target_os = "linux"))]
pub(crate) mod c;
pub(crate) mod files;
pub(crate) mod numbered;
pub(crate) mod lines;
#[cfg(feature = "cli")]
pub(crate) mod program;
pub(crate) mod samples;
pub(crate) mod seed;
pub(crate) mod system;
pub(crate) mod trees;
pub(crate) mod units;
