//! What a store must show after any fault.
//!
//! Method: walk the whole store forwards and recompute every event from the plan. Positions must be
//! 1, 2, 3 and so on, units whole and in each thread's order, versions dense in each stream; then
//! every other way of reading (by stream, backwards, from a position, the list of streams, ids)
//! must show the same. A fault is either [`Fault::Refused`], an honest error, or [`Fault::Wrong`],
//! a lie; which of them a test tolerates is its own decision.

use std::collections::{BTreeMap, BTreeSet};

use annals::{
    AppendError, Appended, Error, EventStore, ExpectedVersion, Query, QueryItem, RecordedEvent,
};

use crate::marks::Expected;
use crate::plan::{Origin, Plan, PlannedUnit, Random, digest};
use crate::units::AppendUnits;

/// Why a store is not as it should be.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The store says that its files are damaged, or that it cannot read them.
    Refused(String),
    /// The store shows something wrong, or leaves something out without a word.
    Wrong(String),
}

pub fn wrong<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Wrong(text.into()))
}

/// Only these two say that a file is damaged.
pub fn refused(error: &Error) -> Fault {
    match error {
        Error::Corrupted { .. } | Error::UnsupportedFormat { .. } => Fault::Refused(error.chain()),
        _ => Fault::Wrong(format!("unexpected error {:?}: {}", error.code(), error.chain())),
    }
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub head: u64,
    /// The number of units of each thread.
    pub units: Vec<u64>,
    /// The first position of each unit, by thread and number.
    starts: BTreeMap<(usize, u64), u64>,
    /// The positions at which units end.
    pub ends: Vec<u64>,
    /// One digest for each event, in the order of positions.
    pub digests: Vec<u64>,
    /// The positions of each tag.
    pub tags: BTreeMap<String, Vec<u64>>,
    /// The positions of each stream's events.
    pub streams: BTreeMap<String, Vec<u64>>,
    /// Units whose events all have ids, with their first position.
    with_ids: Vec<(usize, u64, u64)>,
}

impl Found {
    /// The position at which the last of so many units of each thread ends.
    pub fn ends_of(&self, units: &[u64]) -> u64 {
        let is_in = |(thread, unit): &(usize, u64)| units.get(*thread) >= Some(unit);
        let last = self.starts.iter().filter(|(place, _)| is_in(place)).map(|(_, start)| *start);
        let last = last.max().unwrap_or(0);
        self.ends.iter().copied().find(|end| *end >= last).filter(|_| last > 0).unwrap_or(0)
    }
}

/// The unit that is being read.
struct Current {
    thread: usize,
    number: u64,
    next: usize,
    unit: PlannedUnit,
}

/// Compares events with the plan, one after the other from the first one on.
pub struct Walk {
    pub found: Found,
    plan: Plan,
    current: Option<Current>,
}

/// Reads the store from its first event to its head and compares every event with the plan.
pub fn walk(store: &EventStore, plan: &Plan, threads: usize) -> Result<Found, Fault> {
    let head = store.head().map_err(|error| refused(&error))?;
    let mut walk = Walk::new(*plan, threads);
    walk.found.head = head;
    for event in store.read_all() {
        walk.step(&event.map_err(|error| refused(&error))?)?;
    }
    if walk.found.digests.len() as u64 != head {
        return wrong(format!("read_all gave {} of {head} events", walk.found.digests.len()));
    }
    walk.check_whole()?;
    Ok(walk.found)
}

impl Walk {
    pub fn new(plan: Plan, threads: usize) -> Walk {
        let found = Found { units: vec![0; threads], ..Found::default() };
        Walk { found, plan, current: None }
    }

    /// The last event that came must be the last one of its unit.
    pub fn check_whole(&self) -> Result<(), Fault> {
        match &self.current {
            None => Ok(()),
            Some(current) => wrong(format!(
                "unit {} of thread {} ends after {} of {} events",
                current.number,
                current.thread,
                current.next,
                current.unit.events.len()
            )),
        }
    }

    /// Takes the next event.
    pub fn step(&mut self, event: &RecordedEvent) -> Result<(), Fault> {
        let Walk { found, plan, current } = self;
        let position = found.digests.len() as u64 + 1;
        if event.position() != position {
            return wrong(format!("position {} where {position} was due", event.position()));
        }
        let mut now = match current.take() {
            Some(current) => current,
            None => begin(found, plan, event, position)?,
        };
        if let Some(field) = now.unit.events[now.next].difference(event) {
            return wrong(format!(
                "{field} of position {position} is not that of event {} of unit {} of thread {}",
                now.next, now.number, now.thread
            ));
        }
        let positions = found.streams.entry(event.stream_id().to_owned()).or_default();
        positions.push(position);
        if event.version() != positions.len() as u64 {
            return wrong(format!(
                "version {} of stream {} at position {position}, where {} was due",
                event.version(),
                event.stream_id(),
                positions.len()
            ));
        }
        for tag in event.tags() {
            found.tags.entry(tag.to_owned()).or_default().push(position);
        }
        found.digests.push(sum(event));
        now.next += 1;
        if now.next < now.unit.events.len() {
            *current = Some(now);
        } else {
            found.units[now.thread] = now.number;
            found.ends.push(position);
        }
        Ok(())
    }
}

fn begin(
    found: &mut Found,
    plan: &Plan,
    event: &RecordedEvent,
    position: u64,
) -> Result<Current, Fault> {
    let event_type = event.event_type();
    let Some(Origin { thread, unit: number, .. }) = Origin::of(event_type) else {
        return wrong(format!("position {position} has the unknown type {event_type:?}"));
    };
    if found.units.get(thread).is_none_or(|units| units + 1 != number) {
        return wrong(format!(
            "position {position} begins unit {number} of thread {thread} too early"
        ));
    }
    found.starts.insert((thread, number), position);
    let unit = plan.unit(thread, number);
    if unit.events.iter().all(|event| event.id.is_some()) {
        found.with_ids.push((thread, number, position));
    }
    Ok(Current { thread, number, next: 0, unit })
}

/// A digest of everything recorded about an event.
pub fn sum(event: &RecordedEvent) -> u64 {
    let mut all = digest(event.position(), event.stream_id().as_bytes());
    all = digest(all ^ event.version(), event.event_type().as_bytes());
    all = digest(all ^ event.timestamp().micros() as u64, event.data());
    all = digest(all, event.metadata().unwrap_or("-").as_bytes());
    all = event.tags().fold(all, |all, tag| digest(all, tag.as_bytes()));
    digest(all, &event.id().map_or([0; 16], |id| *id.as_bytes()))
}

/// Whether each thread has come at least and at most so far, and every unit lies where its
/// acknowledgement said.
pub fn check_bounds(found: &Found, expected: &Expected) -> Result<(), Fault> {
    let (least, most) = (expected.least(), expected.most());
    for (thread, &units) in found.units.iter().enumerate() {
        if units < least[thread] || units > most[thread] {
            return wrong(format!(
                "thread {thread} has {units} units where {} must and {} may be there",
                least[thread], most[thread]
            ));
        }
    }
    let must_be = expected.positions.iter().filter(|((thread, unit), _)| *unit <= least[*thread]);
    for (place, position) in must_be {
        if found.starts.get(place) != Some(position) {
            let (thread, unit) = place;
            return wrong(format!(
                "unit {unit} of thread {thread} was acknowledged at {position} and lies at {:?}",
                found.starts.get(place)
            ));
        }
    }
    Ok(())
}

/// Every other way of reading shows what [`walk`] has found.
pub fn check_reads(store: &EventStore, found: &Found, seed: u64) -> Result<(), Fault> {
    let list: Vec<_> = store.streams().collect();
    let mut names = BTreeSet::new();
    for info in list {
        let info = info.map_err(|error| refused(&error))?;
        let name = info.stream_id().to_owned();
        let versions = found.streams.get(&name).map_or(0, Vec::len) as u64;
        if info.version() != versions || names.last().is_some_and(|last| *last >= name) {
            return wrong(format!("the list of streams shows {name} at {}", info.version()));
        }
        names.insert(name);
    }
    if names.len() != found.streams.len() {
        return wrong(format!("{} of {} streams are listed", names.len(), found.streams.len()));
    }
    for (name, positions) in &found.streams {
        let version = store.stream_version(name).map_err(|error| refused(&error))?;
        if version != positions.len() as u64 {
            return wrong(format!("stream {name} is at {version}, not {}", positions.len()));
        }
        compare(&format!("stream {name}"), store.read_stream(name), positions.iter(), found)?;
    }
    let shared = found.tags.iter().filter(|(_, positions)| positions.len() > 1);
    let single = found.tags.iter().filter(|(_, positions)| positions.len() == 1).take(20);
    for (tag, positions) in shared.chain(single) {
        let query = Query::new().item(QueryItem::new().tags([tag]));
        let events = || store.read_all().query(&query);
        compare(&format!("tag {tag}"), events(), positions.iter(), found)?;
        let backward = events().backward();
        compare(&format!("tag {tag} backwards"), backward, positions.iter().rev(), found)?;
    }
    let backwards: Vec<u64> = (1..=found.head).rev().collect();
    compare("read_all backwards", store.read_all().backward(), backwards.iter(), found)?;
    let mut random = Random::new(&[seed, found.head]);
    for _ in 0..if found.head == 0 { 0 } else { 5 } {
        let from = random.between(1, found.head);
        let range: Vec<u64> = (from..=found.head.min(from + 2)).collect();
        let events = store.read_all().from_position(from).limit(3);
        compare(&format!("read_all from {from}"), events, range.iter(), found)?;
    }
    Ok(())
}

fn compare<'a>(
    what: &str,
    events: annals::Events,
    mut due: impl Iterator<Item = &'a u64>,
    found: &Found,
) -> Result<(), Fault> {
    for event in events {
        let event = event.map_err(|error| refused(&error))?;
        let position = event.position();
        if due.next() != Some(&position) || sum(&event) != found.digests[position as usize - 1] {
            return wrong(format!("{what} differs at position {position} from read_all"));
        }
    }
    match due.next() {
        None => Ok(()),
        Some(position) => wrong(format!("{what} ends before position {position}")),
    }
}

/// Units that carry ids answer a repeated append with their old place and write nothing.
pub fn check_retries(
    store: &EventStore,
    plan: &Plan,
    found: &Found,
    count: usize,
) -> Result<(), Fault> {
    for &(thread, number, position) in found.with_ids.iter().rev().take(count) {
        let unit = plan.unit(thread, number);
        let entries = unit.entries(ExpectedVersion::Any).map_err(|error| refused(&error))?;
        match store.append_multi(entries) {
            Ok(appended) if first_position(&appended) == Some(position) => {}
            Ok(appended) => {
                return wrong(format!(
                    "a retry of unit {number} of thread {thread}, at position {position}, \
                     answers {appended:?}"
                ));
            }
            Err(AppendError::Failed(error)) => return Err(refused(&error)),
            Err(error) => return wrong(format!("a retry of unit {number} answers {error}")),
        }
    }
    match store.head() {
        Ok(head) if head == found.head => Ok(()),
        Ok(head) => wrong(format!("retries moved the head from {} to {head}", found.head)),
        Err(error) => Err(refused(&error)),
    }
}

pub fn first_position(appended: &[Appended]) -> Option<u64> {
    appended.first().map(|appended| *appended.positions().start())
}

/// `verify` counts what is there and has nothing to say.
pub fn check_verify(store: &EventStore, found: &Found) -> Result<(), Fault> {
    let report = store.verify().map_err(|error| refused(&error))?;
    if let Some(finding) = report.findings.first() {
        return Err(Fault::Refused(format!(
            "verify has {} findings, the first: {} at {}: {finding}",
            report.findings.len(),
            finding.code,
            finding.place
        )));
    }
    if report.events != found.head || report.streams != found.streams.len() as u64 {
        return wrong(format!("verify counts {} events of {}", report.events, found.head));
    }
    Ok(())
}
