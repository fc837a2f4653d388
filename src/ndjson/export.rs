//! Export: every event of a store as one line.

use std::io::{self, BufWriter, Write};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    Error, EventStore, RecordedEvent,
    ndjson::{ExportOptions, ExportReport, OUTPUT, dumps},
};

const BUFFER_BYTES: usize = 256 << 10;
const PROGRESS_EVENTS: u64 = 4_096;

impl EventStore {
    /// Writes every event up to the current head to `writer`, one line each, in position order, and
    /// flushes `writer`.
    ///
    /// A line is identical to what Python's `json.dumps` makes of the Python store's record, so a
    /// file written by that store is reproduced byte for byte. Data and metadata are written as
    /// they are stored.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::NoSpace`] when `writer` fails, [`Error::Io`] when
    /// [`ExportOptions::stop_when`] stops the export, any error of reading the store, such as
    /// [`Error::Corrupted`], and [`Error::Closed`]. What was written before the error stays.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, ExportOptions, NewEvent, Timestamp};
    ///
    /// let store = EventStore::in_memory()?;
    /// let opened = NewEvent::raw_json("Opened", r#"{"owner": "Ada"}"#)?;
    /// let opened = opened.timestamp(Timestamp::naive(0)?);
    /// store.append("account-1", ExpectedVersion::NoStream, [opened])?;
    ///
    /// let mut text = Vec::new();
    /// let report = store.export_ndjson(&mut text, &ExportOptions::new())?;
    /// assert_eq!(report.events, 1);
    /// assert_eq!(
    ///     String::from_utf8(text)?,
    ///     concat!(
    ///         r#"{"event_id": 1, "stream_id": "account-1", "event_type": "Opened", "#,
    ///         r#""data": {"owner": "Ada"}, "timestamp": "1970-01-01T00:00:00", "#,
    ///         r#""metadata": null}"#,
    ///         "\n"
    ///     )
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export_ndjson(
        &self,
        writer: impl Write,
        options: &ExportOptions,
    ) -> Result<ExportReport, Error> {
        let counted = Counted { writer, bytes: 0 };
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, counted);
        let mut events: u64 = 0;
        let all = self.read_all();
        for event in if options.is_upcast { all } else { all.as_recorded() } {
            if options.stop.is_due() {
                let reason = "the caller stopped the export";
                return Err(refused(io::Error::new(io::ErrorKind::Interrupted, reason)));
            }
            event?.write_ndjson(&mut out).map_err(refused)?;
            events += 1;
            if events.is_multiple_of(PROGRESS_EVENTS) {
                options.progress.report(events, out.get_ref().bytes);
            }
        }
        out.flush().map_err(refused)?;
        let bytes = out.get_ref().bytes;
        options.progress.report(events, bytes);
        Ok(ExportReport { events, bytes })
    }
}

impl RecordedEvent {
    /// Writes the event as one line of NDJSON with its line end, exactly as
    /// [`export_ndjson`](EventStore::export_ndjson) does. The line is written in small pieces, so
    /// `writer` should be buffered.
    ///
    /// # Errors
    /// The errors of `writer`.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// store.append("photos", ExpectedVersion::Any, [NewEvent::binary("Taken", [0xFF, 0xD8])?])?;
    /// let event = store.read_all().next().expect("one event")?;
    /// let mut line = Vec::new();
    /// event.write_ndjson(&mut line)?;
    /// assert!(line.starts_with(b"{\"event_id\": 1, \"stream_id\": \"photos\", "));
    /// assert!(line.ends_with(b", \"data_base64\": \"/9g=\"}\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_ndjson(&self, writer: impl Write) -> io::Result<()> {
        let mut out = writer;
        write!(out, "{{\"event_id\": {}, \"stream_id\": ", self.position())?;
        dumps::write_string(&mut out, self.stream_id())?;
        out.write_all(b", \"event_type\": ")?;
        dumps::write_string(&mut out, self.event_type())?;
        out.write_all(b", \"data\": ")?;
        out.write_all(if self.is_binary() { b"null" } else { self.data() })?;
        write!(out, ", \"timestamp\": \"{}\", \"metadata\": ", self.timestamp())?;
        out.write_all(self.metadata().unwrap_or("null").as_bytes())?;
        if let Some(id) = self.id() {
            write!(out, ", \"id\": \"{id}\"")?;
        }
        for (index, tag) in self.tags().enumerate() {
            out.write_all(if index == 0 { b", \"tags\": [" } else { b", " })?;
            dumps::write_string(&mut out, tag)?;
        }
        if self.tags().len() > 0 {
            out.write_all(b"]")?;
        }
        if self.is_binary() {
            write!(out, ", \"data_base64\": \"{}\"", BASE64_STANDARD.encode(self.data()))?;
        }
        out.write_all(b"}\n")
    }
}

fn refused(error: io::Error) -> Error {
    Error::io("write", OUTPUT, error)
}

/// Counts the bytes that reach the writer.
struct Counted<W> {
    writer: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
