//! The `annals` program: one command per run, over the public API of the library.
//!
//! `args` and `help` define the command line, `command` carries it out, `output` is the only place
//! that prints, and `exit` maps outcomes to exit codes.

mod args;
mod command;
mod exit;
mod help;
mod output;

use std::{
    env,
    panic::{self, UnwindSafe},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;

use crate::{args::Args, exit::Exit, output::Output};

fn main() -> ExitCode {
    // Without a handler, a write past the file size limit kills the program without a message. The
    // program works even if the handler cannot be installed.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    guarded(run).into()
}

/// Turns a panic into an exit code of its own.
fn guarded(run: impl FnOnce() -> Exit + UnwindSafe) -> Exit {
    // The panic hook has already printed what happened.
    panic::catch_unwind(run).unwrap_or_else(|_| {
        output::complain("internal error: this is a bug in annals, please report it");
        Exit::Internal
    })
}

fn run() -> Exit {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(answer) => {
            let has_json = env::args_os().any(|arg| arg == "--json");
            return output::answer_usage(&answer, has_json);
        }
    };
    let mut output = Output::new(args.json);
    let outcome = command::run(args.command, &mut output);
    let outcome = outcome.and_then(|exit| output.finish().map(|()| exit));
    command::wait_if_ending();
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            output::report(&failure);
            failure.exit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::panic, reason = "the panic is what is tested")]
    fn a_panic_has_its_own_exit_code() {
        assert_eq!(guarded(|| panic!("this test panics on purpose")), Exit::Internal);
        assert_eq!(guarded(|| Exit::Done), Exit::Done);
    }
}
