//! `verify`: checks a store, and prints each finding.

use crate::{
    args::VerifyArgs,
    command::open_existing,
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(super) fn run(args: &VerifyArgs, output: &mut Output) -> Result<Exit, Failure> {
    let report = open_existing(&args.store)?.verify()?;
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
    }
    Ok(if report.findings.is_empty() { Exit::Done } else { Exit::No })
}
