//! What may be typed on the command line, as plain data.

use std::path::PathBuf;

use annals::{Error, ExpectedVersion, ImportMode, Timestamp, TornTail};
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  an expected no: version conflict, event id in use, findings of verify
   2  wrong usage: an invalid argument, or a limit passed
   3  the input data is wrong, also what comes on standard input
   4  the store is open elsewhere
   5  the store is damaged, or of a newer format
   6  the system refused: no such store or file, no space, a failed write
  70  internal error
 130  interrupted: what is in stays in";

/// What the help of each command ends with.
mod examples {
    pub(super) const APPEND: &str = "\
Examples:
  annals append orders.annals order-7 ItemAdded '{\"sku\": \"tea\"}'
  annals append orders.annals order-7 ItemAdded '{\"sku\": \"tea\"}' --expected 3
  jq -c .item order.json | annals append orders.annals order-7 ItemAdded -";
    pub(super) const READ: &str = "\
Examples:
  annals read orders.annals order-7
  annals read orders.annals --last 5 --full
  annals read orders.annals --type ItemAdded --since 2024-05-01 --until 2024-05-31
  annals read orders.annals --correlation req-17
  annals read orders.annals order-7 --table | less";
    pub(super) const TAIL: &str = "\
Examples:
  annals tail orders.annals
  annals tail orders.annals -n 100 --json | jq .data";
    pub(super) const STREAMS: &str = "\
Examples:
  annals streams orders.annals --prefix order-
  annals streams orders.annals --sort last --limit 10
  annals streams orders.annals --sort events --times --json";
    pub(super) const SNAPSHOTS: &str = "\
Example:
  annals snapshots orders.annals balances";
    pub(super) const CHECKPOINTS: &str = "\
Example:
  annals checkpoints orders.annals";
    pub(super) const STATS: &str = "\
Examples:
  annals stats orders.annals
  annals stats orders.annals --types --days";
    pub(super) const IMPORT: &str = "\
Examples:
  annals import orders.annals orders.ndjson
  annals import orders.annals orders.ndjson --mode resume
  zcat orders.ndjson.gz | annals import orders.annals -";
    pub(super) const EXPORT: &str = "\
Examples:
  annals export orders.annals orders.ndjson
  annals export orders.annals | gzip > orders.ndjson.gz";
    pub(super) const VERIFY: &str = "\
Examples:
  annals verify orders.annals
  annals verify orders.annals --json --scratch /var/tmp";
    pub(super) const REPAIR: &str = "\
Examples:
  annals repair orders.annals
  annals repair orders.annals --apply";
    pub(super) const SALVAGE: &str = "\
Example:
  annals salvage orders.annals saved.ndjson";
    pub(super) const BACKUP: &str = "\
Example, which adds what is new when it is repeated:
  annals backup orders.annals /backup/orders.annals";
    pub(super) const COMPACT: &str = "\
Example:
  annals compact orders.annals";
    pub(super) const COMPLETIONS: &str = "\
Example:
  annals completions bash > ~/.local/share/bash-completion/completions/annals";
}

/// A time, or a day, which stands for its start.
fn start_time(text: &str) -> Result<Timestamp, Error> {
    match text.len() {
        10 => format!("{text}T00:00:00Z").parse(),
        _ => text.parse(),
    }
}

/// A time, or a day, which stands for its end.
fn end_time(text: &str) -> Result<Timestamp, Error> {
    match text.len() {
        10 => format!("{text}T23:59:59.999999Z").parse(),
        _ => text.parse(),
    }
}

/// Works with an event store in a directory.
///
/// Data goes to standard output, words go to standard error.
#[derive(Debug, Parser)]
#[command(name = "annals", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Print reports as JSON, one object per line, and events as NDJSON
    #[arg(long, global = true)]
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
#[command(after_help = examples::APPEND)]
pub(crate) struct AppendArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The stream to append to
    pub(crate) stream: String,
    /// The type of the event: the name of the fact
    #[arg(value_name = "TYPE")]
    pub(crate) event_type: String,
    /// The payload, as JSON; "-" or nothing: read it from standard input
    #[arg(allow_negative_numbers = true)]
    pub(crate) data: Option<String>,
    /// The metadata: a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// What the stream must be: any, no-stream, exists, or its number of events
    #[arg(long, value_name = "VERSION", default_value_t)]
    pub(crate) expected: ExpectedVersion,
    /// An id for the event, which makes the command safe to repeat
    #[arg(long, value_name = "UUID")]
    pub(crate) id: Option<Uuid>,
    /// A tag of the event; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Wait for so many seconds while another process has the store open
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}

/// Print events: of the whole store, or of one stream
#[derive(Debug, clap::Args)]
#[command(after_help = examples::READ)]
pub(crate) struct ReadArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Read only this stream
    pub(crate) stream: Option<String>,
    /// Start at this version of the stream
    #[arg(long, value_name = "N")]
    pub(crate) from_version: Option<u64>,
    /// Start at this position of the store
    #[arg(long, value_name = "N")]
    pub(crate) from_position: Option<u64>,
    /// Read from the newest event to the oldest
    #[arg(long)]
    pub(crate) backward: bool,
    /// End at this position of the store
    #[arg(long, value_name = "N")]
    pub(crate) until_position: Option<u64>,
    /// Print only events with this time or a later one: 2024-05-01, or 2024-05-01T12:30:00+02:00
    #[arg(long, value_name = "TIME", value_parser = start_time)]
    pub(crate) since: Option<Timestamp>,
    /// Print only events with this time or an earlier one; a day counts to its end
    #[arg(long, value_name = "TIME", value_parser = end_time)]
    pub(crate) until: Option<Timestamp>,
    /// Print at most this many events
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Print this many of the last events, in order
    #[arg(long, value_name = "N", conflicts_with_all = ["limit", "backward"])]
    pub(crate) last: Option<u64>,
    /// Print only the event with this id
    #[arg(long, value_name = "UUID", conflicts_with_all = [
        "stream", "from_version", "from_position", "until_position", "since", "until", "limit",
        "last", "event_types", "prefix", "correlation", "backward", "tags",
    ])]
    pub(crate) id: Option<Uuid>,
    /// Print only events with this correlation_id in their metadata, and the one that has it as its
    /// own id
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<String>,
    /// Print only events of this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_types: Vec<String>,
    /// Print only events of streams whose ids start like this
    #[arg(long, conflicts_with = "tags")]
    pub(crate) prefix: Option<String>,
    /// Print only events with this tag; given several times, with all of them
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "from_version")]
    pub(crate) tags: Vec<String>,
    /// Print every field of an event on a line of its own
    #[arg(long, conflicts_with_all = ["json", "table"])]
    pub(crate) full: bool,
    /// Print a table even where standard output is not a terminal
    #[arg(long, conflicts_with = "json")]
    pub(crate) table: bool,
    /// Print NDJSON lines that have the version in the stream as well; an import refuses them
    #[arg(long, conflicts_with_all = ["full", "table"])]
    pub(crate) with_version: bool,
}

/// Print the last events, and go on with those that any process appends, until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = examples::TAIL)]
pub(crate) struct TailArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Start with this many of the last events
    #[arg(short = 'n', value_name = "N", default_value_t = 10)]
    pub(crate) last: u64,
    /// Start at this position of the store
    #[arg(long, value_name = "N", conflicts_with = "last")]
    pub(crate) from: Option<u64>,
}

/// List the checkpoints of consumers
#[derive(Debug, clap::Args)]
#[command(after_help = examples::CHECKPOINTS)]
pub(crate) struct CheckpointsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
}

/// List the snapshots of projections and callers
#[derive(Debug, clap::Args)]
#[command(after_help = examples::SNAPSHOTS)]
pub(crate) struct SnapshotsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// List only snapshots of this name
    pub(crate) name: Option<String>,
}

/// List the streams and their versions
#[derive(Debug, clap::Args)]
#[command(after_help = examples::STREAMS)]
pub(crate) struct StreamsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// List only streams whose ids start like this
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// The order; all streams are gathered first unless it is that of their names
    #[arg(long, value_enum, default_value_t)]
    pub(crate) sort: Sort,
    /// List at most this many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Print the position and the time of each stream's last event too
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
    /// Last appended to first
    Last,
}

/// Print how much is in the store, and how much space it takes
#[derive(Debug, clap::Args)]
#[command(after_help = examples::STATS)]
pub(crate) struct StatsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Count the events of each type, which reads all of them
    #[arg(long)]
    pub(crate) types: bool,
    /// Count the events of each day, which reads all of them
    #[arg(long)]
    pub(crate) days: bool,
}

/// Append the events of an NDJSON file, creating the store if it is missing
#[derive(Debug, clap::Args)]
#[command(after_help = examples::IMPORT)]
pub(crate) struct ImportArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The file; "-" reads standard input
    pub(crate) file: PathBuf,
    /// What each line's event_id means
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    /// What to do with a last line that a crash has cut
    #[arg(long, value_enum, default_value_t, value_name = "ACTION")]
    pub(crate) torn_tail: Tail,
    /// Check everything, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Mode {
    /// It must continue the store exactly
    #[default]
    Faithful,
    /// Nothing: events get new positions
    Append,
    /// Events that are there are compared and skipped; then as faithful
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
    /// Stop with an error
    #[default]
    Refuse,
    /// Leave it out, with a warning
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
#[command(after_help = examples::EXPORT)]
pub(crate) struct ExportArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The file to make; "-" or nothing: write standard output
    pub(crate) file: Option<PathBuf>,
}

/// Check everything in the store, and print what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = examples::VERIFY)]
pub(crate) struct VerifyArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Where a private copy of the trees is made, to check them in [default: the directory for
    /// temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

/// Show how a damaged store can be repaired, or repair it
///
/// What one copy of the events has lost is written anew from the other. What is replaced is kept
/// beside it as <name>.damaged-<n>.
#[derive(Debug, clap::Args)]
#[command(after_help = examples::REPAIR)]
pub(crate) struct RepairArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// Do it; otherwise nothing is changed
    #[arg(long)]
    pub(crate) apply: bool,
    /// Remove what was set aside before, but for the first and the newest of each file
    #[arg(long, requires = "apply")]
    pub(crate) discard_evidence: bool,
    /// Where a private copy is made, to try the repair on [default: the directory for temporary
    /// files]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

/// Write every event that can be read of a damaged store as NDJSON
#[derive(Debug, clap::Args)]
#[command(after_help = examples::SALVAGE)]
pub(crate) struct SalvageArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The file to make; "-" or nothing: write standard output
    pub(crate) file: Option<PathBuf>,
    /// Where a private copy is made [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

/// Copy the store to a new directory, or add what is new to an earlier copy
///
/// The store may be in use. Nothing that is not an earlier copy of it is overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = examples::BACKUP)]
pub(crate) struct BackupArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The directory to make or to add to
    pub(crate) directory: PathBuf,
    /// Give sealed files a second name instead of copying them: fast, but damage of one is damage
    /// of both
    #[arg(long)]
    pub(crate) link: bool,
}

/// Write the store anew, smaller and in better order; no event is removed
#[derive(Debug, clap::Args)]
#[command(after_help = examples::COMPACT)]
pub(crate) struct CompactArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
}

/// Write the pages for man into a directory: annals.1, and one for each command
#[derive(Debug, clap::Args)]
pub(crate) struct ManualArgs {
    /// The directory, which is made if need be
    pub(crate) directory: PathBuf,
}

/// Print a script that completes commands in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = examples::COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}
