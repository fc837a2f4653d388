//! A process manager: it reacts to events by appending others. An order that is placed is charged,
//! and once it is paid it is shipped.
//!
//! It is a subscriber with a checkpoint, so it may see an event twice: when it is stopped between
//! acting and saving the checkpoint. Each event that it appends has an id that follows from the
//! event that it answers, so that acting twice appends nothing the second time.
//!
//! `cargo run --example process_manager`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, time::Duration};

use annals::{EventStore, ExpectedVersion, NewEvent, RecordedEvent};
use uuid::Uuid;

const NAME: &str = "order-fulfilment";

/// What an event is answered with, if anything.
fn answer(event: &RecordedEvent) -> Result<Option<NewEvent>, annals::Error> {
    let next = match event.event_type() {
        "OrderPlaced" => "PaymentRequested",
        "PaymentReceived" => "ParcelShipped",
        _ => return Ok(None),
    };
    let because = serde_json::json!({"because": event.position()});
    // The position of the cause tells this answer from every other one of this process.
    let id = Uuid::from_u128(0xF0F1_1000_u128 << 64 | u128::from(event.position()));
    Ok(Some(NewEvent::json(next, &because)?.id(id)))
}

/// Works off everything up to the head; `stops_early` ends behind an action that is not noted.
fn work(store: &EventStore, stops_early: bool) -> Result<(), Box<dyn Error>> {
    let start = store.checkpoint(NAME)? + 1;
    println!("going on at position {start}");
    let mut events = store.subscribe(start)?.stream_prefix("order-");
    while let Some(event) = events.next_timeout(Duration::ZERO)? {
        if let Some(new) = answer(&event)? {
            let what = new.event_type().to_owned();
            let appended = store.append(event.stream_id(), ExpectedVersion::Any, [new])?;
            let position = *appended.positions().start();
            println!("{} {}: {what} at {position}", event.position(), event.event_type());
            if stops_early {
                return Ok(());
            }
        }
        store.save_checkpoint(NAME, event.position())?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("orders.annals");
    let store = EventStore::open(&path)?;
    store.append("order-7", ExpectedVersion::NoStream, [NewEvent::json("OrderPlaced", &7)?])?;
    work(&store, true)?;
    println!("stopped before the checkpoint was saved");
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
