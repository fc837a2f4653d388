//! The child that reads beside writers: it follows a store through whatever happens to them.
//!
//! Method: it keeps one `Reader` and one subscription on it for its whole life, and looks again and
//! again. Before a look it folds the writers' marks: what must be seen by now. After it, it folds
//! them again: what may be seen. In between, every event must be the plan's next one, with its unit
//! whole, and the other ways of reading must show the same. What it has seen, and what is wrong, it
//! marks in a file of its own.

use std::{io::Read, path::PathBuf, time::Duration};

use annals::{Error, ErrorCode, Events, ReadEvents, Reader, Subscription};

use crate::{
    marks::{Args, Expected, Marker, Setup},
    oracle::{Fault, Found, Walk, refused, sum, wrong},
    plan::Random,
    saves,
};

struct Follower {
    setup: Setup,
    dir: PathBuf,
    marks: PathBuf,
    own: Marker,
    reader: Reader,
    events: Subscription,
    walk: Walk,
    random: Random,
}

/// Runs in the child until its standard input ends, or it is killed. Arguments: `dir`, `marks`,
/// `own`, `number`, `flaky` (how many calls of the system may fail) and those of [`Setup`].
pub fn run(args: &Args) {
    let own = Marker::open(&args.path("own")).expect("the marks can be opened");
    if let Err(fault) = follow(args, &own) {
        own.mark(&format!("bad {fault:?}"));
    }
}

fn follow(args: &Args, own: &Marker) -> Result<(), Fault> {
    let (sender, is_over) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // The parent closes it when nobody writes any more.
        let _ = std::io::stdin().read(&mut [0]);
        sender.send(()).expect("the follower waits for it");
    });
    let setup = Setup::from_args(args);
    let dir = args.path("dir");
    let reader = loop {
        match Reader::open(&dir) {
            Ok(reader) => break reader,
            // It is not there yet.
            Err(Error::Io { .. }) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(refused(&error)),
        }
    };
    let mut follower = Follower {
        walk: Walk::new(setup.plan(), setup.threads),
        random: Random::new(&[setup.seed, args.number("number", 0)]),
        marks: args.path("marks"),
        own: Marker::open(&args.path("own")).expect("the marks can be opened"),
        events: reader.subscribe(1).map_err(|error| refused(&error))?,
        reader,
        setup,
        dir,
    };
    // One call that reads may fail, and the next look must be as good as any.
    let mut failures = args.number("flaky", 0);
    let mut is_last = false;
    loop {
        is_last = is_last || is_over.try_recv().is_ok();
        let looked = follower.look().and_then(|()| match is_last {
            true => follower.check_end(),
            false => Ok(()),
        });
        match looked {
            Err(Fault::Wrong(text)) if failures > 0 && text.contains("Io") => {
                own.mark(&format!("failed {text}"));
                failures -= 1;
            }
            Ok(()) if is_last => {
                own.mark("over");
                return Ok(());
            }
            looked => looked?,
        }
    }
}

impl Follower {
    fn expected(&self) -> Result<Expected, Fault> {
        let expected = Expected::new(self.setup.threads, self.setup.is_sync);
        expected.read(&self.marks, None).map_err(|error| Fault::Wrong(error.to_string()))
    }

    /// Sees everything that must be seen, nothing that may not be, and the same in every way.
    fn look(&mut self) -> Result<(), Fault> {
        let before = self.expected()?;
        let head = self.reader.head().map_err(|error| refused(&error))?;
        let known = self.walk.found.head;
        if head < known {
            return wrong(format!("the head goes back from {known} to {head}"));
        }
        let wait = Duration::from_millis(self.random.below(10));
        let mut next = self.events.next_timeout(wait);
        while let Some(event) = next.map_err(|error| refused(&error))? {
            self.walk.step(&event)?;
            next = self.events.next_timeout(Duration::ZERO);
        }
        self.walk.check_whole()?;
        self.walk.found.head = self.walk.found.digests.len() as u64;
        if self.walk.found.head < head {
            return wrong(format!("a subscription stops at {}", self.walk.found.head));
        }
        self.check_saves(&before)?;
        match self.random.below(4) {
            0 => self.look_again(&self.reader, known)?,
            1 => {
                // While a writer recovers, one that comes now is not shown what is not durable yet.
                let least = self.walk.found.ends_of(&before.least());
                self.look_again(&Reader::open(&self.dir).map_err(|error| refused(&error))?, least)?;
            }
            _ => {}
        }
        let (found, after) = (&self.walk.found, self.expected()?);
        let units = &found.units;
        for (thread, (least, most)) in before.least().into_iter().zip(after.most()).enumerate() {
            if !(least..=most).contains(&units[thread]) {
                return wrong(format!(
                    "{} units of thread {thread} are seen, where {least} must and {most} may be",
                    units[thread]
                ));
            }
        }
        let units: Vec<String> = units.iter().map(u64::to_string).collect();
        self.own.mark(&format!("shown {}", units.join(" ")));
        Ok(())
    }

    fn check_end(&self) -> Result<(), Fault> {
        let head = self.reader.head().map_err(|error| refused(&error))?;
        match head == self.walk.found.head {
            true => Ok(()),
            false => wrong(format!("nobody writes, and {head} comes after the last look")),
        }
    }

    fn check_saves(&self, before: &Expected) -> Result<(), Fault> {
        for (thread, progress) in before.saves.iter().enumerate() {
            let found = self.reader.checkpoint(saves::name(thread));
            let found = found.map_err(|error| refused(&error))?;
            let most = self.expected()?.saves[thread][0];
            if !(progress[0].durable..=most.tried.max(most.acked)).contains(&found) {
                return wrong(format!("a checkpoint is at {found}; {progress:?}, then {most:?}"));
            }
        }
        Ok(())
    }

    /// A reader shows at least so much, in every other way; what is known of it, at least.
    fn look_again(&self, reader: &Reader, least: u64) -> Result<(), Fault> {
        let found = &self.walk.found;
        let head = reader.head().map_err(|error| refused(&error))?;
        let is_end = head == 0 || head >= found.head || found.ends.binary_search(&head).is_ok();
        if head < least || !is_end {
            return wrong(format!("another look shows {head} events; {least} must be there"));
        }
        let head = head.min(found.head);
        check_prefix("read_all", reader.read_all(), 1..=head, found)?;
        let backward = reader.read_all().from_position(head.max(1)).backward();
        check_prefix("read_all backwards", backward, (1..=head).rev(), found)?;
        for (name, positions) in &found.streams {
            let due = positions.iter().copied().filter(|position| *position <= head);
            check_prefix(name, reader.read_stream(name), due, found)?;
        }
        let mut listed = 0;
        for info in ReadEvents::streams(reader) {
            let info = info.map_err(|error| refused(&error))?;
            let known = found.streams.get(info.stream_id()).map_or(&[][..], Vec::as_slice);
            let known = known.partition_point(|position| *position <= head) as u64;
            listed += u64::from(known > 0);
            if info.version() < known {
                return wrong(format!("{} is at {}", info.stream_id(), info.version()));
            }
        }
        let due = found.streams.values().filter(|positions| positions[0] <= head).count() as u64;
        match listed == due {
            true => Ok(()),
            false => wrong(format!("{listed} of {due} streams are listed")),
        }
    }
}

/// The events that are due come first.
fn check_prefix(
    what: &str,
    mut events: Events,
    due: impl Iterator<Item = u64>,
    found: &Found,
) -> Result<(), Fault> {
    for position in due {
        match events.next() {
            Some(Ok(event))
                if event.position() == position
                    && sum(&event) == found.digests[position as usize - 1] => {}
            Some(Ok(event)) => {
                return wrong(format!("{what} has {} at {position}", event.position()));
            }
            Some(Err(error)) if error.code() == ErrorCode::Corrupted => {
                return Err(refused(&error));
            }
            other => return wrong(format!("{what} answers {other:?} at {position}")),
        }
    }
    Ok(())
}
