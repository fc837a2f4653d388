//! `stats`: how much is in a store, and how much space it takes.

use std::collections::BTreeMap;

use annals::{Error, Reader, Stats};
use serde::Serialize;

use crate::{
    args::StatsArgs,
    command::open_reader,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(args: &StatsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let store = open_reader(&args.store)?;
    let stats = store.stats()?;
    let counts = counts(&store, args)?;
    if output.is_json() {
        output.object(&Report { stats: &stats, counts })?;
        return Ok(Exit::Done);
    }
    let all = stats.journal_bytes + stats.trees_bytes + stats.snapshots_bytes;
    let share = |bytes: u64| match (bytes * 100).checked_div(all) {
        Some(percent) => format!("{bytes} ({percent} %)"),
        None => bytes.to_string(),
    };
    let rows = [
        ("events", stats.head.to_string()),
        ("streams", stats.streams.to_string()),
        ("store id", stats.store_id.to_string()),
        ("format version", stats.format_version.to_string()),
        ("journal bytes", share(stats.journal_bytes)),
        ("trees bytes", share(stats.trees_bytes)),
        ("snapshots bytes", share(stats.snapshots_bytes)),
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
    for (title, counts) in [("events by type", counts.types), ("events by day", counts.days)] {
        let Some(counts) = counts else { continue };
        output.text("")?;
        output.text(title)?;
        output.chart(&counts)?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    stats: &'a Stats,
    #[serde(flatten)]
    counts: Counts,
}

/// The requested counts, by name.
#[derive(Serialize)]
struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<BTreeMap<String, u64>>,
}

fn counts(store: &Reader, args: &StatsArgs) -> Result<Counts, Error> {
    let mut counts =
        Counts { types: args.types.then(BTreeMap::new), days: args.days.then(BTreeMap::new) };
    if !args.types && !args.days {
        return Ok(counts);
    }
    for event in store.read_all() {
        let event = event?;
        if let Some(types) = &mut counts.types {
            add(types, event.event_type());
        }
        if let Some(days) = &mut counts.days {
            let time = event.timestamp().to_string();
            add(days, time.get(..10).unwrap_or(&time));
        }
    }
    Ok(counts)
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}
