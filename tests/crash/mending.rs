//! Faults while a store is healed or copied: kills and I/O errors at every call that writes.
//!
//! Method: that of `kill.rs` and `faults.rs`, for the works in `mended.rs`. The calls of each work
//! are counted once; a case is one work and one call, before or in the middle of which the child is
//! killed, or which fails, or from which on all fail.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{
    child::{self, End, Life, SIGKILL, SLED},
    harness::{Context, Failure, Outcome, shuffled},
    kill::{check_end, fail},
    mended::{BACKUPS, IMPORTS, Prepared, REBUILDS, REPAIRS, Work},
    plan::Random,
    shim::{EIO, ENOSPC, Injection},
};

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    KillAmid,
    /// Only calls count that make, rename or remove a name: the steps of an order.
    KillAtName,
    /// The error, and whether all later calls fail too.
    Error(i32, bool),
}

const KILLS: [Fault; 3] = [Fault::KillAtName, Fault::Kill, Fault::KillAmid];
const ERRORS: [Fault; 4] = [
    Fault::Error(EIO, false),
    Fault::Error(ENOSPC, false),
    Fault::Error(EIO, true),
    Fault::Error(ENOSPC, true),
];

/// A store may wait 30 s for sled before it gives up, which takes longer on a busy machine.
const HANG: Duration = Duration::from_secs(50);

const SECONDS: u64 = 4;

pub fn rebuild_killed(context: &Context) -> Outcome {
    each_call(context, REBUILDS, &KILLS)
}

pub fn rebuild_fails(context: &Context) -> Outcome {
    each_call(context, REBUILDS, &ERRORS)
}

pub fn repair_killed(context: &Context) -> Outcome {
    each_call(context, REPAIRS, &KILLS)
}

pub fn repair_fails(context: &Context) -> Outcome {
    each_call(context, REPAIRS, &ERRORS)
}

pub fn backup_killed(context: &Context) -> Outcome {
    each_call(context, BACKUPS, &KILLS)
}

pub fn backup_fails(context: &Context) -> Outcome {
    each_call(context, BACKUPS, &ERRORS)
}

pub fn import_killed(context: &Context) -> Outcome {
    each_call(context, IMPORTS, &KILLS)
}

pub fn import_fails(context: &Context) -> Outcome {
    each_call(context, IMPORTS, &ERRORS)
}

/// A work, and the calls of it without a fault.
struct Ready {
    prepared: Prepared,
    calls: u64,
    /// Those that make, rename or remove a name.
    names: u64,
}

/// Does a work without a fault, and counts its calls.
fn prepare(context: &Context, work: Work) -> Result<Ready, String> {
    let explain = |text: String| format!("{work:?}, without a fault: {text}");
    let mut prepared = Prepared::new(context, work).map_err(explain)?;
    let library = context.library.as_ref().expect("a library");
    let mut counts = [0; 2];
    for (count, kinds) in counts.iter_mut().zip([None, Some("n")]) {
        let place = prepared.place(context);
        let injection = Injection { kinds, ..place.injection(library) };
        let (role, args) = prepared.child(&place);
        let life = Life::AtMost(child::DEADLINE);
        let ended = child::run(role, &args, Some(&injection), &place.stderr, life);
        let (end, stderr) = ended.expect("a child can be started");
        check_end(&end, &stderr).map_err(explain)?;
        if kinds.is_none() {
            prepared.note_due(&place).map_err(explain)?;
            prepared.check(context, &place, 0).map_err(explain)?;
        }
        *count = injection.calls();
    }
    let [calls, names] = counts;
    Ok(Ready { prepared, calls, names })
}

fn each_call(context: &Context, works: &[Work], faults: &[Fault]) -> Outcome {
    if context.library.is_none() {
        return Outcome::Skipped("no C compiler");
    }
    let all: Vec<_> = std::thread::scope(|scope| {
        let start = |&work| scope.spawn(move || prepare(context, work));
        let started: Vec<_> = works.iter().map(start).collect();
        started.into_iter().map(|thread| thread.join().expect("no preparation panics")).collect()
    });
    let mut prepared = Vec::new();
    for ready in all {
        match ready {
            Ok(ready) => prepared.push(ready),
            Err(text) => {
                let failure = Failure { case: 0, text, kept: None };
                return Outcome::Ran("no store".to_owned(), vec![failure]);
            }
        }
    }
    // A case is the remainders of its number, so that it stays the same when a work has more calls.
    let width = (works.len() * faults.len()) as u64;
    let most = prepared.iter().map(|ready| ready.calls).max().unwrap_or_default();
    let parts = |case: u64| {
        let index = (case % width) as usize;
        let ready: &Ready = &prepared[index % works.len()];
        (ready, faults[index / works.len()], case / width + 1)
    };
    let cases: Vec<u64> = shuffled(context.seed, most * width)
        .into_iter()
        .filter(|&case| {
            let (ready, fault, call) = parts(case);
            call <= if fault == Fault::KillAtName { ready.names } else { ready.calls }
        })
        .collect();
    let total = cases.len();
    // There are few of these, and they say most: every other case is one as long as they last.
    let (names, mut rest): (Vec<u64>, Vec<u64>) =
        cases.into_iter().partition(|&case| parts(case).1 == Fault::KillAtName);
    let others = rest.split_off(names.len().min(rest.len()));
    let pairs = rest.into_iter().zip(names).flat_map(|(one, other)| [one, other]);
    let cases: Vec<u64> = pairs.chain(others).collect();
    let seen = Seen::default();
    let time = context.time_for_each(SECONDS);
    let (count, failures) = context.run_cases(cases.into_iter(), time, context.jobs, |case| {
        let (Ready { prepared, .. }, fault, call) = parts(case);
        one(context, prepared, (fault, call), case, &seen).or_else(|text| {
            fail(case, format!("{:?}, {fault:?} at call {call}: {text}", prepared.work))
        })
    });
    let words = format!(
        "{count} of {total} cases, {} reached, {} ended early, the longest {:.1} s",
        seen.reached.into_inner(),
        seen.early.into_inner(),
        seen.longest.into_inner() as f32 / 1000.0
    );
    Outcome::Ran(words, failures)
}

/// What the cases of one test have in common.
#[derive(Default)]
struct Seen {
    reached: AtomicU64,
    early: AtomicU64,
    /// In milliseconds.
    longest: AtomicU64,
}

fn one(
    context: &Context,
    prepared: &Prepared,
    (fault, call): (Fault, u64),
    case: u64,
    seen: &Seen,
) -> Result<(), String> {
    let library = context.library.as_ref().expect("a library");
    let place = prepared.place(context);
    let mut injection: Injection = place.injection(library);
    match fault {
        Fault::Kill => injection.kill = call,
        Fault::KillAtName => (injection.kill, injection.kinds) = (call, Some("n")),
        Fault::KillAmid => {
            injection.kill = call;
            injection.prefix = Random::new(&[context.seed, case]).between(1, 999);
        }
        Fault::Error(errno, is_sticky) => {
            (injection.fail, injection.errno, injection.is_sticky) = (call, errno, is_sticky);
        }
    }
    let (role, args) = prepared.child(&place);
    let start = Instant::now();
    let ended = child::run(role, &args, Some(&injection), &place.stderr, Life::AtMost(HANG));
    let (end, stderr) = ended.expect("a child can be started");
    let time = start.elapsed().as_millis() as u64;
    let marks = std::fs::read_to_string(&place.marks).expect("the marks can be read");
    let last: Vec<&str> = marks.lines().rev().take(2).collect();
    let notes = last.join("; ");
    seen.longest.fetch_max(time, Ordering::Relaxed);
    seen.reached.fetch_add(u64::from(marks.contains("\nshim ")), Ordering::Relaxed);
    seen.early.fetch_add(u64::from(!notes.starts_with("end done")), Ordering::Relaxed);
    let is_kill = end == End::Signal(SIGKILL) && injection.kill > 0;
    // sled's destructor can only panic when its own sync fails. An import writes into another
    // store.
    let has_failed = |line: &str| line.contains(" fsync /") && line.contains("/trees");
    let is_sled = child::panics(&stderr).all(|line| line.contains(SLED))
        && marks.lines().any(has_failed)
        && stderr.contains("panicked at");
    check_end(&end, if is_sled { "" } else { &stderr })
        .map_err(|text| format!("{text}; {notes}"))?;
    if !is_kill && !notes.starts_with("end ") {
        return Err(format!("it ended with {end:?}; {notes}"));
    }
    prepared.check(context, &place, case).map_err(|text| format!("{text}; {notes}"))
}
