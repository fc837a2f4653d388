//! Mixed work for as long as one likes: stores are made one after another, opened many times, and
//! used by writers, readers, subscribers, projections and backups at once. Every event that is read
//! is checked; at the end of each store so is the whole of it, and whether memory, descriptors,
//! threads and the bytes on the disk for each event have stayed level.
//!
//! `cargo test --test endurance` takes a few seconds; `ANNALS_SOAK=1` takes half an hour, and
//! `ANNALS_TEST_SEED` repeats the random choices, though not what the scheduler does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test stops at what it does not expect, and reports on stdout"
)]

#[cfg(target_os = "linux")]
mod level;
#[cfg(target_os = "linux")]
#[path = "../it/support/seed.rs"]
#[expect(dead_code, reason = "the runner of property tests is not needed here")]
mod seed;
#[cfg(target_os = "linux")]
mod store;
#[cfg(target_os = "linux")]
mod work;

#[cfg(target_os = "linux")]
fn main() {
    store::soak();
}

/// What a process holds is read from /proc.
#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the soak test needs Linux");
}
