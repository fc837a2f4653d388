//! `stats`: how much is in a store.

use annals::Reader;

use crate::{
    args::StatsArgs,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &StatsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let stats = Reader::open(&args.store)?.stats()?;
    if output.is_json() {
        output.object(&stats)?;
        return Ok(Exit::Done);
    }
    let rows = [
        ("events", stats.head.to_string()),
        ("streams", stats.streams.to_string()),
        ("store id", stats.store_id.to_string()),
        ("format version", stats.format_version.to_string()),
        ("journal bytes", stats.journal_bytes.to_string()),
        ("trees bytes", stats.trees_bytes.to_string()),
        ("snapshots bytes", stats.snapshots_bytes.to_string()),
        ("tail bytes", stats.tail_bytes.to_string()),
    ];
    let writer = match (stats.is_written, stats.writer) {
        (false, _) => "none".to_owned(),
        (true, None) => "another process".to_owned(),
        (true, Some(process)) => format!("process {process}"),
    };
    let set_aside = stats.set_aside.iter().map(|name| ("set aside", name.clone()));
    let rows = rows.into_iter().chain([("writer", writer)]);
    for (name, value) in rows.chain(set_aside) {
        output.text(&format!("{name:<16}{value}"))?;
    }
    Ok(Exit::Done)
}
