//! Crash tests: whatever happens to the process, the disk or the files, nothing acknowledged is
//! lost and nothing wrong is served.
//!
//! Method: children of this program write to a store through the public API and mark what was
//! acknowledged (`worker.rs`, `marks.rs`); they are killed, their system calls fail, their disk
//! loses power, their files rot; then another child opens what is left and compares it with what
//! must be there (`oracle.rs`). Contents are a function of seed and position (`plan.rs`), so
//! nothing needs to be remembered.
//!
//! `cargo test --test crash -- [--list] [FILTER]`. Environment: `ANNALS_SEED` sets the seed,
//! `ANNALS_CASE` runs one case of a test, `ANNALS_SOAK=1` runs for long, `ANNALS_BRIEF=1` briefly,
//! `ANNALS_REPLAY=DIR` checks the state of the disk that a failure has left in DIR.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test stops at what it does not expect, and reports on stdout"
)]

#[cfg(target_os = "linux")]
mod beside;
#[cfg(target_os = "linux")]
mod check;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod decay;
#[cfg(all(target_os = "linux", feature = "seeded-defects"))]
mod defects;
#[cfg(target_os = "linux")]
mod disk_model;
#[cfg(target_os = "linux")]
mod explore;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod fixed_cuts;
#[cfg(target_os = "linux")]
mod follower;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod kill;
#[cfg(target_os = "linux")]
mod marks;
#[cfg(target_os = "linux")]
mod mended;
#[cfg(target_os = "linux")]
mod mender;
#[cfg(target_os = "linux")]
mod mending;
#[cfg(target_os = "linux")]
mod oracle;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod power_cut;
#[cfg(target_os = "linux")]
mod rot;
#[cfg(target_os = "linux")]
mod saves;
#[cfg(target_os = "linux")]
mod served;
#[cfg(target_os = "linux")]
mod shim;
#[cfg(target_os = "linux")]
mod wide;
#[path = "../it/support/units.rs"]
mod units;
#[cfg(target_os = "linux")]
mod worker;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let args = marks::Args(std::env::args().skip(1).collect());
    match std::env::var(child::ROLE).as_deref() {
        Ok("write") => worker::run(&args),
        Ok("follow") => follower::run(&args),
        Ok("check") => check::serve(&args, check::strict),
        Ok("rot") => served::serve(&args, served::By::Store),
        Ok("rot-beside") => served::serve(&args, served::By::Reader),
        Ok("wide") => wide::run(&args),
        Ok("mend") => mender::run(&args),
        Ok(role) => panic!("no such role: {role}"),
        #[cfg(feature = "seeded-defects")]
        Err(_) if args.0.first().is_some_and(|first| first == "defects") => {
            return defects::run(&args.0[1..]);
        }
        Err(_) => return harness::main(&args.0),
    }
    std::process::ExitCode::SUCCESS
}

/// The faults are injected with what Linux offers: LD_PRELOAD, /proc, signals.
#[cfg(not(target_os = "linux"))]
fn main() {
    println!("crash tests need Linux\n0 passed, 0 failed, 1 skipped");
}
