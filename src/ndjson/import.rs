//! Import: lines into events, batch by batch.

use std::io::Read;

use serde::de::IgnoredAny;

use crate::{
    AppendError, Error, EventStore, Events,
    event::json::Fault,
    ndjson::{
        ImportError, ImportFault, ImportMode, ImportOptions, ImportReport, TornLine, TornTail,
        batch::{BATCH_EVENTS_MAX, Batch},
        line::Line,
        lines::{Lines, RawLine},
    },
    store::Contents,
};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl EventStore {
    /// Appends the events from `reader`, one per line, in durable batches of a few thousand.
    ///
    /// The documentation of the format describes the lines that are accepted: those that
    /// [`export_ndjson`](EventStore::export_ndjson) and the Python store write, and a little more.
    /// Blank lines are skipped. [`ImportOptions::mode`] determines how `event_id` is used.
    ///
    /// # Errors
    /// [`Error::Parse`] for any fault of a line, with the line, the byte in it and the reason: not
    /// UTF-8, not JSON, not an event, past a limit, an `event_id` out of sequence, or an event that
    /// differs from the stored one. [`Error::DuplicateEventId`] when an `id` is in use.
    /// [`Error::Io`] when `reader` fails. Any error of an append. In every case, nothing of the
    /// batch with the fault is written, and [`ImportError::report`] counts the events that were
    /// written.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ImportOptions};
    ///
    /// let line = concat!(
    ///     r#"{"event_id": 1, "stream_id": "account-1", "event_type": "Opened", "#,
    ///     r#""data": {"owner": "Ada"}, "timestamp": "2024-05-01T12:30:00.250000", "#,
    ///     r#""metadata": null}"#,
    /// );
    /// let store = EventStore::in_memory()?;
    /// let report = store.import_ndjson(line.as_bytes(), &ImportOptions::new())?;
    /// assert_eq!((report.events, store.head()?), (1, 1));
    ///
    /// let failure = store.import_ndjson(line.as_bytes(), &ImportOptions::new()).unwrap_err();
    /// let reason = "line 1, column 14: event_id 1 does not follow: expected 2";
    /// assert_eq!(failure.to_string(), reason);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn import_ndjson(
        &self,
        reader: impl Read,
        options: &ImportOptions,
    ) -> Result<ImportReport, ImportError> {
        let mut import = Import::new(self, options);
        match import.run(reader) {
            Ok(()) => Ok(import.report),
            Err(error) => {
                let line = match error {
                    Error::Parse { line, .. } => Some(line),
                    _ => import.fault_line,
                };
                let report = Box::new(import.report);
                Err(ImportError { report, error, line, fault: import.fault })
            }
        }
    }
}

/// An import in progress.
struct Import<'a> {
    store: &'a EventStore,
    options: &'a ImportOptions,
    report: ImportReport,
    /// The head of the store; in a dry run, the head that the store would have.
    head: u64,
    /// The `event_id` that must come next; `None` if any is accepted.
    next: Option<u64>,
    /// The stored events to compare the next lines with.
    stored: Option<Events>,
    batch: Batch,
    /// Where the first `event_id` of the batch is: its line, and its offset there.
    start: (u64, usize),
    /// The line whose event id is in use.
    fault_line: Option<u64>,
    fault: Option<ImportFault>,
}

impl<'a> Import<'a> {
    fn new(store: &'a EventStore, options: &'a ImportOptions) -> Import<'a> {
        let report = ImportReport { dry_run: options.is_dry_run, ..ImportReport::default() };
        let batch = Batch::default();
        let (next, stored, fault_line, fault) = (None, None, None, None);
        let (head, start) = (0, (0, 0));
        Import { store, options, report, head, next, stored, batch, start, fault_line, fault }
    }

    fn run(&mut self, reader: impl Read) -> Result<(), Error> {
        if !self.options.is_dry_run {
            // Before any input is taken from the reader.
            self.store.storage().check_writable()?;
        }
        self.head = self.store.head()?;
        if self.options.mode == ImportMode::Faithful {
            self.next = Some(self.head.saturating_add(1));
        }
        let mut lines = Lines::new(reader);
        let ended = self.take_lines(&mut lines);
        self.report.lines = lines.number();
        ended?;
        self.write_batch()?;
        self.report_progress(lines.bytes());
        Ok(())
    }

    fn take_lines<R: Read>(&mut self, lines: &mut Lines<R>) -> Result<(), Error> {
        while let Some(raw) = lines.next()? {
            if raw.bytes.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                continue;
            }
            self.take_line(&raw)?;
            let handled = self.report.events + self.report.skipped + self.batch.events();
            if handled.is_multiple_of(BATCH_EVENTS_MAX) {
                self.report_progress(lines.bytes());
            }
        }
        Ok(())
    }

    fn take_line(&mut self, raw: &RawLine<'_>) -> Result<(), Error> {
        match parse(raw.bytes, self.options.mode) {
            Ok(line) => self.take_event(line, raw.number),
            Err(fault) if !raw.is_ended && is_torn(raw.bytes) => self.take_torn(raw, fault),
            Err(fault) => Err(at_line(raw.number, fault)),
        }
    }

    fn take_torn(&mut self, raw: &RawLine<'_>, fault: Fault) -> Result<(), Error> {
        if self.options.torn_tail == TornTail::Drop {
            let (line, bytes) = (raw.number, raw.bytes.len() as u64);
            let torn = TornLine { line, bytes, reason: fault.reason };
            self.report.torn_tail = Some(Box::new(torn));
            return Ok(());
        }
        self.fault = Some(ImportFault::TornTail);
        let reason = format!("{} (a torn last line: it has no line end)", fault.reason);
        Err(at_line(raw.number, Fault { reason, ..fault }))
    }

    fn take_event(&mut self, line: Line<'_>, number: u64) -> Result<(), Error> {
        if let Some(event_id) = line.event_id.filter(|_| self.options.mode != ImportMode::Append) {
            self.check_event_id(&line, event_id).map_err(|fault| at_line(number, fault))?;
            self.next = Some(event_id.saturating_add(1));
            // Events of this import are above the head until their batch is written, and never come
            // again, because each event_id follows the one before.
            if self.options.mode == ImportMode::Resume && event_id <= self.head {
                return self.compare(&line, event_id, number);
            }
        }
        let offset = line.event_id_fault(String::new()).offset;
        let (stream, event) = line.into_event();
        if self.batch.is_full_for(&stream, &event) {
            self.write_batch()?;
        }
        if self.batch.events() == 0 {
            self.start = (number, offset);
        }
        self.batch.push(&stream, event, number);
        Ok(())
    }

    fn check_event_id(&mut self, line: &Line<'_>, event_id: u64) -> Result<(), Fault> {
        let after_head = self.head.saturating_add(1);
        let (expected, of_what) = match self.next {
            Some(next) if event_id != next => (next, ""),
            None if event_id > after_head => (after_head, " the store"),
            _ => return Ok(()),
        };
        self.fault = Some(ImportFault::EventId { found: event_id, expected });
        let reason = format!("event_id {event_id} does not follow{of_what}: expected {expected}");
        Err(line.event_id_fault(reason))
    }

    /// Skips a line that is already in the store.
    fn compare(&mut self, line: &Line<'_>, first: u64, number: u64) -> Result<(), Error> {
        let store = self.store;
        let stored =
            self.stored.get_or_insert_with(|| store.read_all().as_recorded().from_position(first));
        let Some(event) = stored.next().transpose()? else {
            return Err(Error::internal(format!("the store has no event after position {first}")));
        };
        if let Some(fault) = line.difference(&event) {
            return Err(at_line(number, fault));
        }
        self.report.skipped += 1;
        Ok(())
    }

    fn write_batch(&mut self) -> Result<(), Error> {
        let count = self.batch.events();
        let (units, lines) = self.batch.take();
        if count == 0 {
            return Ok(());
        }
        if !self.options.is_dry_run {
            let keeps_positions = self.options.mode != ImportMode::Append;
            let first_id = units.first().and_then(|unit| unit.events.first()?.id);
            let head = keeps_positions.then_some(self.head);
            let written =
                self.store.append_contents(Contents::of_units(units), head).map_err(failed);
            let written = match written {
                Err(Error::InvalidArgument { .. })
                    if keeps_positions && self.store.head()? != self.head =>
                {
                    return Err(self.overtaken()?);
                }
                Err(error) => {
                    if let Error::DuplicateEventId { id, .. } = &error {
                        // If the id occurs more than once, its first use is not at fault.
                        let with_id = lines.iter().filter(|(known, _)| known == id);
                        self.fault_line = with_id.take(2).last().map(|line| line.1);
                    }
                    return Err(error);
                }
                Ok(written) => written,
            };
            if written.is_replay {
                if keeps_positions {
                    let position = written.appended.first().map(|first| *first.positions().start());
                    let id = first_id.unwrap_or_default();
                    self.fault_line = lines.first().map(|line| line.1);
                    return Err(Error::DuplicateEventId { id, position });
                }
                self.report.skipped += count;
                return Ok(());
            }
        }
        self.report.events += count;
        self.head = self.head.saturating_add(count);
        Ok(())
    }

    /// The error if others have appended since this import began.
    fn overtaken(&mut self) -> Result<Error, Error> {
        let (found, expected) = (self.head.saturating_add(1), self.store.head()?.saturating_add(1));
        self.fault = Some(ImportFault::EventId { found, expected });
        let (line, offset) = self.start;
        let reason = format!(
            "event_id {found} does not follow: expected {expected}, because others have appended \
             during the import"
        );
        Ok(at_line(line, Fault { offset, reason }))
    }

    fn report_progress(&self, bytes: u64) {
        self.options.progress.report(self.report.events + self.report.skipped, bytes);
    }
}

fn parse(bytes: &[u8], mode: ImportMode) -> Result<Line<'_>, Fault> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(Fault { offset: 0, reason: "a byte order mark: remove it".to_owned() });
    }
    let text = str::from_utf8(bytes).map_err(|error| Fault {
        offset: error.valid_up_to(),
        reason: "this byte is not valid UTF-8".to_owned(),
    })?;
    Line::parse(text, mode)
}

/// Whether a line without a line end was cut off, rather than being complete but invalid.
fn is_torn(bytes: &[u8]) -> bool {
    !bytes.starts_with(BYTE_ORDER_MARK) && serde_json::from_slice::<IgnoredAny>(bytes).is_err()
}

fn at_line(line: u64, fault: Fault) -> Error {
    Error::Parse { line, column: fault.offset as u64 + 1, reason: fault.reason }
}

/// No batch expects a version or has a condition, so only a failure is possible.
fn failed(error: AppendError) -> Error {
    match error {
        AppendError::Failed(error) => error,
        other => Error::internal(other.to_string()),
    }
}
