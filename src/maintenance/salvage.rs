//! Saving the readable events of a store.

use std::{
    io::{BufWriter, Write},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    Error, EventStore,
    codec::page::Page,
    event::RecordedEvent,
    maintenance::{SCRATCH, about, mend},
    storage::{Losses, Site},
    verify::Finding,
};

/// The number of bytes written at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Options for salvaging a store.
#[derive(Clone, Debug)]
pub struct SalvageOptions {
    scratch: PathBuf,
}

impl SalvageOptions {
    /// The defaults.
    pub fn new() -> SalvageOptions {
        SalvageOptions { scratch: PathBuf::from(SCRATCH) }
    }

    /// Sets the directory for the private copy, `/tmp` by default. The copy takes as much space as
    /// the trees, and twice that if they are damaged.
    #[must_use]
    pub fn scratch(mut self, directory: impl Into<PathBuf>) -> SalvageOptions {
        self.scratch = directory.into();
        self
    }
}

impl Default for SalvageOptions {
    fn default() -> SalvageOptions {
        SalvageOptions::new()
    }
}

/// The result of salvaging a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The number of events that were written.
    pub events: u64,
    /// The ranges of lost positions, each with what is known about it.
    pub missing: Vec<Finding>,
}

/// Writes every event of the store in `path` that can be read from either copy, in order, as
/// NDJSON. The store need not open, and may even be in use; nothing in it is changed.
///
/// The work is done on a private copy, see [`SalvageOptions::scratch`]. If damage prevents the log
/// from being followed further, later events are also saved if their frames are intact, although a
/// repair would cut them off.
///
/// # Errors
/// [`Error::Io`] if the writer fails or something cannot be read, [`Error::NoSpace`];
/// [`Error::Corrupted`] if nothing in the store can be used.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent, salvage};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("orders.annals");
/// let store = EventStore::open(&path)?;
/// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("OrderPlaced", &1)?])?;
/// store.close()?;
/// let mut saved = Vec::new();
/// let report = salvage(&path, &mut saved)?;
/// assert_eq!((report.events, report.missing.len()), (1, 0));
/// assert!(saved.starts_with(b"{\"event_id\": 1, "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn salvage(path: impl AsRef<Path>, writer: impl Write) -> Result<SalvageReport, Error> {
    salvage_with(path, writer, &SalvageOptions::new())
}

/// Like [`salvage`], with options.
///
/// # Errors
/// Same as for [`salvage`].
pub fn salvage_with(
    path: impl AsRef<Path>,
    writer: impl Write,
    options: &SalvageOptions,
) -> Result<SalvageReport, Error> {
    let copy = Site::of(path.as_ref())?.private_copy(&options.scratch)?;
    let site = copy.site();
    let known_head = site.known_head();
    let mended = mend::mend(site).map_err(|error| about(&copy, error))?;
    let store = mend::options(site, Losses::Gaps).open(site.path())?;
    let writer = BufWriter::with_capacity(BUFFER_BYTES, writer);
    let mut saved = Saved { writer, report: SalvageReport::default(), next: 1 };
    saved.all(&store, site)?;
    store.close()?;
    // Events that the repair of the copy cut off.
    saved.stray(site, mended.head + 1..=u64::MAX)?;
    saved.end(mended.head.max(known_head));
    let Saved { mut writer, report, .. } = saved;
    writer.flush().map_err(|source| Error::io("write to", "the output", source))?;
    Ok(report)
}

struct Saved<W> {
    writer: W,
    report: SalvageReport,
    /// The position after the last one that was saved or reported missing.
    next: u64,
}

impl<W: Write> Saved<W> {
    /// Saves every event that the store can read, and the events between them whose frames are
    /// intact in a file that is damaged elsewhere.
    fn all(&mut self, store: &EventStore, site: &Site) -> Result<(), Error> {
        let head = store.head()?;
        let storage = store.storage();
        let (mut position, mut page) = (1, Page::default());
        while position <= head {
            match storage.page(position, page) {
                Ok(found) => {
                    page = found;
                    self.stray(site, self.next..=position - 1)?;
                    while let Some(event) = page.event_at(position).filter(|_| position <= head) {
                        self.event(&event)?;
                        position += 1;
                    }
                }
                Err(Error::Corrupted { .. }) => {
                    page = Page::default();
                    position += 1;
                }
                Err(error) => return Err(error),
            }
        }
        self.stray(site, self.next..=head)
    }

    /// Saves the events at these positions for which an intact frame can be found.
    fn stray(&mut self, site: &Site, positions: RangeInclusive<u64>) -> Result<(), Error> {
        match positions.is_empty() {
            true => Ok(()),
            false => site.stray_events(positions, &mut |event| self.event(event)),
        }
    }

    fn event(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        if event.position() < self.next {
            return Ok(());
        }
        self.missing_before(event.position());
        event
            .write_ndjson(&mut self.writer)
            .map_err(|source| Error::io("write to", "the output", source))?;
        self.report.events += 1;
        self.next = event.position() + 1;
        Ok(())
    }

    fn end(&mut self, head: u64) {
        self.missing_before(head + 1);
    }

    fn missing_before(&mut self, position: u64) {
        if position > self.next {
            let (first, last) = (self.next, position - 1);
            let message = match last - first {
                0 => "it is in neither copy".to_owned(),
                _ => format!("positions {first} to {last} are in neither copy"),
            };
            self.report.missing.push(Finding {
                code: "event-missing",
                place: "the store".to_owned(),
                position: Some(first),
                message,
            });
        }
    }
}
