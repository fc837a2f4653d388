//! I/O errors: any system call of a store's life fails, once or forever.
//!
//! Method: that of SQLite's I/O error tests. A small life of a store runs once for each of its
//! calls, with that call, or that one and all later ones, answered with an error. The writer
//! (`worker.rs`) checks the contract of failure while it lives: no acknowledgement of what is not
//! there, reads go on, after `Poisoned` only `Poisoned`. Whatever was acknowledged must then hold
//! for a process without faults. A panic text, a signal or a hang is a failure, and so is an error
//! that leaves anything acknowledged out.

use std::{path::Path, sync::Mutex, time::Duration};

use crate::{
    child::{self, DEADLINE, Life, SLED},
    decay,
    harness::{Context, Failure, Outcome, shuffled},
    kill::{LIFE, Place, check_end, count_calls, fail},
    marks::Setup,
    plan::Random,
    shim::{EINTR, EIO, ENOSPC, Injection, SHORT},
};

/// What fails, and how.
struct Kind {
    errno: i32,
    is_sticky: bool,
    /// The groups of calls that count; `None` for all that write.
    kinds: Option<&'static str>,
    /// The writer's life must end as if nothing had happened.
    must_succeed: bool,
    seconds: u64,
}

const ONCE: Kind =
    Kind { errno: EIO, is_sticky: false, kinds: None, must_succeed: false, seconds: 4 };

/// A store may wait 30 s for sled before it gives up, which takes longer on a busy machine.
const HANG: Duration = Duration::from_secs(50);

/// About how many calls the last close of a life makes.
const CLOSING: u64 = 10;

pub fn eio_once(context: &Context) -> Outcome {
    each_call(context, &ONCE)
}

pub fn enospc_once(context: &Context) -> Outcome {
    each_call(context, &Kind { errno: ENOSPC, seconds: 3, ..ONCE })
}

pub fn eio_forever(context: &Context) -> Outcome {
    each_call(context, &Kind { is_sticky: true, seconds: 3, ..ONCE })
}

pub fn enospc_forever(context: &Context) -> Outcome {
    each_call(context, &Kind { errno: ENOSPC, is_sticky: true, seconds: 3, ..ONCE })
}

/// A write may do less than it was asked for; the rest is to be written then.
pub fn short_write(context: &Context) -> Outcome {
    let kind = Kind { errno: SHORT, kinds: Some("w"), must_succeed: true, seconds: 2, ..ONCE };
    each_call(context, &kind)
}

/// A signal without consequences may interrupt a call; it is to be made again.
pub fn interrupted(context: &Context) -> Outcome {
    let kind = Kind { errno: EINTR, kinds: Some("w"), must_succeed: true, seconds: 2, ..ONCE };
    each_call(context, &kind)
}

/// Reads and opens fail once: an error, and nothing is lost for those who come later.
pub fn reads(context: &Context) -> Outcome {
    each_call(context, &Kind { kinds: Some("r"), seconds: 3, ..ONCE })
}

/// What the lives of one test have in common.
#[derive(Default)]
struct Seen {
    reached: u64,
    refused: u64,
    longest: Duration,
    /// Lives that printed a panic text of sled's, and the first of them.
    panics: u64,
    /// Stores whose trees one failing read inside sled has ruined.
    ruined: u64,
    example: Option<(u64, String)>,
}

impl Seen {
    fn report(self, words: &str, mut failures: Vec<Failure>) -> Outcome {
        let words = format!(
            "{words}, {} reached, {} ended early, {} trees ruined, the longest life {:.1} s",
            self.reached,
            self.refused,
            self.ruined,
            self.longest.as_secs_f32()
        );
        if let Some((case, text)) = self.example {
            let text = format!("{} lives print a panic text of sled's: {text}", self.panics);
            failures.push(Failure { case, text, kept: None });
        }
        Outcome::Ran(words, failures)
    }
}

fn each_call(context: &Context, kind: &Kind) -> Outcome {
    let Some(library) = &context.library else { return Outcome::Skipped("no C compiler") };
    let setup = Setup::small(context.seed ^ 0xFA);
    let calls = match count_calls(context, library, &setup, &LIFE, kind.kinds) {
        Ok(calls) => calls,
        Err(failure) => return Outcome::Ran("no life".to_owned(), vec![failure]),
    };
    let seen = Mutex::new(Seen::default());
    // The close at the end of the life first: a short run would seldom come to it.
    let closing = calls.saturating_sub(CLOSING);
    let others = shuffled(context.seed, closing).into_iter();
    let cases = (closing..calls).chain(others);
    // A store that waits for sled to come back sleeps, so there is room for more of them.
    let jobs = context.jobs * 2;
    let time = context.time_for_each(kind.seconds);
    let (count, failures) = context.run_cases(cases, time, jobs, |case| {
        let place = Place::new(context, &context.scratch);
        let mut injection = place.injection(library);
        injection.fail = case + 1;
        injection.errno = kind.errno;
        injection.is_sticky = kind.is_sticky;
        injection.kinds = kind.kinds;
        let mut life = LIFE.to_vec();
        if kind.kinds == Some("r") {
            life.push("reads_fail=1");
        }
        let args = place.args(&setup, &life);
        let notes = live(&place, &setup, &injection, (case, &args), &seen)?;
        if kind.must_succeed && !notes.ends_with("end done") {
            return fail(case, format!("the life should have gone on; {notes}"));
        }
        place.check(context, &setup, case).or_else(|failure| {
            // sled takes what it cannot read for torn and zeroes it. The store reads everything
            // itself just before, so that a bad sector does not come so far; see `bad_sectors`.
            let is_ruined =
                kind.kinds == Some("r") && failure.text.contains("/store/trees is damaged");
            seen.lock().expect("no case panics").ruined += u64::from(is_ruined);
            if !is_ruined {
                return Err(failure);
            }
            failure.kept.as_ref().map(std::fs::remove_dir_all);
            Ok(())
        })
    });
    let seen = seen.into_inner().expect("no case panics");
    seen.report(&format!("{count} of {calls} calls"), failures)
}

/// One life with its fault; gives the notes of the writer.
fn live(
    place: &Place,
    setup: &Setup,
    injection: &Injection,
    (case, args): (u64, &[String]),
    seen: &Mutex<Seen>,
) -> Result<String, Failure> {
    let start = std::time::Instant::now();
    let ended = child::run("write", args, Some(injection), &place.stderr, Life::AtMost(HANG));
    let (end, stderr) = ended.expect("a child can be started");
    let notes = place.notes(setup);
    let mut seen = seen.lock().expect("no case panics");
    seen.longest = seen.longest.max(start.elapsed());
    seen.reached += u64::from(notes.contains("shim "));
    seen.refused += u64::from(!notes.ends_with("end done"));
    let is_sled =
        stderr.contains("panicked at") && child::panics(&stderr).all(|line| line.contains(SLED));
    if let Some(complaint) = child::complaint(&stderr).filter(|_| is_sled) {
        // The store syncs the file before it lets sled go, because sled's destructor can only panic
        // when its own sync fails. If that very call is the first to fail, nobody can help it.
        if !notes.contains(" fsync /store/trees/db;") {
            seen.panics += 1;
            seen.example.get_or_insert((case, format!("{complaint}; {notes}")));
        }
    }
    drop(seen);
    check_end(&end, if is_sled { "" } else { &stderr })
        .or_else(|text| fail(case, format!("{text}; {notes}")))?;
    Ok(notes)
}

/// Sectors that cannot be read, in each file of a store, while it is opened and written to; later
/// they can be read again.
pub fn bad_sectors(context: &Context) -> Outcome {
    let Some(library) = &context.library else { return Outcome::Skipped("no C compiler") };
    let setup = Setup::small(context.seed ^ 0xBAD);
    let seen = Mutex::new(Seen::default());
    let (count, failures) = context.run_cases(0.., context.time(3), context.jobs, |case| {
        let place = Place::new(context, &context.scratch);
        let mut random = Random::new(&[context.seed, case]);
        let leave = if random.one_in(2) { "leave=1" } else { "" };
        let args = place.args(&setup, &["rounds=2", "units=12", leave]);
        let life = Life::AtMost(DEADLINE);
        let ended = child::run("write", &args, None, &place.stderr, life);
        let (end, stderr) = ended.expect("a child can be started");
        check_end(&end, &stderr).or_else(|text| fail(case, text))?;

        let mut files = Vec::new();
        decay::list(&place.store, Path::new(""), &mut files);
        let path = place.store.join(&files[random.below(files.len() as u64) as usize]);
        let blocks = decay::filled_blocks(&std::fs::read(&path).expect("a file of the store"));
        let block = blocks.get(random.below(blocks.len() as u64) as usize);
        let offset = block.map_or(0, |block| block * decay::BLOCK) as u64;
        let mut injection = place.injection(library);
        injection.bad = Some((path, offset));
        let args = place.args(&setup, &["rounds=1", "units=2", "reads_fail=1"]);
        let bad = format!("byte {offset} of {:?} cannot be read", injection.bad);
        let explain = |failure: Failure| {
            let text = format!("{bad}: {}", failure.text);
            Failure { text, ..failure }
        };
        live(&place, &setup, &injection, (case, &args), &seen).map_err(explain)?;
        place.check(context, &setup, case).map_err(explain)
    });
    let seen = seen.into_inner().expect("no case panics");
    seen.report(&format!("{count} bad sectors"), failures)
}
