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
    shim::{Call, Entry},
};

const LIFE: [&str; 2] = ["rounds=1", "units=40"];

/// How many of the syncs of a life are the last that a process makes.
const KILLS: u64 = 24;

/// A frame that was written and not synced when the process was killed is still in the page cache.
/// The next process finds it: from the moment that it shows the frame, the frame is durable.
pub fn shown_after_kill(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let setup = Setup::small(context.seed ^ 0xAF7E);
    let (count, failures) = context.run_cases(1..=KILLS, context.all_time(), 1, |case| {
        // Nothing is synced besides what the open itself syncs.
        let killed = Step { life: &LIFE, failing_sync: 0, kill: case + 6 };
        let steps = [killed, Step::of(&["rounds=1", "units=0", "leave=1"])];
        let place = Place::new(context, &context.scratch);
        let failed = |text: String| Failure { case, text, kept: None };
        let recording = record(context, &setup, place, &steps).map_err(failed)?;
        let shown = |entry: &Entry| text_of(entry).starts_with("seen ");
        let after: Vec<usize> = moments(&recording, shown).map(|shown| shown + 1).collect();
        let failed = at_moments(context, &recording, &after).failures.into_iter().next();
        failed.map_or(Ok(()), |failure| Err(Failure { case, ..failure }))
    });
    Outcome::Ran(format!("power cut after each of {count} recoveries"), failures)
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
        Err(text) => {
            let failure = Failure { case: 0, text, kept: None };
            return Outcome::Ran("no record".to_owned(), vec![failure]);
        }
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
