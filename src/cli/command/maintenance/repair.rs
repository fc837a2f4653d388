//! `repair`: shows the plan of a repair, or carries it out.

use std::env;

use annals::{RepairOptions, repair};

use crate::{
    args::RepairArgs,
    command::{interrupt::Scratch, of_missing},
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(super) fn run(args: RepairArgs, output: &mut Output) -> Result<Exit, Failure> {
    let scratch = args.scratch.unwrap_or_else(env::temp_dir);
    let scratch = Scratch::new(
        &scratch,
        match args.apply {
            true => "interrupted: run the command again to complete the repair",
            false => "interrupted: nothing was changed",
        },
    );
    let options = RepairOptions::new()
        .apply(args.apply)
        .discard_evidence(args.discard_evidence)
        .scratch(scratch.path());
    let report = repair(&args.store, &options).map_err(of_missing)?;
    if output.is_json() {
        output.object(&report)?;
    } else {
        for step in &report.steps {
            output.text(&step.to_string())?;
        }
        for lost in &report.lost {
            output.text(&format!("cannot be repaired: {lost}"))?;
        }
        output::say(match (report.steps.is_empty(), report.applied) {
            (true, _) => "nothing to repair",
            (false, true) => "repaired",
            (false, false) => "nothing was changed: --apply carries out the repair",
        });
    }
    Ok(match (report.lost.is_empty(), report.steps.is_empty() || report.applied) {
        (false, _) => Exit::Corrupted,
        (true, true) => Exit::Done,
        (true, false) => Exit::No,
    })
}
