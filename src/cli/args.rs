//! What may be typed on the command line, as plain data.

use std::path::PathBuf;

use annals::{ExpectedVersion, ImportMode, TornTail};
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  an expected no: version conflict, event id in use, findings of verify
   2  wrong usage: an invalid argument, or a limit passed
   3  the input data is wrong
   4  the store is open elsewhere
   5  the store is damaged, or of a newer format
   6  the system refused: no such store or file, no space, a failed write
  70  internal error";

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
    /// Print at most this many events
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Print only events of this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_types: Vec<String>,
    /// Print only events of streams whose ids start like this
    #[arg(long, conflicts_with = "tags")]
    pub(crate) prefix: Option<String>,
    /// Print only events with this tag; given several times, with all of them
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "from_version")]
    pub(crate) tags: Vec<String>,
}

/// Print the last events, and go on with those that any process appends, until interrupted
#[derive(Debug, clap::Args)]
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
pub(crate) struct CheckpointsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
}

/// List the snapshots of projections and callers
#[derive(Debug, clap::Args)]
pub(crate) struct SnapshotsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// List only snapshots of this name
    pub(crate) name: Option<String>,
}

/// List the streams and their versions
#[derive(Debug, clap::Args)]
pub(crate) struct StreamsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// List only streams whose ids start like this
    #[arg(long)]
    pub(crate) prefix: Option<String>,
}

/// Print how much is in the store, and how much space it takes
#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
}

/// Append the events of an NDJSON file, creating the store if it is missing
#[derive(Debug, clap::Args)]
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
pub(crate) struct ExportArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
    /// The file to make; "-" or nothing: write standard output
    pub(crate) file: Option<PathBuf>,
}

/// Check everything in the store, and print what is wrong
#[derive(Debug, clap::Args)]
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
pub(crate) struct CompactArgs {
    /// The store's directory
    pub(crate) store: PathBuf,
}

/// Print a script that completes commands in a shell
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}
