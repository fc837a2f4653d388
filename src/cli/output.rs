//! The only place that prints: data to standard output, words to standard error.
//!
//! Rows are a table for a terminal and one JSON object per line for anything else. A terminal never
//! gets a character that could steer it.

use std::{
    borrow::Cow,
    io::{self, BufWriter, IsTerminal, Stdout, Write},
};

use annals::{RecordedEvent, SnapshotInfo, SnapshotOwner, StreamInfo};
use console::{Alignment, Term, pad_str, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::{Exit, Failure};

const BUFFER_BYTES: usize = 64 << 10;
/// The columns of the event table; data takes what is left of the line.
const EVENT_COLUMNS: [(&str, usize, Alignment); 5] = [
    ("POSITION", 8, Alignment::Right),
    ("STREAM", 24, Alignment::Left),
    ("VERSION", 7, Alignment::Right),
    ("TYPE", 20, Alignment::Left),
    ("TIME", 26, Alignment::Left),
];
const DATA_WIDTH_MIN: usize = 24;
const GAP: &str = "  ";

/// Standard output, in the form that the command line and the terminal ask for.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    is_json: bool,
    /// The terminal's width, when rows are a table.
    table_width: Option<usize>,
    has_header: bool,
}

impl Output {
    pub(crate) fn new(is_json: bool) -> Output {
        let stdout = io::stdout();
        let is_table = !is_json && stdout.is_terminal();
        let table_width = is_table.then(|| usize::from(Term::stdout().size().1));
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, stdout);
        Output { stdout, is_json, table_width, has_header: false }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Prints an event: the line that `export` writes, or a row of a table.
    pub(crate) fn event(&mut self, event: &RecordedEvent) -> Result<(), Failure> {
        let Some(width) = self.table_width else {
            return event.write_ndjson(&mut self.stdout).map_err(|error| Failure::stdout(&error));
        };
        let data = if event.is_binary() {
            Cow::Owned(format!("({} bytes)", event.data().len()))
        } else {
            String::from_utf8_lossy(event.data())
        };
        let cells = [
            event.position().to_string(),
            event.stream_id().to_owned(),
            event.version().to_string(),
            event.event_type().to_owned(),
            event.timestamp().to_string(),
        ];
        if !self.has_header {
            self.has_header = true;
            let titles = EVENT_COLUMNS.map(|(title, _, _)| title.to_owned());
            self.line(&event_row(&titles, "DATA", width))?;
        }
        self.line(&event_row(&cells, &data, width))
    }

    /// Prints a stream: an object, or a row of a table.
    pub(crate) fn stream(&mut self, stream: &StreamInfo) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Row<'a> {
            stream_id: &'a str,
            version: u64,
        }
        let (stream_id, version) = (stream.stream_id(), stream.version());
        if self.table_width.is_none() {
            return self.object(&Row { stream_id, version });
        }
        if !self.has_header {
            self.has_header = true;
            self.line("VERSION  STREAM")?;
        }
        self.line(&format!("{version:>7}{GAP}{}", printable(stream_id)))
    }

    /// Prints a checkpoint: an object, or a row of a table.
    pub(crate) fn checkpoint(&mut self, name: &str, position: u64) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Row<'a> {
            name: &'a str,
            position: u64,
        }
        if self.table_width.is_none() {
            return self.object(&Row { name, position });
        }
        if !self.has_header {
            self.has_header = true;
            self.line("POSITION  NAME")?;
        }
        self.line(&format!("{position:>8}{GAP}{}", printable(name)))
    }

    /// Prints a snapshot: an object, or a row of a table.
    pub(crate) fn snapshot(&mut self, snapshot: &SnapshotInfo) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Row<'a> {
            owner: &'a str,
            name: &'a str,
            version: u32,
            position: u64,
            bytes: u64,
            fault: Option<&'a str>,
        }
        let SnapshotInfo { key, position, bytes, fault, .. } = snapshot;
        let (name, version, position, bytes) = (key.name(), key.version(), *position, *bytes);
        let owner = match key.owner() {
            SnapshotOwner::Projection => "projection",
            _ => "caller",
        };
        let fault = fault.as_deref();
        if self.table_width.is_none() {
            return self.object(&Row { owner, name, version, position, bytes, fault });
        }
        if !self.has_header {
            self.has_header = true;
            self.line("POSITION       BYTES  OWNER       VERSION  NAME")?;
        }
        let fault = fault.map(|fault| format!("{GAP}(unusable: {fault})")).unwrap_or_default();
        let name = printable(name);
        let fault = printable(&fault);
        self.line(&format!(
            "{position:>8}{GAP}{bytes:>10}{GAP}{owner:<10}{GAP}{version:>7}{GAP}{name}{fault}"
        ))
    }

    /// Prints a report as an object of one line.
    pub(crate) fn object(&mut self, report: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(report)
            .map_err(|error| Failure::new(Exit::Internal, format!("cannot report: {error}")))?;
        self.line(&text)
    }

    /// Prints a line of text, made safe if a terminal shows it.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        if self.table_width.is_some() { self.line(&printable(text)) } else { self.line(text) }
    }

    /// Where data goes that is written in one piece.
    pub(crate) fn writer(&mut self) -> &mut impl Write {
        &mut self.stdout
    }

    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(|error| Failure::stdout(&error))
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.stdout, "{text}").map_err(|error| Failure::stdout(&error))
    }
}

/// A row of the event table, cut to the width of the terminal as far as it can be.
fn event_row(cells: &[String; 5], data: &str, width: usize) -> String {
    let mut row = String::new();
    for (cell, (_, cell_width, alignment)) in cells.iter().zip(EVENT_COLUMNS) {
        row.push_str(&pad_str(&printable(cell), cell_width, alignment, None));
        row.push_str(GAP);
    }
    let left = width.saturating_sub(console::measure_text_width(&row)).max(DATA_WIDTH_MIN);
    row.push_str(&truncate_str(&printable(data), left, "..."));
    row
}

/// `text` with every character escaped that could move, hide or reorder what a terminal shows.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Says something on standard error. Nobody may be left to read it, which is no failure.
pub(crate) fn say(words: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(words));
}

/// Says on standard error what is wrong.
pub(crate) fn complain(words: &str) {
    say(&format!("annals: {words}"));
}

/// Prints what the argument parser answers: help, the version, or a complaint.
pub(crate) fn answer_usage(answer: &clap::Error) -> Exit {
    let printed = answer.print();
    match printed {
        _ if answer.use_stderr() => Exit::Usage,
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::System,
        _ => Exit::Done,
    }
}

/// A bar on standard error when that is a terminal, else something that stays invisible.
/// `total` is the last value it will be set to, where that is known.
pub(crate) fn progress(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    // A template that does not parse would leave the default style, which is good enough.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_steers_the_terminal() {
        assert_eq!(printable("plain \u{e9}"), "plain \u{e9}");
        assert_eq!(printable("\u{1b}[31mred\u{7}\n"), "\\u{1b}[31mred\\u{7}\\u{a}");
        assert_eq!(printable("a\u{202e}b\u{9b}c\u{200b}"), "a\\u{202e}b\\u{9b}c\\u{200b}");
    }

    #[test]
    fn a_row_fits_the_terminal() {
        let cells = ["7", "order-7", "2", "ItemAdded", "2024-05-01T12:30:00"].map(str::to_owned);
        let row = event_row(&cells, &"x".repeat(500), 140);
        assert_eq!(console::measure_text_width(&row), 140);
        assert!(
            row.starts_with("       7  order-7                         2  ItemAdded   "),
            "{row}"
        );
        assert!(row.ends_with("xxx..."), "{row}");
    }
}
