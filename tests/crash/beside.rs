//! Readers beside writers, in processes of their own, and kills of either side.
//!
//! Method: two followers (`follower.rs`) read a store while writers come, append through drains and
//! seals, close, open again, and are killed at random times; now and then a follower is killed
//! instead, and another one takes its place. At the end nobody writes: what the followers see then
//! is exactly what a recovery must find. In one test, a read or an open of each follower fails
//! once.

use std::{
    path::{Path, PathBuf},
    process::Child,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    child::{self, DEADLINE, Life},
    harness::{Context, Failure, Outcome},
    kill::{Place, check_end, fail},
    marks::{Marker, Setup},
    plan::Random,
    shim::{EIO, Injection},
};

/// Writers of one store.
const LINKS: u64 = 8;

/// A follower, and where it leaves what it says.
struct Following {
    child: Child,
    own: PathBuf,
    stderr: PathBuf,
}

/// The number of the call that fails in a follower is below this.
const READS: u64 = 600;

impl Following {
    /// Starts a follower, of which a random call that reads fails if there is a library for that.
    fn start(
        place: &Place,
        setup: &Setup,
        number: u64,
        (random, library): (&mut Random, Option<&Path>),
    ) -> Following {
        let own = place.beside(&format!("own-{number}"));
        let stderr = place.beside(&format!("stderr-{number}"));
        let injection = library.map(|library| Injection {
            marks: place.beside(&format!("shim-{number}")),
            count: None,
            kinds: Some("r"),
            fail: 1 + random.below(READS),
            errno: EIO,
            ..place.injection(library)
        });
        let flaky = format!("flaky={}", u64::from(injection.is_some()));
        let (own_arg, number) = (format!("own={}", own.display()), format!("number={number}"));
        let args = place.args(setup, &[&own_arg, &number, &flaky]);
        let child = child::start("follow", &args, injection.as_ref(), &stderr);
        Following { child: child.expect("a child can be started"), own, stderr }
    }

    fn kill(mut self, counts: &Counts) -> Result<(), String> {
        // Having ended already shows in what it has said.
        let _ = self.child.kill();
        self.child.wait().map_err(|error| error.to_string())?;
        counts.killed_followers.fetch_add(1, Ordering::Relaxed);
        self.check().map(|said| counts.note(&said))
    }

    /// Lets it look for the last time; gives the units that it has seen.
    fn end(mut self, counts: &Counts) -> Result<Vec<String>, String> {
        drop(self.child.stdin.take());
        let ended = child::wait(&mut self.child, DEADLINE).map_err(|error| error.to_string())?;
        let said = self.check()?;
        if !said.ends_with("over\n") {
            return Err(format!("a follower ends with {ended:?}, and says {said:?}"));
        }
        counts.note(&said);
        let shown = said.lines().filter_map(|line| line.strip_prefix("shown ")).next_back();
        Ok(shown.unwrap_or_default().split(' ').map(str::to_owned).collect())
    }

    fn check(&self) -> Result<String, String> {
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let said = text(&self.own);
        let complaint = said.lines().find(|line| line.starts_with("bad"));
        let complaint = complaint.map(str::to_owned).or(child::complaint(&text(&self.stderr)));
        complaint.map_or(Ok(said), |complaint| Err(format!("a follower: {complaint}")))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was done to writers and followers.
#[derive(Default)]
struct Counts {
    killed_writers: AtomicU64,
    killed_followers: AtomicU64,
    /// Looks that a failed call has ended.
    failed_looks: AtomicU64,
}

impl Counts {
    fn note(&self, said: &str) {
        let failed = said.lines().filter(|line| line.starts_with("failed")).count() as u64;
        self.failed_looks.fetch_add(failed, Ordering::Relaxed);
    }
}

fn chain(
    context: &Context,
    setup: &Setup,
    case: u64,
    (counts, library): (&Counts, Option<&Path>),
) -> Result<(), Failure> {
    let place = Place::new(context, &context.disk);
    let mut random = Random::new(&[context.seed, case, 0xBE51]);
    let mut failing = Random::new(&[context.seed, case, 0xFA17]);
    let mut start = |number| Following::start(&place, setup, number, (&mut failing, library));
    let mut followers: Vec<_> = (0..2).map(&mut start).collect();
    for link in 0..LINKS {
        let life = match random.below(4) {
            0 => Life::Until(Duration::from_micros(random.below(100_000))),
            1 => Life::AtMost(DEADLINE),
            _ => Life::After(&place.marks, Duration::from_micros(random.below(300_000))),
        };
        let rounds = if matches!(life, Life::AtMost(_)) { "rounds=2" } else { "rounds=1000" };
        let args = place.args(setup, &[rounds, "units=20", "flush=7"]);
        let ended = child::run("write", &args, None, &place.stderr, life);
        let (end, stderr) = ended.expect("a child can be started");
        let bad = |text: String| fail(case, format!("link {link}: {text}; {}", place.notes(setup)));
        check_end(&end, &stderr).or_else(bad)?;
        let is_killed = end == child::End::Signal(child::SIGKILL);
        counts.killed_writers.fetch_add(u64::from(is_killed), Ordering::Relaxed);
        if random.one_in(3) {
            let which = random.below(2) as usize;
            std::mem::replace(&mut followers[which], start(2 + link)).kill(counts).or_else(bad)?;
        }
        followers.iter().try_for_each(|follower| follower.check().map(drop)).or_else(bad)?;
    }
    // What is seen without a writer is what a recovery must find.
    let marker = Marker::open(&place.marks).expect("the marks can be written");
    for follower in followers {
        let units = follower.end(counts).or_else(|text| fail(case, text))?;
        for (thread, units) in units.iter().enumerate() {
            marker.mark(&format!("seen {thread} {units}"));
        }
    }
    marker.mark("settled");
    place.check(context, setup, case)
}

fn run(context: &Context, is_sync: bool, seconds: u64, library: Option<&Path>) -> Outcome {
    let counts = Counts::default();
    let (count, failures) = context.run_cases(0.., context.time(seconds), context.jobs, |case| {
        let mut setup = match case % 2 {
            0 => Setup::small(context.seed ^ case),
            _ => Setup::mixed(context.seed ^ case, 1 + case as usize % 3),
        };
        setup.is_sync = is_sync;
        chain(context, &setup, case, (&counts, library))
    });
    let Counts { killed_writers, killed_followers, failed_looks } = counts;
    let words = format!(
        "{count} stores, {} writers and {} readers killed, {} looks failed",
        killed_writers.into_inner(),
        killed_followers.into_inner(),
        failed_looks.into_inner()
    );
    Outcome::Ran(words, failures)
}

pub fn sync(context: &Context) -> Outcome {
    run(context, true, 5, None)
}

pub fn buffered(context: &Context) -> Outcome {
    run(context, false, 4, None)
}

/// A failed read is an error of one call, and the next call sees everything.
pub fn failing_reads(context: &Context) -> Outcome {
    match &context.library {
        Some(library) => run(context, true, 5, Some(library)),
        None => Outcome::Skipped("no C compiler"),
    }
}
