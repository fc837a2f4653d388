//! The only place that prints: data to standard output, messages to standard error.
//!
//! On a terminal rows are a table; elsewhere each row is a JSON object on a line of its own.

mod chart;
mod safe;
mod table;
mod whole;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use annals::{RecordedEvent, SnapshotInfo, SnapshotOwner};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::{Exit, Failure};

use safe::{Sink, printable};
use table::Table;

/// Whether failures are printed as JSON objects.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// The width of a table that does not go to a terminal.
const TABLE_WIDTH: usize = 80;
const GAP: &str = "  ";

/// A stream in a list.
#[derive(Debug, Serialize)]
pub(crate) struct StreamRow {
    pub(crate) stream_id: String,
    pub(crate) version: u64,
    /// Its last event, if requested.
    #[serde(flatten)]
    pub(crate) last: Option<LastEvent>,
}

/// The last event of a stream.
#[derive(Debug, Serialize)]
pub(crate) struct LastEvent {
    pub(crate) last_position: u64,
    pub(crate) last_time: String,
}

/// Standard output, in the form that the options and the terminal determine.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: Sink,
    is_json: bool,
    /// The width of the terminal, if rows are a table.
    table_width: Option<usize>,
    has_header: bool,
    form: Form,
    /// The table of events, if they are printed as one.
    table: Option<Table>,
}

/// How events are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// A table on a terminal, NDJSON lines elsewhere.
    #[default]
    Auto,
    /// A table everywhere.
    Table,
    /// Each field of an event on a line of its own.
    Whole,
    /// NDJSON lines that also have the version in the stream.
    WithVersion,
}

impl Output {
    pub(crate) fn new(is_json: bool) -> Output {
        IS_JSON.store(is_json, Ordering::Relaxed);
        let stdout = Sink::new();
        let is_table = !is_json && stdout.is_terminal();
        let table_width = is_table.then(|| usize::from(Term::stdout().size().1));
        let table = table_width.map(Table::new);
        Output { stdout, is_json, table_width, has_header: false, form: Form::Auto, table }
    }

    /// Prints events in this form from now on.
    pub(crate) fn set_form(&mut self, form: Form) {
        self.form = form;
        self.table = match form {
            Form::Auto => self.table_width.map(Table::new),
            Form::Table => Some(Table::new(self.table_width.unwrap_or(TABLE_WIDTH))),
            Form::Whole | Form::WithVersion => None,
        };
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.stdout.is_terminal()
    }

    /// Prints an event: the line that `export` writes, a row of a table, or a line for each field.
    pub(crate) fn event(&mut self, event: &RecordedEvent) -> Result<(), Failure> {
        if self.form == Form::Whole {
            let lines = whole::lines(event);
            return lines.iter().try_for_each(|line| self.line(line));
        }
        if let Some(table) = &mut self.table {
            return if table.add(event) { self.print_table() } else { Ok(()) };
        }
        let with_version = self.form == Form::WithVersion;
        let mut line = Vec::new();
        let written = event.write_ndjson(&mut line).and_then(|()| {
            if with_version {
                // The line ends with a closing brace and a line feed.
                line.truncate(line.len().saturating_sub(2));
                writeln!(line, ", \"version\": {}}}", event.version())?;
            }
            self.stdout.write_all(&line)
        });
        written.map_err(|error| Failure::stdout(&error))
    }

    /// Prints the rows that are waiting.
    fn print_table(&mut self) -> Result<(), Failure> {
        let lines = self.table.as_mut().map(Table::take_lines).unwrap_or_default();
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Prints a stream: an object, or a row of a table.
    pub(crate) fn stream(&mut self, stream: &StreamRow) -> Result<(), Failure> {
        if self.table_width.is_none() {
            return self.object(stream);
        }
        let StreamRow { stream_id, version, last } = stream;
        let time = last.as_ref().map(|last| format!("{:<32}{GAP}", last.last_time));
        if !self.has_header {
            self.has_header = true;
            let time = time.as_ref().map_or(String::new(), |_| format!("{:<32}{GAP}", "LAST"));
            self.line(&format!("VERSION  {time}STREAM"))?;
        }
        let time = time.unwrap_or_default();
        self.line(&format!("{version:>7}{GAP}{time}{}", printable(stream_id)))
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

    /// Prints a line of text for people, escaped wherever it goes: a terminal may be at the end of
    /// the pipe.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.line(&printable(text))
    }

    /// Prints counts by name, with a bar for each.
    pub(crate) fn chart(&mut self, counts: &BTreeMap<String, u64>) -> Result<(), Failure> {
        let lines = chart::lines(counts, self.table_width);
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Standard output, for data that a function of the library writes.
    pub(crate) fn writer(&mut self) -> &mut impl Write {
        &mut self.stdout
    }

    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.print_table()?;
        self.stdout.flush().map_err(|error| Failure::stdout(&error))
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.stdout, "{text}").map_err(|error| Failure::stdout(&error))
    }
}

/// A count with its noun, such as "1 event".
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// Prints a message on standard error. It is not a failure if standard error is closed.
pub(crate) fn say(message: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(message));
}

/// Prints on standard error what is wrong.
pub(crate) fn complain(message: &str) {
    say(&format!("annals: {message}"));
}

/// Prints on standard error why the command failed; with `--json` as an object on one line.
pub(crate) fn report(failure: &Failure) {
    let report = failure.report().filter(|_| IS_JSON.load(Ordering::Relaxed));
    match report.map(|report| serde_json::to_string(&report)) {
        Some(Ok(text)) => drop(writeln!(io::stderr(), "{}", safe::json(&text))),
        _ => failure.messages.iter().for_each(|message| complain(message)),
    }
}

/// Prints the answer of the argument parser: help, the version, or an error.
pub(crate) fn answer_usage(answer: &clap::Error, has_json: bool) -> Exit {
    if answer.use_stderr() && has_json {
        IS_JSON.store(true, Ordering::Relaxed);
        let text = answer.render().to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let error = lines.next().unwrap_or_default();
        let error = error.strip_prefix("error: ").unwrap_or(error);
        report(&lines.fold(Failure::new(Exit::Usage, error), Failure::note));
        return Exit::Usage;
    }
    let printed = answer.print();
    match printed {
        _ if answer.use_stderr() => Exit::Usage,
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::System,
        _ => Exit::Done,
    }
}

/// A progress bar on standard error, which is invisible if that is not a terminal. `total` is the
/// last value it will be set to, if known.
pub(crate) fn progress(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    // If the template did not parse, the default style would do.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
