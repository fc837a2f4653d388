//! `salvage`: writes every readable event of a damaged store as NDJSON.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

use annals::{Error, SalvageOptions, SalvageReport, salvage_with};

use crate::{
    args::SalvageArgs,
    command::{interrupt::Scratch, is_dash, of_missing},
    exit::{Exit, Failure},
    output::{self, Output},
};

pub(super) fn run(args: SalvageArgs, output: &mut Output) -> Result<Exit, Failure> {
    let scratch = args.scratch.unwrap_or_else(env::temp_dir);
    let scratch = Scratch::new(&scratch, "interrupted: the output is not complete");
    let options = SalvageOptions::new().scratch(scratch.path());
    let report = match args.file.as_deref().filter(|file| !is_dash(file)) {
        Some(file) => {
            let saved = salvage_with(&args.store, new_file(file)?, &options);
            if saved.is_err() && file.metadata().is_ok_and(|written| written.len() == 0) {
                // It is what this command has just created.
                let _ = fs::remove_file(file);
            }
            saved.map_err(of_missing)?
        }
        None => match salvage_with(&args.store, output.writer(), &options) {
            Err(
                Error::Io { source, action: "write to", .. }
                | Error::NoSpace { source: Some(source), .. },
            ) => return Err(Failure::stdout(&source)),
            saved => saved.map_err(of_missing)?,
        },
    };
    report_on_stderr(&report, output.is_json());
    Ok(if report.missing.is_empty() { Exit::Done } else { Exit::Corrupted })
}

/// Creates a file, which must not exist yet.
fn new_file(path: &Path) -> Result<impl Write, Error> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let file = opened.map_err(|source| Error::Io {
        action: "create",
        path: path.to_owned(),
        source: Arc::new(source),
    })?;
    Ok(BufWriter::new(file))
}

/// Prints the report on standard error, because standard output may have the events.
fn report_on_stderr(report: &SalvageReport, is_json: bool) {
    if is_json {
        output::say(&serde_json::to_string(report).unwrap_or_default());
        return;
    }
    for missing in &report.missing {
        output::say(&missing.to_string());
    }
    output::say(&format!("saved {}", output::counted(report.events, "event")));
}
