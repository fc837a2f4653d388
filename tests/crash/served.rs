//! The child that opens damaged stores: whatever is served must be right.
//!
//! Method: it first reads a copy that is not damaged, and so knows every event. Of a damaged store
//! each way of reading may end with an honest error, but every event before that must be the right
//! one, and an end without an error must come after the last event. `verify` must not be content
//! with what a read has refused. The store is opened twice, because the first opening may have
//! changed files. The answer is "intact", "healed" (intact, after a rebuild), "refused",
//! "findings", "short" (fewer events, without a word) or "bad".

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use annals::{Error, ReadEvents, Reader, RecordedEvent};

use crate::{
    check,
    marks::{Args, Expected, Setup},
    oracle::{self, Fault, Found, refused, sum, wrong},
    saves,
};

/// Who opens the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Store,
    /// A reader, which has the journal alone, heals nothing and must leave everything as it is.
    Reader,
}

pub fn serve(args: &Args, by: By) {
    let setup = Setup::from_args(args);
    let whole = setup.open(&args.path("pristine")).map_err(|error| refused(&error));
    let whole = whole.and_then(|store| {
        let found = oracle::walk(&store, &setup.plan(), setup.threads)?;
        store.close().map_err(|error| refused(&error))?;
        Ok(found)
    });
    check::serve(args, |setup, dir, expected| {
        let Ok(whole) = &whole else { return format!("bad\tundamaged, and yet {whole:?}") };
        if whole.units != expected.least() {
            return format!("bad\tundamaged, and yet {:?} units", whole.units);
        }
        match examine(by, setup, dir, whole, expected) {
            Ok(Seen { refusals, .. }) if !refusals.is_empty() => {
                format!("refused\t{}", refusals.join("; "))
            }
            Ok(Seen { findings: Some(text), .. }) => format!("findings\t{text}"),
            Ok(Seen { head, .. }) if head < whole.head => {
                let lost = whole.ends.iter().filter(|end| **end > head).count();
                format!("short\t{lost} units, the head is {head} and not {}", whole.head)
            }
            Ok(Seen { has_lost_saves: true, .. }) => "short\t0 units, but a checkpoint".to_owned(),
            Ok(Seen { is_healed: true, .. }) => "healed\t".to_owned(),
            Ok(_) => "intact\t".to_owned(),
            Err(Fault::Wrong(text) | Fault::Refused(text)) => format!("bad\t{text}"),
        }
    });
}

/// What one opening of a damaged store has shown; wrong things are errors instead.
#[derive(Default)]
struct Seen {
    head: u64,
    refusals: Vec<String>,
    findings: Option<String>,
    /// A checkpoint is older than the last one.
    has_lost_saves: bool,
    /// The open has rebuilt the trees.
    is_healed: bool,
}

impl Seen {
    /// Takes an honest error, and only that.
    fn take<T>(&mut self, what: &str, result: Result<T, Error>) -> Result<Option<T>, Fault> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => match refused(&error) {
                Fault::Refused(text) => {
                    self.refusals.push(format!("{what}: {text}"));
                    Ok(None)
                }
                Fault::Wrong(text) => wrong(format!("{what}: {text}")),
            },
        }
    }
}

fn examine(
    by: By,
    setup: &Setup,
    dir: &Path,
    whole: &Found,
    due: &Expected,
) -> Result<Seen, Fault> {
    let look = || match by {
        By::Store => look(setup, dir, whole, due),
        By::Reader => look_beside(dir, whole),
    };
    let (first, second) = (look()?, look()?);
    // Once refused, or healed after findings, it may be so or not the next time.
    let was_content = first.refusals.is_empty() && first.findings.is_none();
    if was_content && (second.head != first.head || !second.refusals.is_empty()) {
        return wrong(format!(
            "first {} events and no word, then {} events and {:?}",
            first.head, second.head, second.refusals
        ));
    }
    Ok(first)
}

fn look(setup: &Setup, dir: &Path, whole: &Found, due: &Expected) -> Result<Seen, Fault> {
    let mut seen = Seen::default();
    let Some(store) = seen.take("open", setup.open(dir))? else { return Ok(seen) };
    seen.is_healed = store.recovery().reason().is_some();
    let Some(head) = seen.take("head", store.head())? else { return Ok(seen) };
    if head > whole.head || (head > 0 && whole.ends.binary_search(&head).is_err()) {
        return wrong(format!("the head is {head}, in the middle of a unit or past the end"));
    }
    seen.head = head;
    let forwards: Vec<u64> = (1..=head).collect();
    let backwards: Vec<u64> = (1..=head).rev().collect();
    follow(&mut seen, "read_all", store.read_all(), &forwards, whole)?;
    follow(&mut seen, "read_all backwards", store.read_all().backward(), &backwards, whole)?;
    look_at_streams(&mut seen, &store, whole)?;
    let rotten = saves::check_rotten(&store, setup, due)?;
    seen.refusals.extend(rotten.refusals);
    seen.has_lost_saves = rotten.is_short;
    if let Some(report) = seen.take("verify", store.verify())? {
        if report.findings.is_empty() && !seen.refusals.is_empty() {
            return wrong(format!("verify finds nothing, and yet {:?}", seen.refusals));
        }
        seen.findings = report.findings.first().map(|finding| format!("{finding}"));
    }
    // A damaged store may be unable to close well; that it comes back is enough.
    let _ = store.close();
    Ok(seen)
}

/// As [`look`], by a reader: its errors name a position, and it changes nothing.
fn look_beside(dir: &Path, whole: &Found) -> Result<Seen, Fault> {
    let before = traces(dir).map_err(|error| Fault::Wrong(error.to_string()))?;
    let mut seen = Seen::default();
    let Some(reader) = seen.take("open", Reader::open(dir))? else { return Ok(seen) };
    seen.head = match reader.head() {
        Ok(head) => head,
        Err(error @ Error::Corrupted { position: Some(_), .. }) => {
            seen.take("head", Err::<(), _>(error))?;
            // Everything up to there must come, and then the error.
            whole.head
        }
        Err(error) => return wrong(format!("head answers {error:?}")),
    };
    if seen.head > whole.head || (seen.head > 0 && whole.ends.binary_search(&seen.head).is_err()) {
        return wrong(format!("the head is {}, in the middle of a unit", seen.head));
    }
    let forwards: Vec<u64> = (1..=seen.head).collect();
    let backwards: Vec<u64> = forwards.iter().rev().copied().collect();
    let all = reader.read_all().inspect(|event| {
        if let Err(error) = event {
            let has_place = matches!(error, Error::Corrupted { position: Some(_), .. });
            assert!(has_place, "a damaged journal has a first damaged position: {error:?}");
        }
    });
    follow(&mut seen, "read_all", all, &forwards, whole)?;
    follow(&mut seen, "read_all backwards", reader.read_all().backward(), &backwards, whole)?;
    look_at_streams(&mut seen, &reader, whole)?;
    if let Some(report) = seen.take("verify", reader.verify())? {
        if report.findings.is_empty() && !seen.refusals.is_empty() {
            return wrong(format!("verify finds nothing, and yet {:?}", seen.refusals));
        }
        seen.findings = report.findings.first().map(|finding| format!("{finding}"));
    }
    match traces(dir) {
        Ok(after) if after == before => Ok(seen),
        Ok(_) => wrong("a reader has changed files"),
        Err(error) => wrong(error.to_string()),
    }
}

/// Everything about the files of a directory that a reader might change.
fn traces(dir: &Path) -> io::Result<BTreeMap<PathBuf, [i64; 5]>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let data = path.symlink_metadata()?;
        let times = [data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()];
        found.insert(path.clone(), [data.len() as i64, times[0], times[1], times[2], times[3]]);
        if data.is_dir() {
            found.append(&mut traces(&path)?);
        }
    }
    Ok(found)
}

fn look_at_streams(seen: &mut Seen, store: &impl ReadEvents, whole: &Found) -> Result<(), Fault> {
    let due = |name: &str| {
        let positions = whole.streams.get(name).map_or(&[][..], Vec::as_slice);
        positions.iter().copied().filter(|position| *position <= seen.head).collect::<Vec<_>>()
    };
    let due: Vec<(&String, Vec<u64>)> =
        whole.streams.keys().map(|name| (name, due(name))).collect();
    let mut listed = 0;
    let mut is_whole = true;
    for info in store.streams() {
        let Some(info) = seen.take("streams", info)? else {
            is_whole = false;
            break;
        };
        let entry = due.iter().find(|(name, _)| *name == info.stream_id());
        if entry.is_none_or(|(_, positions)| positions.len() as u64 != info.version()) {
            return wrong(format!("streams shows {} at {}", info.stream_id(), info.version()));
        }
        listed += 1;
    }
    let count = due.iter().filter(|(_, positions)| !positions.is_empty()).count();
    if is_whole && listed != count {
        return wrong(format!("streams shows {listed} of {count} streams"));
    }
    for (name, positions) in &due {
        let version = seen.take("stream_version", store.stream_version(name))?;
        if version.is_some_and(|version| version != positions.len() as u64) {
            return wrong(format!("{name} is at {version:?}, not {}", positions.len()));
        }
        follow(seen, name, store.read_stream(name), positions, whole)?;
    }
    Ok(())
}

/// Reads to the end or to an honest error.
fn follow(
    seen: &mut Seen,
    what: &str,
    events: impl Iterator<Item = Result<RecordedEvent, Error>>,
    due: &[u64],
    whole: &Found,
) -> Result<(), Fault> {
    let mut due = due.iter();
    for event in events {
        let Some(event) = seen.take(what, event)? else { return Ok(()) };
        let position = event.position();
        if due.next() != Some(&position) || sum(&event) != whole.digests[position as usize - 1] {
            return wrong(format!("{what} serves something wrong at position {position}"));
        }
    }
    match due.next() {
        None => Ok(()),
        Some(position) => {
            wrong(format!("{what} ends before position {position}, without an error"))
        }
    }
}
