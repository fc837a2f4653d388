//! The child that checks: opens the stores that it is given and answers one line for each.
//!
//! Method: everything in `oracle.rs`, on a first and a second opening that must show the same, then
//! appending goes on and a third opening shows that as well. A panic counts as a violation; a hang
//! or a death is seen by the parent, which knows the store by the answer that is missing.

use std::{
    io::BufRead,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use annals::{EventStore, ExpectedVersion};

use crate::{
    marks::{Args, Expected, Setup},
    oracle::{self, Fault, Found, refused, wrong},
    saves, units,
};

/// Units that are appended to a store after its recovery.
const MORE_UNITS: u64 = 2;

/// Answers each line of stdin, "directory TAB marks TAB number of lines", with one line of `check`.
pub fn serve(args: &Args, check: impl Fn(&Setup, &Path, &Expected) -> String) {
    let setup = Setup::from_args(args);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut parts = line.split('\t');
        let mut next = || parts.next().unwrap_or_default();
        let (dir, marks, lines) = (next(), next(), next().parse().ok());
        let expected = Expected::new(setup.threads, setup.is_sync).read(Path::new(marks), lines);
        let answer = match expected {
            Ok(expected) => {
                let check = AssertUnwindSafe(|| check(&setup, Path::new(dir), &expected));
                catch_unwind(check).unwrap_or_else(|_| "bad\tit panics".to_owned())
            }
            Err(error) => format!("bad\tno marks: {error}"),
        };
        println!("{}", answer.replace('\n', " "));
    }
}

/// The check after kills, I/O errors and power cuts: "ok" with the units of each thread, "rebuilt"
/// if the trees had to be rebuilt for it, or "bad".
pub fn strict(setup: &Setup, dir: &Path, expected: &Expected) -> String {
    match recover(setup, dir, expected) {
        Ok((found, is_rebuilt)) => {
            let units: Vec<String> = found.units.iter().map(u64::to_string).collect();
            format!("{}\t{}", if is_rebuilt { "rebuilt" } else { "ok" }, units.join(" "))
        }
        Err(Fault::Refused(text)) => format!("bad\trefused: {text}"),
        Err(Fault::Wrong(text)) => format!("bad\t{text}"),
    }
}

/// What is there in the end, and whether the first open had to rebuild the trees.
fn recover(setup: &Setup, dir: &Path, expected: &Expected) -> Result<(Found, bool), Fault> {
    if let Some(complaint) = expected.complaints.first() {
        return wrong(complaint);
    }
    let plan = setup.plan();

    let store = open(setup, dir)?;
    let is_rebuilt = store.recovery().reason().is_some();
    let first = oracle::walk(&store, &plan, setup.threads)?;
    oracle::check_bounds(&first, expected)?;
    oracle::check_reads(&store, &first, setup.seed)?;
    oracle::check_retries(&store, &plan, &first, 2)?;
    saves::check(&store, setup, (expected, &first))?;
    oracle::check_verify(&store, &first)?;
    close(&store)?;

    let store = open(setup, dir)?;
    let second = oracle::walk(&store, &plan, setup.threads)?;
    saves::check(&store, setup, (expected, &second))?;
    if second != first {
        return wrong(format!("a second opening shows {} of {} events", second.head, first.head));
    }
    append_more(setup, &store, (expected, &second))?;
    let grown = oracle::walk(&store, &plan, setup.threads)?;
    let mut due = second.units.clone();
    due[0] += MORE_UNITS;
    if grown.units != due {
        return wrong(format!("after appending there are {:?} units and not {due:?}", grown.units));
    }
    close(&store)?;

    let store = open(setup, dir)?;
    let third = oracle::walk(&store, &plan, setup.threads)?;
    saves::check_units(&store, setup, (expected, &third))?;
    if third != grown {
        return wrong(format!("a third opening shows {} of {} events", third.head, grown.head));
    }
    close(&store)?;
    Ok((third, is_rebuilt))
}

fn open(setup: &Setup, dir: &Path) -> Result<EventStore, Fault> {
    setup.open(dir).map_err(|error| refused(&error))
}

fn close(store: &EventStore) -> Result<(), Fault> {
    store.close().map_err(|error| Fault::Wrong(format!("close answers {}", error.chain())))
}

fn append_more(
    setup: &Setup,
    store: &EventStore,
    (expected, found): (&Expected, &Found),
) -> Result<(), Fault> {
    let mut head = found.head;
    for number in found.units[0] + 1..=found.units[0] + MORE_UNITS {
        let unit = setup.plan().unit(0, number);
        let entries = unit.entries(ExpectedVersion::Any).map_err(|error| refused(&error))?;
        let batch = units::batch_of(entries);
        let batch = match expected.has_unit_checkpoints {
            true => saves::with_unit(batch, 0, number),
            false => batch,
        };
        let committed = batch
            .commit(store)
            .map_err(|error| Fault::Wrong(format!("appending does not go on: {error}")))?;
        if *committed.positions().start() != head + 1 {
            return wrong(format!("the head is {head}, and an append answers {committed:?}"));
        }
        head += unit.events.len() as u64;
    }
    Ok(())
}
