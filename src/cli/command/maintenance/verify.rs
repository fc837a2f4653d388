//! `verify`: checks a store and prints each finding.

use std::env;

use annals::{VerifyOptions, verify};

use crate::{
    args::VerifyArgs,
    command::interrupt::Scratch,
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(super) fn run(args: VerifyArgs, output: &mut Output) -> Result<Exit, Failure> {
    let scratch = args.scratch.unwrap_or_else(env::temp_dir);
    let scratch = Scratch::new(&scratch, "interrupted: the check is not complete");
    let report = verify(&args.store, &VerifyOptions::new().scratch(scratch.path()))?;
    if output.is_json() {
        output.object(&report)?;
    } else {
        for finding in &report.findings {
            output.text(&finding.to_string())?;
        }
        let findings = match report.findings.len() {
            0 => "nothing is wrong".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        };
        output::say(&format!("{} events, {} streams: {findings}", report.events, report.streams));
        if let Some((what, why)) = report.not_checked.as_ref().and_then(|not| not.split_once(": "))
        {
            let what = what.trim_start_matches("the ");
            output::say(&format!("{what}: not checked ({why})"));
        }
        if report.unreadable > 0 {
            output::say(&format!(
                "{} events cannot be read: `annals repair` shows what can be done, and \
                 `annals salvage` saves the others",
                report.unreadable
            ));
        }
    }
    Ok(match (report.findings.is_empty(), report.unreadable) {
        (true, _) => Exit::Done,
        (false, 0) => Exit::No,
        (false, _) => Exit::Corrupted,
    })
}
