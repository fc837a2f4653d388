//! A name that only one user may have: a claim is refused if an event in any stream already holds
//! the name. A released name is free again, because the decision replays all events with the name.
//!
//! `cargo run --example user_names`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use annals::{AppendError, Batch, EventStore, ExpectedVersion::Any, NewEvent, Query, QueryItem};

/// Claims a name for a user, and returns whether it was free.
fn claim(store: &EventStore, user: &str, name: &str) -> Result<bool, AppendError> {
    let tag = format!("name:{name}");
    let query = Query::new().item(QueryItem::new().tags([&tag]));
    let found = store.query(&query);
    let after = found.head();
    let mut is_taken = false;
    for event in found {
        is_taken = event?.event_type() == "NameClaimed";
    }
    if is_taken {
        return Ok(false);
    }
    let claimed = NewEvent::json("NameClaimed", &name)?.tag(tag);
    let batch = Batch::new().append(format!("user-{user}"), Any, [claimed]);
    match batch.require_none(&query, after).commit(store) {
        // Somebody else has claimed it since the query.
        Err(AppendError::Condition(_)) => Ok(false),
        answer => answer.map(|_| true),
    }
}

fn release(store: &EventStore, user: &str, name: &str) -> Result<(), AppendError> {
    let released = NewEvent::json("NameReleased", &name)?.tag(format!("name:{name}"));
    store.append(format!("user-{user}"), Any, [released]).map(drop)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = EventStore::open(directory.path().join("users.annals"))?;
    println!("1 gets countess: {}", claim(&store, "1", "countess")?);
    println!("2 gets countess: {}", claim(&store, "2", "countess")?);
    println!("2 gets admiral: {}", claim(&store, "2", "admiral")?);
    release(&store, "1", "countess")?;
    println!("3 gets countess: {}", claim(&store, "3", "countess")?);
    Ok(())
}
