//! Power cuts, file by file: the disk may hold any mixture of what was not yet synced.
//!
//! Method: a writer's calls are recorded in one order with its marks (`shim.c`). Any prefix of the
//! record is a moment at which the power may go; `disk_model.rs` knows what is durable then and
//! what is not. States are built from both (`explore.rs`): nothing pending, all of it, all but one
//! change, one change alone, random subsets, all but what belongs to one file, sizes without data,
//! torn last writes. Each state is opened and must show everything that was durable by contract at
//! that moment, and otherwise a prefix of whole units. The control leaves out what an fsync
//! promises, and must find violations: a harness that cannot fail proves nothing.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    child::{self, DEADLINE, Life},
    disk_model::save_state,
    explore::{Case, Ignored, Maker, Recording, Step, explore, keep, record},
    harness::{Context, Failure, Outcome},
    kill::{Place, check_end},
    marks::Setup,
    plan::Random,
};

pub fn no_record(text: String) -> Outcome {
    let failure = Failure { case: 0, text, kept: None };
    Outcome::Ran("no record".to_owned(), vec![failure])
}

fn words(states: u64, failures: &[Failure]) -> String {
    format!("power cut: {states} states, {} violations", failures.len())
}

const LIFE: [&str; 3] = ["rounds=2", "units=25", "flush=9"];
const RECOVERY: [&str; 2] = ["rounds=1", "units=4"];
const FAILURES_MAX: usize = 6;

fn record_and_explore(
    context: &Context,
    setup: &Setup,
    place: Place,
    life: &[&str],
    seconds: u64,
) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    match record(context, setup, place, &[Step::of(life)]) {
        Err(text) => no_record(text),
        Ok(recording) => {
            let time = context.time(seconds);
            let found = explore(context, &recording, Ignored::Nothing, time, FAILURES_MAX);
            let calls = recording.entries.len();
            let words = format!("{} of {calls} calls", words(found.states, &found.failures));
            Outcome::Ran(words, found.failures)
        }
    }
}

pub fn sync(context: &Context) -> Outcome {
    let place = Place::new(context, &context.scratch);
    record_and_explore(context, &Setup::small(context.seed ^ 0x51), place, &LIFE, 6)
}

pub fn threads(context: &Context) -> Outcome {
    let setup = Setup::mixed(context.seed ^ 0x7D, 3);
    let place = Place::new(context, &context.scratch);
    record_and_explore(context, &setup, place, &["rounds=2", "units=15"], 4)
}

/// So much is written that sled starts new segments of its log, of 8 MiB each.
pub fn segments(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let mut setup = Setup::mixed(context.seed ^ 0x5E, 1);
    (setup.tail_bytes, setup.journal_bytes) = (1 << 20, 2 << 20);
    let place = Place::new(context, &context.scratch);
    let args = place.args(&setup, &["rounds=3", "units=50"]);
    let ended = child::run("write", &args, None, &place.stderr, Life::AtMost(DEADLINE));
    let (end, stderr) = ended.expect("a child can be started");
    if let Err(text) = check_end(&end, &stderr) {
        return no_record(text);
    }
    record_and_explore(context, &setup, place, &["rounds=2", "units=60"], 3)
}

/// What was acknowledged before a flush, a close, or long enough ago, survives; the rest is a
/// prefix.
pub fn buffered(context: &Context) -> Outcome {
    let mut setup = Setup::small(context.seed ^ 0xBF);
    setup.is_sync = false;
    let place = Place::new(context, &context.scratch);
    let life = ["rounds=2", "units=30", "flush=8", "settle=20"];
    record_and_explore(context, &setup, place, &life, 4)
}

/// The power goes again while the store recovers, or soon after.
pub fn during_recovery(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let setup = Setup::small(context.seed ^ 0xD2);
    let place = Place::new(context, &context.scratch);
    let recording = match record(context, &setup, place, &[Step::of(&LIFE)]) {
        Ok(recording) => recording,
        Err(text) => return no_record(text),
    };
    let end = Instant::now() + context.time(4);
    let mut maker = Maker::new(&recording, Ignored::Nothing, context.seed ^ 0xD3);
    let (mut recoveries, mut states, mut failures) = (0, 0, Vec::new());
    while Instant::now() < end && failures.len() < FAILURES_MAX {
        let Some(case) = maker.next() else { break };
        if !case.number.is_multiple_of(5) {
            continue;
        }
        let second = record_recovery(context, &recording, &case);
        recoveries += 1;
        match second {
            Ok(second) => {
                let time = context.time(2);
                let found = explore(context, &second, Ignored::Nothing, time, FAILURES_MAX);
                states += found.states;
                failures.extend(found.failures);
            }
            Err(text) => {
                let kept = keep(context, &recording, &case);
                failures.push(Failure { case: case.number, text, kept });
            }
        }
    }
    let words = format!("{} in {recoveries} recoveries", words(states, &failures));
    Outcome::Ran(words, failures)
}

fn record_recovery(
    context: &Context,
    recording: &Recording,
    case: &Case,
) -> Result<Recording, String> {
    let place = Place::new(context, &context.scratch);
    save_state(&case.state, &place.base).map_err(|error| error.to_string())?;
    copy_lines(&recording.marks, case.lines, &place.marks).map_err(|error| error.to_string())?;
    record(context, &recording.setup, place, &[Step::of(&RECOVERY)])
}

fn copy_lines(from: &Path, lines: usize, to: &Path) -> std::io::Result<()> {
    let text = std::fs::read_to_string(from)?;
    let text: String = text.split_inclusive('\n').take(lines).collect();
    std::fs::write(to, text)
}

/// The process is killed, another one recovers and shows what it found, then the power goes. What
/// was in memory only when the first one died must be made durable before it is shown.
pub fn after_kill(context: &Context) -> Outcome {
    repeat(context, 0xAF, "kills", |random| {
        let kill = random.between(8, 60);
        vec![Step { kill, ..Step::of(&LIFE) }, Step::of(&RECOVERY)]
    })
}

/// After an fsync that failed, what it covered may be lost even if a later one succeeds.
pub fn failed_fsync(context: &Context) -> Outcome {
    repeat(context, 0xF5, "failed syncs", |random| {
        vec![Step { failing_sync: random.between(1, 60), ..Step::of(&LIFE) }]
    })
}

/// Records and explores again and again, each time another record.
fn repeat(
    context: &Context,
    salt: u64,
    what: &str,
    steps: impl Fn(&mut Random) -> Vec<Step<'static>>,
) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let end = Instant::now() + context.time(4);
    let (mut records, mut states, mut failures) = (0, 0, Vec::new());
    let mut random = Random::new(&[context.seed, salt]);
    while Instant::now() < end && failures.len() < FAILURES_MAX {
        let setup = Setup::small(context.seed ^ random.below(1 << 20));
        let place = Place::new(context, &context.scratch);
        let steps = steps(&mut random);
        records += 1;
        match record(context, &setup, place, &steps) {
            Err(text) => {
                let text = format!("{steps:?}: {text}");
                failures.push(Failure { case: 0, text, kept: None });
            }
            Ok(recording) => {
                let time = Duration::from_millis(700) * context.factor.div_ceil(4);
                let found = explore(context, &recording, Ignored::Nothing, time, FAILURES_MAX);
                states += found.states;
                failures.extend(found.failures);
            }
        }
    }
    Outcome::Ran(format!("{} after {records} {what}", words(states, &failures)), failures)
}

/// Without what fsync promises there must be violations.
pub fn control(context: &Context) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let setup = Setup::small(context.seed ^ 0xC0);
    let place = Place::new(context, &context.scratch);
    let recording = match record(context, &setup, place, &[Step::of(&LIFE)]) {
        Ok(recording) => recording,
        Err(text) => return no_record(text),
    };
    let (mut failures, mut all) = (Vec::new(), Vec::new());
    for ignored in [Ignored::FileSyncs, Ignored::NameSyncs] {
        let found = explore(context, &recording, ignored, context.time(6), 2);
        for failure in &found.failures {
            // These were due, so nobody needs to see their disks.
            failure.kept.as_ref().map(std::fs::remove_dir_all);
        }
        all.push(format!("{ignored:?} ignored: {}", words(found.states, &found.failures)));
        if found.failures.is_empty() {
            let text =
                format!("{ignored:?} were ignored, and {} states showed it not", found.states);
            failures.push(Failure { case: 0, text, kept: None });
        }
    }
    Outcome::Ran(all.join("; "), failures)
}
