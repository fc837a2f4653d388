//! Time travel: the state of an account as of a version, a position of the store, and a day; and
//! what the bank knew on that day, which is not the same.
//!
//! `cargo run --example time_travel`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use annals::{EventStore, ExpectedVersion, Handlers, NewEvent, Timestamp, UpTo};

const ACCOUNT: &str = "account-1";

fn main() -> Result<(), Box<dyn Error>> {
    let store = EventStore::in_memory()?;
    // The last movement is a correction, recorded late with the day on which it takes effect.
    let movements = [
        ("Deposited", 100, "2024-05-01T09:00:00+00:00"),
        ("Withdrawn", 30, "2024-05-03T12:00:00+00:00"),
        ("Deposited", 500, "2024-05-10T08:00:00+00:00"),
        ("Withdrawn", 5, "2024-05-02T00:00:00+00:00"),
    ];
    for (event_type, amount, time) in movements {
        let event = NewEvent::json(event_type, &amount)?.timestamp(time.parse()?);
        store.append(ACCOUNT, ExpectedVersion::Any, [event])?;
        store.append("log", ExpectedVersion::Any, [NewEvent::json("Noted", &event_type)?])?;
    }
    let handlers = Handlers::new()
        .when("Deposited", |balance: &mut i64, event| {
            *balance += event.json::<i64>()?;
            Ok(())
        })
        .when("Withdrawn", |balance, event| {
            *balance -= event.json::<i64>()?;
            Ok(())
        });
    let at = |up_to| store.reconstruct_state(ACCOUNT, 0, &handlers, up_to);

    println!("now:                            {:>4}", at(UpTo::Now)?);
    for version in 0..=store.stream_version(ACCOUNT)? {
        println!("at version {version}:                   {:>4}", at(UpTo::Version(version))?);
    }
    println!("at position 4 of the store:     {:>4}", at(UpTo::Position(4))?);
    let day: Timestamp = "2024-05-04T00:00:00+00:00".parse()?;
    println!("on {day}:   {:>4}", at(UpTo::Timestamp(day))?);

    // With a snapshot, the events before it need not be read.
    let state = at(UpTo::Version(3))?;
    let position = store.read_stream(ACCOUNT).from_version(3).next().ok_or("it is there")??;
    store.save_snapshot(ACCOUNT, position.position(), state.to_string())?;
    let now = store.reconstruct_state_from(ACCOUNT, ACCOUNT, 0, &handlers, UpTo::Now)?;
    println!("from a snapshot, now:           {now:>4}");
    Ok(())
}
