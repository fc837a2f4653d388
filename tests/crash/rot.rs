//! Rot: the files change while nobody looks.
//!
//! Method: a store that was closed, and one that was left as by a kill, is copied, damaged in one
//! place and opened: bits flipped (every byte of a small file), blocks zeroed, exchanged or filled
//! with noise, files cut short, lengthened, deleted, replaced by their older selves or by those of
//! another store. Allowed is that everything is there and right, or that the store says at open, at
//! a read or in `verify` that it is damaged, while everything it does serve is right. Damage in the
//! trees is no reason to refuse anything: the journal has everything. Of a store
//! that was not closed, the end of its newest journal file may go without a word, because a write
//! that a crash has torn looks the same. What sled prints when it panics is counted, and tolerated
//! here only.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Instant,
};

use crate::{
    child::{self, Answer, Checker, DEADLINE, Job, Life},
    decay::{Damage, Subject, damage},
    harness::{Context, Failure, Outcome, copy_tree},
    kill::{Place, check_end},
    marks::Setup,
};

/// The stores that are damaged.
struct Prepared {
    setup: Setup,
    place: Place,
    subject: Subject,
    is_closed: bool,
    /// That of the checking children.
    role: &'static str,
}

pub fn closed(context: &Context) -> Outcome {
    run(context, true, "rot")
}

pub fn killed(context: &Context) -> Outcome {
    run(context, false, "rot")
}

/// The same damages, met by a reader instead of an open.
pub fn closed_beside(context: &Context) -> Outcome {
    run(context, true, "rot-beside")
}

pub fn killed_beside(context: &Context) -> Outcome {
    run(context, false, "rot-beside")
}

fn prepare(context: &Context, is_closed: bool, role: &'static str) -> Result<Prepared, String> {
    let setup = Setup::small(context.seed ^ 0x107);
    let place = Place::new(context, &context.scratch);
    let other = Place::new(context, &context.scratch);
    let write = |place: &Place, seed: u64, more: &[&str]| {
        let setup = Setup { seed, ..setup.clone() };
        let args = place.args(&setup, more);
        let ended = child::run("write", &args, None, &place.stderr, Life::AtMost(DEADLINE));
        let (end, stderr) = ended.map_err(|error| error.to_string())?;
        check_end(&end, &stderr)
    };
    write(&other, setup.seed + 1, &["rounds=2", "units=25"])?;
    write(&place, setup.seed, &["rounds=1", "units=15"])?;
    let root = context.new_dir(&context.scratch);
    let copy = |from: &Path, name: &str| {
        let to = root.join(name);
        copy_tree(from, &to).map(|()| to).map_err(|error| error.to_string())
    };
    let older = copy(&place.store, "older")?;
    write(&place, setup.seed, &["rounds=2", "units=15", if is_closed { "" } else { "leave=1" }])?;
    let subject = Subject {
        pristine: copy(&place.store, "pristine")?,
        other: copy(&other.store, "other")?,
        older,
    };
    Ok(Prepared { setup, place, subject, is_closed, role })
}

/// What came of the cases.
#[derive(Default)]
struct Tally {
    words: BTreeMap<String, u64>,
    panics: u64,
    longest: f32,
    failures: Vec<Failure>,
}

fn run(context: &Context, is_closed: bool, role: &'static str) -> Outcome {
    let prepared = match prepare(context, is_closed, role) {
        Ok(prepared) => prepared,
        Err(text) => {
            let failure = Failure { case: 0, text, kept: None };
            return Outcome::Ran("no store".to_owned(), vec![failure]);
        }
    };
    let tally = Mutex::new(Tally::default());
    let cases = Mutex::new(0..);
    let end = Instant::now() + context.time(4);
    std::thread::scope(|scope| {
        for _ in 0..context.jobs {
            scope.spawn(|| {
                let mut checker = checker(context, &prepared);
                while Instant::now() < end
                    && tally.lock().expect("no case panics").failures.len() < 8
                {
                    let case = cases.lock().expect("no case panics").next();
                    let Some(case) = context.case.or(case) else { return };
                    one(context, &prepared, case, &mut checker, &tally);
                    if context.case.is_some() {
                        return;
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().expect("no case panics");
    let count: u64 = tally.words.values().sum();
    let words = format!(
        "{count} cases: {:?}, {} with a panic text of sled's, the longest {:.1} s",
        tally.words, tally.panics, tally.longest
    );
    Outcome::Ran(words, tally.failures)
}

/// Every checking child compares with what it has read itself from a copy that is not damaged.
fn checker(context: &Context, prepared: &Prepared) -> Checker {
    let copy = context.new_dir(&context.scratch).join("store");
    copy_tree(&prepared.subject.pristine, &copy).expect("a store can be copied");
    let more = [format!("pristine={}", copy.display())];
    context.checker(prepared.role, &prepared.setup, &more)
}

fn one(
    context: &Context,
    prepared: &Prepared,
    case: u64,
    checker: &mut Checker,
    tally: &Mutex<Tally>,
) {
    let base = context.new_dir(&context.scratch);
    let dir = base.join("store");
    copy_tree(&prepared.subject.pristine, &dir).expect("a store can be copied");
    let damage = damage(&prepared.subject, &dir, context.seed, case);
    let marks = prepared.place.marks.clone();
    let job = Job { dir, marks, lines: usize::MAX };
    let start = Instant::now();
    let answer = checker.check(&job).expect("a checker can be started");
    let time = start.elapsed().as_secs_f32();
    let judged = judge(prepared, &damage, &answer);
    let mut tally = tally.lock().expect("no case panics");
    tally.longest = tally.longest.max(time);
    tally.panics += u64::from(answer.stderr.contains("panicked at"));
    match judged {
        Ok(word) => *tally.words.entry(word).or_default() += 1,
        Err(text) => {
            *tally.words.entry("bad".to_owned()).or_default() += 1;
            let kept = keep(context, prepared, case);
            tally.failures.push(Failure { case, text: format!("{damage}: {text}"), kept });
        }
    }
    drop(tally);
    std::fs::remove_dir_all(&base).expect("a store can be removed");
}

fn keep(context: &Context, prepared: &Prepared, case: u64) -> Option<PathBuf> {
    let base = context.new_dir(&context.scratch);
    let dir = base.join("store");
    copy_tree(&prepared.subject.pristine, &dir).ok()?;
    damage(&prepared.subject, &dir, context.seed, case);
    let kept = context.keep(&prepared.setup, &base, &prepared.place.marks, usize::MAX);
    copy_tree(&prepared.subject.pristine, &kept.as_ref()?.join("pristine")).ok()?;
    std::fs::write(kept.as_ref()?.join("role"), prepared.role).ok()?;
    std::fs::remove_dir_all(&base).ok()?;
    kept
}

/// What the outcome of a case counts as, or why it is wrong.
fn judge(prepared: &Prepared, damage: &Damage, answer: &Answer) -> Result<String, String> {
    if let Some(line) = child::panics(&answer.stderr).find(|line| !line.contains(child::SLED)) {
        return Err(format!("{}: {}; {line}", answer.word, answer.text));
    }
    match answer.word.as_str() {
        // The journal has everything, so there is nothing to refuse.
        "refused" if damage.is_in_trees => Err(format!("refused: {}", answer.text)),
        "intact" | "healed" | "refused" | "findings" => Ok(answer.word.clone()),
        "short" if !prepared.is_closed && damage.is_newest_journal => {
            let lost: u64 =
                answer.text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
            // One flipped bit breaks one frame; the frames after it give it away.
            match damage.is_flip && lost > 1 {
                true => Err(format!("one bit has lost the last {lost} units without a word")),
                false => Ok("end of the journal lost".to_owned()),
            }
        }
        "short" => Err(format!("lost without a word: {}", answer.text)),
        _ => Err(answer.text.clone()),
    }
}
