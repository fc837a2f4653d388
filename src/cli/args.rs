//! The arguments of the command line, as plain data.

use std::path::PathBuf;

use annals::{Error, ExpectedVersion, ImportMode, Timestamp, TornTail};
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;

use crate::help;

/// A time, or a day, which means its first moment.
fn start_time(text: &str) -> Result<Timestamp, String> {
    time(text, "T00:00:00Z")
}

/// A time, or a day, which means its last moment.
fn end_time(text: &str) -> Result<Timestamp, String> {
    time(text, "T23:59:59.999999Z")
}

fn time(text: &str, of_day: &str) -> Result<Timestamp, String> {
    let full =
        if text.len() == "2024-05-01".len() { format!("{text}{of_day}") } else { text.into() };
    full.parse().map_err(|_: Error| {
        "expected a day such as 2024-05-01, or a time such as 2024-05-01T12:30:00+02:00".to_owned()
    })
}

/// Reads and writes an event store, which is a directory
///
/// Data goes to standard output, messages go to standard error.
#[derive(Debug, Parser)]
#[command(name = "annals", version, after_help = help::EXIT_CODES)]
pub(crate) struct Args {
    /// Print reports and failures as JSON objects, and events as NDJSON
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Append(AppendArgs),
    Read(ReadArgs),
    Tail(TailArgs),
    Streams(StreamsArgs),
    Snapshots(SnapshotsArgs),
    Checkpoints(CheckpointsArgs),
    Stats(StatsArgs),
    Import(ImportArgs),
    Export(ExportArgs),
    #[command(flatten)]
    Maintenance(Maintenance),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    Manual(ManualArgs),
}

/// Commands on whole stores.
#[derive(Debug, Subcommand)]
pub(crate) enum Maintenance {
    Verify(VerifyArgs),
    Repair(RepairArgs),
    Salvage(SalvageArgs),
    Backup(BackupArgs),
    Compact(CompactArgs),
}

/// Append one event to a stream, creating the store if it is missing
#[derive(Debug, clap::Args)]
#[command(after_help = help::APPEND)]
pub(crate) struct AppendArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The stream to append to
    pub(crate) stream: String,
    /// The type of the event: the name of the fact
    #[arg(value_name = "TYPE")]
    pub(crate) event_type: String,
    /// The payload, as JSON; "-" reads standard input [default: -]
    #[arg(allow_negative_numbers = true)]
    pub(crate) data: Option<String>,
    /// The metadata: a JSON object [default: none]
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// Expected version: any, no-stream, exists, or a number
    #[arg(long, value_name = "VERSION", default_value_t)]
    pub(crate) expected: ExpectedVersion,
    /// An id, which makes the command safe to repeat [default: none]
    #[arg(long, value_name = "UUID")]
    pub(crate) id: Option<Uuid>,
    /// A tag of the event; can be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// How long to wait while the store is open elsewhere
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}

/// Print the events of the whole store, or of one stream
#[derive(Debug, clap::Args)]
#[command(after_help = help::READ)]
pub(crate) struct ReadArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Read only this stream [default: all]
    pub(crate) stream: Option<String>,
    /// Start at this version [default: the first; with --backward the last]
    #[arg(long, value_name = "N")]
    pub(crate) from_version: Option<u64>,
    /// Start at this position [default: the first; with --backward the last]
    #[arg(long, value_name = "N")]
    pub(crate) from_position: Option<u64>,
    /// Read from the newest event to the oldest
    #[arg(long)]
    pub(crate) backward: bool,
    /// End at this position of the store, inclusive
    #[arg(long, value_name = "N")]
    pub(crate) until_position: Option<u64>,
    /// Print only events from then on: 2024-05-01, or 2024-05-01T12:30:00+02:00
    #[arg(long, value_name = "TIME", value_parser = start_time)]
    pub(crate) since: Option<Timestamp>,
    /// Print only events up to this time; a day means all of it. Days are UTC
    #[arg(long, value_name = "TIME", value_parser = end_time)]
    pub(crate) until: Option<Timestamp>,
    /// Print at most this many events [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Print only the last N events, oldest first
    #[arg(long, value_name = "N", conflicts_with_all = ["limit", "backward"])]
    pub(crate) last: Option<u64>,
    /// Print only the event with this id
    #[arg(long, value_name = "UUID", conflicts_with_all = [
        "stream", "from_version", "from_position", "until_position", "since", "until", "limit",
        "last", "event_types", "prefix", "correlation", "backward", "tags",
    ])]
    pub(crate) id: Option<Uuid>,
    /// Print only events with this correlation_id, and the one that starts them
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<String>,
    /// Print only events of this type; can be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_types: Vec<String>,
    /// Print only events of streams whose ids start with this
    #[arg(long, conflicts_with = "tags")]
    pub(crate) prefix: Option<String>,
    /// Print only events with this tag; given several times: with all of them
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "from_version")]
    pub(crate) tags: Vec<String>,
    /// Print each field of an event on a line of its own
    #[arg(long, conflicts_with_all = ["json", "table"])]
    pub(crate) full: bool,
    /// Print a table [default: only on a terminal, else NDJSON lines]
    #[arg(long, conflicts_with = "json")]
    pub(crate) table: bool,
    /// Print NDJSON lines that also have the version; an import refuses them
    #[arg(long, conflicts_with_all = ["full", "table"])]
    pub(crate) with_version: bool,
}

/// Print the last events, then those that any process appends, until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = help::TAIL)]
pub(crate) struct TailArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Start with this many of the last events
    #[arg(short = 'n', value_name = "N", default_value_t = 10)]
    pub(crate) last: u64,
    /// Start at this position of the store instead
    #[arg(long, value_name = "N", conflicts_with = "last")]
    pub(crate) from: Option<u64>,
}

/// List the checkpoints of consumers
#[derive(Debug, clap::Args)]
#[command(after_help = help::CHECKPOINTS)]
pub(crate) struct CheckpointsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
}

/// List the snapshots of projections and callers
#[derive(Debug, clap::Args)]
#[command(after_help = help::SNAPSHOTS)]
pub(crate) struct SnapshotsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// List only snapshots of this name [default: all]
    pub(crate) name: Option<String>,
}

/// List the streams and their versions
#[derive(Debug, clap::Args)]
#[command(after_help = help::STREAMS)]
pub(crate) struct StreamsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// List only streams whose ids start with this
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// The order; any but the order of names first reads the whole list
    #[arg(long, value_enum, default_value_t)]
    pub(crate) sort: Sort,
    /// List at most this many [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Also print the position and the time of each stream's last event
    #[arg(long)]
    pub(crate) times: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By the bytes of their ids
    #[default]
    Name,
    /// Most events first
    Events,
    /// Most recently appended to first
    Last,
}

/// Print how much is in the store, and how much space it takes
#[derive(Debug, clap::Args)]
#[command(after_help = help::STATS)]
pub(crate) struct StatsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Also count the events of each type, which reads all events
    #[arg(long)]
    pub(crate) types: bool,
    /// Also count the events of each day, which reads all events
    #[arg(long)]
    pub(crate) days: bool,
}

/// Append the events of an NDJSON file, creating the store if it is missing
///
/// The file is imported in batches of some thousand events, each of them all or nothing. Ctrl-C
/// ends the import after a batch; --mode resume continues it.
#[derive(Debug, clap::Args)]
#[command(after_help = help::IMPORT, verbatim_doc_comment)]
pub(crate) struct ImportArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The file; "-" reads standard input
    pub(crate) file: PathBuf,
    /// How the event_id of each line is treated
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    /// What to do with a last line that a crash has cut off
    #[arg(long, value_enum, default_value_t, value_name = "ACTION")]
    pub(crate) torn_tail: Tail,
    /// Check everything, but write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Mode {
    /// It must continue the positions of the store exactly
    #[default]
    Faithful,
    /// It is ignored and may be missing: events get new positions
    Append,
    /// Events that the store already has are compared and skipped; then as faithful
    Resume,
}

impl From<Mode> for ImportMode {
    fn from(mode: Mode) -> ImportMode {
        match mode {
            Mode::Faithful => ImportMode::Faithful,
            Mode::Append => ImportMode::Append,
            Mode::Resume => ImportMode::Resume,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Tail {
    /// Fail
    #[default]
    Refuse,
    /// Drop the line, with a warning
    Drop,
}

impl From<Tail> for TornTail {
    fn from(tail: Tail) -> TornTail {
        match tail {
            Tail::Refuse => TornTail::Refuse,
            Tail::Drop => TornTail::Drop,
        }
    }
}

/// Write every event as NDJSON; an existing file is never overwritten
#[derive(Debug, clap::Args)]
#[command(after_help = help::EXPORT)]
pub(crate) struct ExportArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The file to create; "-" writes standard output [default: -]
    pub(crate) file: Option<PathBuf>,
}

/// Check everything in the store, and print what is wrong; the store itself is not changed
#[derive(Debug, clap::Args)]
#[command(after_help = help::VERIFY)]
pub(crate) struct VerifyArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Where to copy the trees for the check [default: the temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

/// Show how a damaged store can be repaired, or repair it
///
/// What one copy of the events has lost is rebuilt from the other. Files that are replaced are kept
/// next to the new ones as <name>.damaged-<n>.
#[derive(Debug, clap::Args)]
#[command(after_help = help::REPAIR, verbatim_doc_comment)]
pub(crate) struct RepairArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Carry out the repair; otherwise print the plan and change nothing
    #[arg(long)]
    pub(crate) apply: bool,
    /// Remove the files kept by earlier repairs, except the first and the newest of each
    #[arg(long, requires = "apply")]
    pub(crate) discard_evidence: bool,
    /// Where to make a copy on which the repair is tried [default: the temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

/// Write every readable event of a damaged store as NDJSON; the store itself is not changed
#[derive(Debug, clap::Args)]
#[command(after_help = help::SALVAGE)]
pub(crate) struct SalvageArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The file to create; "-" writes standard output [default: -]
    pub(crate) file: Option<PathBuf>,
    /// Where to make a private copy [default: the temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

/// Copy the store to a new directory, or add what is new to an earlier copy
///
/// The store may be in use. A directory that is not an earlier copy of it is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = help::BACKUP)]
pub(crate) struct BackupArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The directory to create or to add to
    pub(crate) directory: PathBuf,
    /// Hard-link sealed files instead of copying them: fast, but damage to one is damage to both
    #[arg(long)]
    pub(crate) link: bool,
}

/// Rewrite the store into fewer, smaller files; no event is removed
#[derive(Debug, clap::Args)]
#[command(after_help = help::COMPACT)]
pub(crate) struct CompactArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
}

/// Write the man pages into a directory: annals.1, and one for each command
#[derive(Debug, clap::Args)]
pub(crate) struct ManualArgs {
    /// The directory, which is created if it is missing
    pub(crate) directory: PathBuf,
}

/// Print a script that completes commands in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = help::COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}
