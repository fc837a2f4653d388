//! Annals beside other embedded stores that do the same job: events with exact versions, durable,
//! readable by position and by stream. Every workload runs in rounds that alternate between the
//! stores, because absolute times vary from minute to minute.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml -- --quick`

mod aims; //      what Annals aims at
mod args;
mod bench; //     rounds and what they measured
mod clock;
mod disk;
mod feed; //      the events, in order
mod logs; //      real logs
mod machine;
mod payload; //   made-up events
mod plot;
mod random;
mod report;
mod store; //     what every store does
mod stores; //    each of them
mod workloads; // the rows of the table

use std::{path::PathBuf, process::ExitCode};

use args::Args;
use bench::{Bench, Contender};
use store::{Kind, Mode};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.peek().is_some_and(|word| word == "--child") {
        child(words.skip(1).collect());
        return ExitCode::SUCCESS;
    }
    let args = match Args::parse(words) {
        Ok(args) => args,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut bench = Bench::new(args);
    let machine = machine::describe(&bench.args.out);
    let directory = bench.directory();
    bench.args.stores.iter().for_each(|kind| store::check(*kind, directory.path()));
    drop(directory);
    workloads::run(&mut bench);
    report::write(&bench, &machine);
    println!("{}", bench.args.out.join("table.md").display());
    ExitCode::SUCCESS
}

/// What this program does when it has started itself: what, store, path, events, round.
fn child(words: Vec<String>) {
    let kind = Kind::named(&words[1]).unwrap();
    let contender = Contender { kind, mode: Mode::Durable };
    let path = PathBuf::from(&words[2]);
    let number = |word: &String| word.parse().unwrap();
    match words[0].as_str() {
        "open" => workloads::open_child(contender, &path, number(&words[3]), number(&words[4])),
        "memory" => workloads::memory_child(contender, &path, number(&words[3])),
        other => panic!("{other}"),
    }
}
