//! Power cuts at fixed moments: all that is pending is lost, at each moment of a kind.
//!
//! Method: the records are those of `power_cut.rs`, but the moments are not drawn. Each test names
//! a rule about the order of two syncs, and cuts between the two every time they come, so that it
//! does not depend on luck whether a broken rule is seen.

use crate::{
    explore::{Explored, Recording, Step, at_moments, record},
    harness::{Context, Failure, Outcome},
    kill::Place,
    marks::Setup,
    power_cut::no_record,
    shim::{Call, Entry},
};

const LIFE: [&str; 2] = ["rounds=1", "units=40"];

/// How many of the syncs of a life are the last that a process makes.
const KILLS: u64 = 24;

/// Shows what is there, and syncs nothing besides what the open and the reads sync.
const LOOK: [&str; 3] = ["rounds=1", "units=0", "leave=1"];

/// How many of the first syncs of a life are cut before: most are those of the creation.
const CREATION: u64 = 10;

/// How many of the snapshots of a life are cut.
const SNAPSHOTS: u64 = 4;

/// A frame that was written and not synced when the process was killed is still in the page cache.
/// The next process finds it: from the moment that it shows the frame, the frame is durable.
pub fn shown_after_kill(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let setup = Setup::small(context.seed ^ 0xAF7E);
    let (count, failures) = context.run_cases(1..=KILLS, context.all_time(), 1, |case| {
        let killed = Step { kill: case + 6, ..Step::of(&LIFE) };
        killed_then_cut(context, &setup, case, [killed, Step::of(&LOOK)])
    });
    Outcome::Ran(format!("power cut after each of {count} recoveries"), failures)
}

/// A snapshot that was renamed and not synced when the process was killed is found by the next
/// process: from the moment that it is returned, it is durable.
pub fn snapshot_after_kill(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let setup = Setup::small(context.seed ^ 0x54A9);
    let (count, failures) = context.run_cases(1..=SNAPSHOTS, context.all_time(), 1, |case| {
        // Of the two syncs of a snapshot the second is that of its name.
        let killed = Step { kill: 2 * case, kill_in: "/snapshots", ..Step::of(&LIFE) };
        killed_then_cut(context, &setup, case, [killed, Step::of(&LOOK)])
    });
    Outcome::Ran(format!("power cut after each of {count} recoveries"), failures)
}

/// A process that is killed while it creates the store may leave names that are not durable, that
/// of the store's directory among them. They must be durable before the next process acknowledges
/// an event.
pub fn created_after_kill(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let setup = Setup::small(context.seed ^ 0xC8EA);
    let (count, failures) = context.run_cases(1..=CREATION, context.all_time(), 1, |case| {
        let killed = Step { kill: case, ..Step::of(&LIFE) };
        killed_then_cut(context, &setup, case, [killed, Step::of(&["rounds=1", "units=2"])])
    });
    Outcome::Ran(format!("power cut after each of {count} interrupted creations"), failures)
}

/// A life that is killed before one of its syncs, a process that goes on, and a power cut after
/// each thing that it shows or acknowledges.
fn killed_then_cut(
    context: &Context,
    setup: &Setup,
    case: u64,
    steps: [Step<'_>; 2],
) -> Result<(), Failure> {
    let place = Place::new(context, &context.scratch);
    let failed = |text: String| Failure { case, text, kept: None };
    let recording = record(context, setup, place, &steps).map_err(failed)?;
    let shown = |entry: &Entry| {
        let text = text_of(entry);
        ["seen ", "found ", "ack "].iter().any(|word| text.starts_with(word))
    };
    let after: Vec<usize> = moments(&recording, shown).map(|shown| shown + 1).collect();
    let failed = at_moments(context, &recording, &after).failures.into_iter().next();
    failed.map_or(Ok(()), |failure| Err(Failure { case, ..failure }))
}

/// A full journal file says that another one follows only once that one is durable, with its name.
pub fn next_file_first(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let setup = Setup::small(context.seed ^ 0xC0E);
    let place = Place::new(context, &context.scratch);
    let recording = match record(context, &setup, place, &[Step::of(&["rounds=2", "units=60"])]) {
        Ok(recording) => recording,
        Err(text) => return no_record(text),
    };
    let names_journal = |entry: &Entry| entry.call == Call::Sync && entry.path == "store/journal";
    let before: Vec<usize> = moments(&recording, names_journal).collect();
    let Explored { states, mut failures } = at_moments(context, &recording, &before);
    if before.len() < 5 {
        let text = format!("only {states} names of the journal were synced");
        failures.push(Failure { case: 0, text, kept: None });
    }
    Outcome::Ran(format!("power cut before each of {states} names is durable"), failures)
}

/// The text of a mark, or nothing.
fn text_of(entry: &Entry) -> String {
    let data = entry.data.as_ref().filter(|_| entry.call == Call::Mark);
    data.map(|data| String::from_utf8_lossy(data.get()).into_owned()).unwrap_or_default()
}

/// The moments before the entries that fulfil a condition.
fn moments(recording: &Recording, is_due: impl Fn(&Entry) -> bool) -> impl Iterator<Item = usize> {
    let due = recording.entries.iter().enumerate().filter(move |(_, entry)| is_due(entry));
    due.map(|(moment, _)| moment)
}
