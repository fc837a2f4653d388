//! `verify`: checks a store and prints each finding.

use std::env;

use annals::{VerifyOptions, verify};

use crate::{
    args::VerifyArgs,
    command::{interrupt::Scratch, of_missing},
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(super) fn run(args: VerifyArgs, output: &mut Output) -> Result<Exit, Failure> {
    let scratch = args.scratch.unwrap_or_else(env::temp_dir);
    let scratch = Scratch::new(&scratch, "interrupted: the check is not complete");
    let report = verify(&args.store, &VerifyOptions::new().scratch(scratch.path()));
    let report = report.map_err(of_missing)?;
    if output.is_json() {
        output.object(&report)?;
    } else {
        for finding in &report.findings {
            output.text(&finding.to_string())?;
        }
        let findings = match report.findings.len() {
            0 => "nothing is wrong".to_owned(),
            count => output::counted(count as u64, "finding"),
        };
        let events = output::counted(report.events, "event");
        let streams = output::counted(report.streams, "stream");
        output::say(&format!("{events}, {streams}: {findings}"));
        if let Some(not_checked) = &report.not_checked {
            output::say(&not_checked.to_string());
        }
        if report.unreadable > 0 {
            output::say(&format!(
                "{} cannot be read: `annals repair` shows what can be done, and \
                 `annals salvage` saves the others",
                output::counted(report.unreadable, "event")
            ));
        }
    }
    Ok(match (report.findings.is_empty(), report.unreadable) {
        (true, _) => Exit::Done,
        (false, 0) => Exit::No,
        (false, _) => Exit::Corrupted,
    })
}
