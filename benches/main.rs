//! Benchmarks, run by `cargo bench`: workloads of Annals, where it writes beside a bare file in the
//! same round, because absolute times vary from minute to minute. The comparison with other stores
//! is a package of its own, `benches/peers`.
//!
//! An argument keeps only the workloads whose names contain it; `--rounds N` sets the rounds, of
//! which the median is printed. `--large` adds stores of ten million events. Every result is also
//! one NDJSON line on standard output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark stops at what should not be, and prints"
)]

mod bare; //      what writing costs at least
mod batches; //   conditions, queries by tag, tickets
#[cfg(feature = "capi")]
mod c_abi; //     the C ABI beside Rust
mod derived; //   projections, subscriptions, what is saved
mod readers; //   processes that read beside a store that is written
mod rounds; //    rounds, medians, output
mod workloads; // what is measured

fn main() {
    let mut filter = String::new();
    let mut rounds = 5;
    let mut is_large = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What `cargo bench` hands to every benchmark.
            "--bench" => {}
            "--large" => is_large = true,
            "--rounds" => {
                rounds = arguments.next().and_then(|n| n.parse().ok()).expect("--rounds N");
            }
            readers::FOLLOW => {
                let path = arguments.next().expect("a path");
                let from = arguments.next().expect("a position").parse();
                return readers::follow(path.as_ref(), from.expect("a position"));
            }
            other => filter = other.to_owned(),
        }
    }
    let run = rounds::Rounds { count: rounds, filter, is_large };
    workloads::append_one(&run);
    workloads::append_16_threads(&run);
    workloads::append_batch(&run);
    workloads::bulk(&run);
    workloads::scan(&run);
    workloads::stream_reads(&run);
    workloads::open(&run);
    batches::guarded(&run);
    batches::query(&run);
    batches::tickets(&run);
    batches::tag_bytes(&run);
    derived::catch_up(&run);
    derived::live(&run);
    derived::snapshots(&run);
    derived::delivery(&run);
    derived::saving(&run);
    readers::beside(&run);
    readers::delay(&run);
    readers::large(&run);
    #[cfg(feature = "capi")]
    {
        c_abi::iterate(&run);
        c_abi::append(&run);
    }
}
