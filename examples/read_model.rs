//! A read model that restarts from its snapshot: it is derived from all events once, and after that
//! from its last snapshot and the events after it. When the derivation changes, so does the version
//! of the read model, and it starts over by itself.
//!
//! `cargo run --example read_model`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{collections::BTreeMap, error::Error, fs::File};

use annals::{EventStore, Handlers, ImportOptions, NewEvent, Projection, RecordedEvent};
use serde::{Deserialize, Serialize};

/// The data for a page about the orders.
#[derive(Default, Serialize, Deserialize)]
struct Overview {
    events_by_type: BTreeMap<String, u64>,
    last_change: BTreeMap<String, String>,
}

fn note(overview: &mut Overview, event: &RecordedEvent) {
    *overview.events_by_type.entry(event.event_type().to_owned()).or_default() += 1;
    overview.last_change.insert(event.stream_id().to_owned(), event.timestamp().to_string());
}

/// Starts the read model and prints how many events it had to read.
fn start(store: &EventStore, types: &[String], version: u32) -> Result<(), Box<dyn Error>> {
    let mut handlers = Handlers::new();
    for event_type in types {
        handlers = handlers.when(event_type, |overview: &mut Overview, event| {
            note(overview, event);
            Ok(())
        });
    }
    let overview = Projection::new("overview", store, Overview::default(), handlers);
    let mut overview = overview.version(version).snapshot_every(100);
    let restored = overview.load_snapshot()?;
    for ignored in &restored.ignored {
        println!("{ignored}");
    }
    let started = restored.position.unwrap_or(0);
    let events = overview.catch_up()?;
    println!("version {version}: from {started} over {events} events to {}", overview.position());
    println!("  {} orders", overview.state().last_change.len());
    for (event_type, count) in &overview.state().events_by_type {
        println!("  {count:>4} {event_type}");
    }
    overview.save_snapshot()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("orders.annals");
    let store = EventStore::open(&path)?;
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/orders.ndjson");
    store.import_ndjson(File::open(sample)?, &ImportOptions::new())?;
    let mut types = Vec::new();
    for event in store.read_all() {
        types.push(event?.event_type().to_owned());
    }
    types.sort();
    types.dedup();
    start(&store, &types, 1)?;
    store.close()?;

    let store = EventStore::open(&path)?;
    let order = store.streams().next().ok_or("the sample has streams")??;
    let note = NewEvent::json("NoteAdded", &serde_json::json!({"text": "gift wrap"}))?;
    store.append(order.stream_id(), annals::ExpectedVersion::Any, [note])?;
    start(&store, &types, 1)?;

    types.push("NoteAdded".to_owned());
    start(&store, &types, 2)?;
    Ok(())
}
