//! An account ledger: every movement of money is an event, and the balances are a live projection
//! that is up to date whenever an append has returned. Two cashiers cannot take the same money,
//! because each appends at the version that it has seen.
//!
//! `cargo run --example ledger`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{collections::BTreeMap, error::Error};

use annals::{
    AppendError, Batch, EventStore, ExpectedVersion, Handlers, LiveProjection, NewEvent, Projection,
};

/// Cents by account.
type Balances = BTreeMap<String, i64>;

fn handlers() -> Handlers<Balances> {
    Handlers::new()
        .when("Deposited", |balances: &mut Balances, event| {
            *balances.entry(event.stream_id().to_owned()).or_default() += event.json::<i64>()?;
            Ok(())
        })
        .when("Withdrawn", |balances, event| {
            *balances.entry(event.stream_id().to_owned()).or_default() -= event.json::<i64>()?;
            Ok(())
        })
}

fn balance_of(balances: &LiveProjection<Balances>, account: &str) -> i64 {
    balances.state().get(account).copied().unwrap_or(0)
}

/// Withdraws money from an account if there is enough. `version` is the version of the account when
/// the caller looked at it; if somebody else was faster, this checks the balance again.
fn withdraw(
    store: &EventStore,
    balances: &LiveProjection<Balances>,
    account: &str,
    cents: i64,
    mut version: u64,
) -> Result<u32, Box<dyn Error>> {
    let mut attempts = 1;
    loop {
        let balance = balance_of(balances, account);
        if balance < cents {
            return Err(format!("{account} holds {balance}, which is less than {cents}").into());
        }
        let event = NewEvent::json("Withdrawn", &cents)?;
        match store.append(account, ExpectedVersion::Exact(version), [event]) {
            Ok(_) => return Ok(attempts),
            Err(AppendError::Conflict(conflict)) => {
                println!("somebody was faster: {conflict}");
                version = conflict.actual;
                attempts += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = EventStore::open(directory.path().join("ledger.annals"))?;
    let balances = Projection::new("balances", &store, Balances::new(), handlers()).live()?;

    store.append("ada", ExpectedVersion::NoStream, [NewEvent::json("Deposited", &10_000)?])?;
    println!("ada has {}", balance_of(&balances, "ada"));

    // Both cashiers have seen the account at version 1.
    let seen = store.stream_version("ada")?;
    withdraw(&store, &balances, "ada", 2_500, seen)?;
    let attempts = withdraw(&store, &balances, "ada", 3_000, seen)?;
    println!(
        "the second withdrawal took {attempts} attempts, ada has {}",
        balance_of(&balances, "ada")
    );

    // A transfer is one unit: both movements are stored, or neither is.
    Batch::new()
        .append("ada", ExpectedVersion::Exact(3), [NewEvent::json("Withdrawn", &1_000)?])
        .append("bob", ExpectedVersion::NoStream, [NewEvent::json("Deposited", &1_000)?])
        .commit(&store)?;
    println!("after the transfer: {:?}", *balances.state());

    match withdraw(&store, &balances, "bob", 1_001, 1) {
        Err(refusal) => println!("refused: {refusal}"),
        Ok(_) => return Err("bob has spent what he does not have".into()),
    }
    drop(balances);
    store.close()?;
    Ok(())
}
