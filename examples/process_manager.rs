//! A process manager reacts to events by appending others. When an order is placed, it requests the
//! payment; when the payment is received, it ships the parcel.
//!
//! It is a subscriber with a checkpoint. It commits the checkpoint and the events that it appends
//! in one batch, which is atomic: whenever it is stopped, it has done either both or neither, and a
//! restart repeats nothing.
//!
//! `cargo run --example process_manager`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, time::Duration};

use annals::{Batch, EventStore, ExpectedVersion, NewEvent, RecordedEvent};

const NAME: &str = "order-fulfilment";

/// The event to append in response to this one, if any.
fn answer(event: &RecordedEvent) -> Result<Option<NewEvent>, annals::Error> {
    let next = match event.event_type() {
        "OrderPlaced" => "PaymentRequested",
        "PaymentReceived" => "ParcelShipped",
        _ => return Ok(None),
    };
    let because = serde_json::json!({"because": event.position()});
    Ok(Some(NewEvent::json(next, &because)?))
}

/// Handles everything up to the head; with `stops_early`, returns right after the first action.
fn work(store: &EventStore, stops_early: bool) -> Result<(), Box<dyn Error>> {
    let start = store.checkpoint(NAME)? + 1;
    println!("going on at position {start}");
    let mut events = store.subscribe(start)?.stream_prefix("order-");
    while let Some(event) = events.next_timeout(Duration::ZERO)? {
        let batch = Batch::new().checkpoint(NAME, event.position());
        let Some(new) = answer(&event)? else {
            batch.commit(store)?;
            continue;
        };
        let what = new.event_type().to_owned();
        let batch = batch.append(event.stream_id(), ExpectedVersion::Any, [new]);
        let position = *batch.commit(store)?.positions().start();
        println!("{} {}: {what} at {position}", event.position(), event.event_type());
        if stops_early {
            return Ok(());
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("orders.annals");
    let store = EventStore::open(&path)?;
    store.append("order-7", ExpectedVersion::NoStream, [NewEvent::json("OrderPlaced", &7)?])?;
    work(&store, true)?;
    println!("stopped right after it had acted");
    store.close()?;

    let store = EventStore::open(&path)?;
    work(&store, false)?;
    println!("the order is paid");
    store.append("order-7", ExpectedVersion::Exact(2), [NewEvent::json("PaymentReceived", &7)?])?;
    work(&store, false)?;
    for event in store.read_stream("order-7") {
        let event = event?;
        println!("order-7, version {}: {}", event.version(), event.event_type());
    }
    Ok(())
}
