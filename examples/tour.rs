//! A tour of the main features with a sample: import a history, append to it with a concurrency
//! check, run into a conflict, read a stream, and export everything again.
//!
//! `cargo run --example tour` works in a temporary directory; given a path, it creates the store
//! there.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, fs::File, path::PathBuf};

use annals::{AppendError, EventStore, ExpectedVersion, ExportOptions, ImportOptions, NewEvent};

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => scratch.path().join("orders.annals"),
    };
    let store = EventStore::open(&path)?;

    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/orders.ndjson");
    let report = store.import_ndjson(File::open(sample)?, &ImportOptions::new())?;
    println!("imported {} events into {}", report.events, path.display());

    // Pick the first order, and add a note to it unless somebody else has appended meanwhile.
    let order = store.streams().next().ok_or("the sample has streams")??;
    let (stream, version) = (order.stream_id(), order.version());
    let note = || NewEvent::json("NoteAdded", &serde_json::json!({"text": "gift wrap, please"}));
    let appended = store.append(stream, ExpectedVersion::Exact(version), [note()?])?;
    println!("appended to {stream}: position {}", appended.positions().start());

    // A second writer that has not seen the note expects the old version and is refused.
    match store.append(stream, ExpectedVersion::Exact(version), [note()?]) {
        Err(AppendError::Conflict(conflict)) => println!("conflict, as it should be: {conflict}"),
        other => return Err(format!("a conflict was due, not {other:?}").into()),
    }

    println!("the stream {stream}:");
    for event in store.read_stream(stream) {
        let event = event?;
        let data = String::from_utf8_lossy(event.data());
        println!(
            "  {:>2} {} {:<16} {data}",
            event.version(),
            event.timestamp(),
            event.event_type()
        );
    }

    let target = scratch.path().join("export.ndjson");
    let exported = store.export_ndjson(File::create(&target)?, &ExportOptions::new())?;
    let bytes = std::fs::metadata(&target)?.len();
    println!("exported {} events, {bytes} bytes", exported.events);

    let report = store.verify()?;
    println!("verified {} events: {} findings", report.events, report.findings.len());
    store.close()?;
    Ok(())
}
