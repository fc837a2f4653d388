//! From a recorded life of a store to the states that a power cut may leave, and their checks.
//!
//! Method: each pass replays the record and stops at some moments, mostly just after a mark or just
//! before a sync. At each moment some kinds of choice among the open changes are made. A record
//! must lead to what is really on the disk in the end, or the recorder has missed something.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    child::{self, DEADLINE, Job, Life},
    disk_model::{Choice, Disk, Open, State, save_state, state_digest},
    harness::{Context, Failure, ask},
    kill::{Place, check_end},
    marks::Setup,
    plan::{Random, mix},
    shim::{Call, EIO, Entry, read_log},
};

/// A writer's life, call by call.
pub struct Recording {
    pub setup: Setup,
    initial: Disk,
    pub entries: Vec<Entry>,
    /// All marks, those before the recording first.
    pub marks: PathBuf,
    marks_before: usize,
    place: Place,
}

/// What is left out of the record, for the control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    Nothing,
    FileSyncs,
    NameSyncs,
}

/// Ways to choose among the open changes at one moment.
const KINDS: u64 = 12;

/// The one in which nothing pending reaches the disk.
const ALL_LOST: u64 = 0;

/// One process of a record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step<'a> {
    /// What the writer is given, besides its setup.
    pub life: &'a [&'a str],
    /// The sync of the journal that fails, if not 0.
    pub failing_sync: u64,
    /// The sync before which it is killed, if not 0: then there is something that is not durable.
    pub kill: u64,
    /// Counts only the syncs of paths with this text for a kill.
    pub kill_in: &'static str,
}

impl<'a> Step<'a> {
    pub fn of(life: &'a [&'a str]) -> Step<'a> {
        Step { life, ..Step::default() }
    }
}

/// Records processes that follow each other. What one has not synced stays open when it dies.
pub fn record(
    context: &Context,
    setup: &Setup,
    place: Place,
    steps: &[Step<'_>],
) -> Result<Recording, String> {
    let library = context.library.as_ref().ok_or("no C compiler")?;
    let initial = Disk::load(&place.base).map_err(|error| error.to_string())?;
    let before = std::fs::read_to_string(&place.marks).map_err(|error| error.to_string())?;
    for step in steps {
        let mut injection = place.injection(library);
        injection.log = Some(place.log());
        injection.kinds = Some("s");
        injection.kill = step.kill;
        injection.fail = step.failing_sync;
        // A failing sync of sled's can make it hang, for as long as a close is patient;
        // `faults.rs` has those.
        let only = if step.failing_sync > 0 { "/journal/" } else { step.kill_in };
        injection.only = (!only.is_empty()).then_some(only);
        injection.errno = EIO;
        let args = place.args(setup, step.life);
        let life = Life::AtMost(DEADLINE);
        let ended = child::run("write", &args, Some(&injection), &place.stderr, life);
        let (end, stderr) = ended.map_err(|error| error.to_string())?;
        check_end(&end, &stderr).map_err(|text| format!("{text}; {}", place.notes(setup)))?;
    }
    let entries = read_log(&place.log()).map_err(|error| error.to_string())?;

    let mut text = before.clone();
    for data in entries.iter().filter(|entry| entry.call == Call::Mark) {
        let line = data.data.as_ref().map(|data| String::from_utf8_lossy(data.get()).into_owned());
        text.push_str(&line.unwrap_or_default());
    }
    let marks = place.marks.with_extension("recorded");
    std::fs::write(&marks, &text).map_err(|error| error.to_string())?;
    let marks_before = before.lines().count();
    let recording =
        Recording { setup: setup.clone(), initial, entries, marks, marks_before, place };
    recording.check_complete()?;
    Ok(recording)
}

impl Recording {
    /// The record leads to what is really there, so that nothing has escaped it.
    fn check_complete(&self) -> Result<(), String> {
        let mut disk = self.initial.clone();
        for (number, entry) in self.entries.iter().enumerate() {
            disk.apply(number as u64, entry);
        }
        let keep = |_, _| Choice::Keep;
        let real = Disk::load(&self.place.base).map_err(|error| error.to_string())?.state(&keep);
        let model = disk.state(&keep);
        if state_digest(&model) == state_digest(&real) {
            return Ok(());
        }
        let paths: HashSet<&String> = model.keys().chain(real.keys()).collect();
        let differ = |path: &&&String| {
            let digest = |state: &State| {
                state.get(**path).map(|image| image.as_ref().map(|image| image.digest()))
            };
            digest(&model) != digest(&real)
        };
        let paths: Vec<_> = paths.iter().filter(differ).collect();
        Err(format!("the recorder has missed a change: the record does not lead to {paths:?}"))
    }

    /// Moments worth a look: random ones, and those just after a mark or just before a sync.
    fn moments(&self, random: &mut Random, count: u64) -> Vec<usize> {
        let marked = |&moment: &usize| {
            let is_after_mark = moment > 0 && self.entries[moment - 1].call == Call::Mark;
            is_after_mark || self.entries.get(moment).is_some_and(|entry| entry.call == Call::Sync)
        };
        let special: Vec<usize> = (0..=self.entries.len()).filter(marked).collect();
        let mut moments: Vec<usize> = (0..count)
            .map(|_| match special.is_empty() || random.one_in(3) {
                true => random.below(self.entries.len() as u64 + 1) as usize,
                false => special[random.below(special.len() as u64) as usize],
            })
            .collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

/// A state of the disk that is to be checked.
pub struct Case {
    pub number: u64,
    moment: usize,
    kind: u64,
    pub state: State,
    pub lines: usize,
}

/// Makes states, pass by pass: each pass replays the record and stops at some moments.
pub struct Maker<'a> {
    recording: &'a Recording,
    ignored: Ignored,
    seed: u64,
    pass: u64,
    moments: Vec<usize>,
    disk: Disk,
    /// The entries that `disk` has seen, and the marks among them.
    done: usize,
    lines: usize,
    kind: u64,
    seen: HashSet<u64>,
}

/// Moments of one pass.
const MOMENTS: u64 = 12;

/// One pass makes every third kind of choice at a moment, so that it comes to the end of the record
/// before the time is over; the next passes make the others.
const KIND_STEP: u64 = 3;

/// Passes over a short record find nothing new at some point.
const EMPTY_MAX: u32 = 3_000;

impl<'a> Maker<'a> {
    pub fn new(recording: &'a Recording, ignored: Ignored, seed: u64) -> Maker<'a> {
        let disk = recording.initial.clone();
        let (moments, seen) = (Vec::new(), HashSet::new());
        let (pass, done, lines, kind) = (0, 0, 0, 0);
        Maker { recording, ignored, seed, pass, moments, disk, done, lines, kind, seen }
    }

    /// A state that was not made before.
    pub fn next(&mut self) -> Option<Case> {
        for _ in 0..EMPTY_MAX {
            let Some(&moment) = self.moments.first() else {
                self.begin_pass();
                continue;
            };
            if self.kind >= KINDS {
                self.moments.remove(0);
                self.kind = self.pass % KIND_STEP;
                continue;
            }
            let case = self.make(moment, self.kind);
            self.kind += KIND_STEP;
            if self.seen.insert(state_digest(&case.state) ^ mix(case.lines as u64)) {
                return Some(case);
            }
        }
        None
    }

    /// The case with this number.
    pub fn only(&mut self, number: u64) -> Case {
        let moments = self.recording.entries.len() as u64 + 1;
        self.pass = number / KINDS / moments;
        self.make((number / KINDS % moments) as usize, number % KINDS)
    }

    fn make(&mut self, moment: usize, kind: u64) -> Case {
        self.advance(moment);
        let moments = self.recording.entries.len() as u64 + 1;
        let number = (self.pass * moments + moment as u64) * KINDS + kind;
        let state = build(&self.disk, kind, &mut Random::new(&[self.seed, number]));
        let lines = self.recording.marks_before + self.lines;
        Case { number, moment, kind, state, lines }
    }

    fn begin_pass(&mut self) {
        let mut random = Random::new(&[self.seed, self.pass]);
        self.moments = self.recording.moments(&mut random, MOMENTS);
        self.disk = self.recording.initial.clone();
        (self.done, self.lines) = (0, 0);
        self.pass += 1;
        self.kind = self.pass % KIND_STEP;
    }

    fn advance(&mut self, moment: usize) {
        for number in self.done..moment {
            let entry = &self.recording.entries[number];
            self.lines += usize::from(entry.call == Call::Mark);
            let is_ignored = entry.call == Call::Sync
                && match self.ignored {
                    Ignored::Nothing => false,
                    Ignored::FileSyncs => !entry.is_dir,
                    Ignored::NameSyncs => entry.is_dir,
                };
            if !is_ignored {
                self.disk.apply(number as u64, entry);
            }
        }
        self.done = self.done.max(moment);
    }
}

/// One way for the open changes to have gone.
fn build(disk: &Disk, kind: u64, random: &mut Random) -> State {
    let open = disk.open_changes();
    let any = |random: &mut Random| open.get(random.below(open.len() as u64) as usize).copied();
    let one = any(random).map(|open: Open| (open.number, open.object));
    let one_object = any(random).map(|open: Open| open.object);
    let last = open.iter().filter(|open| open.is_write).max_by_key(|open| open.number).copied();
    let last_sectors = last.map_or(0, |last| random.below(last.sectors + 1));
    let seed = random.next();
    let chance = |number: u64, object: usize| mix(seed ^ mix(number) ^ object as u64) % 100;
    let is_last = |number: u64| last.is_some_and(|last| last.number == number);
    let keep_if = |keep: bool| if keep { Choice::Keep } else { Choice::Drop };
    disk.state(&|number, object| match kind {
        ALL_LOST => Choice::Drop,
        1 => Choice::Keep,
        2 => keep_if(one != Some((number, object))),
        3 => keep_if(one == Some((number, object))),
        4 => keep_if(chance(number, object) < 50),
        5 => keep_if(chance(number, object) < 90),
        6 => keep_if(one_object != Some(object)),
        7 => keep_if(one_object == Some(object)),
        8 if is_last(number) => Choice::Prefix(last_sectors),
        9 if is_last(number) => Choice::Scatter(seed),
        10 if chance(number, object) < 30 => Choice::Grow,
        11 => match chance(number, object) {
            0..40 => Choice::Keep,
            40..60 => Choice::Scatter(seed ^ number),
            60..80 => Choice::Grow,
            _ => Choice::Drop,
        },
        _ => Choice::Keep,
    })
}

/// What exploring a record has found.
#[derive(Default)]
pub struct Explored {
    pub states: u64,
    pub failures: Vec<Failure>,
}

/// Checks states until the time is over or `failures_max` have failed.
pub fn explore(
    context: &Context,
    recording: &Recording,
    ignored: Ignored,
    time: Duration,
    failures_max: usize,
) -> Explored {
    let end = Instant::now() + time;
    let maker = Mutex::new(Maker::new(recording, ignored, context.seed));
    let (states, failures) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..context.jobs {
            scope.spawn(|| {
                let mut checker = context.checker("check", &recording.setup, &[]);
                while Instant::now() < end {
                    let case = {
                        let mut maker = maker.lock().expect("no case panics");
                        match context.case {
                            Some(only) => Some(maker.only(only)),
                            None => maker.next(),
                        }
                    };
                    let Some(case) = case else { return };
                    states.fetch_add(1, Ordering::Relaxed);
                    let checked = check(context, recording, &case, &mut checker);
                    let mut failures = failures.lock().expect("no case panics");
                    failures.extend(checked.err());
                    if failures.len() >= failures_max || context.case.is_some() {
                        return;
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no case panics");
    Explored { states: states.into_inner(), failures }
}

/// Checks the state at each of these moments in which all that is pending is lost. The case of a
/// failure is the place of its moment among them.
pub fn at_moments(context: &Context, recording: &Recording, moments: &[usize]) -> Explored {
    let mut maker = Maker::new(recording, Ignored::Nothing, context.seed);
    let mut checker = context.checker("check", &recording.setup, &[]);
    let mut found = Explored::default();
    for (number, moment) in (0..).zip(moments) {
        let case = maker.make(*moment, ALL_LOST);
        found.states += 1;
        let failed = check(context, recording, &case, &mut checker).err();
        found.failures.extend(failed.map(|failure| Failure { case: number, ..failure }));
        if found.failures.len() > 1 {
            break;
        }
    }
    found
}

fn check(
    context: &Context,
    recording: &Recording,
    case: &Case,
    checker: &mut child::Checker,
) -> Result<(), Failure> {
    let base = context.new_dir(&context.scratch);
    save_state(&case.state, &base).expect("a state can be written");
    let job = Job { dir: base.join("store"), marks: recording.marks.clone(), lines: case.lines };
    let answer = ask(checker, &job);
    std::fs::remove_dir_all(&base).expect("a state can be removed");
    // A power cut is no damage: nothing needs to be healed after it.
    let sound = answer.and_then(|answer| match answer.word.as_str() {
        "rebuilt" => Err("the trees had to be rebuilt".to_owned()),
        _ => Ok(()),
    });
    sound.map_err(|text| {
        let (moment, kind) = (case.moment, case.kind);
        let near = recording.entries.get(moment);
        let near = near.map_or_else(String::new, |near| format!("{:?} {}", near.call, near.path));
        let text = format!("{text}; cut before call {moment} ({near}), choice {kind}");
        Failure { case: case.number, text, kept: keep(context, recording, case) }
    })
}

pub fn keep(context: &Context, recording: &Recording, case: &Case) -> Option<PathBuf> {
    let base = context.new_dir(&context.scratch);
    save_state(&case.state, &base).ok()?;
    let kept = context.keep(&recording.setup, &base, &recording.marks, case.lines);
    std::fs::remove_dir_all(&base).ok()?;
    kept
}
