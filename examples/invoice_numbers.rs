//! A sequence without gaps: invoices are numbered 1, 2, 3 and so on, no matter which thread issues
//! them. The next number depends only on the last invoice, so a backward query with a limit of one
//! is enough.
//!
//! `cargo run --example invoice_numbers`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use annals::{
    AppendError, Batch, EventStore, ExpectedVersion::NoStream, NewEvent, Query, QueryItem,
};

const TAG: &str = "invoices";

/// Issues an invoice under the next number and returns that number.
fn issue(store: &EventStore, customer: &str) -> Result<u64, AppendError> {
    let invoices = Query::new().item(QueryItem::new().types(["InvoiceIssued"]).tags([TAG]));
    loop {
        let mut last = store.query(&invoices).backward().limit(1);
        let after = last.head();
        let number = match last.next().transpose()? {
            Some(event) => event.json::<(u64, String)>()?.0 + 1,
            None => 1,
        };
        let issued = NewEvent::json("InvoiceIssued", &(number, customer))?.tag(TAG);
        let batch = Batch::new().append(format!("invoice-{number}"), NoStream, [issued]);
        match batch.require_none(&invoices, after).commit(store) {
            Err(AppendError::Condition(_) | AppendError::Conflict(_)) => {}
            answer => return answer.map(|_| number),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = EventStore::open(directory.path().join("invoices.annals"))?;
    std::thread::scope(|scope| {
        let customers = ["ada", "bob", "cyd", "dan"].map(|customer| {
            let store = &store;
            scope.spawn(move || (0..5).try_for_each(|_| issue(store, customer).map(drop)))
        });
        customers.into_iter().try_for_each(|thread| match thread.join() {
            Ok(answer) => answer.map_err(Box::<dyn Error>::from),
            Err(_) => Err("a customer panicked".into()),
        })
    })?;
    let mut numbers = Vec::new();
    for event in store.query(&Query::new().item(QueryItem::new().tags([TAG]))) {
        numbers.push(event?.json::<(u64, String)>()?.0);
    }
    println!("{} invoices, in order and without a gap: {}", numbers.len(), {
        numbers.iter().copied().eq(1..=20)
    });
    Ok(())
}
